"""Why nothing can be written somewhere: the errors that several places raise, said in the same words."""

from __future__ import annotations

import errno
from pathlib import Path

from napari_ome_ngff.errors import StorageError, TargetError

FULL = (errno.ENOSPC, errno.EDQUOT)
"""What a system says when a disk, or somebody's share of it, is full."""


def is_taken(where: str) -> TargetError:
    """Return the error for a place where there is something.

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
        "There is something already at this place.",
        where=where,
        hint="Choose another name, or overwrite it (overwrite=True).",
    )


def cannot_write(target: Path | str, error: OSError) -> StorageError:
    """Return the error for a place that the system refuses to write to.

    Parameters
    ----------
    target
        The place.
    error
        What the system said.

    Returns
    -------
    StorageError
        To be raised by the caller.
    """
    summary = "The disk is full." if error.errno in FULL else "The place cannot be written to."
    return StorageError(summary, where=str(target), found=str(error))
