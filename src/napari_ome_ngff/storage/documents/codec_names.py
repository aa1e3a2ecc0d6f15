"""The codecs that an array's document names: those that are refused, and those that are not installed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from napari_ome_ngff.errors import UnsupportedError

_OBJECTS = frozenset({"categorize", "json2", "msgpack2", "pickle", "vlen-array", "vlen-bytes", "vlen-utf8"})
"""Codecs of Zarr v2 that make Python objects; `pickle` runs what stands in the file."""


_CORE = frozenset({"blosc", "bytes", "crc32c", "gzip", "sharding_indexed", "transpose", "zstd"})
"""Codecs of Zarr v3 that every version of zarr knows."""


_NUMBERS = re.compile(r"(u?int|float|complex|bool)\d*$|[<>|=][biufc]\d+$")  # of v3, and of v2


_PACKAGES = {
    "delta2d": "delta2d-numcodecs",
    "flac": "flac-numcodecs",
    "imagecodecs_": "imagecodecs-numcodecs",
    "pcodec": "pcodec",
    "wavpack": "wavpack-numcodecs",
    "zfpy": "zfpy",
}
"""Packages that bring codecs, by how these are called."""


def check_codecs(document: Mapping[str, Any], *, where: str) -> None:
    """UnsupportedError if values are Python objects, or if a codec is not installed; chunks are not touched.

    What is damaged is left to whoever makes an array of the document.
    """
    is_old = document.get("zarr_format") == 2
    names = list(_names_v2(document) if is_old else _names_v3(document.get("codecs")))
    for name in names:
        short = name.removeprefix("numcodecs.")
        if short == "pickle" or (short in _OBJECTS and (is_old or short != name)):
            raise UnsupportedError(
                f"Arrays with the codec {short!r} are not read.",
                where=where,
                found="a codec that makes Python objects"
                + (", and runs what stands in the file" * (short == "pickle")),
                expected="numbers",
                hint="If you trust the file, read it with zarr and save its values as numbers.",
            )
    if is_old and _has_objects(document.get("dtype")):
        raise UnsupportedError(
            "Arrays of Python objects are not read.",
            where=where,
            found=f"dtype {document.get('dtype')!r}"[:300],
            expected="numbers",
        )
    for name in names:
        if not _is_installed(name, is_old):
            short = name.removeprefix("numcodecs.")
            package = next((package for start, package in _PACKAGES.items() if short.startswith(start)), "")
            raise UnsupportedError(
                f"The codec {name!r} is not installed.",
                where=where,
                found="an array that is stored with it; the file may be sound",
                hint=f"pip install {package}"
                if package
                else "Install the package that brings it for zarr or numcodecs.",
            )


def is_plain(document: Mapping[str, Any]) -> bool:
    """Whether all in an array's document is of Zarr's core, so that Zarr warns of nothing in it."""
    if document.get("zarr_format") == 2:
        return document.get("filters") != [] and _NUMBERS.match(str(document.get("dtype"))) is not None
    codecs, grid = document.get("codecs"), document.get("chunk_grid")
    shape = _get(_get(grid, "configuration"), "chunk_shape")
    is_regular = isinstance(shape, list | tuple) and all(isinstance(size, int) for size in shape)
    names = set(_names_v3(codecs))
    alone = "sharding_indexed" not in names or (isinstance(codecs, list | tuple) and len(codecs) == 1)
    is_core = alone and names <= _CORE and _get(grid, "name") == "regular" and is_regular
    return is_core and _NUMBERS.match(str(document.get("data_type"))) is not None


def _get(holder: Any, key: str) -> Any:
    return holder.get(key) if isinstance(holder, Mapping) else None


def _names_v2(document: Mapping[str, Any]) -> Iterator[str]:
    filters = document.get("filters")
    for codec in (*(filters if isinstance(filters, list | tuple) else ()), document.get("compressor")):
        name = codec.get("id") if isinstance(codec, Mapping) else getattr(codec, "codec_id", None)
        if isinstance(name, str):
            yield name


def _names_v3(codecs: Any) -> Iterator[str]:
    """The names of a chain and of the chains in it."""
    todo = [codecs]
    while todo:
        chain = todo.pop()
        for codec in chain if isinstance(chain, list | tuple) else ():
            name = codec.get("name") if isinstance(codec, Mapping) else codec
            if isinstance(name, str):
                yield name
            configuration = codec.get("configuration") if isinstance(codec, Mapping) else None
            if isinstance(configuration, Mapping):
                todo += [configuration.get("codecs"), configuration.get("index_codecs")]


def _has_objects(dtype: Any) -> bool:
    if isinstance(dtype, str):
        return dtype.lstrip("<>|=") in ("O", "O4", "O8", "object")
    fields = dtype if isinstance(dtype, list | tuple) else ()  # each with a name and a type
    return any(_has_objects(field[1]) for field in fields if isinstance(field, list | tuple) and field[1:])


def _is_installed(name: str, is_old: bool) -> bool:
    import numcodecs.registry

    if is_old or name.startswith("numcodecs."):
        short = name.removeprefix("numcodecs.")
        if short not in numcodecs.registry.codec_registry and short not in numcodecs.registry.entries:
            return False
        if is_old:
            return True
    if name in _CORE:
        return True
    from zarr.registry import get_codec_class

    try:
        get_codec_class(name)
    except Exception:  # noqa: BLE001 (of the registry, or of the package that should bring it)
        return False
    return True
