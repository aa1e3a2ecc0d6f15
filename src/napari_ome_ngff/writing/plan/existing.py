"""What is already at a place that is to be written to: what ends with it, and what has to be kept."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from typing import TYPE_CHECKING

from napari_ome_ngff.errors import MetadataError, NotOmeNgffError, TargetError, UnsupportedError
from napari_ome_ngff.metadata.group_kind import is_ome_ngff, kind_of
from napari_ome_ngff.metadata.versions import decode
from napari_ome_ngff.storage.places.location import location_of

if TYPE_CHECKING:
    import zarr


def level_paths(group: zarr.Group) -> tuple[str, ...]:
    """Return the paths of the levels of all images that a group describes; empty where it describes none.

    Raises
    ------
    TargetError
        If the group is a plate or another collection: its images are not ours to replace.

    Examples
    --------
    >>> import zarr
    >>> level_paths(zarr.group(store=zarr.storage.MemoryStore()))
    ()
    """
    try:
        found = decode(group.attrs.asdict(), where=location_of(group))
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
    return tuple(level.path for multiscale in found for level in multiscale.levels)


def check_keepable(group: zarr.Group, replaced: Collection[str], zarr_format: int) -> None:
    """Check that what stays of a group can stay in one of another Zarr format.

    0.5, "Implementation": a hierarchy is in one Zarr format, never in two.

    Parameters
    ----------
    group
        The group that would be replaced.
    replaced
        Paths in it that end with it.
    zarr_format
        Of the group that replaces it.

    Raises
    ------
    TargetError
        If something in it is in the other Zarr format.

    Examples
    --------
    >>> import zarr
    >>> group = zarr.group(store=zarr.storage.MemoryStore(), zarr_format=2)
    >>> check_keepable(group, [], zarr_format=3)
    """
    if group.metadata.zarr_format == zarr_format:
        return
    strangers = sorted(set(group) - {path.split("/")[0] for path in replaced})
    if strangers:
        raise TargetError(
            f"{', '.join(strangers)} cannot be kept in a hierarchy of Zarr v{zarr_format}.",
            where=location_of(group),
            found=f"Zarr v{group.metadata.zarr_format} members of the image that would be replaced",
            hint="Write to another place, or in the version that is there.",
        )


def check_members(group: zarr.Group, replaced: Collection[str], written: Collection[str]) -> None:
    """Check that writing arrays into a group loses none that is not to be replaced.

    Parameters
    ----------
    group
        The group that would be replaced.
    replaced
        Paths in it that end with it.
    written
        Paths of the new arrays.

    Raises
    ------
    TargetError
        If an array or group of others is where a new array would be, or above it.

    Examples
    --------
    >>> import zarr
    >>> group = zarr.group(store=zarr.storage.MemoryStore())
    >>> check_members(group, [], ["0"])
    """
    import zarr

    where = location_of(group)
    for path in written:
        parts = path.split("/")
        for place in ("/".join(parts[:n]) for n in range(1, len(parts) + 1)):
            found = group.get(place)
            if found is None or place in replaced:
                break
            if isinstance(found, zarr.Array) or place == path:
                raise TargetError(
                    f"{place!r} is there, and is no level of an image that would be replaced.",
                    where=where,
                    found="an array" if isinstance(found, zarr.Array) else "a group",
                    hint="Write to another place, or under other level names.",
                )


def check_alone(group: zarr.Group) -> None:
    """Check that a group that an image replaces is an image itself, or at least holds no others.

    Parameters
    ----------
    group
        The group that would be replaced.

    Raises
    ------
    TargetError
        If images other than label images lie in it.

    Examples
    --------
    >>> import zarr
    >>> check_alone(zarr.group(store=zarr.storage.MemoryStore()))
    """
    if kind_of(group.attrs.asdict()) != "image" and (inner := _image_inside(group)):
        raise TargetError(
            "Other images lie in this group, so it is not replaced by one.",
            where=location_of(group),
            found=f"an image at {inner!r}",
            hint="Choose a place of its own.",
        )


def _image_inside(group: zarr.Group, path: str = "", depth: int = 3) -> str:
    """Path of an image or plate below a group, label images aside; "" for none as far as is looked."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of things beside the groups that are no Zarr
        children = list(group.groups())
    for name, child in children:
        place = f"{path}/{name}" if path else name
        if name == "labels":
            continue
        if is_ome_ngff(child.attrs.asdict()):
            return place
        if depth > 1 and (found := _image_inside(child, place, depth - 1)):
            return found
    return ""


def several_replace_nothing(where: str) -> TargetError:
    """Return the error for several images that would be written where there is something.

    Parameters
    ----------
    where
        Path or URL.

    Returns
    -------
    TargetError
        To be raised by the caller.
    """
    return TargetError(
        "Several images never replace what is there.",
        where=where,
        hint="Choose a name that is not taken, or save each image on its own.",
    )
