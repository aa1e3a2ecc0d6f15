"""The results of write.sh as tables: python report.py RESULTS.jsonl

CPU seconds are medians. `x limit` is the CPU time as a multiple of that of `limit` in the same rounds:
encode, reduce and store the same bytes, and read a lazy source once; `x ours` is how much more than this
package another one needs.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections import defaultdict
from typing import Any


def main(path: str) -> None:
    """Print one table for each task."""
    with open(path) as file:
        runs = [json.loads(line) for line in file]
    tasks: dict[tuple[str, ...], dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        settings = json.dumps(run["cfg"]) if run["cfg"] else ""
        tasks[run["case"], run["fmt"], settings][run["peer"]].append(run)
    for task, peers in tasks.items():
        print_table(task, peers)


def print_table(task: tuple[str, ...], peers: dict[str, list[dict[str, Any]]]) -> None:
    """Print who needed how much for one task."""
    done = {name: [run for run in runs if run["ok"]] for name, runs in peers.items()}
    cpu = {name: statistics.median(run["cpu"] for run in runs) for name, runs in done.items() if runs}
    print("\n###", *task, "\n")
    print("| writer | n | CPU s | x limit | x ours | wall s | added MiB | MiB written | check |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for name in sorted(cpu, key=cpu.__getitem__):
        runs = done[name]
        mode = ":mode" if name.endswith(":mode") else ""
        wall = statistics.median(run["wall"] for run in runs)
        added = max(run["peak_add"] for run in runs) / 2**20
        check = next((run["verify"].get("summary", "") for run in runs if run.get("verify")), "")
        print(
            f"| {name} | {len(runs)} | {cpu[name]:.2f} | {ratio(cpu, name, 'limit' + mode)} "
            f"| {ratio(cpu, name, 'ours' + mode)} | {wall:.2f} | {added:.0f} "
            f"| {runs[0]['bytes'] / 2**20:.0f} | {'' if name.startswith('limit') else check} |"
        )
    for name in sorted(peers.keys() - cpu.keys()):
        print(f"| {name} | 0 | failed: {peers[name][0].get('error', '')[:100]} |")


def ratio(cpu: dict[str, float], name: str, other: str) -> str:
    """Return a quotient, or nothing if there is nothing to compare with."""
    return f"{cpu[name] / cpu[other]:.2f}" if other in cpu else ""


if __name__ == "__main__":
    main(sys.argv[1])
