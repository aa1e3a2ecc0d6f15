"""What a save puts on disk besides pixels: the metadata of arrays and groups, by their paths. No IO."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ome_ngff.errors import MetadataError
from napari_ome_ngff.metadata.collections.bioformats2raw import OME_XML, Pixels, encode_ome_xml, encode_series
from napari_ome_ngff.metadata.group_kind import merge_attributes
from napari_ome_ngff.metadata.image.label_images import decode_labels
from napari_ome_ngff.metadata.versions import check_version, encode, encode_labels
from napari_ome_ngff.writing.plan.array_spec import array_spec, attributes_like
from napari_ome_ngff.writing.plan.existing import check_alone, check_keepable, check_members, level_paths
from napari_ome_ngff.writing.plan.options import StorageOptions
from napari_ome_ngff.writing.plan.prepare import Prepared
from napari_ome_ngff.writing.plan.write_plan import split_path

if TYPE_CHECKING:
    import zarr


def group_documents(prepared: tuple[Prepared, ...], version: str, old: zarr.Group | None) -> dict[str, bytes]:
    """The metadata documents of all groups by their keys, in the order in which they are to be written.

    Inner groups come first and the attributes of the outermost last: without them it is no image yet.

    Raises
    ------
    MetadataError
        If the specification forbids something (the message names the rule), or an attribute is no JSON.
    """
    found = _documents(_attributes(prepared, version, old), version)
    xml = encode_ome_xml([_pixels(one) for one in prepared if split_path(one.plan.path)[1] is None])
    if series_of(prepared) and xml is not None:
        return {f"OME/{OME_XML}": xml, **found}
    return found


def _pixels(one: Prepared) -> Pixels:
    plan = one.plan
    dtype = np.dtype(plan.dtype).name
    return Pixels(path=plan.path, multiscale=one.multiscale, shape=plan.levels[0].shape, dtype=dtype)


def label_documents(
    prepared: tuple[Prepared, ...], version: str, old: zarr.Group | None, known: tuple[str, ...]
) -> dict[str, bytes]:
    """The same for the group ``labels`` of an image: new label images beside those that are known there.

    Raises
    ------
    MetadataError
        As for :func:`group_documents`.
    """
    found: dict[str, Mapping[str, Any]] = {}
    for one in prepared:
        _describe_image(found, one, version, old)
    names = dict.fromkeys(
        [*known, *(one.plan.path for one in prepared)]
    )  # those that are there keep their place
    listing = merge_attributes(_old_attributes(old, ""), encode_labels(names, version))
    return _documents({**found, "": listing}, version)


def _documents(attributes: Mapping[str, Mapping[str, Any]], version: str) -> dict[str, bytes]:
    documents: dict[str, Any] = {}
    for path in sorted(attributes, key=lambda path: (-path.count("/") if path else 1, path)):
        if check_version(version).zarr_format == 3:
            content = {"zarr_format": 3, "node_type": "group", "attributes": attributes[path]}
            documents[join_paths(path, "zarr.json")] = content
        else:
            documents[join_paths(path, ".zgroup")] = {"zarr_format": 2}
            documents[join_paths(path, ".zattrs")] = attributes[path]
    try:
        return {key: json.dumps(content, indent=2).encode() for key, content in documents.items()}
    except (TypeError, ValueError) as error:
        raise MetadataError(
            "An attribute of the image cannot be stored as JSON.", found=str(error)
        ) from error


def _attributes(
    prepared: tuple[Prepared, ...], version: str, old: zarr.Group | None
) -> dict[str, Mapping[str, Any]]:
    """Attributes of every group by its path: ours, and those of others that were there or came along."""
    container = check_version(version).container
    outermost = _old_attributes(old, "")
    if container and container not in outermost:
        # 0.5: the version is in every group of the hierarchy, also in one that only holds label images.
        outermost = {**outermost, container: {"version": version}}
    found: dict[str, Mapping[str, Any]] = {"": outermost}
    labels: dict[str, dict[str, Prepared]] = {}
    for one in prepared:
        _describe_image(found, one, version, old)
        image, label = split_path(one.plan.path)
        if label is not None:
            labels.setdefault(image, {})[label] = one
    for image, members in labels.items():
        path = join_paths(image, "labels")
        listing = _old_attributes(old, path)
        listed = dict.fromkeys([*decode_labels(listing), *members])
        for one in members.values():
            listing = merge_attributes(listing, one.groups.get("..", {}))
        found[path] = merge_attributes(listing, encode_labels(listed, version))
    if series := series_of(prepared):
        found |= encode_series(series, version)
    return found


def series_of(prepared: tuple[Prepared, ...]) -> tuple[str, ...]:
    """Paths of the images of a collection; empty if there is one image, at the root of the hierarchy."""
    images = dict.fromkeys(split_path(one.plan.path)[0] for one in prepared)
    return tuple(path for path in images if path)


def _describe_image(
    found: dict[str, Mapping[str, Any]], one: Prepared, version: str, old: zarr.Group | None
) -> None:
    """Add the attributes of one image's group, and of the groups between it and its levels."""
    path = one.plan.path
    kept = {**_old_attributes(old, path), **one.attributes}
    found[path] = merge_attributes(kept, encode(one.multiscale, version))
    for level in one.plan.levels:
        inner = join_paths(path, level.path).split("/")
        for n in range(1, len(inner)):
            between = "/".join(inner[:n])
            own = one.groups.get(between.removeprefix(f"{path}/"), {})
            found.setdefault(between, {**_old_attributes(old, between), **own})


def replaced_labels(prepared: tuple[Prepared, ...], old: zarr.Group | None, version: str) -> tuple[str, ...]:
    """Paths in the old group ``labels`` that end with it: the arrays of label images that are written again.

    Raises
    ------
    TargetError
        If something else in it could not be kept: it is in the other Zarr format, or where an array goes.
    """
    import zarr

    replaced: list[str] = []
    for name in (one.plan.path for one in prepared):
        node = None if old is None else old.get(name)
        if isinstance(node, zarr.Group):
            replaced += [join_paths(name, level) for level in level_paths(node)]
    if old is not None:
        written = {path for one in prepared for path in (one.plan.path, one.plan.path.split("/")[0])}
        check_keepable(old, [*replaced, *written], check_version(version).zarr_format)
        check_members(old, replaced, _array_paths(prepared))
    return tuple(replaced)


def replaced_members(prepared: tuple[Prepared, ...], old: zarr.Group, version: str) -> tuple[str, ...]:
    """Paths in the old group that end with it: the arrays of the images that are written again.

    Raises
    ------
    TargetError
        If something else in it could not be kept: it is in the other Zarr format, or where an array goes.
    """
    import zarr

    replaced: list[str] = []
    if any(not one.plan.path for one in prepared):
        replaced += level_paths(old)
        check_alone(old)
    # Label images alone leave the image that they lie on as it is.
    for path in (one.plan.path for one in prepared if one.plan.path):
        node = old.get(path)
        if isinstance(node, zarr.Group):
            replaced += [join_paths(path, level) for level in level_paths(node)]
    written = {path for one in prepared for path in (one.plan.path, one.plan.path.split("/")[0])}
    labels = old.get("labels")
    if isinstance(labels, zarr.Group) and {f"labels/{name}" for name in labels} - written:
        written.discard("labels")
    check_keepable(old, [*replaced, *written], check_version(version).zarr_format)
    check_members(old, replaced, _array_paths(prepared))
    return tuple(replaced)


def _array_paths(prepared: tuple[Prepared, ...]) -> list[str]:
    return [join_paths(one.plan.path, level.path) for one in prepared for level in one.plan.levels]


def _old_attributes(old: zarr.Group | None, path: str) -> Mapping[str, Any]:
    import zarr

    node = old if old is None or not path else old.get(path)
    return node.attrs.asdict() if isinstance(node, zarr.Group) else {}


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


def join_paths(*parts: str) -> str:
    """Paths in a hierarchy, one below the other; empty ones do not count.

    Examples
    --------
    >>> join_paths("", "labels/cells", "0")
    'labels/cells/0'
    """
    return "/".join(part.strip("/") if i else part.rstrip("/") for i, part in enumerate(parts) if part)
