"""Images that are saved together, and which store each goes into. No IO."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from napari_ome_ngff.metadata.affine import identity_affine
from napari_ome_ngff.metadata.nouns import Axis, Multiscale
from napari_ome_ngff.plugin.names import safe_name, unique_names
from napari_ome_ngff.plugin.save.form import SUFFIXES

if TYPE_CHECKING:
    from xarray import DataArray

    from napari_ome_ngff.writing.plan.write_plan import MultiscaleSource

Together = Literal["collection", "separate"]
"""Images that do not belong together: all in one store, or one store for each."""


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """One image with its label images, or label images alone.

    Parameters
    ----------
    name
        Of the image; of the first label image if there is no image.
    sources
        ``""`` for the image and ``"labels/<name>"`` for each label image, to what is written there.
    opened
        The same paths to where it was opened from, if it was.
    unnamed
        Those whose axes nobody has named: they are taken for those of the image that they are written onto.
    """

    name: str
    sources: Mapping[str, MultiscaleSource]
    opened: Mapping[str, str] = field(default_factory=dict)
    unnamed: frozenset[str] = frozenset()

    @property
    def labels(self) -> dict[str, MultiscaleSource]:
        """The label images by their names."""
        found = ((path.removeprefix("labels/"), source) for path, source in self.sources.items() if path)
        return dict(found)

    @property
    def is_labels(self) -> bool:
        """Whether these are label images without an image."""
        return "" not in self.sources

    def is_from(self, path: str, label: str) -> bool:
        """Whether a label image was opened from the one of that name in the image at a path."""
        found = self.opened.get(f"labels/{label}")
        return found is not None and os.path.realpath(found) == os.path.realpath(
            os.path.join(path, "labels", label)
        )


def on_axes(source: MultiscaleSource, axes: Sequence[Axis]) -> MultiscaleSource:
    """Return a source with the names, types and units of the last of these axes, as napari lays it over them.

    Examples
    --------
    >>> import numpy as np, xarray
    >>> from napari_ome_ngff.writing.plan.write_plan import MultiscaleSource
    >>> drawn = MultiscaleSource(image=xarray.DataArray(np.zeros((2, 3)), dims=("y", "x")))
    >>> on_axes(drawn, [Axis(name=name) for name in "tab"]).image.dims
    ('a', 'b')
    """
    if source.multiscale is not None:  # which speaks of the axes by their names
        return source
    arrays = source.arrays or ({} if source.image is None else {"": source.image})
    named = {path: _named(array, axes) for path, array in arrays.items()}
    return replace(source, arrays=named) if source.arrays else replace(source, image=named.get(""))


def not_turned(source: MultiscaleSource) -> MultiscaleSource:
    """Return a new label image that says by itself where it lies: not turned with the image that it lies on.

    Examples
    --------
    >>> import numpy as np, xarray
    >>> from napari_ome_ngff.writing.plan.write_plan import MultiscaleSource
    >>> drawn = MultiscaleSource(image=xarray.DataArray(np.zeros((2, 3)), dims=("y", "x")))
    >>> not_turned(drawn).multiscale.affine.matrix
    ((1.0, 0.0), (0.0, 1.0))
    """
    if source.multiscale is not None:
        return source
    array = source.image if not source.arrays else next(iter(source.arrays.values()))
    axes = tuple(Axis(name=str(dim)) for dim in (() if array is None else array.dims))
    said = Multiscale(version="0.6", axes=axes, levels=(), affine=identity_affine(len(axes)))
    return replace(source, multiscale=said)


def _named(array: DataArray, axes: Sequence[Axis]) -> DataArray:
    own = axes[-array.ndim :]
    if len(own) < array.ndim:
        return array
    renamed = array.rename(dict(zip(array.dims, (axis.name for axis in own), strict=True)))
    coords = {}
    for axis in own:
        if axis.name in renamed.coords:
            found = renamed.coords[axis.name].variable
            said = {"type": axis.type, "units": found.attrs.get("units", axis.unit)}
            coords[axis.name] = found.copy(deep=False)
            coords[axis.name].attrs = found.attrs | {key: value for key, value in said.items() if value}
    return renamed.assign_coords(coords)


def targets_of(
    bundles: Sequence[Bundle], target: str, together: Together = "collection"
) -> dict[str, dict[str, MultiscaleSource]]:
    """Return which store gets which images.

    Parameters
    ----------
    bundles
        The images.
    target
        Path or address as the user chose it, with its suffix.
    together
        What becomes of several: ``"collection"`` numbers them ``0/``, ``1/``, ... inside the target (the
        layout of bioformats2raw), ``"separate"`` puts them beside it, as ``<target>-<name>.ome.zarr``. One
        is the target itself either way.

    Returns
    -------
    dict
        Path of each store to its sources, as :func:`napari_ome_ngff.write_hierarchy` takes them.

    Examples
    --------
    >>> from napari_ome_ngff.writing.plan.write_plan import MultiscaleSource
    >>> bundles = [Bundle(name=name, sources={"": MultiscaleSource()}) for name in ("cells", "my dish")]
    >>> {path: list(sources) for path, sources in targets_of(bundles, "/data/day1.ome.zarr").items()}
    {'/data/day1.ome.zarr': ['0', '1']}
    >>> list(targets_of(bundles, "/data/day1.ome.zarr", "separate"))
    ['/data/day1-cells.ome.zarr', '/data/day1-my_dish.ome.zarr']
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
