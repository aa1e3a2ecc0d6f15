"""Where to write: what people type, as a path or an address, and what is proposed to them. No IO."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from napari_ome_ngff.errors import OptionError
from napari_ome_ngff.storage.places.location import is_url, local_path

ZIP = ".ozx"


SUFFIXES = (".ome.zarr", ".zarr", ZIP)


SCHEMES = ("s3", "gs", "az")
"""Of addresses that can be written to."""


def target_path(text: str) -> str:
    """Absolute path or address that a typed target means, with ``.ome.zarr`` where no suffix was typed.

    Raises
    ------
    OptionError
        If nothing was typed, no name, or an address that cannot be written to.

    Examples
    --------
    >>> target_path("/data/cells"), target_path("/data/cells.zarr/"), target_path("/data/cells.ozx")
    ('/data/cells.ome.zarr', '/data/cells.zarr', '/data/cells.ozx')
    >>> target_path("s3://bucket/day 1/cells")
    's3://bucket/day 1/cells.ome.zarr'
    """
    text = local_path(text.strip())
    if not text or text == ".":
        raise OptionError("Say where to write the image.", hint="Type or choose a path for it.")
    path = _address(text) if is_url(text) else _local(text)
    return path if path.lower().endswith(SUFFIXES) else f"{path}.ome.zarr"


def _local(text: str) -> str:
    path = os.path.abspath(os.path.expanduser(text))
    if not os.path.basename(path) or text.endswith(("/.", "/..")):
        raise _nameless(text)
    return path


def _address(text: str) -> str:
    scheme, _, rest = text.partition("://")
    if scheme.lower() not in SCHEMES:
        raise OptionError(
            f"Addresses that start with {scheme}:// cannot be written to.",
            found=text,
            expected="a folder, a file that ends in .ozx, or an address in a bucket (s3://, gs://, az://)",
        )
    bucket, _, key = rest.rstrip("/").partition("/")
    if not bucket or not key:
        raise _nameless(text)
    if key.lower().endswith(ZIP):
        raise OptionError(
            "Single files can be written on this computer only.",
            found=text,
            hint="Write the file here and upload it, or write a .ome.zarr there.",
        )
    return f"{scheme.lower()}://{bucket}/{key}"


def _nameless(text: str) -> OptionError:
    return OptionError("The target has no name.", found=text, hint="Add a name, such as cells.ome.zarr.")


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
