"""Images that are saved together, and which store each goes into. No IO."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from napari_ome_ngff.metadata.affine import identity_affine
from napari_ome_ngff.metadata.nouns import Axis, Multiscale
from napari_ome_ngff.plugin.names import safe_name, unique_names
from napari_ome_ngff.plugin.save.form import SUFFIXES, Request
from napari_ome_ngff.storage.places.location import is_same

if TYPE_CHECKING:
    from xarray import DataArray

    from napari_ome_ngff.editing.crop import Extents
    from napari_ome_ngff.writing.plan.write_plan import MultiscaleSource

Together = Literal["collection", "separate"]
"""Images that do not belong together: all in one store, or one store for each."""

Guess = tuple[tuple[str, ...], tuple[str, ...]]
"""Axes of a layer without names, and those of them that are taken for space by position alone."""


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """One image with its label images, or label images alone."""

    name: str  # of the image, else of the first label image
    sources: Mapping[str, MultiscaleSource]  # "" is the image, "labels/<name>" a label image
    opened: Mapping[str, str] = field(default_factory=dict)  # same paths -> where they were opened from
    unnamed: frozenset[str] = frozenset()  # paths of those without axis names; they take their image's
    guessed: Mapping[str, Guess] = field(default_factory=dict)  # of layers, by their names

    @property
    def labels(self) -> dict[str, MultiscaleSource]:
        """The label images by their names."""
        return {path.removeprefix("labels/"): source for path, source in self.sources.items() if path}

    @property
    def is_labels(self) -> bool:
        """Whether these are label images without an image."""
        return "" not in self.sources

    def changed(self, change: Callable[[MultiscaleSource], MultiscaleSource]) -> Bundle:
        """The same with each source changed."""
        return replace(self, sources={path: change(source) for path, source in self.sources.items()})

    def is_from(self, path: str, label: str) -> bool:
        """Whether a label image was opened from the one of that name in the image at a path."""
        location = self.opened.get(f"labels/{label}")
        return location is not None and is_same(location, os.path.join(path, "labels", label))


def guesses_in_words(guessed: Mapping[str, Guess]) -> tuple[str, ...]:
    """Say which layers have axes without names, and what these are taken for."""
    layers: dict[Guess, list[str]] = {}
    for name, guess in guessed.items():
        layers.setdefault(guess, []).append(repr(name))
    return tuple(
        f"The axes of {' and '.join(names)} have no names: they are saved as {', '.join(dims)}, and not "
        f"downsampled along {' and '.join(unknown)}, which could be time."
        for (dims, unknown), names in layers.items()
    )


def with_axes(source: MultiscaleSource, axes: Sequence[Axis]) -> MultiscaleSource:
    """Return a source with names, types and units of the last of these axes, as napari aligns them."""
    source = replace(source, factors=None)  # they are by the names that are replaced
    if source.multiscale is not None:  # it refers to the axes by their names
        return source
    if source.arrays:
        return replace(source, arrays={path: _renamed(each, axes) for path, each in source.arrays.items()})
    return source if source.image is None else replace(source, image=_renamed(source.image, axes))


def with_identity(source: MultiscaleSource) -> MultiscaleSource:
    """Return a new label image with an affine that does nothing, so that its image's does not apply to it."""
    if source.multiscale is not None:
        return source
    array = source.image if not source.arrays else next(iter(source.arrays.values()))
    axes = tuple(Axis(name=str(dim)) for dim in (() if array is None else array.dims))
    multiscale = Multiscale(version="0.6", axes=axes, levels=(), affine=identity_affine(len(axes)))
    return replace(source, multiscale=multiscale)


def _renamed(array: DataArray, axes: Sequence[Axis]) -> DataArray:
    """The array with the names, types and units of the last axes; its units where an axis has none."""
    last = axes[-array.ndim :]
    if len(last) < array.ndim:
        return array
    renamed = array.rename(dict(zip(array.dims, (axis.name for axis in last), strict=True)))
    coords = {}
    for axis in last:
        if axis.name in renamed.coords:
            before = renamed.coords[axis.name].variable
            attrs = {"type": axis.type, "units": before.attrs.get("units", axis.unit)}
            coords[axis.name] = before.copy(deep=False)
            coords[axis.name].attrs = before.attrs | {key: value for key, value in attrs.items() if value}
    return renamed.assign_coords(coords)


def targets_of(
    bundles: Sequence[Bundle], target: str, together: Together = "collection"
) -> dict[str, dict[str, MultiscaleSource]]:
    """Return path of each store -> its sources, as :func:`napari_ome_ngff.write_hierarchy` takes them.

    One bundle is the target itself. Of several, ``"collection"`` makes ``0/``, ``1/``, ... inside the target
    (the layout of bioformats2raw), ``"separate"`` stores beside it: ``<target>-<name>.ome.zarr``.
    """
    contents = [_as_image(bundle) for bundle in bundles]
    if len(contents) == 1:
        return {target: contents[0]}
    if together == "collection":
        inside = {
            posixpath.join(str(index), path) if path else str(index): source
            for index, content in enumerate(contents)
            for path, source in content.items()
        }
        return {target: inside}
    suffix = next((suffix for suffix in SUFFIXES if target.lower().endswith(suffix)), "")
    stem, suffix = target[: len(target) - len(suffix)], target[len(target) - len(suffix) :]
    names = unique_names(safe_name(bundle.name, "image") for bundle in bundles)
    return {f"{stem}-{name}{suffix}": content for name, content in zip(names, contents, strict=True)}


def _as_image(bundle: Bundle) -> dict[str, MultiscaleSource]:
    """A label image that is alone is the image: there is nothing that it could lie on."""
    if bundle.is_labels and len(bundle.sources) == 1:
        return {"": next(iter(bundle.sources.values()))}
    return dict(bundle.sources)


def part_of_bundle(bundle: Bundle, extents: Extents, from_level: int) -> Bundle:
    """A part of a bundle: it does not replace what its layers were opened from, except if it is the whole."""
    if not extents and not from_level:
        return bundle
    from napari_ome_ngff.editing.crop import part_of_sources

    location = bundle.opened.get(next(iter(bundle.sources)))
    sources = part_of_sources(bundle.sources, extents, from_level=from_level, location=location)
    return bundle if sources is None else replace(bundle, sources=sources, opened={})


def accepted_bundles(bundles: Sequence[Bundle], version: str) -> tuple[tuple[Bundle, ...], list[str]]:
    """Images with axes that other programs accept, and what was changed for that."""
    from napari_ome_ngff.writing.plan.prepare import accepted

    changed, notes = [], []
    for bundle in bundles:
        sources = {}
        for path, source in bundle.sources.items():
            sources[path], _, notice = accepted(source, version)
            notes += [f"{source.name!r}: {notice}"] if notice else []
        changed.append(replace(bundle, sources=sources))
    return tuple(changed), notes


def source_with_levels(source: MultiscaleSource, request: Request) -> MultiscaleSource:
    """An image with the request's method and levels; existing levels are kept if it leaves them open."""
    if source.arrays is not None and request.levels is None:
        return source
    finest = source.image if source.arrays is None else next(iter(source.arrays.values()))
    return replace(
        source,
        image=finest,
        arrays=None,
        method=request.image_method if source.label_image is None else request.label_method,
        levels=request.levels,
        # A list of factors is that of the levels of the image beside a label image.
        factors=None if request.levels is not None and isinstance(source.factors, list) else source.factors,
    )
