"""Images as nouns for hypothesis, and the independent judges of metadata that we write."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version as installed
from importlib.util import find_spec
from typing import Any

import yaozarrs
from hypothesis import strategies as st

from napari_ome_ngff.metadata.nouns import (
    Axis,
    Channel,
    Json,
    LabelImage,
    Level,
    Multiscale,
    ScaleTranslation,
    Window,
)
from napari_ome_ngff.metadata.units import SPACE_UNITS, TIME_UNITS
from tests.late_imports import when_used

ngff_zarr = when_used("ngff_zarr")

VERSIONS = ("0.4", "0.5", "0.6")

scalars = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64) | st.floats(-1e300, 1e300) | st.text(max_size=5)
)
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
# No version gives a key that starts with "@" a meaning.
strange_keys = st.dictionaries(st.text(max_size=4).map(lambda text: f"@{text}"), json_values, max_size=2)
texts = st.none() | st.text(max_size=8)
sizes = st.floats(1e-9, 1e9)
positions = st.floats(-1e9, 1e9)


@st.composite
def axes(draw: st.DrawFn) -> tuple[Axis, ...]:
    """Two to five axes in the order that OME-Zarr asks for, with or without units."""
    found = []
    if draw(st.booleans()):
        unit = draw(st.none() | st.sampled_from(sorted(TIME_UNITS)))
        found.append(Axis(name="t", type="time", unit=unit, extra=draw(strange_keys)))
    middle = draw(st.sampled_from([None, "channel", "phase"]))
    if middle:
        found.append(Axis(name=draw(st.sampled_from(["c", "angle"])), type=middle))
    for name in draw(st.permutations("zyx"))[: draw(st.sampled_from([2, 3]))]:
        unit = draw(st.none() | st.sampled_from(sorted(SPACE_UNITS)))
        found.append(Axis(name=name, type="space", unit=unit))
    return tuple(found)


@st.composite
def transforms(draw: st.DrawFn, *, ndim: int, negative: bool = False) -> ScaleTranslation:
    scale = tuple(draw(sizes) * (draw(st.sampled_from([1, -1])) if negative else 1) for _ in range(ndim))
    return ScaleTranslation(scale=scale, translation=tuple(draw(positions) for _ in range(ndim)))


@st.composite
def levels(draw: st.DrawFn, *, ndim: int, negative: bool = False) -> tuple[Level, ...]:
    """One to three levels; each is coarser than the one before by the same factor along all axes."""
    first = draw(transforms(ndim=ndim, negative=negative))
    names = draw(st.lists(st.from_regex(r"(?!__)[a-z0-9_.-]{0,2}[a-z0-9](/[a-z0-9]{1,3})?", fullmatch=True),
                          min_size=1, max_size=3, unique=True))  # fmt: skip
    found = []
    for index, path in enumerate(names):
        scale = tuple(2.0**index * number for number in first.scale)
        place = first if index == 0 else draw(transforms(ndim=ndim))
        transform = ScaleTranslation(scale=scale, translation=place.translation)
        found.append(Level(path=path, transform=transform, extra=draw(strange_keys)))
    return tuple(found)


@st.composite
def channels(draw: st.DrawFn) -> Channel:
    window = Window(
        start=draw(positions),
        end=draw(positions),
        min=draw(positions),
        max=draw(positions),
        extra=draw(strange_keys),
    )
    return Channel(
        label=draw(texts),
        color=draw(st.from_regex("[0-9A-F]{6}", fullmatch=True)),
        window=window,
        active=draw(st.booleans()),
        extra=draw(strange_keys),
    )


@st.composite
def label_images(draw: st.DrawFn) -> LabelImage:
    byte = st.integers(0, 255)
    colors = draw(st.dictionaries(st.integers(0, 2**64 - 1), st.tuples(byte, byte, byte, byte), max_size=3))
    # ome-zarr-models wants the same values in both lists.
    values = draw(st.sampled_from([(), tuple(colors)]) if colors else st.just((0, 2)))
    return LabelImage(
        colors=colors,
        color_extra={value: keys for value in colors if (keys := draw(strange_keys))},
        properties=tuple({**draw(strange_keys), "label-value": value} for value in values),
        source=draw(st.sampled_from(["../../", "../other"])),
        extra=draw(strange_keys),
    )


@st.composite
def multiscales(draw: st.DrawFn, *, version: str, negative: bool | None = None) -> Multiscale:
    """Everything that a version can say about an image, and that comes back as it was."""
    dims = draw(axes())
    ndim = len(dims)
    negative = version != "0.6" if negative is None else negative
    several = 3 if any(axis.type == "channel" for axis in dims) else 1
    shown = tuple(draw(st.lists(channels(), max_size=several)))
    system = draw(st.text(min_size=1, max_size=5)) if version == "0.6" else None
    extra = draw(strange_keys)
    if system is not None and draw(st.booleans()):
        extra |= views(system, dims)
    return Multiscale(
        version=version,
        axes=dims,
        levels=draw(levels(ndim=ndim, negative=negative)),
        transform=draw(st.none() | transforms(ndim=ndim)) if system is None else None,
        system=system,
        name=draw(texts),
        method=draw(texts),
        metadata=draw(st.none() | strange_keys),
        channels=shown,
        omero_extra=draw(strange_keys) if shown else {},
        label_image=draw(st.none() | label_images()),
        extra=extra,
    )


def views(system: str, dims: tuple[Axis, ...]) -> dict[str, Json]:
    """What is kept of a second coordinate system (0.6) and of a transform to it."""
    other = {
        "name": f"{system} seen otherwise",
        "axes": [{"name": a.name, "type": "space"} for a in dims[-2:]],
    }
    transform = {"type": "identity", "input": {"name": system}, "output": {"name": other["name"]}}
    return {
        "coordinateSystems": [other, {"name": system, "@note": "kept"}],
        "coordinateTransformations": [transform],
    }


def judge_by_schema(attributes: dict[str, Any], version: str) -> None:
    """Raise if the official JSON schemas, which ngff-zarr bundles, have a complaint."""
    own = attributes.get("ome", attributes)
    strict = {"name", "type", "metadata"} <= set(own["multiscales"][0])
    ngff_zarr.validate(attributes, version=version, model="image", strict=strict)
    if "image-label" in own:
        strict = "colors" in own["image-label"]
        ngff_zarr.validate(attributes, version=version, model="label", strict=strict)


def judge_by_models(attributes: dict[str, Any], version: str) -> None:
    """Raise if ome-zarr-models has a complaint."""
    own = attributes.get("ome", attributes)
    kind = ("image_label", "ImageLabelAttrs") if "image-label" in own else ("image", "ImageAttrs")
    module = import_module(f"ome_zarr_models.v{version.replace('.', '')}.{kind[0]}")
    getattr(module, kind[1]).model_validate(own)


def judge_by_yaozarrs(attributes: dict[str, Any], version: str) -> None:
    """Raise if yaozarrs has a complaint."""
    kind = yaozarrs.v04.OMEZarrGroupJSON if version == "0.4" else yaozarrs.v05.OMEAttributes
    yaozarrs.validate_ome_object(attributes, kind)


def judges() -> list[tuple[str, Callable[[dict[str, Any], str], None]]]:
    """Version and judge, for each version that the installed release of a judge knows."""
    models = tuple(int(number) for number in installed("ome-zarr-models").split(".")[:2])
    # The schemas come with ngff-zarr, what applies them is its extra "validate".
    found = [(v, judge_by_schema) for v in VERSIONS if find_spec("jsonschema")]
    found += [(v, judge_by_models) for v in VERSIONS if v != "0.6" or models >= (1, 8)]
    return found + [(v, judge_by_yaozarrs) for v in VERSIONS[:2]]


def heard(warned: list[warnings.WarningMessage]) -> str:
    """Text of all warnings that were recorded."""
    return "\n".join(str(warning.message) for warning in warned)
