"""Why nothing can be written somewhere: the errors that several modules raise, in the same words."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from napari_ome_ngff.errors import OmeNgffError, StorageError, TargetError
from napari_ome_ngff.storage.places.folders import DENIED, is_open_elsewhere

FULL = (errno.ENOSPC, errno.EDQUOT)
"""What a system says when a disk, or somebody's share of it, is full."""


def target_exists(where: str, beside: str = "") -> TargetError:
    """Return the error for a target that must not be replaced, or that an interrupted save left beside it."""
    return TargetError(
        "There is something already at this place.",
        where=where,
        found=f"what an interrupted save left in {beside}, to be put back first" if beside else "",
        hint="Choose another name, or overwrite it (overwrite=True).",
    )


def inside_hierarchy(where: str, outer: str) -> TargetError:
    """Return the error for a target inside another Zarr hierarchy."""
    return TargetError(
        "The place lies inside another Zarr hierarchy.",
        where=where,
        found=outer,
        hint="Choose a place outside of it.",
    )


def cannot_write(target: Path | str, error: OSError) -> StorageError:
    """Return the error for a target that the system refuses to write to."""
    # What is made, and not moved, is refused for other reasons by the same number.
    if is_open_elsewhere(error) and (error.filename2 is not None or error.winerror != DENIED):  # type: ignore[attr-defined,unused-ignore]
        return StorageError(
            "A program has this image open, or a file of it: Windows does not let it be replaced.",
            where=str(error.filename or target),
            found=str(error),
            hint="Close it there (another napari, Fiji, a console or Explorer window in its folder) and save"
            " again, or choose another name. If it is open nowhere, you may not write to this place.",
        )
    summary = "The disk is full." if error.errno in FULL else "The place cannot be written to."
    return StorageError(summary, where=str(target), found=str(error))


@contextlib.contextmanager
def failing(what: str, where: str) -> Iterator[None]:
    """Turn whatever goes wrong inside into an error of ours, with the original as its cause."""
    try:
        yield
    except OmeNgffError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in FULL:
            raise cannot_write(where, error) from error
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        raise StorageError(
            f"{what}: {reason}", where=where, found=f"{type(error).__name__}: {error}"
        ) from error


@contextlib.contextmanager
def system_errors_of(target: Path) -> Iterator[None]:
    """Raise whatever the system refuses inside the block as an error of ours that names the target."""
    try:
        yield
    except OSError as error:
        raise cannot_write(target, error) from error


def differs(where: str, difference: str) -> StorageError:
    """Return the error for stored voxels that are not those of the image."""
    return StorageError(
        "What was written differs from the image; nothing was saved.",
        where=where,
        found=difference,
        hint="The disk or the network may be failing, or the image changed during the save: try again.",
    )
