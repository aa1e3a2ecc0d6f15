"""The model of everything but pixels that a save stores: groups with their attributes, arrays. No IO."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ome_ngff.errors import MetadataError
from napari_ome_ngff.metadata.collections.bioformats2raw import OME_XML, Pixels, encode_ome_xml, encode_series
from napari_ome_ngff.metadata.collections.plate_layout import PlateLayout, encode_plate
from napari_ome_ngff.metadata.collections.scene_layout import SceneLayout, encode_scene
from napari_ome_ngff.metadata.context import Context
from napari_ome_ngff.metadata.group_kind import kind_of, merge_attributes
from napari_ome_ngff.metadata.image.omero import encode_omero
from napari_ome_ngff.metadata.nouns import Window
from napari_ome_ngff.metadata.versions import check_version, encode, encode_labels
from napari_ome_ngff.writing.plan.array_spec import array_spec, attributes_like
from napari_ome_ngff.writing.plan.multiscale import completed
from napari_ome_ngff.writing.plan.options import StorageOptions
from napari_ome_ngff.writing.plan.write_plan import Prepared, split_path

if TYPE_CHECKING:
    from pydantic_zarr.v2 import GroupSpec as GroupSpecV2
    from pydantic_zarr.v3 import GroupSpec as GroupSpecV3

    GroupSpec = GroupSpecV2[Any, Any] | GroupSpecV3[Any, Any]


def array_specs(prepared: tuple[Prepared, ...], options: StorageOptions) -> dict[str, Any]:
    """The pydantic-zarr model of every array by its path in the hierarchy."""
    specs = {
        join_paths(one.plan.path, level.path): array_spec(
            shape=level.shape,
            dtype=one.plan.dtype,
            chunks=level.chunks,
            shards=level.shards,
            dims=one.plan.dims,
            options=options,
            labels=one.multiscale.label_image is not None,
        )
        for one in prepared
        for level in one.plan.levels
    }
    for one in prepared:
        for level, array in zip(one.plan.levels, one.stored, strict=False):
            if array is not None:
                # The voxels are the same, however they are stored; of others nobody knows what still holds.
                path = join_paths(one.plan.path, level.path)
                attributes = attributes_like(array, one.plan.dims)
                specs[path] = specs[path].model_copy(update={"attributes": attributes})
    return specs


def hierarchy_model(
    prepared: tuple[Prepared, ...],
    arrays: Mapping[str, Any],
    version: str,
    plate: PlateLayout | SceneLayout | None = None,
) -> GroupSpec:
    """Model a hierarchy of images and label images; refused if the specification forbids something."""
    container = check_version(version).container
    # 0.5: the version is in every group of the hierarchy, also in one that only holds label images.
    groups: dict[str, Mapping[str, Any]] = {"": {container: {"version": version}} if container else {}}
    labels: dict[str, dict[str, Prepared]] = {}
    for one in prepared:
        path = one.plan.path
        groups[path] = merge_attributes(one.attributes, encode(one.multiscale, version))
        for level in one.plan.levels:
            names = join_paths(path, level.path).split("/")
            for between in ("/".join(names[:n]) for n in range(1, len(names))):
                groups.setdefault(between, one.groups.get(between.removeprefix(f"{path}/"), {}))
        image, label = split_path(path)
        if label is not None:
            labels.setdefault(image, {})[label] = one
    for image, members in labels.items():
        listing: dict[str, Any] = {}
        for one in members.values():
            listing = merge_attributes(listing, one.groups.get("..", {}))
        groups[join_paths(image, "labels")] = merge_attributes(listing, encode_labels(members, version))
    if plate is not None:
        groups |= encode_scene(plate) if isinstance(plate, SceneLayout) else encode_plate(plate)
    elif series := series_of(prepared):
        groups |= encode_series(series, version)
    return group_spec(arrays, groups, zarr_format=check_version(version).zarr_format)


def group_spec(
    arrays: Mapping[str, Any], groups: Mapping[str, Mapping[str, Any]], *, zarr_format: int
) -> GroupSpec:
    """Make a pydantic-zarr group of models of arrays and attributes of groups, both by their paths."""
    if zarr_format == 2:
        from pydantic_zarr.v2 import GroupSpec as Group
    else:
        from pydantic_zarr.v3 import GroupSpec as Group  # type: ignore[assignment]
    nodes: dict[str, Any] = {
        f"/{path}" if path else "": Group(attributes=dict(attributes), members=None)
        for path, attributes in groups.items()
    }
    return Group.from_flat({**nodes, **{f"/{path}": array for path, array in arrays.items()}})


def group_at(model: GroupSpec, name: str) -> GroupSpec:
    """The group of a name directly in a model."""
    group = (model.members or {})[name]
    assert isinstance(group, type(model))
    return group


def groups_of(model: GroupSpec) -> dict[str, dict[str, Any]]:
    """Attributes of every group of a model by its path; "" is the outermost one."""
    return {path: dict(node.attributes) for path, node in _nodes(model) if isinstance(node, type(model))}


def arrays_of(model: GroupSpec) -> dict[str, Any]:
    """The models of the arrays of a model by their paths."""
    return {path: node for path, node in _nodes(model) if not isinstance(node, type(model))}


def _nodes(group: GroupSpec, path: str = "") -> Iterator[tuple[str, Any]]:
    """All groups and arrays by their paths, as they are: `to_flat` copies each at every depth above it."""
    yield path, group
    for name, member in (group.members or {}).items():
        below = join_paths(path, name)
        if isinstance(member, type(group)):
            yield from _nodes(member, below)
        else:
            yield below, member


def group_documents(model: GroupSpec) -> dict[str, bytes]:
    """The metadata documents of all groups by their keys, in the order in which they are to be written.

    Inner groups come first and the attributes of the outermost last: without them it is no image yet.
    """
    groups, documents = groups_of(model), dict[str, Any]()
    for path in sorted(groups, key=lambda path: (-path.count("/") if path else 1, path)):
        if model.zarr_format == 3:
            content = {"zarr_format": 3, "node_type": "group", "attributes": groups[path]}
            documents[join_paths(path, "zarr.json")] = content
        else:
            documents[join_paths(path, ".zgroup")] = {"zarr_format": 2}
            documents[join_paths(path, ".zattrs")] = groups[path]
    try:
        return {key: json.dumps(content, indent=2).encode() for key, content in documents.items()}
    except (TypeError, ValueError) as error:
        raise MetadataError(
            "An attribute of the image cannot be stored as JSON.", found=str(error)
        ) from error


def with_windows(
    documents: Mapping[str, bytes], prepared: Prepared, seen: Sequence[Window]
) -> dict[str, bytes]:
    """The document of an image, by its key, with the contrast of its pixels where none was given."""
    version = check_version(prepared.multiscale.version)
    key = join_paths(prepared.plan.path, "zarr.json" if version.zarr_format == 3 else ".zattrs")
    content = json.loads(documents[key])
    attributes = content["attributes"] if version.zarr_format == 3 else content
    holder = attributes[version.container] if version.container else attributes
    channels = completed(prepared.channels, np.dtype(prepared.plan.dtype), seen)
    encoded = encode_omero(replace(prepared.multiscale, channels=channels), Context())["channels"]
    for channel, new in zip(holder["omero"]["channels"], encoded, strict=True):
        channel["window"] = new["window"]
    return {key: json.dumps(content, indent=2).encode()}


def series_document(prepared: tuple[Prepared, ...], model: GroupSpec) -> dict[str, bytes]:
    """The OME-XML of a collection by its key; empty if it is none, or has nothing to say."""
    pixels = [
        Pixels(
            path=one.plan.path,
            multiscale=one.multiscale,
            shape=one.plan.levels[0].shape,
            dtype=np.dtype(one.plan.dtype).name,
        )
        for one in prepared
        if split_path(one.plan.path)[1] is None
    ]
    is_series = kind_of(dict(model.attributes)) == "bioformats2raw.layout"
    xml = encode_ome_xml(pixels) if is_series else None
    return {} if xml is None else {f"OME/{OME_XML}": xml}


def series_of(prepared: tuple[Prepared, ...]) -> tuple[str, ...]:
    """Paths of the images of a collection; empty if there is one image, at the root of the hierarchy."""
    images = dict.fromkeys(split_path(one.plan.path)[0] for one in prepared)
    return tuple(path for path in images if path)


def join_paths(*parts: str) -> str:
    """Paths in a hierarchy, one below the other; empty ones do not count.

    >>> join_paths("", "labels/cells", "0")
    'labels/cells/0'
    """
    return "/".join(part.strip("/") if i else part.rstrip("/") for i, part in enumerate(parts) if part)
