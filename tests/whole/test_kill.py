"""`kill -9` at random moments of saves: the target is then as it was, or the complete new one, bit for bit.

One process imports everything and forks for each save: imports take longer than all the rest, and zarr
starts its thread anew in a forked process. The moments are drawn from a seeded generator, one from each part
of the time that a save takes.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import xarray
import zarr

from napari_ome_ngff import MultiscaleSource, write_labels, write_multiscale_group
from tests.campaigns.kill_every_call import Way, campaign

MOMENTS = int(os.environ.get("NAPARI_OME_NGFF_KILLS", "4"))
"""For each of the fourteen kinds of saves; more are for campaigns."""

KINDS = [
    (how, version, kind)
    for version, kind in (("0.4", "plain"), ("0.5", "plain"), ("0.5", "sharded"), ("0.6", "many threads"))
    for how in ("new", "replace", "labels")
] + [("new", "0.5", "one file"), ("replace", "0.6", "one file")]

NURSERY = """
    import os, signal, sys, tempfile, time
    sys.path.insert(0, sys.argv[1])
    import tests.whole.test_kill as module

    with tempfile.TemporaryDirectory() as folder:  # imports whatever a save needs
        for version in ("0.4", "0.5"):
            for how in ("new", "replace", "labels"):
                module.save(how, version, "plain", f"{folder}/{version}.zarr", seed=0)
        module.save("new", "0.5", "one file", f"{folder}/a.ozx", seed=0)

    for line in sys.stdin:
        how, version, kind, target, delay = line.rstrip("\\n").split("|")
        begun, tell = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(tell, b".")
            module.save(how, version, kind, target, seed=2)
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


def save(how: str, version: str, kind: str, target: str | Path, *, seed: int) -> None:
    """Save an image, or a label image onto it, in many small chunks."""
    values = np.random.default_rng(seed).integers(1, 200, (16, 64, 96)).astype("uint16")
    image = xarray.DataArray(values, dims=("z", "y", "x"), name="cells")
    chunks, shards = (8, 32, 32), (8, 64, 64) if kind == "sharded" else None
    with ThreadPoolExecutor(5) if kind == "many threads" else contextlib.nullcontext() as executor:
        if how == "labels":
            steps = write_labels(
                store=target,
                labels={"cells": MultiscaleSource(image=image)},
                chunks=chunks,
                shards=shards,
                executor=executor,
                overwrite=True,
            )
        else:
            steps = write_multiscale_group(
                store=target,
                image=image,
                ngff_version=version,
                levels=3,
                chunks=chunks,
                shards=shards,
                executor=executor,
                overwrite=how == "replace",
            )
        for _ in steps:
            pass


def add_what_is_of_others(target: Path) -> None:
    """A table, a label image, a key and a file that no save may lose."""
    if target.suffix == ".ozx":
        with zipfile.ZipFile(target, "a") as archive:
            archive.writestr("tables/notes.txt", "mine")
        return
    group = zarr.open_group(target, mode="r+")
    zarr_format = group.metadata.zarr_format
    group.attrs["mine"] = {"kept": [1, 2]}
    zarr.create_array(target, name="tables/0", shape=(3,), dtype="float32", zarr_format=zarr_format)[...] = 1
    labels = {"nuclei": MultiscaleSource(image=xarray.DataArray(np.ones((8, 8), "uint8"), dims=("y", "x")))}
    for _ in write_labels(store=target, labels=labels):
        pass
    (target / "labels" / "nuclei" / "notes.txt").write_text("mine")


def contents(target: Path) -> dict[str, bytes]:
    """Every file but recognisable left-overs, which no reader of OME-Zarr looks at."""
    if target.is_file():
        with zipfile.ZipFile(target) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    files = (path for path in target.rglob("*") if path.is_file())
    found = {str(path.relative_to(target)): path for path in files}
    return {name: path.read_bytes() for name, path in found.items() if ".ngff-" not in name}


def copy(source: Path, target: Path) -> None:
    if source.is_file():
        shutil.copy(source, target)
    else:
        shutil.copytree(source, target)


@pytest.fixture(scope="module")
def save_and_be_killed() -> Iterator[Save]:
    """Save in another process that is killed after so many seconds; how it ended, and when."""
    nursery = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(NURSERY), str(Path(__file__).parents[2])],
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
@pytest.mark.parametrize(("how", "version", "kind"), KINDS)
def test_killed_at_any_moment(
    how: str, version: str, kind: str, tmp_path: Path, save_and_be_killed: Save
) -> None:
    name = "a.ozx" if kind == "one file" else "a.ome.zarr"
    old, new, target = tmp_path / "old" / name, tmp_path / "new" / name, tmp_path / "place" / name
    for path in (old, new):
        path.parent.mkdir()
    if how != "new":
        save("new", version, kind, old, seed=1)
        add_what_is_of_others(old)
        copy(old, new)
    status, seconds = save_and_be_killed(how, version, kind, new, "never")
    assert status == 0
    before, after = contents(old), contents(new)
    assert before != after
    others = {path for path in before if path.startswith(("tables", "labels/nuclei"))}
    assert {path: after.get(path) for path in others} == {path: before[path] for path in others}

    chance = random.Random(f"{how} {version} {kind}")
    seen = []
    for moment in range(MOMENTS):
        shutil.rmtree(target.parent, ignore_errors=True)
        target.parent.mkdir()
        if how != "new":
            copy(old, target)
        delay = f"{(moment + chance.random()) / MOMENTS * 1.05 * seconds:.4f}"
        status, _ = save_and_be_killed(how, version, kind, target, delay)
        assert status in (0, -signal.SIGKILL)
        found = contents(target)
        assert found == after if status == 0 else found in (before, after), f"killed after {delay} s"
        seen.append(found == after)
        beside = [path.name for path in target.parent.iterdir() if path != target]
        assert all(found.startswith(f".{name}.") and ".ngff-" in found for found in beside)
    # What the last one left is cleaned up by the next save to that place.
    status, _ = save_and_be_killed("replace" if how == "new" else how, version, kind, target, "never")
    assert status == 0
    assert contents(target) == after
    assert [path.name for path in target.parent.iterdir()] == [target.name]
    assert not list(target.rglob("*.ngff-*"))
    assert False in seen, "no save was killed early enough to be undone"


@pytest.mark.skipif(sys.platform == "win32", reason="there is neither fork nor kill -9")
@pytest.mark.parametrize("kind", ["replace", "labels replaced"])
def test_after_a_kill_a_refused_save_moves_nothing_and_an_allowed_one_loses_nothing(kind: str) -> None:
    """Before a few of the calls that change the disk; `tests.campaigns.kill_every_call` tries them all."""
    way = Way("write", kind, "v3", "folder, no exchange")
    seen = campaign(way, first=20, every=60)
    assert {"the old one", "the new one"} <= set(seen)
