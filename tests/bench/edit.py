"""What painting and saving cost, against what cannot be done without.

    PYTHONPATH=src python -m tests.bench.edit FOLDER [GIB]

Saving: a label pyramid of 2 GiB, one cell painted. Bytes and seconds of the save, against encoding and
writing the chunks that changed and nothing else; everything else is byte for byte as it was. Painting: 20
dabs of a brush of 30 on a (64, 2048, 2048) layer of uint32, processor time against a numpy layer, in turns,
without a window and in one that draws between the strokes.
"""

from __future__ import annotations

import hashlib
import shutil
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import xarray
import zarr

from napari_ome_ngff import StorageOptions, edit_image, write_multiscale_group
from tests.campaigns.kill_edits import files_over

ROUNDS = 5


def pyramid(place: Path, gib: float) -> None:
    """Cells of 40 voxels, each with its number, five levels in chunks of 16x256x256."""
    planes = max(16, round(gib * 2**30 / 4 / 2048**2))

    def cells(block_info: Any = None) -> np.ndarray:
        (z0, z1), (y0, y1), (x0, x1) = block_info[None]["array-location"]
        z, y, x = np.ogrid[z0:z1, y0:y1, x0:x1]
        number = (z // 8 * 52 + y // 40) * 52 + x // 40 + 1
        return np.where((y % 40 - 20) ** 2 + (x % 40 - 20) ** 2 < 300, number, 0).astype("uint32")

    shape = (planes, 2048, 2048)
    voxels = dask.array.map_blocks(
        cells,
        chunks=dask.array.core.normalize_chunks((16, 1024, 1024), shape),
        dtype="uint32",
        meta=np.empty((0,) * 3, "uint32"),
    )
    image = xarray.DataArray(voxels, dims=("z", "y", "x"))
    options = StorageOptions(chunks=(16, 256, 256))
    write_multiscale_group(store=place, image=image, method="mode", levels=5, options=options).run()


def files(place: Path) -> dict[str, tuple[int, int, str]]:
    """Size, time and hash of every file."""
    result = {}
    for path in place.rglob("*"):
        if path.is_file():
            about = path.stat()
            digest = hashlib.blake2b(path.read_bytes()).hexdigest()
            result[str(path.relative_to(place))] = (about.st_size, about.st_mtime_ns, digest)
    return result


def changed(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    """Files that are not byte for byte what they were."""
    return {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}


def paint_a_cell(edit: Any, number: int) -> None:
    y, x = np.ogrid[-20:21, -20:21]
    disk = np.argwhere(y**2 + x**2 < 400)
    for z in range(4, 12):
        corner = (500, 500)  # over an edge of chunks
        edit[np.full(len(disk), z), disk[:, 0] + corner[0], disk[:, 1] + corner[1]] = number


def saving(place: Path) -> None:
    before = files(place)
    edit = edit_image(place)
    times, alone, written = [], [], 0
    for number in range(ROUNDS):
        paint_a_cell(edit, 100_000 + number)
        begun = time.perf_counter()
        edit.save().run()
        times.append(time.perf_counter() - begun)
    after = files(place)
    touched = changed(before, after)
    box = (slice(4, 12), slice(480, 521), slice(480, 521))
    assert touched <= files_over(place, [box]), "what does not depend on the cell was touched"
    written = sum(after[key][0] for key in touched)
    arrays = zarr.open_group(place, mode="r")
    scratch = place.with_name("alone")
    for _ in range(ROUNDS):
        shutil.rmtree(scratch, ignore_errors=True)
        work = []
        for key in sorted(touched):
            level, _, numbers = key.partition("/c/")
            array = arrays[level]
            box = tuple(
                slice(int(i) * n, (int(i) + 1) * n)
                for i, n in zip(numbers.split("/"), array.chunks, strict=True)
            )
            if level not in [one[0] for one in work]:
                zarr.create_array(
                    scratch / level,
                    shape=array.shape,
                    chunks=array.chunks,
                    dtype=array.dtype,
                    compressors=array.compressors,
                    fill_value=0,
                    overwrite=True,
                )
            work.append((level, box, array[box]))
        targets = {level: zarr.open_array(scratch / level) for level, _, _ in work}
        begun = time.perf_counter()
        for level, box, values in work:
            targets[level][box] = values
        alone.append(time.perf_counter() - begun)
    bytes_alone = sum(
        path.stat().st_size for path in scratch.rglob("*") if path.is_file() and path.name != "zarr.json"
    )
    shutil.rmtree(scratch)
    ours, least = statistics.median(times), statistics.median(alone)
    total = sum(size for size, _, _ in before.values())
    print(f"image: {len(before)} files, {total / 1e6:.0f} MB stored")
    print(
        f"changed: {len(touched)} files, {written / 1e3:.0f} kB; "
        f"those alone {bytes_alone / 1e3:.0f} kB: {written / bytes_alone:.2f}x"
    )
    print(f"save: {ours * 1e3:.0f} ms; writing those chunks alone {least * 1e3:.0f} ms: {ours / least:.2f}x")
    print(f"elsewhere: {len(before) - len(touched)} files, byte for byte and untouched")


def painting(place: Path, *, window: bool) -> None:
    """Strokes on a layer of ours and on a numpy layer with the same colours, in turns."""
    from napari import Viewer
    from napari.components import ViewerModel
    from napari.layers import Layer
    from qtpy.QtWidgets import QApplication

    from napari_ome_ngff.plugin.edit.edited_layer import begin_edit
    from napari_ome_ngff.plugin.reader import open_layers

    viewer: Any = Viewer() if window else ViewerModel()
    shown: Any = Layer.create(*open_layers(str(place), place.name)[1][0])
    viewer.add_layer(shown)
    ours: Any = begin_edit(viewer, shown)
    # The same colours: napari looks some up in a table, and computes others.
    numpy = viewer.add_labels(np.zeros(ours.data.shape, "uint32"), scale=ours.scale, colormap=ours.colormap)
    viewer.dims.set_current_step(0, 3)
    spent: dict[str, list[float]] = {"ours": [], "numpy": []}
    for number in range(24):
        for name, layer in (("ours", ours), ("numpy", numpy)):
            ours.visible, numpy.visible = layer is ours, layer is numpy
            layer.brush_size, layer.mode = 30, "paint"
            for _ in range(5 * window):
                QApplication.processEvents()  # it is drawn
            begun = time.process_time()
            for i in range(20):
                layer.paint((3, 100 + 5 * i, 150 + 37 * number + 4 * i), number % 7 + 1)
            spent[name].append(time.process_time() - begun)
    mine, other = (statistics.median(spent[name][2:]) * 1e3 for name in ("ours", "numpy"))
    print(
        f"20 dabs {'in' if window else 'without'} a window: {mine:.1f} ms, on numpy {other:.1f} ms: "
        f"{mine / other:.2f}x; the first 20, which read chunks: {spent['ours'][0] * 1e3:.0f} ms"
    )
    if window:
        viewer.close()


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    gib = float(sys.argv[2]) if len(sys.argv) > 2 else 2.0
    if not (folder / "labels.ome.zarr").exists():
        pyramid(folder / "labels.ome.zarr", gib)
    saving(folder / "labels.ome.zarr")
    if not (folder / "paint.ome.zarr").exists():
        empty = dask.array.zeros((64, 2048, 2048), dtype="uint32", chunks=(16, 1024, 1024))
        labels = xarray.DataArray(empty, dims=("z", "y", "x"))
        from napari_ome_ngff import LabelImage, MultiscaleSource

        write_multiscale_group(
            store=folder / "paint.ome.zarr",
            image=xarray.DataArray(dask.array.zeros((64, 64, 64), dtype="uint8"), dims=("z", "y", "x")),
            labels={"cells": MultiscaleSource(image=labels, levels=4, label_image=LabelImage())},
        ).run()
    for shown in (False, True):
        painting(folder / "paint.ome.zarr" / "labels" / "cells", window=shown)
