"""Levels placed by the sizes of their arrays."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_ome_ngff.metadata.image.array_axes import ASSUMED_AXES
from napari_ome_ngff.metadata.image.datasets import placed_by_shapes
from napari_ome_ngff.metadata.nouns import Axis, Level, Multiscale, ScaleTranslation
from napari_ome_ngff.metadata.transforms import identity, level_transform

YX = (Axis(name="y", type="space"), Axis(name="x", type="space"))


def image(
    *transforms: ScaleTranslation | None, axes: tuple[Axis, ...] = YX, version: str = "0.3"
) -> Multiscale:
    """An image with levels "0", "1", ...; None for one without a place."""
    return Multiscale(
        version=version,
        axes=axes,
        levels=tuple(
            Level(path=str(index), transform=transform or identity(len(axes)))
            for index, transform in enumerate(transforms)
        ),
        unplaced=tuple(str(index) for index, transform in enumerate(transforms) if transform is None),
    )


def place(*scale: float, at: tuple[float, ...] = (0.0, 0.0)) -> ScaleTranslation:
    return ScaleTranslation(scale=scale, translation=at)


sizes = st.tuples(st.integers(1, 10**6), st.integers(1, 10**6))
steps = st.floats(1e-6, 1e6)


@given(st.lists(sizes, min_size=1, max_size=4), st.tuples(steps, steps), st.integers(0, 3))
def test_all_levels_cover_the_same_edge_to_edge(
    shapes: list[tuple[int, int]], scale: tuple[float, float], known: int
) -> None:
    given_ = [place(*scale, at=(3.0, -7.0)) if index == known else None for index in range(len(shapes))]
    found = placed_by_shapes(image(*given_), {str(i): shape for i, shape in enumerate(shapes)})
    assert found.unplaced == ()
    for axis in range(2):
        edges = []
        for level, shape in zip(found.levels, shapes, strict=True):
            step, first = level.transform.scale[axis], level.transform.translation[axis]
            edges.append((first - step / 2, first + step * (shape[axis] - 0.5)))
        for edge in edges[1:]:
            length = abs(edges[0][1] - edges[0][0]) + 10
            assert edge == pytest.approx(edges[0], rel=1e-9, abs=1e-9 * length)


def test_levels_made_of_blocks_of_two_are_placed_exactly() -> None:
    found = placed_by_shapes(image(None, None, None), {"0": (8, 16), "1": (4, 8), "2": (2, 4)})
    assert [level.transform for level in found.levels] == [
        place(1, 1),
        place(2, 2, at=(0.5, 0.5)),
        place(4, 4, at=(1.5, 1.5)),
    ]


def test_an_axis_of_the_same_size_is_not_scaled() -> None:
    axes = (Axis(name="z", type="space"), *YX)
    found = placed_by_shapes(image(None, None, axes=axes), {"0": (5, 8, 8), "1": (5, 4, 4)})
    assert found.levels[1].transform == place(1, 2, 2, at=(0.0, 0.5, 0.5))


def test_channels_are_never_scaled() -> None:
    axes = (Axis(name="c", type="channel"), *YX)
    found = placed_by_shapes(image(None, None, axes=axes), {"0": (4, 8, 8), "1": (2, 4, 4)})
    assert found.levels[1].transform == place(1, 2, 2, at=(0.0, 0.5, 0.5))


def test_what_the_file_places_stays_and_is_what_others_are_placed_by() -> None:
    found = placed_by_shapes(
        image(None, place(2, 2, at=(0.5, 0.5)), None), {"0": (8, 8), "1": (4, 4), "2": (2, 2)}
    )
    assert [level.transform for level in found.levels] == [
        place(1, 1),
        place(2, 2, at=(0.5, 0.5)),
        place(4, 4, at=(1.5, 1.5)),
    ]


def test_the_images_own_transform_comes_on_top() -> None:
    whole = place(10, 10, at=(100.0, 100.0))
    given_ = image(None, None)
    moved = placed_by_shapes(Multiscale(**{**vars(given_), "transform": whole}), {"0": (8, 8), "1": (4, 4)})
    assert level_transform(moved, 1) == place(20, 20, at=(105.0, 105.0))


def test_an_image_with_a_place_for_every_level_stays_as_it_is() -> None:
    given_ = image(place(1, 1), place(3, 3))
    assert placed_by_shapes(given_, {"0": (8, 8), "1": (4, 4)}) == given_


def test_levels_that_are_not_there_are_dropped() -> None:
    found = placed_by_shapes(image(None, None, None), {"1": (4, 4), "2": (2, 2)})
    assert [(level.path, level.transform.scale) for level in found.levels] == [("1", (1, 1)), ("2", (2, 2))]
    assert placed_by_shapes(image(None), {}).levels == ()


@pytest.mark.parametrize("version", ["0.1", "0.2"])
@pytest.mark.parametrize("ndim", [2, 3, 4, 5])
def test_arrays_of_0_1_and_0_2_may_have_less_dims(version: str, ndim: int) -> None:
    given_ = image(None, None, axes=ASSUMED_AXES, version=version)
    found = placed_by_shapes(given_, {"0": (4,) * ndim, "1": (2,) * ndim})
    assert "".join(found.dims) == "tczyx"[-ndim:]
    assert all(len(level.transform.scale) == ndim for level in found.levels)


@pytest.mark.parametrize(("version", "ndim"), [("0.4", 4), ("0.2", 6), ("0.3", 3)])
def test_arrays_of_other_dims_have_the_last_axes(version: str, ndim: int) -> None:
    found = placed_by_shapes(image(None, axes=ASSUMED_AXES, version=version), {"0": (4,) * ndim})
    assert ("dim_0", "t", "c", "z", "y", "x")[-ndim:] == found.dims
    assert found.levels[0].transform == identity(ndim)


def test_one_dim_is_no_image() -> None:
    assert placed_by_shapes(image(None, axes=ASSUMED_AXES), {"0": (4,)}).axes == ASSUMED_AXES


@pytest.mark.parametrize("names", ["tyx", "yxc", "ctzyx"])
def test_arrays_say_their_axes_where_the_image_does_not(names: str) -> None:
    for before in (ASSUMED_AXES, ASSUMED_AXES[-len(names) :]):
        given_ = replace(image(None, axes=before), assumed=True)
        found = placed_by_shapes(given_, {"0": (4,) * len(names)}, {"0": list(names)})
        assert found.dims == tuple(names)
        assert found.axes[names.index("y")].type == "space"
        assert len(found.levels[0].transform.scale) == len(names)


@pytest.mark.parametrize("names", [None, "yxc", ["a", "b", "d"], ["y", "x"], ["y", "y", "x"], ["y", "", 1]])
def test_names_that_say_nothing_are_no_axes(names: Any) -> None:
    given_ = replace(image(None, axes=ASSUMED_AXES), assumed=True)
    assert placed_by_shapes(given_, {"0": (4, 4, 4)}, {"0": names}).dims == ("z", "y", "x")


def test_axes_that_the_image_says_keep_their_places_by_name() -> None:
    axes = tuple(Axis(name=name, type="space", unit="nanometer") for name in "xyz")
    given_ = image(place(2, 1), axes=axes, version="0.5")
    level = Level(path="0", transform=ScaleTranslation(scale=(1, 2, 3), translation=(4, 5, 6)))
    found = placed_by_shapes(replace(given_, levels=(level,)), {"0": (1, 3, 4, 4, 4)}, {"0": list("ctzyx")})
    assert found.dims == tuple("ctzyx")
    assert found.axes[2:] == axes[::-1]
    assert found.levels[0].transform == ScaleTranslation(scale=(1, 1, 3, 2, 1), translation=(0, 0, 6, 5, 4))


def test_an_array_of_other_dims_than_the_image_takes_no_part() -> None:
    found = placed_by_shapes(image(None, None, None), {"0": (1, 8, 8), "1": (4, 4), "2": (2, 2)})
    assert [level.transform.scale for level in found.levels] == [(1, 1), (1, 1), (2, 2)]


@pytest.mark.parametrize("other", [(0, 4), (4, 10**400)])
def test_sizes_that_make_no_sense_are_not_scaled_by(other: tuple[int, int]) -> None:
    (_, level) = placed_by_shapes(image(None, None), {"0": (8, 8), "1": other}).levels
    assert all(map(math.isfinite, level.transform.scale))


def test_a_level_is_not_placed_infinitely_far_away() -> None:
    found = placed_by_shapes(image(place(1e308, 1), None), {"0": (10**6, 1), "1": (1, 1)})
    assert [level.transform for level in found.levels] == [identity(2)] * 2
