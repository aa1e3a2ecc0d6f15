"""What a person feels: start, steps, playback, plates and 3D, against numpy in memory and napari-ome-zarr.

    xvfb-run -a -s "-screen 0 1600x1000x24" python -m tests.bench.viewer FOLDER [ROUNDS] [CASE ...]

Inputs are made in FOLDER once (8 GB, most of it a plate). Each figure comes from a process of its own with a
real window that runs its event loop; the candidates take turns. Printed are medians, as a table. "numpy" gets
the same pyramid in memory. Needs Linux, a display, and a machine that does nothing else.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

CASES = {
    # case: (input, whether slicing is asynchronous)
    "start": ("two.ome.zarr", False),
    "step": ("four.ome.zarr", False),
    "step, async": ("four.ome.zarr", True),
    "play": ("two.ome.zarr", False),
    "play, async": ("two.ome.zarr", True),
    "step, ozx": ("four.ozx", False),
    "play, ozx": ("two.ozx", False),
    "step, http": ("web.ome.zarr", False),
    "play, http": ("web.ome.zarr", False),
    "play, http, async": ("web.ome.zarr", True),
    "plate": ("plate.ome.zarr", False),
    "volume": ("volume.ome.zarr", False),
    "sharp": ("sharp.ome.zarr", False),
}
CANDIDATES = {"ours": "napari-ome-ngff", "napari-ome-zarr": "napari-ome-zarr", "numpy": ""}
LATENCY = 0.05
PLAYED = 5  # seconds
COLORS = ("red", "green", "blue", "gray")


def make(root: Path) -> None:
    """Make the inputs that are missing."""
    from napari_ome_ngff import save_ome_ngff, write_plate

    rng = np.random.default_rng(0)
    root.mkdir(parents=True, exist_ok=True)

    def picture(shape: tuple[int, ...]) -> Any:
        y, x = np.ogrid[: shape[-2], : shape[-1]]
        waves = (400 * (2 + np.sin(x / 40) + np.cos(y / 60))).astype("uint16")
        return rng.integers(0, 60, shape, dtype="uint16") + waves

    def image(name: str, shape: tuple[int, ...], axes: str, **options: Any) -> None:
        if not (root / name).exists():
            scale = dict.fromkeys("zyx", 0.2)
            save_ome_ngff(root / name, picture(shape), axes=axes, scale=scale, **options)

    for kind in ("ome.zarr", "ozx"):
        image(f"four.{kind}", (4, 32, 2048, 2048), "czyx")
        image(f"two.{kind}", (2, 64, 1024, 1024), "czyx")
    image("web.ome.zarr", (4, 24, 1024, 1024), "czyx", chunks=(1, 1, 1024, 1024))
    image("volume.ome.zarr", (512, 512, 512), "zyx")
    image("sharp.ome.zarr", (512, 512, 512), "zyx", levels=4)
    if not (root / "plate.ome.zarr").exists():
        pixels = [picture((3, 1080, 1080))] * 4
        fields = {(row, column): pixels for row in "ABCDEFGHIJKLMNOP" for column in range(1, 25)}
        write_plate(store=root / "plate.ome.zarr", fields=fields, axes="cyx", channels=["a", "b", "c"]).run()


class Window:
    """A napari window whose event loop runs while something is done in it."""

    def __init__(self, *, asynchronous: bool) -> None:
        import napari
        from napari.settings import get_settings
        from qtpy.QtCore import QTimer

        get_settings().experimental.async_ = asynchronous
        self.viewer = napari.Viewer(show=True, show_welcome_screen=False)
        self.draws: list[float] = []
        self.beats: list[float] = []
        canvas = self.viewer.window._qt_viewer.canvas._scene_canvas
        canvas.events.draw.connect(lambda _: self.draws.append(time.perf_counter()), position="last")
        self._beat = QTimer()
        self._beat.timeout.connect(lambda: self.beats.append(time.perf_counter()))
        self._beat.start(4)
        self.do(lambda: None, rest=0.5)

    def do(self, action: Callable[[], object], *, rest: float = 0.3) -> tuple[float, float, float]:
        """Seconds until the first picture, until nothing is missing, and that the window waited at most."""
        from qtpy.QtCore import QEventLoop, QTimer

        loop, started, complete = QEventLoop(), 0.0, 0.0

        def act() -> None:
            nonlocal started
            self.draws.clear()
            self.beats.clear()
            started = time.perf_counter()
            self.beats.append(started)
            action()
            look()

        def look() -> None:
            nonlocal complete
            if self.is_complete() and self.draws and not complete:
                complete = max(self.draws[-1], started)
                QTimer.singleShot(int(rest * 1000), loop.quit)
            elif not complete and not self.draws and time.perf_counter() - started > 1 + rest:
                loop.quit()  # nothing to draw
            elif not complete:
                QTimer.singleShot(3, look)

        QTimer.singleShot(0, act)
        loop.exec()
        self.beats.append(time.perf_counter())
        first = (self.draws or [started])[0] - started
        return first, max(complete - started, first), float(np.diff(self.beats).max())

    def is_complete(self, *, asked: bool = True) -> bool:
        """Whether all of every picture is there, if `asked` that napari asked for last."""
        pictures = []
        if find_spec("napari_ome_ngff.plugin.open.arriving"):
            from napari_ome_ngff.plugin.open.arriving import pictures_in

            pictures = [one for layer in self.viewer.layers for one in pictures_in(layer)]
        loaded = not asked or all(layer.loaded for layer in self.viewer.layers)
        return loaded and not any(p.is_late() for p in pictures)

    def open(self, plugin: str, place: str) -> None:
        """Open a file with a plugin, or what it holds as arrays in memory."""
        if plugin:
            self.viewer.open(place, plugin=plugin)
            return
        from napari_ome_ngff import open_ome_ngff

        levels = [np.asarray(array) for array in open_ome_ngff(place).arrays.values()]
        has_channels = levels[0].ndim == 4
        for channel, color in enumerate(COLORS[: levels[0].shape[0] if has_channels else 1]):
            data = [level[channel] if has_channels else level for level in levels]
            self.viewer.add_image(data, contrast_limits=(0, 2000), blending="additive", colormap=color)


Figures = dict[str, float]


def step(window: Window, plugin: str, place: str) -> Figures:
    """Steps through z, a few each second, as a person who looks, and a jump."""
    window.do(lambda: window.open(plugin, place), rest=1)
    dims = window.viewer.dims
    middle, count = int(dims.current_step[0]), int(dims.nsteps[0])
    forward = [
        window.do(lambda z=z: dims.set_current_step(0, z), rest=0.15) for z in range(middle + 1, count - 1)
    ]
    jumps = [window.do(lambda z=z: dims.set_current_step(0, z), rest=0.15) for z in (1, count // 3, 3)]
    return {
        "step, ms": statistics.median(whole for _, whole, _ in forward[2:]) * 1000,
        "window waits, ms": statistics.median(wait for *_, wait in forward[2:]) * 1000,
        "jump, ms": statistics.median(whole for _, whole, _ in jumps) * 1000,
    }


def play(window: Window, plugin: str, place: str) -> Figures:
    """Pictures that are painted while napari plays as fast as it can, of one position in all layers.

    Slicing asynchronously, napari is always about to load the next one, so `loaded` says nothing here.
    """
    from qtpy.QtCore import QEventLoop, QTimer

    window.do(lambda: window.open(plugin, place), rest=1)
    viewer = window.viewer
    window.do(lambda: viewer.dims.set_current_step(0, 0), rest=0.3)
    painted: list[tuple[float, float]] = []

    def drawn(_: object) -> None:
        shown = {layer._slicing_state._slice.slice_input.world_slice.point[0] for layer in viewer.layers}
        complete = window.is_complete(asked=False)
        if len(shown) == 1 and complete and (not painted or painted[-1][1] not in shown):
            painted.append((time.perf_counter(), shown.pop()))

    viewer.window._qt_viewer.canvas._scene_canvas.events.draw.connect(drawn, position="last")
    loop = QEventLoop()
    window.beats.clear()
    QTimer.singleShot(0, lambda: viewer.window._qt_viewer.dims.play(0, fps=60))
    QTimer.singleShot(int(PLAYED * 1000), loop.quit)
    loop.exec()
    viewer.window._qt_viewer.dims.stop()
    times = [moment for moment, _ in painted]
    return {
        "frames/s": (len(times) - 1) / (times[-1] - times[0]),
        "longest pause, ms": float(np.diff(times).max()) * 1000,
        "window waits, ms": float(np.diff(window.beats).max()) * 1000,
    }


def first_picture(window: Window, plugin: str, place: str) -> Figures:
    """Open a plate, and look; after an image, so that what is imported once does not count."""
    window.do(lambda: window.open(plugin, str(Path(place).with_name("two.ome.zarr"))), rest=0.5)
    window.viewer.layers.clear()
    before = time.process_time()
    opened = 0.0

    def open_it() -> None:
        nonlocal opened
        started = time.perf_counter()
        window.open(plugin, place)
        opened = time.perf_counter() - started

    _, whole, wait = window.do(open_it, rest=0.5)
    cpu = time.process_time() - before
    return {
        "opened, s": opened,
        "complete, s": whole,
        "window waits, s": wait,
        "CPU, s": cpu,
    }


def volume(window: Window, plugin: str, place: str) -> Figures:
    """From 2D to 3D at full resolution: where there are levels, the coarsest comes first."""
    from qtpy.QtCore import QTimer

    is_ours = plugin == CANDIDATES["ours"]
    if is_ours:
        from napari.settings import get_plugin_settings

        get_plugin_settings(plugin).opening.volume_memory = "1 GB"
    window.do(lambda: window.open(plugin, place), rest=6)  # until all is done that comes with the first image
    (layer,), started, sharp = window.viewer.layers, 0.0, []

    def drawn(_: object) -> None:
        if not layer.data_level:
            sharp.append(time.perf_counter())
        elif not is_ours:  # once that is on the screen, as ours does it by itself
            QTimer.singleShot(0, sharpen)

    def sharpen() -> None:
        if layer.locked_data_level is None:
            layer.locked_data_level = 0

    def act() -> None:
        nonlocal started
        started = time.perf_counter()
        window.viewer.dims.ndisplay = 3

    window.viewer.window._qt_viewer.canvas._scene_canvas.events.draw.connect(drawn, position="last")
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts anew
    memory, before = _status("VmRSS"), time.process_time()
    first, _, wait = window.do(act, rest=8)
    peak = _status("VmHWM") - memory
    if not plugin:  # what is shown was there before
        peak += (layer.data[0] if layer.multiscale else layer.data).nbytes / 2**20
    seen = next(beat for beat in window.beats if beat > sharp[0]) - started
    cpu = time.process_time() - before
    return {"first, s": first, "sharp, s": seen, "wait, s": wait, "CPU, s": cpu, "memory, MiB": peak}


def _status(key: str) -> float:
    """Memory of this process in MiB, as Linux tells it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{key}:"))


def start(plugin: str, place: str) -> Figures:
    """From the command line to the first picture with layers; without a plugin of such layers of zeros."""
    figures = _started(plugin or "zeros", place)
    return figures if plugin else figures | {"napari alone, s": _started("", place)["start, s"]}


def _started(layers: str, place: str) -> Figures:
    code = (
        "import sys, os, napari, numpy\n"
        "viewer = napari.Viewer(show=True, show_welcome_screen=False)\n"
        "if sys.argv[2] == 'zeros':\n"
        "    for color in ('red', 'green'):\n"
        "        levels = [numpy.zeros((64, 1024 >> i, 1024 >> i), 'uint16') for i in range(4)]\n"
        "        viewer.add_image(levels, contrast_limits=(0, 2000), blending='additive', colormap=color)\n"
        "elif sys.argv[2]: viewer.open(sys.argv[1], plugin=sys.argv[2])\n"
        "canvas = viewer.window._qt_viewer.canvas._scene_canvas\n"
        "canvas.events.draw.connect(lambda _: os._exit(0), position='last')\n"
        "canvas.update()\n"
        "napari.run()\n"
    )
    started, before = time.perf_counter(), os.times()
    subprocess.run([sys.executable, "-W", "ignore", "-c", code, place, layers], check=True, timeout=120)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return {"start, s": time.perf_counter() - started, "CPU, s": cpu}


@contextmanager
def address(case: str, plugin: str, place: Path) -> Iterator[str]:
    """Where an input is opened from: its folder, or a server that answers late."""
    if "http" not in case or not plugin:  # numpy is given what is in the folder
        yield str(place)
        return
    code = (
        "import sys, time; from pathlib import Path; from tests.servers import Web\n"
        f"with Web(Path({str(place.parent)!r}), latency={LATENCY}) as web:\n"
        "    print(web.url, flush=True); time.sleep(1000)\n"
    )
    server = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield f"{server.stdout.readline().strip().rstrip('/')}/{place.name}"
    finally:
        server.kill()


def child(case: str, plugin: str, place: str) -> None:
    """Print the figures of one run."""
    kind = case.partition(",")[0]
    if kind == "start":
        figures = start(plugin, place)
    else:
        runs = {"step": step, "play": play, "plate": first_picture}
        run = runs.get(kind, volume)
        figures = run(Window(asynchronous=CASES[case][1]), plugin, place)
    print("FIGURES" + json.dumps(figures), flush=True)
    os._exit(0)  # a window takes its time to close


def main() -> None:
    root, rounds = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 3
    make(root)
    os.environ["NAPARI_CONFIG"] = str(root / "settings.yaml")
    results: dict[tuple[str, str], list[Figures]] = {}
    for _ in range(rounds):
        for case in sys.argv[3:] or CASES:
            for name, plugin in CANDIDATES.items():
                if (name == "napari-ome-zarr" and (not find_spec("napari_ome_zarr") or "ozx" in case)) or (
                    name == "numpy" and case == "plate"
                ):
                    continue
                with address(case, plugin, root / CASES[case][0]) as place:
                    command = [sys.executable, "-W", "ignore", "-m", "tests.bench.viewer"]
                    try:
                        run = subprocess.run(
                            [*command, "--child", case, plugin, place],
                            capture_output=True,
                            text=True,
                            timeout=120,
                        )
                    except subprocess.TimeoutExpired:
                        print(case, name, "did not end", flush=True)
                        continue
                lines = [line for line in run.stdout.splitlines() if line.startswith("FIGURES")]
                if lines:
                    print(case, name, lines[0].removeprefix("FIGURES"), flush=True)
                    results.setdefault((case, name), []).append(json.loads(lines[0].removeprefix("FIGURES")))
                else:
                    print(case, name, "failed:", run.stderr[-500:], flush=True)
    print_table(results)


def print_table(results: dict[tuple[str, str], list[Figures]]) -> None:
    """Print the table of docs/explanation/speed.md: a line for each figure, medians, a column for who."""
    print("| | " + " | ".join(CANDIDATES) + " |\n|" + " --- |" * (len(CANDIDATES) + 1))
    lines = dict.fromkeys((case, key) for (case, _), runs in results.items() for key in runs[0])
    for case, key in lines:
        each = [[run[key] for run in results.get((case, name), []) if key in run] for name in CANDIDATES]
        cells = [f"{statistics.median(values):.3g}" if values else "" for values in each]
        print(f"| {case}: {key} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "--child":
        child(*sys.argv[2:])
    else:
        main()
