"""How long napari's window waits at most while it saves: through File > Save, and from the dock widget.

    xvfb-run python tests/bench/stall.py FOLDER [ROUNDS]

Two channels and labels of 64x2048x2048, 2.1 GB, are saved into FOLDER. A timer that wants to run every 5 ms
stands for a mouse that is moved. Printed are the longest times between two of its turns, when they were, and
for how long the host of a virtual machine kept a processor from running meanwhile: that is none of ours. And
what Python's garbage collector took at most. Needs Linux, a display, and a machine that does nothing else.
"""

import gc
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

FOLDER = Path(tempfile.mkdtemp(dir=sys.argv[1]))
os.environ["NAPARI_CONFIG"] = str(FOLDER / "settings.yaml")
SHAPE = (64, 2048, 2048)

turns: list[tuple[float, float]] = []
collections: list[tuple[float, float]] = []


def layers_into(viewer):
    place = {"scale": (2, 0.5, 0.5), "units": ("micrometer",) * 3, "axis_labels": ("z", "y", "x")}
    image = np.random.default_rng(0).integers(100, 4000, SHAPE, dtype="uint16")
    viewer.add_image(image, name="a", contrast_limits=(0, 4000), **place)
    viewer.add_image(image[:, ::-1], name="b", contrast_limits=(0, 4000), **place)
    y, x = np.ogrid[: SHAPE[1], : SHAPE[2]]
    cell = (y // 64 * 32 + x // 64 + 1) * ((y % 64 - 32) ** 2 + (x % 64 - 32) ** 2 < 900)
    viewer.add_labels(np.broadcast_to(cell.astype("uint32"), SHAPE).copy(), name="cells", **place)


def collecting(phase, _):
    now = time.monotonic()
    if phase == "start":
        collections.append((now, now))
    else:
        collections[-1] = (collections[-1][0], now)


def stolen():
    """Seconds that all processors would have run, if the host had let them (Linux)."""
    return int(Path("/proc/stat").read_text().split(maxsplit=9)[8]) / os.sysconf("SC_CLK_TCK")


def turn():
    turns.append((time.monotonic(), stolen()))


def measured(what, action):
    turns.clear()
    collections.clear()
    turn()
    action()
    times, away = np.array(turns).T
    gaps, away = np.diff(times) * 1000, np.diff(away) * 1000
    print(f"{what}, {times[-1] - times[0]:.1f} s:", end="")
    for i in np.argsort(gaps)[:-4:-1]:
        print(f" {gaps[i]:.0f} ms at {times[i] - times[0]:.1f} s (host {away[i]:.0f}),", end="")
    longest = max((end - begin for begin, end in collections), default=0)
    print(f" garbage collector {longest * 1000:.0f} ms", flush=True)


def main():
    import napari
    from qtpy.QtCore import QTimer
    from qtpy.QtWidgets import QApplication

    def wait(seconds, going_on=lambda: False):
        end = time.monotonic() + seconds
        while time.monotonic() < end or going_on():
            QApplication.processEvents()
            time.sleep(0.002)

    viewer = napari.Viewer(show=True, show_welcome_screen=False)
    layers_into(viewer)
    _, widget = viewer.window.add_plugin_dock_widget("napari-ome-ngff", "Create OME-Zarr pyramid")
    timer = QTimer()
    timer.timeout.connect(turn)
    timer.start(5)
    gc.callbacks.append(collecting)
    wait(2)
    for number in range(int(sys.argv[2]) if len(sys.argv) > 2 else 3):
        path = str(FOLDER / f"saved_{number}.ome.zarr")
        measured("File > Save", lambda path=path: viewer.layers.save(path, plugin="napari-ome-ngff"))
        widget.fields["target"].value = FOLDER / f"created_{number}.ome.zarr"
        wait(1)

        def create():
            widget.create.native.click()
            wait(0, lambda: widget.busy)

        measured("widget", create)
    viewer.close()
    shutil.rmtree(FOLDER)


if __name__ == "__main__":
    main()
