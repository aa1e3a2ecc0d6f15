"""`kill -9` at random moments of saves: the target is then as it was, or the complete new one, bit for bit.

One process imports everything and forks for each save: imports take longer than all the rest, and zarr
starts its thread anew in a forked process. The moments are drawn from a seeded generator, over the whole time
that a save takes.
"""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import xarray

from napari_ome_ngff import MultiscaleSource, write_labels, write_multiscale_group

MOMENTS = 23
"""For each of the nine kinds of saves: 207 in all."""

NURSERY = """
    import os, signal, sys, tempfile, time
    sys.path.insert(0, sys.argv[1])
    import tests.test_kill as module

    with tempfile.TemporaryDirectory() as folder:  # imports whatever a save needs
        for version in ("0.4", "0.5"):
            for how in ("new", "replace", "labels"):
                module.save(how, version, False, f"{folder}/{version}.zarr", seed=0)

    for line in sys.stdin:
        how, version, shards, target, delay = line.rstrip("\\n").split("|")
        begun, tell = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(tell, b".")
            module.save(how, version, shards == "sharded", target, seed=2)
            os._exit(0)
        os.read(begun, 1)
        start = time.perf_counter()
        if delay != "never":
            time.sleep(float(delay))
            os.kill(child, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os.close(begun), os.close(tell)
        print(status, time.perf_counter() - start, flush=True)
"""

Save = Callable[[str, str, str, Path, str], tuple[int, float]]


def save(how: str, version: str, sharded: bool, target: str | Path, *, seed: int) -> None:
    """Save an image, or a label image onto it, in many small chunks."""
    values = np.random.default_rng(seed).integers(1, 200, (32, 96, 96)).astype("uint16")
    image = xarray.DataArray(values, dims=("z", "y", "x"), name="cells")
    chunks, shards = (8, 32, 32), (16, 64, 64) if sharded else None
    if how == "labels":
        labels = {"cells": MultiscaleSource(image=image)}
        steps = write_labels(store=target, labels=labels, chunks=chunks, shards=shards, overwrite=True)
    else:
        steps = write_multiscale_group(
            store=target,
            image=image,
            ngff_version=version,
            levels=3,
            chunks=chunks,
            shards=shards,
            overwrite=how == "replace",
        )
    for _ in steps:
        pass


def contents(folder: Path) -> dict[str, bytes]:
    """Every file but recognisable left-overs, which no reader of OME-NGFF looks at."""
    files = (path for path in folder.rglob("*") if path.is_file())
    found = {str(path.relative_to(folder)): path for path in files}
    return {name: path.read_bytes() for name, path in found.items() if ".ngff-" not in name}


@pytest.fixture(scope="module")
def save_and_be_killed() -> Iterator[Save]:
    """Save in another process that is killed after so many seconds; how it ended, and when."""
    nursery = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(NURSERY), str(Path(__file__).parents[1])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert nursery.stdin is not None
    assert nursery.stdout is not None

    def run(how: str, version: str, kind: str, target: Path, delay: str) -> tuple[int, float]:
        print(f"{how}|{version}|{kind}|{target}|{delay}", file=nursery.stdin, flush=True)
        status, seconds = nursery.stdout.readline().split()
        return int(status), float(seconds)

    with nursery:
        yield run
        nursery.stdin.close()


@pytest.mark.skipif(sys.platform == "win32", reason="there is neither fork nor kill -9")
@pytest.mark.parametrize("how", ["new", "replace", "labels"])
@pytest.mark.parametrize(("version", "kind"), [("0.4", "plain"), ("0.5", "plain"), ("0.5", "sharded")])
def test_killed_at_any_moment(
    how: str, version: str, kind: str, tmp_path: Path, save_and_be_killed: Save
) -> None:
    old, new, target = tmp_path / "old.zarr", tmp_path / "new.zarr", tmp_path / "place" / "a.ome.zarr"
    if how != "new":
        save("new", version, kind == "sharded", old, seed=1)
        shutil.copytree(old, new)
    status, seconds = save_and_be_killed(how, version, kind, new, "never")
    assert status == 0
    before, after = contents(old), contents(new)
    assert before != after

    chance = random.Random(f"{how} {version} {kind}")
    seen = []
    for _ in range(MOMENTS):
        shutil.rmtree(target.parent, ignore_errors=True)
        target.parent.mkdir()
        if how != "new":
            shutil.copytree(old, target)
        delay = f"{chance.uniform(0, 1.05) * seconds:.4f}"
        status, _ = save_and_be_killed(how, version, kind, target, delay)
        assert status in (0, -signal.SIGKILL)
        found = contents(target)
        assert found == after if status == 0 else found in (before, after), f"killed after {delay} s"
        beside = [path.name for path in target.parent.iterdir() if path != target]
        assert all(name.startswith(".a.ome.zarr.") and ".ngff-" in name for name in beside)
        seen.append(found == after)
    # What the last one left is cleaned up by the next save to that place.
    status, _ = save_and_be_killed("replace" if how == "new" else how, version, kind, target, "never")
    assert status == 0
    assert contents(target) == after
    assert [path.name for path in target.parent.iterdir()] == [target.name]
    assert not list(target.rglob("*.ngff-*"))
    assert False in seen, "no save was killed early enough to be undone"
