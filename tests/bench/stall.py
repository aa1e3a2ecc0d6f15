"""How long napari's window waits at most while images are opened, saved, painted on and opened anew.

    xvfb-run -a -s "-screen 0 1600x1000x24" python -m tests.bench.stall FOLDER [ROUNDS] [CASE ...]

Inputs are made in FOLDER once (3 GB). Each case runs in a process of its own with a real window: with this
package, and with the same layers of numpy arrays, which tells what is napari's own; on processors that are
free, and with two other processes that never rest. What the window waits while nothing happens in it is
printed, too: that is the machine's. For every action there is the longest wait, what one in a hundred events
waits that come at any time, and what the thread of the window did in the longest one. Needs Linux and a
display.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.heartbeat import Heartbeat
from tests.bench.viewer import Window

CASES = ("open", "plate", "save", "edit")
LOADS = {"free": 0, "busy": 2}
SHAPE = (32, 2048, 2048)
PLACE: dict[str, Any] = {"scale": (2, 0.5, 0.5), "units": ("micrometer",) * 3, "axis_labels": ("z", "y", "x")}


def make(root: Path) -> None:
    """Make the inputs that are missing."""
    from napari_ome_ngff import save_ome_ngff, write_plate

    root.mkdir(parents=True, exist_ok=True)
    if not (root / "image.ome.zarr").exists():
        image, cells = voxels()
        both = np.stack([image, image[:, ::-1]])
        place = {"scale": {"z": 2, "y": 0.5, "x": 0.5}, "units": dict.fromkeys("zyx", "micrometer")}
        save_ome_ngff(root / "image.ome.zarr", both, axes="czyx", labels={"cells": cells}, **place)
    if not (root / "plate.ome.zarr").exists():
        pixels = [np.random.default_rng(0).integers(0, 1000, (3, 512, 512), dtype="uint16")] * 4
        fields = {(row, column): pixels for row in "ABCDEFGHIJKLMNOP" for column in range(1, 25)}
        write_plate(store=root / "plate.ome.zarr", fields=fields, axes="cyx", channels=["a", "b", "c"]).run()


def voxels() -> tuple[Any, Any]:
    """An image, and cells on it."""
    image = np.random.default_rng(0).integers(100, 4000, SHAPE, dtype="uint16")
    y, x = np.ogrid[: SHAPE[1], : SHAPE[2]]
    cell = (y // 64 * 32 + x // 64 + 1) * ((y % 64 - 32) ** 2 + (x % 64 - 32) ** 2 < 900)
    return image, np.broadcast_to(cell.astype("uint32"), SHAPE).copy()


@contextmanager
def others(count: int) -> Iterator[None]:
    """So many processes that never rest."""
    running = [subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


class Session:
    """A window, its heartbeat, and what was measured in it."""

    def __init__(self, load: str) -> None:
        self.load = LOADS[load]
        self.window = Window(asynchronous=False)
        self.viewer: Any = self.window.viewer
        self.heart = Heartbeat()
        self.figures: dict[str, dict[str, Any]] = {}
        self.rest(1)
        self.measure("nothing", lambda: None, until=after(4))

    def measure(
        self, what: str, action: Callable[[], object], *, until: Callable[[], bool] | None = None
    ) -> None:
        """Do something in the event loop, and wait until it is over, and half a second."""
        with others(self.load):
            time.sleep(0.3)
            self._run(action, until, 0.5, self.heart.begin)
            waits = self.heart.end()
        longest = sorted(waits.every, key=lambda wait: -wait.length)[:3]
        self.figures[what] = {
            "longest": waits.longest,
            "rare": waits.rare,
            "seconds": waits.seconds,
            "why": [str(wait) for wait in longest if wait.length > 30],
        }

    def rest(self, seconds: float, action: Callable[[], object] = lambda: None) -> None:
        """Do something that is not measured, and let the window live."""
        self._run(action, None, seconds, lambda: None)

    def _run(
        self,
        action: Callable[[], object],
        until: Callable[[], bool] | None,
        rest: float,
        begin: Callable[[], object],
    ) -> None:
        from qtpy.QtCore import QEventLoop, QTimer

        loop, end = QEventLoop(), time.monotonic() + 300

        def act() -> None:
            begin()
            action()
            look()

        def look() -> None:
            over = self.window.is_complete() and (until is None or until())
            if over or time.monotonic() > end:
                QTimer.singleShot(int(rest * 1000), loop.quit)
            else:
                QTimer.singleShot(20, look)

        QTimer.singleShot(0, act)
        loop.exec()


def after(seconds: float) -> Callable[[], bool]:
    """Whether so much time has passed since it was first asked."""
    begun: list[float] = []

    def over() -> bool:
        begun.append(time.monotonic())
        return begun[-1] - begun[0] > seconds

    return over


def in_memory(place: str, first: int = 0) -> Callable[..., None]:
    """What adds the same layers, of numpy arrays."""
    from napari.layers import Layer

    from napari_ome_ngff.plugin.reader import open_layers

    tuples = []
    for data, meta, kind in open_layers(place, "image")[1]:
        levels = [np.asarray(level) for level in data[first:]]
        tuples.append((levels, {**meta, "metadata": {}, "multiscale": True}, kind))

    def add(viewer: Any, then: Callable[[], object] = lambda: None) -> None:
        for data, meta, kind in tuples:
            viewer.add_layer(Layer.create(data, meta, kind))
            then()

    return add


def opening(session: Session, candidate: str, root: Path) -> None:
    """An image with two channels and labels; the first one in a process, and one more."""
    place = str(root / "image.ome.zarr")
    if candidate == "numpy":
        add = in_memory(place)
        for what in ("open the first image", "open an image"):
            session.rest(0.3, session.viewer.layers.clear)
            session.measure(what, lambda: add(session.viewer))
    else:
        for what in ("open the first image", "open an image"):
            session.rest(0.3, session.viewer.layers.clear)
            session.measure(what, lambda: session.viewer.open(place, plugin="napari-ome-ngff"))
    session.measure("step in z", lambda: session.viewer.dims.set_current_step(0, 20))
    session.measure("close it", session.viewer.layers.clear)


def plate(session: Session, candidate: str, root: Path) -> None:
    """384 wells, after an image, so that what is imported once does not count."""
    place = str(root / "plate.ome.zarr")
    if candidate == "numpy":
        add = in_memory(place, first=1)
        session.measure("open a plate", lambda: add(session.viewer))
        return
    session.rest(1, lambda: session.viewer.open(str(root / "image.ome.zarr"), plugin="napari-ome-ngff"))
    session.rest(0.3, session.viewer.layers.clear)
    session.measure("open a plate", lambda: session.viewer.open(place, plugin="napari-ome-ngff"))


def saving(session: Session, candidate: str, root: Path) -> None:
    """Layers in memory, by napari's menu and from the dock; what was saved is opened in their place."""
    from napari_ome_ngff.plugin.save.progress import breathe

    viewer = session.viewer
    image, cells = voxels()

    def add() -> None:
        viewer.add_image(image, name="a", contrast_limits=(0, 4000), **PLACE)
        viewer.add_image(image[:, ::-1], name="b", contrast_limits=(0, 4000), **PLACE)
        viewer.add_labels(cells, name="cells", **PLACE)

    if candidate == "numpy":
        add_saved = in_memory(str(root / "image.ome.zarr"))
        session.rest(1, add)

        def swap() -> None:
            old = list(viewer.layers)
            add_saved(viewer, breathe)
            for layer in old:
                viewer.layers.remove(layer)
                breathe()

        session.measure("Open result", swap)
        return
    session.rest(1, add)
    folder = Path(tempfile.mkdtemp(dir=root))
    _, widget = viewer.window.add_plugin_dock_widget("napari-ome-ngff", "Create OME-Zarr pyramid")
    session.rest(1)

    def save(name: str) -> None:
        viewer.layers.save(str(folder / name), plugin="napari-ome-ngff")

    try:
        session.measure("File > Save", lambda: save("a.ome.zarr"))
        widget.fields["target"].value = folder / "b.ome.zarr"
        session.rest(1)
        cancel = after(1)

        def cancelled() -> bool:
            if cancel() and widget.busy and not widget._cancelled.is_set():
                widget.cancel.native.click()
            return not widget.busy

        session.measure("the dock, cancelled", widget.create.native.click, until=cancelled)
        session.rest(1)
        session.measure("the dock", widget.create.native.click, until=lambda: not widget.busy)
        session.measure("Open result", widget.open_result.native.click)
    finally:
        shutil.rmtree(folder)


def editing(session: Session, candidate: str, root: Path) -> None:
    """Labels are painted on, and saved while they are."""
    from napari.layers import Labels
    from qtpy.QtCore import QTimer

    from napari_ome_ngff.plugin.edit.actions import paint_labels
    from napari_ome_ngff.plugin.edit.edited_layer import put_instead
    from napari_ome_ngff.plugin.edit.save_painted import save_in_thread, save_now

    viewer = session.viewer
    scratch = Path(tempfile.mkdtemp(dir=root))
    if candidate == "numpy":
        cells = voxels()[1]
        session.rest(1, lambda: viewer.add_labels(cells, name="cells", **PLACE))

        def again() -> None:
            put_instead(viewer, viewer.layers[-1], Labels(cells, name="cells", **PLACE))

        session.measure("begin to paint", again)
    else:
        shutil.copytree(root / "image.ome.zarr", scratch / "image.ome.zarr")
        place = str(scratch / "image.ome.zarr")
        session.rest(1, lambda: viewer.open(place, plugin="napari-ome-ngff"))
        session.measure("begin to paint", lambda: paint_labels(viewer, viewer.layers[-1]))
    layer = viewer.layers[-1]
    layer.brush_size, layer.mode = 30, "paint"
    dabs = 0

    def dab() -> None:
        nonlocal dabs
        dabs += 1
        z = int(viewer.dims.current_step[0])
        layer.paint((z, 100 + 9 * dabs % 1800, 150 + 37 * (dabs // 200) + 7 * dabs % 1700), dabs // 50 + 1)

    hand = QTimer()
    hand.timeout.connect(dab)
    try:
        session.measure("paint", lambda: hand.start(20), until=after(4))
        if candidate != "numpy":
            ended: list[str] = []

            def save() -> None:
                save_in_thread(layer, progress=lambda _: None, ended=ended.append)

            session.measure("save while painting", save, until=lambda: bool(ended))
            hand.stop()
            session.rest(0.5)
            for _ in range(30):
                dab()
            session.measure("save what was painted", lambda: save_now(layer))
    finally:
        hand.stop()
        shutil.rmtree(scratch)


def child(case: str, candidate: str, load: str, root: Path) -> None:
    """Print the figures of one run."""
    run = {"open": opening, "plate": plate, "save": saving, "edit": editing}[case]
    sys.excepthook = lambda *error: (sys.__excepthook__(*error), os._exit(1))
    session = Session(load)
    run(session, candidate, root)
    print("FIGURES" + json.dumps(session.figures), flush=True)
    os._exit(0)  # a window takes its time to close


def measured(case: str, candidate: str, load: str, root: Path) -> dict[str, dict[str, Any]]:
    """What a process of its own has measured."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.bench.stall", "--child", case, candidate, load]
    run = subprocess.run([*command, str(root)], capture_output=True, text=True, timeout=600)
    lines = [line for line in run.stdout.splitlines() if line.startswith("FIGURES")]
    if not lines:
        print(case, candidate, load, "failed:", run.stderr[-2000:], flush=True)
        return {}
    figures: dict[str, dict[str, Any]] = json.loads(lines[0].removeprefix("FIGURES"))
    for what, figure in figures.items():
        print(
            f"{candidate}, {load}, {what}: {figure['longest']:.0f} ms, 1 in 100 {figure['rare']:.0f} ms, "
            f"{figure['seconds']:.1f} s",
            *figure["why"],
            sep="\n    ",
            flush=True,
        )
    return figures


def main() -> None:
    root, rounds = Path(sys.argv[1]).absolute(), int(sys.argv[2]) if len(sys.argv) > 2 else 3
    make(root)
    os.environ["NAPARI_CONFIG"] = str(root / "settings.yaml")
    results: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for _ in range(rounds):
        for case in sys.argv[3:] or CASES:
            for load in LOADS:
                for candidate in ("ours", "numpy"):
                    for what, figure in measured(case, candidate, load, root).items():
                        column = results.setdefault(what, {}).setdefault(f"{candidate}, {load}", [])
                        column.append((figure["longest"], figure["rare"]))
    columns = [f"{candidate}, {load}" for load in LOADS for candidate in ("ours", "numpy")]
    print("\nLongest wait in ms (and what one event in a hundred waits), medians:\n")
    print("| |", " | ".join(columns), "|\n|", " --- |" * (len(columns) + 1))
    for what, by_column in results.items():
        cells = []
        for column in columns:
            pairs = by_column.get(column, [])
            middles = [statistics.median(values) for values in zip(*pairs, strict=True)]
            cells.append(f"{middles[0]:.0f} ({middles[1]:.0f})" if middles else "")
        print(f"| {what} |", " | ".join(cells), "|")


if __name__ == "__main__":
    if sys.argv[1] == "--child":
        child(*sys.argv[2:5], Path(sys.argv[5]))
    else:
        main()
