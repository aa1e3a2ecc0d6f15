"""What is already at a place that is to be written to: what ends with it, and what has to be kept."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from napari_ome_ngff.errors import MetadataError, NotOmeNgffError, TargetError, UnsupportedError
from napari_ome_ngff.label_tables import GROUP
from napari_ome_ngff.metadata.collections.plates import decode_plate, decode_well
from napari_ome_ngff.metadata.group_kind import OUR_KEYS, is_ome_ngff, kind_of, merge_attributes
from napari_ome_ngff.metadata.image.label_images import decode_labels
from napari_ome_ngff.metadata.versions import decode
from napari_ome_ngff.storage.places.location import location_of
from napari_ome_ngff.writing.plan.described import as_replaced
from napari_ome_ngff.writing.plan.group_documents import arrays_of, group_spec, groups_of, join_paths

if TYPE_CHECKING:
    import zarr

    from napari_ome_ngff.writing.plan.group_documents import GroupSpec
    from napari_ome_ngff.writing.plan.write_plan import MultiscaleSource


def over_existing(model: GroupSpec, old: zarr.Group) -> GroupSpec:
    """Add to a model what is kept of the group that it replaces: attributes of others, names of labels."""
    groups = {
        path: _merged({} if (group := group_in(old, path)) is None else group.attrs.asdict(), attributes)
        for path, attributes in groups_of(model).items()
    }
    return group_spec(arrays_of(model), groups, zarr_format=model.zarr_format)


def group_in(group: zarr.Group, path: str) -> zarr.Group | None:
    """The group at a path in another one, itself at ""; None if there is none, or an array."""
    node = group.get(path) if path else group
    return node if isinstance(node, type(group)) else None


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> Mapping[str, Any]:
    kind = kind_of(new)
    if kind == "image":
        # What we noted of the image that was here, such as what it was a part of, is not true of this one.
        kept = {key: value for key, value in old.items() if not key.startswith(OUR_KEYS)}
        return merge_attributes(kept, new)
    if kind in ("plate", "well"):
        return merge_attributes(old, new)
    if kind != "labels":
        # A group on the way, or an image that only gets label images: it stays what it is.
        return {**old, **new, **{key: old[key] for key in ("ome",) if key in old}}
    merged = merge_attributes(old, new)
    names = list(dict.fromkeys([*decode_labels(old), *decode_labels(new)]))  # those there keep their place
    if "ome" in new:
        return {**merged, "ome": {**merged["ome"], "labels": names}}
    return {**merged, "labels": names}


def as_they_were(pixels: Mapping[str, MultiscaleSource], old: zarr.Group) -> Mapping[str, MultiscaleSource]:
    """Sources with what is said of the images that they replace: names, colours and contrast."""
    groups = {key: group_in(old, key) for key in pixels}
    return {
        key: source if (group := groups[key]) is None else as_replaced(key, source, group.attrs.asdict())
        for key, source in pixels.items()
    }


def replaced_members(model: GroupSpec, old: zarr.Group) -> tuple[str, ...]:
    """Paths in the old group that end with it: arrays and large tables of the images that are written again.

    Refused if something else in it could not be kept: it is in the other Zarr format, or where an array goes.
    """
    kinds = {path: kind_of(attributes) for path, attributes in groups_of(model).items()}
    if kinds[""] == "bioformats2raw.layout":
        raise several_replace_nothing(location_of(old))
    if kinds[""] == "plate":
        _check_plate(groups_of(model), old)
    images = [path for path, kind in kinds.items() if kind == "image"]
    replaced: list[str] = []
    if "" in images:
        replaced += [*_level_paths(old), *([GROUP] if GROUP in old else [])]
        _check_alone(old)
    # Label images alone leave the image that they lie on as it is.
    for path in filter(None, images):
        if (image := group_in(old, path)) is not None:
            tables = [GROUP] if GROUP in image else []
            replaced += [join_paths(path, inner) for inner in (*_level_paths(image), *tables)]
    written = {place for path in images for place in (path, path.split("/")[0])}
    labels = group_in(old, "labels")
    if labels is not None and {f"labels/{name}" for name in _names(labels)} - written:
        written.discard("labels")
    _check_keepable(old, [*replaced, *written], model.zarr_format)
    _check_members(old, replaced, arrays_of(model))
    return tuple(replaced)


def _check_plate(groups: Mapping[str, Mapping[str, Any]], old: zarr.Group) -> None:
    """A plate replaces another one that has no other fields: those would be in no plate any more."""
    where, attributes = location_of(old), old.attrs.asdict()
    if kind_of(attributes) != "plate":
        raise several_replace_nothing(where)
    lost = [
        join_paths(well.path, item.path)
        for well in decode_plate(attributes, where=where).wells
        if (group := group_in(old, well.path)) is not None
        for item in decode_well(group.attrs.asdict(), where=f"{where}/{well.path}").fields
        if join_paths(well.path, item.path) not in groups
    ]
    if lost:
        raise TargetError(
            "The plate that is there has fields that the new one has not.",
            where=where,
            found=", ".join(lost[:10]),
            hint="Choose a name that is not taken, or delete it yourself.",
        )


def _names(group: zarr.Group) -> set[str]:
    """Names of a group's members; Zarr warns of what is none, such as what an interrupted save left."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return set(group)


def _level_paths(group: zarr.Group) -> tuple[str, ...]:
    """Paths of the levels of all images that a group describes; refused if it is a plate, say."""
    try:
        images = decode(group.attrs.asdict(), where=location_of(group))
    except (NotOmeNgffError, MetadataError):
        # Whatever it is, it is not known to be an image's level, so it is kept.
        return ()
    except UnsupportedError as error:
        if "multiscales" in group.attrs.asdict():
            return ()
        raise TargetError(
            "This is more than one image, and is not replaced by one.",
            where=location_of(group),
            found=error.summary,
            hint="Write to another place.",
        ) from error
    return tuple(level.path for multiscale in images for level in multiscale.levels)


def _check_keepable(group: zarr.Group, replaced: Collection[str], zarr_format: int) -> None:
    """Refuse to keep members in the other Zarr format than the group that replaces theirs."""
    if group.metadata.zarr_format == zarr_format:
        return
    # 0.5, "Implementation": a hierarchy is in one Zarr format, never in two.
    strangers = sorted(_names(group) - {path.split("/")[0] for path in replaced})
    if strangers:
        raise TargetError(
            f"{', '.join(strangers)} cannot be kept in a hierarchy of Zarr v{zarr_format}.",
            where=location_of(group),
            found=f"Zarr v{group.metadata.zarr_format} members of the image that would be replaced",
            hint="Write to another place, or in the version that is there.",
        )


def _check_members(group: zarr.Group, replaced: Collection[str], written: Collection[str]) -> None:
    """Refuse to write arrays where, or below where, something lies that is not replaced."""
    import zarr

    where = location_of(group)
    for path in written:
        parts = path.split("/")
        for place in ("/".join(parts[:n]) for n in range(1, len(parts) + 1)):
            if place in replaced:
                break
            try:
                member = group.get(place)
            except ValueError as error:
                raise TargetError(
                    f"The metadata of {place!r} cannot be read, so it is not replaced.",
                    where=where,
                    found=f"{type(error).__name__}: {error}",
                    hint="Choose another name, or delete it yourself.",
                ) from error
            if member is None:
                break
            if isinstance(member, zarr.Array) or place == path:
                raise TargetError(
                    f"{place!r} is there, and is no level of an image that would be replaced.",
                    where=where,
                    found="an array" if isinstance(member, zarr.Array) else "a group",
                    hint="Write to another place, or under other level names.",
                )


def _check_alone(group: zarr.Group) -> None:
    """Refuse to replace a group by an image if other images than label images lie in it."""
    if kind_of(group.attrs.asdict()) != "image" and (inner := _image_inside(group)):
        raise TargetError(
            "Other images lie in this group, so it is not replaced by one.",
            where=location_of(group),
            found=f"an image at {inner!r}",
            hint="Choose a place of its own.",
        )


def _image_inside(group: zarr.Group, path: str = "", depth: int = 3) -> str:
    """Path of an image or plate at most so deep below a group, label images aside; "" for none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of things beside the groups that are no Zarr
        children = list(group.groups())
    for name, child in children:
        place = f"{path}/{name}" if path else name
        if name == "labels":
            continue
        if is_ome_ngff(child.attrs.asdict()):
            return place
        if depth > 1 and (inner := _image_inside(child, place, depth - 1)):
            return inner
    return ""


def several_replace_nothing(where: str) -> TargetError:
    """Return the error for several images that would be written where there is something."""
    return TargetError(
        "Several images never replace what is there.",
        where=where,
        hint="Choose a name that is not taken, or save each image on its own.",
    )
