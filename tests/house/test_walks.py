"""The walks of the architecture page, held against traced runs of the code.

``python -m tests.house.test_walks`` prints each of them as a tree of every function of the package that was
entered, at its depth; ``~`` marks other threads.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import npe2  # noqa: F401 (without napari this module is left out: some of the walks start there)
import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "napari_ome_ngff"
PAGE = ROOT / "docs" / "explanation" / "architecture.md"
COINS = ROOT / "docs" / "examples" / "data" / "coins.ome.zarr"
WALKS = ("Drop", "Slice", "Save", "Write", "Paint")
TOLERANCE = 0.2
"""Of the numbers on the page: a helper more does not make it untrue."""


@dataclass(frozen=True)
class Call:
    """One function of the package that was entered; `depth` counts those of the package that it runs in."""

    module: str
    function: str
    depth: int
    in_main_thread: bool


# ---------------------------------------------------------------------- the runs, in a fresh process


def trace(run: Callable[[], object]) -> list[Call]:
    """Every call of a function of the package while `run` runs, in all threads that it starts."""
    calls: list[Call] = []
    names: dict[CodeType, tuple[str, str] | None] = {}
    local = threading.local()

    def name_of(code: CodeType) -> tuple[str, str] | None:
        path = Path(code.co_filename)
        if PACKAGE not in path.parents:
            return None
        function = code.co_qualname.rpartition("<locals>.")[2]
        if function.startswith("<") or path.name == "__init__.py":  # comprehensions, lambdas, modules
            return None
        return ".".join(path.relative_to(PACKAGE).with_suffix("").parts), function

    def profile(frame: FrameType, event: str, _: object) -> None:
        if event not in ("call", "return"):  # of functions written in C
            return
        code = frame.f_code
        if code not in names:
            names[code] = name_of(code)
        if (name := names[code]) is None:
            return
        depth = getattr(local, "depth", 0)
        if event == "call":
            calls.append(Call(*name, depth, threading.current_thread() is threading.main_thread()))
            local.depth = depth + 1
        elif event == "return":
            local.depth = depth - 1

    threading.setprofile(profile)
    sys.setprofile(profile)
    try:
        run()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return calls


def traces(folder: Path) -> dict[str, list[Call]]:
    """Trace the walks. napari's window takes no part: its side of the plugin are two functions."""
    import dask.array  # noqa: F401 (what is imported while calls are traced takes five times as long)
    import numpy as np
    import pandas  # noqa: F401
    import pydantic_zarr.v3  # noqa: F401
    import xarray as xr
    import zarr.codecs  # noqa: F401

    from napari_ome_ngff import edit_image, write_multiscale_group
    from napari_ome_ngff.plugin.reader import get_reader
    from napari_ome_ngff.plugin.writer import write_layers

    layers: list[Any] = []

    def drop() -> None:
        reader = get_reader(str(COINS))
        assert reader is not None
        layers.extend(reader(str(COINS)))

    def slice_plane() -> None:
        (finest, *_), _, _ = layers[0]
        assert np.asarray(finest[3]).any()

    def save() -> None:
        assert write_layers(str(folder / "saved.ome.zarr"), layers)

    def write() -> None:
        pixels = np.arange(20 * 600 * 600, dtype="uint16").reshape(20, 600, 600)
        image = xr.DataArray(pixels, dims=("z", "y", "x"))
        for _ in write_multiscale_group(store=folder / "written.ome.zarr", image=image, levels=2):
            pass

    def paint() -> None:
        edit = edit_image(folder / "written.ome.zarr")
        edit[3, 10:20, 10:20] = 7
        edit.save().run()

    return dict(zip(WALKS, map(trace, (drop, slice_plane, save, write, paint)), strict=True))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for walk, calls in traces(Path(folder)).items():
            print(f"# {walk}")
            for call in calls:
                print(f"{call.depth}\t{'' if call.in_main_thread else '~'}\t{call.module}\t{call.function}")


# ---------------------------------------------------------------------- the tests


@pytest.fixture(scope="module")
def traced() -> dict[str, list[Call]]:
    """Traces of a process in which nothing was cached, and no thread runs yet."""
    done = subprocess.run(
        [sys.executable, "-m", __name__], capture_output=True, text=True, timeout=300, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, list[Call]] = {}
    for line in done.stdout.splitlines():
        if line.startswith("# "):
            calls = found.setdefault(line[2:], [])
        else:
            depth, thread, module, function = line.split("\t")
            calls.append(Call(module, function, int(depth), not thread))
    return found


def section_of(walk: str) -> str:
    return PAGE.read_text(encoding="utf-8").split(f"\n### {walk}")[1].split("\n##")[0]


@pytest.mark.parametrize("walk", WALKS)
def test_the_functions_of_a_walk_are_entered_in_its_order(walk: str, traced: dict[str, list[Call]]) -> None:
    steps = re.findall(r"^\d+\. `([\w.]+)` \(`([\w.]+)`\)", section_of(walk), re.MULTILINE)
    assert len(steps) >= 5
    entered = iter([(call.function, call.module) for call in traced[walk]])
    # `in` takes from the iterator what it has passed, so each step is looked for behind the one before it
    assert [step for step in steps if step not in entered] == []


@pytest.mark.parametrize("walk", WALKS)
def test_the_page_says_how_long_a_walk_is(walk: str, traced: dict[str, list[Call]]) -> None:
    numbers = re.search(r"(\d+) functions, up to (\d+) calls deep", section_of(walk))
    assert numbers is not None
    calls = traced[walk]
    functions = len({(call.module, call.function) for call in calls})
    deepest = max(call.depth for call in calls) + 1
    true = f"{functions} functions, up to {deepest} calls deep"
    assert int(numbers[1]) == pytest.approx(functions, rel=TOLERANCE), true
    assert int(numbers[2]) == pytest.approx(deepest, rel=TOLERANCE), true


if __name__ == "__main__":
    main()
