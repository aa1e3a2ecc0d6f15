"""Write a scene: several images, placed in one coordinate system, as one hierarchy (0.6)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import replace
from numbers import Real
from types import NoneType
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ome_ngff.arguments import check_flags, check_mapping, check_text, check_type, place_of, shown
from napari_ome_ngff.coordinates import from_coordinates
from napari_ome_ngff.errors import OptionError, give_warning
from napari_ome_ngff.metadata.affine import along_axes, compose_affine, identity_affine, invert_affine
from napari_ome_ngff.metadata.collections.scene_layout import SceneLayout
from napari_ome_ngff.metadata.nouns import Affine, Axis, CoordinateSystem, Multiscale
from napari_ome_ngff.metadata.systems.rotated import without_views
from napari_ome_ngff.saving.described_axes import Description
from napari_ome_ngff.saving.plate_fields import field_sources
from napari_ome_ngff.writing.create import filled
from napari_ome_ngff.writing.pending import Writing
from napari_ome_ngff.writing.plan.options import StorageOptions
from napari_ome_ngff.writing.plan.prepare import accepted
from napari_ome_ngff.writing.plan.write_plan import MultiscaleSource

if TYPE_CHECKING:
    from napari_ome_ngff.arguments import Place

_INTRINSIC = "physical"


def write_scene(
    *,
    store: Place,
    path: str = "",
    images: Mapping[str, Any],
    placements: Mapping[str, Affine | Mapping[str, float]] | None = None,
    system: str = "world",
    name: str | None = None,
    axes: object = None,
    scale: object = None,
    units: object = None,
    executor: Executor | None = None,
    verify: bool = False,
    options: StorageOptions | None = None,
) -> Writing:
    """Write a scene: images that lie side by side, or on each other, placed in one coordinate system.

    Scenes are part of OME-Zarr 0.6. :func:`open_ome_ngff` opens all images of one at their places.

    Parameters
    ----------
    store, path
        Where to, as for :func:`write_multiscale_group`. A scene never replaces what is there.
    images
        Name of each image to the image: whatever :func:`save_ome_ngff` takes; with label images it is a dict,
        ``{"": image, "labels/cells": labels}``. All have the same axes and units.
    placements
        Where each image lies in the scene: an :class:`Affine` from its coordinates to those of the scene,
        in the order of its axes, such as ``(z, y, x)``; or by how much it is moved, ``{"y": 120.5, "x": 0}``.
        An image without one lies where its coordinates say.
    system
        Name of the coordinate system of the scene.
    name
        Of the scene.
    axes, scale, units
        Of the images, as for :func:`save_ome_ngff`.
    executor, verify, options
        As for :func:`write_hierarchy`; the version is 0.6.

    Returns
    -------
    Writing
        To be looped over, or run. Nothing is visible before everything is written.

    Raises
    ------
    OptionError, CoordinateError, MetadataError
        If an argument cannot be; before anything is written.
    TargetError
        If something is there.
    StorageError
        If reading the images or writing fails.

    Examples
    --------
    >>> import numpy, zarr
    >>> from napari_ome_ngff import open_ome_ngff
    >>> store, tile = zarr.storage.MemoryStore(), numpy.zeros((64, 64), "uint8")
    >>> _ = write_scene(
    ...     store=store, images={"left": tile, "right": tile}, placements={"right": {"x": 64}}
    ... ).run()
    >>> open_ome_ngff(store).images["right"].view.affine.translation
    (0.0, 64.0)
    """
    place, path = place_of(store, path)
    check_flags(verify=verify)
    check_type(options, (StorageOptions, NoneType), "The options", "StorageOptions")
    chosen = options or StorageOptions(version="0.6")
    if chosen.version != "0.6":
        raise OptionError("Scenes are part of OME-Zarr 0.6.", found=f"version {chosen.version!r}")
    about = Description(axes=axes, scale=scale, units=units)
    sources = _sources(images, about, chosen.version)
    shared = shared_axes({key: source for key, source in sources.items() if "/" not in key})
    check_text(system, "The name of the coordinate system")
    if name is not None:
        check_text(name, "The name of the scene")
    check_mapping(placements or {}, "The placements", "an Affine for each image")
    if unknown := set(placements or {}) - set(images):
        raise OptionError(f"There is no image {min(unknown)!r}.", expected=", ".join(images))
    placed = {key: _placement((placements or {}).get(key), shared, key) for key in images}
    layout, sources = scene_of(sources, placed, CoordinateSystem(name=system, axes=shared), name)
    return filled(place, path, sources, chosen, executor, overwrite=False, verify=verify, plate=layout)


def scene_of(
    sources: Mapping[str, MultiscaleSource],
    placements: Mapping[str, Affine],
    system: CoordinateSystem,
    name: str | None,
) -> tuple[SceneLayout, dict[str, MultiscaleSource]]:
    """The layout of a scene of images by their paths, and the images as they lie in themselves.

    `placements` lead from where each image says that it lies to the scene: one transform does both.
    """
    placed, intrinsic, inside = {}, {}, dict(sources)
    for key, placement in placements.items():
        base = sources[key].multiscale
        intrinsic[key] = (base.system if base is not None else None) or _INTRINSIC
        placed[key] = placement
        if base is None or base.affine is None:
            continue
        order = [base.dims.index(axis.name) for axis in system.axes if axis.name in base.dims]
        placed[key] = compose_affine(along_axes(base.affine, order) or base.affine, placement)
        inside[key] = replace(sources[key], multiscale=without_views(replace(base, affine=None))[0])
        for path, source in sources.items():
            if path.startswith(f"{key}/labels/"):
                inside[path] = _on_image(source, base)
    return SceneLayout(system=system, placements=placed, intrinsic=intrinsic, name=name), inside


def _sources(images: Mapping[str, Any], about: Description, version: str) -> dict[str, MultiscaleSource]:
    """All images and their label images by their paths, with axes that other programs accept."""
    check_mapping(images, "The images", 'images by their names: {"left": image, "right": image}')
    sources: dict[str, MultiscaleSource] = {}
    for key, image in images.items():
        if not key.strip(".") or "/" in key or key.startswith("__") or key == "labels":
            raise OptionError(f"No image of a scene can be called {key!r}.", expected="a name without '/'")
        for inner, source in field_sources(image, about, None, key).items():
            source, _, notice = accepted(source, version)
            if notice:
                give_warning(f"{key}: {notice}", stacklevel=3)
            sources[f"{key}/{inner}" if inner else key] = source if inner else replace(source, name=key)
    return sources


def shared_axes(images: Mapping[str, MultiscaleSource]) -> tuple[Axis, ...]:
    """The axes of all images, which are those of the scene."""
    described = {}
    for key, source in images.items():
        levels = {"": source.image} if source.image is not None else dict(source.arrays or {})
        described[key] = from_coordinates(levels)[0]
    first = next(iter(described.values()), None)
    if first is None or any(each != first for each in described.values()):
        raise OptionError(
            "The images of a scene have the same axes, in the same units.",
            found="; ".join(
                f"{key}: " + ", ".join(f"{axis.name} ({axis.unit or 'no unit'})" for axis in each)
                for key, each in list(described.items())[:5]
            )
            or "no image",
        )
    return first


def _on_image(source: MultiscaleSource, image: Multiscale) -> MultiscaleSource:
    """A label image placed from where its image lies, whose own transform has become that of the scene."""
    label = source.multiscale
    if label is None or label.affine is None or image.affine is None:
        return source
    around = along_axes(image.affine, [image.dims.index(dim) for dim in label.dims if dim in image.dims])
    if around is None or len(around.matrix) != len(label.dims):
        return source
    affine = compose_affine(label.affine, invert_affine(around))
    bare = without_views(replace(label, affine=None))[0]
    alike = np.allclose(affine.matrix, np.eye(len(label.dims)), rtol=0, atol=1e-9)
    if alike and np.allclose(affine.translation, 0, rtol=0, atol=1e-9):
        return replace(source, multiscale=bare)
    return replace(source, multiscale=replace(bare, affine=affine))


def _placement(given: object, axes: tuple[Axis, ...], key: str) -> Affine:
    if given is None:
        return identity_affine(len(axes))
    if isinstance(given, Affine):
        return given
    dims = [axis.name for axis in axes]
    shifts = given if isinstance(given, Mapping) else {}
    numbers = all(isinstance(shift, Real) and math.isfinite(shift) for shift in shifts.values())
    if not isinstance(given, Mapping) or set(given) - set(dims) or not numbers:
        raise OptionError(
            f"The placement of {key!r} must be an Affine, or how far it is moved along its axes.",
            found=shown(given)
            if not shifts
            else ", ".join(f"{dim}: {shown(n)}" for dim, n in shifts.items()),
            expected=f"numbers for {', '.join(dims)}",
        )
    moved = tuple(float(shifts.get(dim, 0.0)) for dim in dims)
    return replace(identity_affine(len(axes)), translation=moved)
