"""Layers of images whose axes are stored in any order: the same pixels, read from as many chunks."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from napari.components import ViewerModel
from napari.layers import Layer
from zarr.storage import MemoryStore

from napari_ome_ngff.plugin.reader import open_layers, read_layers
from napari_ome_ngff.plugin.writer import write_layers
from napari_ome_ngff.storage.pixels.process_state import shared_cache
from tests.storage.test_axis_order import CHUNKS, FORMATS, cut, values
from tests.storage.test_source import CountingStore

pytestmark = pytest.mark.filterwarnings("ignore:The OME-Zarr metadata")  # of orders that it does not allow

TYPES = {"t": "time", "c": "channel"}
ORDERS = [
    *(("zyx", "".join(order), form) for order in permutations("zyx") for form in FORMATS),
    *(("tczyx", order, "v3") for order in ("xyzct", "ctxyz", "zyxtc", "xczyt", "yxztc")),
    *(("cyx", order, "shards") for order in ("xyc", "yxc")),
]


class Counting(CountingStore):
    """Counts on when it is opened for reading, which makes a copy of it."""

    def with_read_only(self, read_only: bool = False) -> Counting:
        other = Counting(self._store.with_read_only(read_only))
        other.reads = self.reads
        return other


def metadata(order: str, version: str) -> dict[str, Any]:
    entry = {
        "version": version,
        "axes": [{"name": dim, "type": TYPES.get(dim, "space")} for dim in order],
        "datasets": [
            {
                "path": str(i),
                "coordinateTransformations": [
                    {"type": "scale", "scale": [float(step if dim in "zyx" else 1) for dim in order]}
                ],
            }
            for i, step in enumerate((1, 2))
        ],
    }
    window = {"start": 0, "end": 5000, "min": 0, "max": 65535}
    content = {
        "multiscales": [entry],
        "omero": {"channels": [{"color": "FFFFFF", "window": window}] * (2 if "c" in order else 1)},
    }
    return content if version == "0.4" else {"ome": {"version": version, **content}}


def fill(group: zarr.Group, dims: str, order: str, form: str) -> None:
    """Put an image of two levels into a group."""
    options = {key: value for key, value in FORMATS[form].items() if key not in ("zarr_format", "shards")}
    for level, step in enumerate((1, 2)):
        pixels = values(dims)[tuple(slice(None, None, step if dim in "zyx" else 1) for dim in dims)]
        pixels = pixels.transpose([dims.index(dim) for dim in order])
        chunks = tuple(CHUNKS[dim] for dim in order)
        shards = tuple(2 * n for n in chunks) if form == "shards" else None
        group.create_array(
            str(level), shape=pixels.shape, chunks=chunks, shards=shards, dtype="u2", **options
        )[...] = pixels
    group.attrs.update(metadata(order, "0.4" if form == "v2" else "0.5"))


def image(dims: str, order: str, form: str, labels: str = "") -> Counting:
    inner = MemoryStore()
    group = zarr.create_group(inner, zarr_format=FORMATS[form]["zarr_format"])
    fill(group, dims, order, form)
    if labels:
        below = group.create_group("labels")
        fill(below.create_group("cells"), "".join(sorted(labels, key="zyx".index)), labels, form)
        listed = {"labels": ["cells"]}
        below.attrs.update(listed if form == "v2" else {"ome": {"version": "0.5", **listed}})
    return Counting(inner)


def levels_of(layer: Any) -> Sequence[Any]:
    return layer[0] if isinstance(layer[0], list) else [layer[0]]


def requests(ndim: int) -> list[tuple[Any, ...]]:
    """A plane, a tile, one voxel, a line across planes, a thinned volume, everything."""
    outer = [slice(1, 2)] * (ndim - 3) + [0] * (ndim > 2)
    tile, one = (slice(1, 3), slice(2, 4)), (slice(3, 4), slice(2, 3))
    return [tuple(outer), (*outer, *tile), (*outer, *one), (..., 2, 3), (slice(None, None, 2),), (...,)]


@functools.cache
def counted(dims: str, order: str, form: str) -> list[list[Counter[tuple[int, ...]]]]:
    """For each layer the chunks that each request reads, by position along the canonical axes."""
    store = image(dims, order, form)
    counts = []
    shown = dims.replace("c", "")
    for i, layer in enumerate(open_layers(store, "image")[1]):
        assert layer[1]["axis_labels"] == tuple(shown)
        counts.append([])
        for data, step in zip(levels_of(layer), (1, 2), strict=True):
            whole = values(dims).take(i, dims.index("c")) if "c" in dims else values(dims)
            whole = whole[tuple(slice(None, None, step if dim in "zyx" else 1) for dim in shown)]
            for index in requests(len(shown)):
                shared_cache().clear()
                store.reads.clear()
                np.testing.assert_array_equal(np.asarray(data[index]), whole[index])
                chunks = Counter({key[2:]: n for key, n in store.reads.items()})  # below the level
                counts[-1].append(cut(chunks, dims, order))
                assert counts[-1][-1], "something was read"
    return counts


@pytest.mark.parametrize(("dims", "order", "form"), ORDERS)
def test_a_layer_reads_as_many_chunks_in_every_order(dims: str, order: str, form: str) -> None:
    assert counted(dims, order, form) == counted(dims, dims, form)


def steps(store: Counting) -> list[int]:
    """What napari itself reads: when a layer is added, for the next planes, and in 3D."""
    model = ViewerModel()
    shared_cache().clear()
    for layer in open_layers(store, "image")[1]:
        model.add_layer(Layer.create(*layer))
    counts = []
    for do in (
        lambda: None,
        lambda: model.dims.set_point(0, 1),
        lambda: model.dims.set_point(0, 8),
        lambda: setattr(model.dims, "ndisplay", 3),
    ):
        do()
        counts.append(sum(n for key, n in store.reads.items() if key.count("/") > 1))
        store.reads.clear()
    return counts


@pytest.mark.parametrize(("order", "labels"), [("xyz", "xyz"), ("yzx", "zyx"), ("zyx", "xyz"), ("xzy", "xy")])
def test_napari_reads_as_much_in_every_order(order: str, labels: str) -> None:
    """Label images too, and those that lack a dimension of their image: they get one, of one voxel."""
    straight = steps(image("zyx", "zyx", "v3", "".join(sorted(labels, key="zyx".index))))
    assert steps(image("zyx", order, "v3", labels)) == straight
    assert all(straight[::2]), "something was read"


@pytest.mark.parametrize(
    ("dims", "order", "form"),
    [*(("zyx", "xyz", form) for form in FORMATS), ("tczyx", "tcyxz", "v3"), ("cyx", "cxy", "v2")],
)
def test_saved_unchanged_it_is_copied_byte_for_byte(dims: str, order: str, form: str, tmp_path: Path) -> None:
    """Which is so only if the writer knows the stored arrays again, in their own order."""
    group = zarr.create_group(tmp_path / "a.ome.zarr", zarr_format=FORMATS[form]["zarr_format"])
    fill(group, dims, order, form)
    write_layers(str(tmp_path / "b.ome.zarr"), read_layers(tmp_path / "a.ome.zarr"))
    for path in ("0", "1"):
        chunks = {
            str(file.relative_to(folder)): file.read_bytes()
            for folder in (tmp_path / "a.ome.zarr" / path,)
            for file in folder.rglob("*")
            if file.is_file() and not file.name.startswith((".z", "zarr.json"))
        }
        assert chunks
        for name, content in chunks.items():
            assert (tmp_path / "b.ome.zarr" / path / name).read_bytes() == content
