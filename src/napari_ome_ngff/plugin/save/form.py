"""What people can choose when they save, in their words, and what it means: Form -> Request. Pure.

The dock widget, the Preferences and the writer all speak of these choices, and nothing else.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

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


AS_FILE = "as the file, else 0.5"


VERSIONS = (AS_FILE, "0.5", "0.4", "0.6")


LEVELS = ("auto", *(str(n) for n in range(1, 11)))


IMAGE_METHODS = ("mean", "nearest")


LABEL_METHODS = ("mode", "nearest")


SHARDS = ("as the file, else none", "auto")


COMPRESSORS = ("auto", "zstd", "gzip", "none")


SEVERAL = ("one collection", "one store each")


DEFAULT_VERSION = "0.5"


@dataclass(frozen=True, kw_only=True)
class Form:
    """What was chosen, before anything is checked.

    Parameters
    ----------
    target
        Path or address as typed.
    version
        OME-NGFF version; `AS_FILE` is the one of the file that the layers were opened from.
    levels
        Total number of levels, or ``"auto"``.
    image_method, label_method
        How each level is made from the one above it, for images and for label images.
    chunks
        ``"auto"``, or sizes along the last axes: ``"16, 256, 256"``.
    shards
        ``"auto"``, or none unless a file whose levels are copied has them.
    compressor
        One of ``"auto"``, ``"zstd"``, ``"gzip"``, ``"none"``.
    several
        Where images that do not belong together go: ``"one collection"`` or ``"one store each"``.
    verify
        Whether what was written is read back and compared before it is published.
    overwrite
        Whether what is at the target may be replaced.
    """

    target: str
    version: str = AS_FILE
    levels: str = "auto"
    image_method: str = "mean"
    label_method: str = "mode"
    chunks: str = "auto"
    shards: str = SHARDS[0]
    compressor: str = "auto"
    several: str = SEVERAL[0]
    verify: bool = False
    overwrite: bool = False


@dataclass(frozen=True, kw_only=True)
class Request:
    """A form that was checked: everything that writing needs to know besides the images themselves."""

    target: str
    version: str
    levels: int | None
    image_method: str
    label_method: str
    chunks: Literal["auto"] | tuple[int, ...]
    shards: Literal["auto"] | None
    compressor: str
    together: Literal["collection", "separate"]
    verify: bool
    overwrite: bool


def resolve(form: Form, file_version: str | None = None) -> Request:
    """Check the form, field by field, without touching a disk.

    Parameters
    ----------
    form
        What was chosen.
    file_version
        Version of the file that the layers were opened from, if they were.

    Raises
    ------
    OptionError
        If a field cannot be understood; the message names the field.

    Examples
    --------
    >>> resolve(Form(target="/data/cells", chunks="16, 256, 256")).target
    '/data/cells.ome.zarr'
    >>> resolve(Form(target="/data/cells")).version, resolve(Form(target="/data/cells"), "0.4").version
    ('0.5', '0.4')
    """
    version = _choice("Version", form.version, VERSIONS)
    several = _choice("Several images", form.several, SEVERAL)
    version = (file_version or DEFAULT_VERSION) if version == AS_FILE else version
    shards = _choice("Shards", form.shards, SHARDS)
    if shards == "auto" and version == "0.4":
        raise OptionError(
            "OME-NGFF 0.4 has no shards.",
            expected="Zarr v3, which came with version 0.5",
            hint="Choose version 0.5 or later, or other shards, here or in the Preferences.",
        )
    return Request(
        target=target_path(form.target),
        version=version,
        levels=_levels(form.levels),
        image_method=_choice("Shrink images", form.image_method, IMAGE_METHODS),
        label_method=_choice("Shrink labels", form.label_method, LABEL_METHODS),
        chunks=_chunks(form.chunks),
        shards="auto" if shards == "auto" else None,
        compressor=_choice("Compression", form.compressor, COMPRESSORS),
        together="collection" if several == SEVERAL[0] else "separate",
        verify=form.verify,
        overwrite=form.overwrite,
    )


def _choice(field: str, value: str, choices: Sequence[str]) -> str:
    if value not in choices:
        raise OptionError(f"{field}: {value!r} is not a choice.", expected=", ".join(choices))
    return value


def _levels(text: str) -> int | None:
    text = text.strip().lower()
    if text in ("", "auto"):
        return None
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 32:
        raise OptionError(
            f"Levels: {text!r} is not a number of levels.", expected="auto, or a number from 1 to 32"
        )
    return int(text)


def _chunks(text: str) -> Literal["auto"] | tuple[int, ...]:
    text = text.strip().lower()
    if text in ("", "auto"):
        return "auto"
    words = [word for word in re.split(r"[\s,;x×()\[\]]+", text) if word]
    if not words or not all(word.isascii() and word.isdigit() and int(word) > 0 for word in words):
        raise OptionError(
            f"Chunks: {text!r} is not a list of sizes.",
            expected="auto, or whole numbers for the last axes, such as 16, 256, 256",
        )
    return tuple(int(word) for word in words)


def codec(name: str) -> Any:
    """Make the numcodecs codec of a compressor's name; ``"auto"`` is left to the library, and None is none.

    Raises
    ------
    OptionError
        If there is no such compressor.

    Examples
    --------
    >>> codec("gzip").level
    5
    """
    import numcodecs

    _choice("Compression", name, COMPRESSORS)
    made: dict[str, Any] = {
        "auto": lambda: "auto",
        "zstd": lambda: numcodecs.Zstd(level=3),
        "gzip": lambda: numcodecs.GZip(level=5),
        "none": lambda: None,
    }
    return made[name]()
