"""Arrays side by side read as one: what numpy would give, and nothing read that is not looked at."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_ome_ngff.reading.plates.field_layout import (
    Arrangement,
    Site,
    arrange,
    by_position,
    factor,
    in_rows,
    multiple_of,
    next_factor,
)
from napari_ome_ngff.reading.plates.mosaic import MosaicSource, Patch, within
from napari_ome_ngff.storage.documents.hierarchy import open_hierarchy
from napari_ome_ngff.storage.pixels.array_wrap import DaskArrayWrapper
from napari_ome_ngff.storage.pixels.indexing import Source
from napari_ome_ngff.storage.pixels.process_state import shared_failures
from napari_ome_ngff.storage.pixels.provenance import lazy_locations
from napari_ome_ngff.storage.pixels.source import ChunkedSource

SHAPE = (2, 23, 31)  # (c, y, x)


def pixels(seed: int, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(1, 200, shape).astype("uint8")


PLACES = {
    # path: (size of the array, first line and column, room)
    "a": ((2, 8, 10), (0, 0), (8, 10)),
    "b": ((2, 8, 10), (0, 10), (8, 10)),
    "small": ((2, 5, 7), (9, 0), (8, 10)),
    "thin": ((1, 8, 10), (9, 12), (8, 10)),
    "edge": ((2, 5, 9), (18, 22), (5, 9)),
}


@pytest.fixture(autouse=True)
def failures() -> Iterator[list[str]]:
    """Summaries of what was told of failures during a test."""
    heard: list[str] = []
    stop = shared_failures().subscribe(lambda failure: heard.append(failure.error.summary))
    yield heard
    stop()
    shared_failures().clear()


def make_store(extra: dict[str, tuple[int, ...]] | None = None) -> zarr.storage.MemoryStore:
    store = zarr.storage.MemoryStore()
    zarr.group(store)
    for seed, (path, (shape, _, _)) in enumerate(PLACES.items()):
        zarr.create_array(store, name=path, data=pixels(seed, shape), chunks=(1, 4, 5))
    for path, shape in (extra or {}).items():
        zarr.create_array(store, name=path, data=np.ones(shape, "uint8"))
    return store


def make_mosaic(
    store: Any, *, more: tuple[Patch, ...] = (), make: Callable[[Any], Source] = ChunkedSource
) -> MosaicSource:
    patches = [
        Patch(path=path, y=corner[0], x=corner[1], height=room[0], width=room[1])
        for path, (_, corner, room) in PLACES.items()
    ]
    return MosaicSource(
        open_hierarchy(store),
        [*patches, *more],
        shape=SHAPE,
        dtype="uint8",
        plane=(1, 2),
        unit=(1, 4, 5),
        make=make,
    )


def expected() -> np.ndarray[Any, Any]:
    """The same, put together by numpy."""
    whole = np.zeros(SHAPE, "uint8")
    for seed, (shape, (y, x), _) in enumerate(PLACES.values()):
        whole[: shape[0], y : y + shape[1], x : x + shape[2]] = pixels(seed, shape)
    return whole


MOSAIC, EXPECTED = make_mosaic(make_store()), expected()


@st.composite
def indices(draw: st.DrawFn, *, lists: bool = True) -> tuple[Any, ...]:
    """Integers, slices with steps in both directions, lists and masks, for some axes or all."""
    found: list[Any] = []
    for length in SHAPE[: draw(st.integers(0, len(SHAPE)))]:
        kinds: list[st.SearchStrategy[Any]] = [st.integers(-length, length - 1), st.slices(length)]
        if lists:
            kinds.append(st.lists(st.integers(-length, length - 1), max_size=5))
        found.append(draw(st.one_of(kinds)))
    return tuple(found)


@given(index=indices())
def test_any_part_is_what_numpy_gives(index: tuple[Any, ...]) -> None:
    full = [*index, *[slice(None)] * (len(SHAPE) - len(index))]
    wanted = EXPECTED
    for axis in reversed(range(len(SHAPE))):  # one axis after the other: several lists select their product
        part = full[axis]
        wanted = wanted[(slice(None),) * axis + (np.array(part, int) if isinstance(part, list) else part,)]
    np.testing.assert_array_equal(MOSAIC[index], wanted)


@given(first=indices(lists=False), data=st.data())
def test_a_view_of_a_view_is_what_numpy_gives(first: tuple[Any, ...], data: st.DataObject) -> None:
    view, wanted = MOSAIC.view(first), EXPECTED[first]
    assert view.shape == wanted.shape
    assert view.ndim == wanted.ndim
    second = tuple(data.draw(st.slices(n)) for n in wanted.shape)
    np.testing.assert_array_equal(view.view(second), wanted[second])


def test_it_is_a_source_and_can_be_lazy() -> None:
    source: Source = MOSAIC
    lazy = DaskArrayWrapper().wrap_source(source)
    np.testing.assert_array_equal(np.asarray(lazy[1, ::-2, 3:]), EXPECTED[1, ::-2, 3:])
    np.testing.assert_array_equal(lazy.compute(), EXPECTED)
    assert len(lazy[0, 5:9].dask) < 10


def test_it_names_all_its_arrays_so_that_a_save_does_not_destroy_them() -> None:
    store = make_store()
    mosaic = make_mosaic(store)
    root = open_hierarchy(store).location
    assert mosaic.locations == {f"{root}/{path}" for path in PLACES}
    assert lazy_locations(DaskArrayWrapper().wrap_source(mosaic)) >= mosaic.locations
    assert mosaic.locations == {
        location for path in PLACES for location in lazy_locations(zarr.open(store)[path])
    }


def test_it_survives_a_pickle(tmp_path: Any) -> None:
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    group.create_array("a", data=np.full((4, 4), 7, "uint8"))
    patches = [Patch(path="a", y=2, x=1, height=4, width=4)]
    mosaic = MosaicSource(
        open_hierarchy(tmp_path / "a.zarr"), patches, shape=(6, 6), dtype="uint8", plane=(0, 1), unit=(4, 4),
        make=partial(ChunkedSource, missing="fill"),
    )  # fmt: skip
    copy = pickle.loads(pickle.dumps(mosaic.view(np.s_[2:])))
    np.testing.assert_array_equal(copy[...], mosaic[2:])
    assert copy[...].sum() == 7 * 16


def test_only_what_a_request_cuts_is_opened() -> None:
    opened: list[str] = []

    def make(array: Any) -> Source:
        opened.append(array.path)
        return ChunkedSource(array)

    mosaic = make_mosaic(make_store(), make=make)
    assert mosaic[:, 8].max() == 0
    assert opened == []
    assert mosaic[0, 3, 12] == EXPECTED[0, 3, 12]
    assert opened == ["b"]
    assert mosaic[0, 0:20:19, 0].shape == (2,)  # a step over "small"
    assert opened == ["b", "a"]
    assert mosaic.view(0)[9:11, 0:15].shape == (2, 15)
    assert sorted(opened) == ["a", "b", "small", "thin"]


def test_arrays_are_read_together() -> None:
    gate = threading.Barrier(2, timeout=20)

    class Waiting(ChunkedSource):
        def __getitem__(self, index: object) -> Any:
            gate.wait()
            return super().__getitem__(index)

    assert make_mosaic(make_store(), make=Waiting)[0, 0, :20].shape == (20,)


def test_what_is_not_there_stays_empty_and_is_told_of_once(failures: list[str]) -> None:
    store = make_store({"flat": (4, 4), "big": (2, 9, 9)})
    store._store_dict["damaged/zarr.json"] = zarr.core.buffer.cpu.Buffer.from_bytes(b"{")
    more = tuple(
        Patch(path=path, y=18, x=column, height=4, width=4)
        for path, column in [("gone", 0), ("damaged", 4), ("flat", 8), ("big", 12)]
    )
    mosaic = make_mosaic(store, more=more)
    for _ in range(2):
        values = mosaic[:, 18:22]
        assert values[:, :, :12].max() == 0
        assert values[:, :, 12:16].min() == 1
        assert values[:, :, 16:22].max() == 0
    assert len(failures) == 1
    assert shared_failures().record()[-1].chunks == 4


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_field_that_is_replaced_is_seen_though_fields_share_what_follows_from_equal_metadata(
    tmp_path: Path, zarr_format: Any
) -> None:
    def write(path: str, seed: int, chunks: tuple[int, ...] = (1, 4, 5)) -> None:
        zarr.create_array(
            tmp_path / path,
            data=pixels(seed, (2, 8, 10)),
            chunks=chunks,
            zarr_format=zarr_format,
            overwrite=True,
        )

    zarr.group(tmp_path, zarr_format=zarr_format)
    write("a", 0)
    write("b", 1)
    mosaic = make_mosaic(tmp_path, make=partial(ChunkedSource, missing="fill"))
    np.testing.assert_array_equal(mosaic[:, :8, 10:20], pixels(1, (2, 8, 10)))
    write("b", 2)
    np.testing.assert_array_equal(mosaic[:, :8, 10:20], pixels(2, (2, 8, 10)))
    write("b", 3, chunks=(2, 3, 5))
    assert not mosaic[:, :8, 10:20].any()  # it would be decoded to nonsense
    np.testing.assert_array_equal(mosaic[:, :8, :10], pixels(0, (2, 8, 10)))


def test_values_of_another_type_do_not_wrap_around() -> None:
    store = zarr.storage.MemoryStore()
    zarr.group(store)
    for name, values in {
        "wide": np.array([[300, 70000]], "uint32"),
        "signed": np.array([[-5, 7]], "int16"),
        "real": np.array([[np.nan, 2.5]]),
        "complex": np.array([[1 + 2j, 400]]),
    }.items():
        zarr.create_array(store, name=name, data=values)
    patches = [
        Patch(path=p, y=i, x=0, height=1, width=2)
        for i, p in enumerate(["wide", "signed", "real", "complex"])
    ]
    mosaic = MosaicSource(
        open_hierarchy(store),
        patches,
        shape=(4, 2),
        dtype="uint8",
        plane=(0, 1),
        unit=(1, 1),
        make=ChunkedSource,
    )
    assert mosaic[...].tolist() == [[255, 255], [0, 7], [0, 2], [1, 255]]


@given(st.data())
def test_within_finds_what_a_list_would(data: st.DataObject) -> None:
    pick = range(50)[data.draw(st.slices(50))]
    low = data.draw(st.integers(0, 49))
    high = data.draw(st.integers(low + 1, 50))
    wanted = [(i, p - low) for i, p in enumerate(pick) if low <= p < high]
    for kind in (pick, np.array(pick, int)):
        found = within(kind, low, high)
        if found is None:
            assert wanted == []
            continue
        where = list(range(len(pick))[found[0]]) if isinstance(found[0], slice) else found[0].tolist()
        inside = list(range(high - low)[found[1]]) if isinstance(found[1], slice) else found[1].tolist()
        assert list(zip(where, inside, strict=True)) == wanted


# ------------------------------------------------------------------------------------------ where fields lie


sites = st.lists(
    st.builds(
        Site,
        group=st.integers(0, 1),
        row=st.integers(0, 5),
        column=st.integers(0, 7),
        height=st.integers(1, 90),
        width=st.integers(1, 90),
        position=st.none() | st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)),
    ),
    min_size=1,
    max_size=12,
)


@settings(deadline=None)
@given(sites, st.tuples(st.sampled_from([1, 2, 8, 24]), st.sampled_from([1, 4, 16])))
def test_fields_of_an_acquisition_never_overlap_and_lie_in_line_at_every_level(
    given_sites: list[Site], multiple: tuple[int, int]
) -> None:
    found = arrange(given_sites, multiple=multiple)
    boxes = {}
    for site, (y, x) in zip(given_sites, found.corners, strict=True):
        assert y % multiple[0] == 0
        assert x % multiple[1] == 0
        assert 0 <= y <= y + site.height <= y + found.cell[0] <= found.shape[0]
        assert 0 <= x <= x + site.width <= x + found.cell[1] <= found.shape[1]
        boxes[site.group, y, x] = site
    assert len(boxes) == len(given_sites)  # all on the grid of cells: different corners do not overlap
    assert [n % m for n, m in zip((*found.shape, *found.cell), multiple * 2, strict=True)] == [0] * 4
    assert min(y for y, _ in found.corners) < found.shape[0]


def field(row: int, column: int, *, group: int = 0, position: tuple[float, float] | None = None) -> Site:
    return Site(group=group, row=row, column=column, height=100, width=100, position=position)


def test_only_the_part_of_the_plate_that_has_wells_is_laid_out() -> None:
    found = arrange([field(7, 10), field(8, 12)])
    assert found == Arrangement(shape=(204, 308), cell=(100, 100), corners=((0, 0), (104, 208)))


def test_wells_are_told_apart_by_a_gap_and_fields_are_not() -> None:
    found = arrange([field(0, 0), field(0, 0), field(0, 1)])
    assert found.corners == ((0, 0), (0, 100), (0, 204))


def test_acquisitions_lie_on_top_of_each_other() -> None:
    found = arrange([field(0, 0), field(0, 1), field(0, 1, group=1)])
    assert found.corners[1] == found.corners[2]


def test_fields_fill_about_a_square_in_the_order_of_the_file() -> None:
    assert in_rows(5) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]
    assert in_rows(2, like=4) == [(0, 0), (0, 1)]
    assert in_rows(1) == [(0, 0)]


def test_fields_lie_as_on_the_stage_if_that_makes_a_grid() -> None:
    snake = [(0.0, 5.0), (0.5, 95.0), (91.0, 96.0), (90.0, 5.5)]
    assert by_position([field(0, 0, position=spot) for spot in snake]) == [(0, 0), (0, 1), (1, 1), (1, 0)]
    alike: list[tuple[float, float]] = [(3.0, 3.0)] * 4
    scattered = [(1000.0 * i, 1000.0 * (i * 3 % 7)) for i in range(7)]
    for spots in (alike, scattered):
        assert by_position([field(0, 0, position=spot) for spot in spots]) is None
    assert by_position([field(0, 0, position=(0.0, 0.0)), field(0, 0)]) is None


@given(
    st.integers(1, 5000),
    st.sampled_from([Fraction(1), Fraction(2), Fraction(3, 2), Fraction(4), Fraction(16)]),
)
def test_a_factor_is_found_however_the_writer_rounded(fine: int, ratio: Fraction) -> None:
    for coarse in {max(1, int(fine / ratio)), -(-fine * ratio.denominator // ratio.numerator)}:
        found = factor(fine, coarse)
        assert found is not None
        assert abs(coarse - fine / found) < 1
    if fine > max(200, 2 * ratio * ratio):
        assert factor(fine, -(-fine * ratio.denominator // ratio.numerator)) == ratio
    assert multiple_of([Fraction(1), ratio]) % ratio.numerator == 0


@given(st.integers(1, 3000), st.booleans(), st.integers(1, 8), st.booleans())
def test_the_factors_of_a_pyramid_of_halves_are_powers_of_two(
    fine: int, up: bool, count: int, told: bool
) -> None:
    before, ratio = (fine, Fraction(1)), 1
    for _ in range(count):
        if before[0] == 1:
            break
        ratio *= 2
        coarse = (before[0] + up) // 2
        found = next_factor(fine, coarse, before=before, by_scales=ratio * 1.004 if told else None)
        assert found == ratio
        before = coarse, found


def test_lengths_that_are_none_have_no_factor() -> None:
    assert factor(0, 1) is None
    assert factor(10, 0) is None
