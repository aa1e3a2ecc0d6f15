"""Open a real OME-Zarr image in napari, save it, open what was saved, and check that it is the same.

    python docs/examples/quickstart.py [IMAGE]

With a display the result is shown in napari's window, without one everything else happens all the same.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from napari.layers import Layer

SAMPLE = Path(__file__).parent / "data" / "coins.ome.zarr"
PLUGIN = "napari-ome-ngff"


def has_display() -> bool:
    if sys.platform != "linux":
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def make_viewer() -> Any:
    if has_display():
        import napari

        return napari.Viewer()
    from napari.components import ViewerModel
    from npe2 import PluginManager

    PluginManager.instance().discover()  # what napari does when its window opens
    return ViewerModel()


def levels(layer: Layer) -> list[Any]:
    return list(layer.data) if layer.multiscale else [layer.data]


def describe(layer: Layer) -> str:
    sizes = ", ".join("x".join(map(str, level.shape)) for level in levels(layer))
    voxel = ", ".join(f"{name} {step:g}" for name, step in zip(layer.axis_labels, layer.scale, strict=True))
    return f"{layer.name} ({type(layer).__name__.lower()}): levels {sizes}; voxel size {voxel}"


def check_same(first: Layer, second: Layer) -> None:
    assert type(first) is type(second), (first, second)
    for attribute in ("name", "axis_labels", "units"):
        assert getattr(first, attribute) == getattr(second, attribute), attribute
    np.testing.assert_allclose(first.scale, second.scale)
    np.testing.assert_allclose(first.translate, second.translate)
    for before, after in zip(levels(first), levels(second), strict=True):
        np.testing.assert_array_equal(np.asarray(before), np.asarray(after))


def main(image: Path) -> None:
    viewer = make_viewer()
    opened = list(viewer.open(str(image), plugin=PLUGIN))
    print(f"Opened {image}")
    for layer in opened:
        print(" ", describe(layer))

    target = Path(tempfile.mkdtemp(prefix="napari-ome-ngff-")) / image.name
    (saved,) = viewer.layers.save(str(target), plugin=PLUGIN)

    viewer.layers.clear()
    again = list(viewer.open(saved, plugin=PLUGIN))
    for before, after in zip(opened, again, strict=True):
        check_same(before, after)
    print("Saved, opened again, and found the same: layers, levels, places and every pixel.")
    print(f"It is here: {saved}")

    if has_display():
        import napari

        napari.run()  # until the window is closed


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else SAMPLE)
