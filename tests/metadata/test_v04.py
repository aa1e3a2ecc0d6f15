"""OME-Zarr 0.4, and what 0.5 has from it."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import pytest

from napari_ome_ngff.errors import MetadataError, OmeNgffWarning
from napari_ome_ngff.metadata.nouns import (
    Axis,
    Channel,
    LabelImage,
    Level,
    Multiscale,
    ScaleTranslation,
    Window,
)
from napari_ome_ngff.metadata.transforms import identity
from napari_ome_ngff.metadata.versions import decode, encode

AXES = [{"name": "y", "type": "space", "unit": "micrometer"}, {"name": "x", "type": "space"}]


def scale(*numbers: float) -> dict[str, Any]:
    return {"type": "scale", "scale": list(numbers)}


def translation(*numbers: float) -> dict[str, Any]:
    return {"type": "translation", "translation": list(numbers)}


def dataset(path: Any, *transforms: Any) -> dict[str, Any]:
    return {"path": path, "coordinateTransformations": list(transforms)}


def entry(*datasets: Any, **more: Any) -> dict[str, Any]:
    return {"axes": AXES, "datasets": list(datasets or [dataset("0", scale(1, 1))]), **more}


def read(item: Any, **more: Any) -> Multiscale:
    tagged = {"version": "0.4", **item} if isinstance(item, dict) else item
    (image,) = decode({"multiscales": [tagged], **more}, where="a.zarr")
    return image


def test_a_complete_image() -> None:
    item = entry(
        dataset("0", scale(0.5, 0.5), translation(1, 2)),
        dataset("1", scale(1, 1), translation(1.25, 2.25)),
        version="0.4",
        name="cells",
        type="mean",
        metadata={"method": "mean"},
        coordinateTransformations=[scale(2, 2)],
    )
    assert read({**item, "@type": "ngff:Image"}) == Multiscale(
        version="0.4",
        axes=(Axis(name="y", type="space", unit="micrometer"), Axis(name="x", type="space")),
        levels=(
            Level(path="0", transform=ScaleTranslation(scale=(0.5, 0.5), translation=(1, 2))),
            Level(path="1", transform=ScaleTranslation(scale=(1, 1), translation=(1.25, 2.25))),
        ),
        transform=ScaleTranslation(scale=(2, 2), translation=(0, 0)),
        name="cells",
        method="mean",
        metadata={"method": "mean"},
        extra={"@type": "ngff:Image"},
    )


@pytest.mark.parametrize("nothing", [None, [], [{"type": "identity"}]])
def test_a_transform_of_the_image_that_changes_nothing_is_none(nothing: Any) -> None:
    """MoBIE and SpatialData have written these."""
    assert read(entry(coordinateTransformations=nothing)).transform is None


@pytest.mark.parametrize(
    "transforms",
    [
        [translation(1, 2)],
        [translation(1, 2), scale(2, 2)],
        [scale(2, 2), scale(2, 2)],
        [scale(2, 2), translation(1, 2), translation(1, 2)],
        [{"type": "identity"}],
    ],
)
def test_other_lists_of_transforms_are_composed_and_noted(transforms: list[Any]) -> None:
    with pytest.warns(OmeNgffWarning, match="instead of a scale, then at most one translation"):
        read(entry(dataset("0", *transforms)))
    if transforms != [{"type": "identity"}]:
        with pytest.warns(OmeNgffWarning, match="instead of a scale, then at most one translation"):
            read(entry(coordinateTransformations=transforms))


@pytest.mark.parametrize(
    "missing",
    [
        {"path": "1"},
        dataset("1"),
        {"path": "1", "coordinateTransformations": None},
        {"path": "1", "coordinateTransformations": {}},
        dataset("1", scale(1)),
        dataset("1", scale(1, 0)),
        dataset("1", scale(1, float("nan"))),
        dataset("1", scale("two", 2)),
    ],
)
def test_a_level_of_unknown_place_is_kept_to_be_placed_by_its_size(missing: Any) -> None:
    with pytest.warns(OmeNgffWarning, match=r"datasets\[1\].*placed by its size"):
        image = read(entry(dataset("0", scale(2, 2)), missing))
    assert [level.path for level in image.levels] == ["0", "1"]
    assert image.unplaced == ("1",)


def test_a_single_level_of_unknown_place_has_voxels_of_size_1() -> None:
    with pytest.warns(OmeNgffWarning, match="voxels of size 1"):
        image = read(entry({"path": "0"}))
    assert image.levels == (Level(path="0", transform=identity(2)),)
    assert image.unplaced == ("0",)


def test_a_path_that_comes_again_is_left_out() -> None:
    with pytest.warns(OmeNgffWarning, match="'0' again, left out"):
        image = read(entry(dataset("0", scale(1, 1)), dataset("0", scale(2, 2))))
    assert image.levels == (Level(path="0", transform=identity(2)),)


@pytest.mark.parametrize("axes", [None, []])
@pytest.mark.parametrize(("ndim", "dims"), [(2, "yx"), (3, "zyx"), (4, "czyx"), (5, "tczyx")])
def test_missing_axes_follow_from_the_number_of_dims(axes: Any, ndim: int, dims: str) -> None:
    with pytest.warns(OmeNgffWarning, match=f"missing, {', '.join(dims)} assumed"):
        image = read(entry(dataset("0", scale(*[2] * ndim)), axes=axes))
    assert "".join(image.dims) == dims
    assert (image.version, image.unplaced) == ("0.4", ())


def test_without_axes_and_places_it_is_as_0_2_was() -> None:
    with pytest.warns(OmeNgffWarning, match="t, c, z, y, x assumed"):
        image = read(entry({"path": "0"}, axes=None))
    assert (image.version, image.unplaced) == ("0.2", ("0",))


@pytest.mark.parametrize("scales", [[scale(2)], [scale(*[2] * 6)], [scale(2, 2), translation(2, 2, 2)]])
def test_where_the_numbers_disagree_the_arrays_say_how_many_axes_there_are(scales: list[Any]) -> None:
    with pytest.warns(OmeNgffWarning, match="missing, t, c, z, y, x assumed"):
        image = read(entry(dataset("0", *scales), axes=None))
    assert (image.assumed, image.unplaced) == (True, ("0",))


def test_a_time_step_of_zero_is_unknown() -> None:
    axes = [{"name": "t", "type": "time"}, *AXES]
    with pytest.warns(OmeNgffWarning, match="1 is taken"):
        image = read(entry(dataset("0", scale(0, 2, 2)), axes=axes))
    assert image.levels[0].transform.scale == (1, 2, 2)


def test_numbers_that_are_kept_in_an_array_are_read_from_there() -> None:
    item = entry(dataset("0", {"type": "scale", "path": "s"}))
    for attributes in ({"multiscales": [item]}, {"ome": {"version": "0.5", "multiscales": [item]}}):
        (image,) = decode(attributes, where="", parameters={"s": [2, 3]})
        assert image.levels[0].transform.scale == (2, 3)
        with pytest.warns(OmeNgffWarning, match="kept in a Zarr array"):
            (image,) = decode(attributes, where="")
        assert image.unplaced == ("0",)


def test_all_that_is_odd_is_said_in_one_warning() -> None:
    item = entry(dataset(0, translation(1, 1)), dataset("1"), name=3)
    with pytest.warns(OmeNgffWarning) as caught:
        read(item, omero={"channels": [None]})
    (text,) = [str(warning.message) for warning in caught]
    for place in ("datasets[0].path", "datasets[1].coord", "multiscales[0].name", "omero.channels[0]"):
        assert place in text


def test_what_the_group_says_counts_for_all_its_images() -> None:
    omero = {"channels": [{"color": "FF0000", "window": {"start": 0, "end": 1, "min": 0, "max": 1}}]}
    images = decode(
        {"multiscales": [entry(), entry(name="second")], "omero": omero, "image-label": {}}, where=""
    )
    assert [image.name for image in images] == [None, "second"]
    assert all(image.channels and image.label_image is not None for image in images)


@pytest.mark.parametrize(
    ("item", "where"),
    [
        (None, "multiscales[0]"),
        ([], "multiscales[0]"),
        ({}, "multiscales[0].datasets"),
        ({"axes": {}}, "multiscales[0].axes"),
        ({"axes": AXES}, "multiscales[0].datasets"),
        (entry({}), "multiscales[0].datasets[0].path"),
        (entry(dataset("../1", scale(1, 1))), "multiscales[0].datasets[0].path"),
    ],
)
def test_what_cannot_be_found_is_refused_and_its_place_named(item: Any, where: str) -> None:
    with pytest.raises(MetadataError) as caught:
        read(item)
    assert caught.value.where == f"a.zarr: {where}"
    with pytest.raises(MetadataError) as caught:
        decode({"ome": {"version": "0.5", "multiscales": [item]}}, where="a.zarr")
    assert caught.value.where == f"a.zarr: ome.{where}"


@pytest.mark.parametrize("attributes", [{"multiscales": None}, {"multiscales": []}, {"multiscales": {}}])
def test_there_must_be_an_image(attributes: Any) -> None:
    with pytest.raises(MetadataError):
        decode(attributes, where="")
    with pytest.raises(MetadataError):
        decode({"ome": {"version": "0.5", **attributes}}, where="")


@pytest.mark.parametrize(
    "step", [scale(1), scale(1, 0), scale(1, None), scale(1e308, 1), {"type": "affine"}, {"type": 1}, 3, None]
)
def test_pixels_are_never_refused_for_their_place(step: Any) -> None:
    """Where nothing can be known, they are shown in pixels, with a warning that names the place."""
    for odd in (
        entry(dataset("0", step, scale(1e308, 1))),
        entry(dataset("0", scale(1e308, 1)), coordinateTransformations=[step, scale(1e308, 1)]),
    ):
        with pytest.warns(OmeNgffWarning, match="coordinateTransformations"):
            image = read(odd)
        assert image.transform is None
        assert image.unplaced or image.levels[0].transform.scale == (1e308, 1)


@pytest.mark.parametrize("names", ["yx", "zyx", "czyx", "tczyx"])
def test_numbers_for_the_axes_of_space_alone_count_for_those(names: str) -> None:
    """Fractal and others have left out the channel."""
    axes = [{"name": name, "type": {"t": "time", "c": "channel"}.get(name, "space")} for name in names]
    space = [number for number, name in enumerate(names, start=2) if name in "zyx"]
    right = [number if number in space else 1 for number in range(2, len(names) + 2)]
    for outer in ({}, {"coordinateTransformations": [scale(*space)]}):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            image = read(entry(dataset("0", scale(*space)), axes=axes, **outer))
        assert bool(caught) == (len(space) < len(names))
        assert image.levels[0].transform.scale == tuple(right)
        if outer:
            assert image.transform is not None
            assert image.transform.scale == tuple(right)


def test_more_numbers_than_axes_are_the_last_ones_if_the_others_do_nothing() -> None:
    with pytest.warns(OmeNgffWarning, match="5 numbers for 2 axes"):
        image = read(entry(dataset("0", scale(1, 1, 1, 2, 3), translation(0, 0, 0, 4, 5))))
    assert image.levels[0].transform == ScaleTranslation(scale=(2, 3), translation=(4, 5))


def test_numbers_as_text_are_numbers() -> None:
    with pytest.warns(OmeNgffWarning, match="read as a number"):
        image = read(entry(dataset("0", scale("2", "0.5"), translation("1e1", 0))))
    assert image.levels[0].transform == ScaleTranslation(scale=(2, 0.5), translation=(10, 0))


IMAGE = Multiscale(
    version="0.4",
    axes=(Axis(name="y", type="space", unit="um"), Axis(name="x", type="space")),
    levels=(Level(path="0", transform=identity(2)),),
)


def test_each_level_is_written_as_scale_then_translation() -> None:
    assert encode(IMAGE, "0.4") == {
        "multiscales": [
            {
                "version": "0.4",
                "axes": AXES,
                "datasets": [dataset("0", scale(1, 1), translation(0, 0))],
            }
        ]
    }


def test_each_part_carries_the_version_until_0_5() -> None:
    channel = Channel(color="FF0000", window=Window(start=0, end=1, min=0, max=1))
    image = replace(IMAGE, channels=(channel,), label_image=LabelImage())
    old, new = encode(image, "0.4"), encode(image, "0.5")["ome"]
    assert [part["version"] for part in (old["multiscales"][0], old["omero"], old["image-label"])] == [
        "0.4"
    ] * 3
    assert not any("version" in part for part in (new["multiscales"][0], new["omero"], new["image-label"]))


def test_keys_that_have_a_meaning_do_not_come_from_extra() -> None:
    extra = {
        "version": "0.1",
        "axes": None,
        "coordinateSystems": [],
        "coordinateTransformations": [],
        "@a": 1,
    }
    image = Multiscale(version="0.6", axes=IMAGE.axes, levels=IMAGE.levels, system="lab", extra=extra)
    (written,) = encode(image, "0.4")["multiscales"]
    assert set(written) == {"version", "axes", "datasets", "@a"}


@pytest.mark.parametrize(
    "odd",
    [
        {"levels": ()},
        {"levels": (Level(path="0", transform=identity(3)),)},
        {"transform": identity(3)},
        {"axes": IMAGE.axes[:1]},
        {"extra": {"@object": object()}},
    ],
)
def test_what_breaks_a_rule_is_not_written(odd: dict[str, Any]) -> None:
    image = Multiscale(**{"version": "0.4", "axes": IMAGE.axes, "levels": IMAGE.levels, **odd})
    for version in ("0.4", "0.5"):
        with pytest.raises(MetadataError):
            encode(image, version)
