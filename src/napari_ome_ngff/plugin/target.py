"""Paths that people type for an image to be written, and paths that are proposed to them. No IO."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from napari_ome_ngff.errors import OptionError

SUFFIXES = (".ome.zarr", ".zarr")


def target_path(text: str) -> str:
    """Absolute path that a typed target means, with ``.ome.zarr`` where no Zarr suffix was typed.

    Raises
    ------
    OptionError
        If nothing was typed, no name, or a URL.

    Examples
    --------
    >>> target_path("/data/cells"), target_path("/data/cells.zarr/")
    ('/data/cells.ome.zarr', '/data/cells.zarr')
    """
    text = text.strip()
    if not text or text == ".":
        raise OptionError("Say where to write the image.", hint="Type or choose a path for it.")
    if "://" in text:
        raise OptionError(
            "The target must be a folder on this computer.",
            found=text,
            hint="Write it here and copy it there, or use write_multiscale_group in a script.",
        )
    path = os.path.abspath(os.path.expanduser(text))
    if not os.path.basename(path) or text.endswith(("/.", "/..")):
        raise OptionError("The target has no name.", found=text, hint="Add a name, such as cells.ome.zarr.")
    return path if path.lower().endswith(SUFFIXES) else f"{path}.ome.zarr"


def propose_target(name: str, folder: str, taken: Iterable[str]) -> str:
    """Path for a new image of this name in a folder, beside the names that are taken there.

    Examples
    --------
    >>> propose_target("my cells: DAPI", "/data", taken=())
    '/data/my cells DAPI.ome.zarr'
    >>> propose_target("cells.ome.zarr", "/data", taken=("cells.ome.zarr",))
    '/data/cells-2.ome.zarr'
    """
    stem = re.sub(r'[\\/:*?"<>|\x00-\x1f]+', "", name).strip(" .")
    for suffix in SUFFIXES:
        stem = stem.removesuffix(suffix)
    stem = stem or "image"
    used = frozenset(taken)
    names = (f"{stem}{'' if n == 1 else f'-{n}'}.ome.zarr" for n in range(1, len(used) + 2))
    return os.path.join(folder, next(name for name in names if name not in used))
