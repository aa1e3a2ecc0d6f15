"""Documents of arrays in odd spellings, in the one that zarr-python takes.

What old writers, other languages and drafts of Zarr v3 have written. Only what cannot mean anything else is
read so; what is not understood stays, and is refused as damaged.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

Document = dict[str, Any]

_DEEPEST = 8  # shards in shards

_NUMCODECS = "https://codec.zarr.dev/numcodecs/"

_SHUFFLES = ("noshuffle", "shuffle", "bitshuffle")

_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "blosc": {"cname": "lz4", "clevel": 5, "shuffle": "shuffle", "blocksize": 0},
    "zstd": {"level": 0, "checksum": False},
    "gzip": {"level": 5},
}

_TO_BYTES = ("bytes", "sharding_indexed", "vlen-utf8", "vlen-bytes", "packbits")


def usual(document: Document) -> Document:
    """Return an array's document as zarr-python writes it; what is usual stays as it is."""
    try:
        return _usual_v2(document) if "dtype" in document else _usual_v3(document)
    except (TypeError, ValueError, AttributeError, OverflowError, RecursionError):
        return document  # damaged, which is said when the array is made


def is_misread(document: Document) -> bool:
    """Return whether zarr-python takes a document as it is, and looks for the wrong chunks."""
    encoding = document.get("chunk_key_encoding")
    return isinstance(encoding, dict) and "separator" in encoding


def _usual_v2(document: Document) -> Document:
    dtype = _dtype(document.get("dtype"))
    compressor, filters = document.get("compressor"), document.get("filters")
    if isinstance(compressor, str):
        compressor = {"id": compressor.lower()}
    if isinstance(compressor, dict) and str(compressor.get("id")).lower() in ("none", "null", "raw"):
        compressor = None
    if isinstance(filters, dict):
        filters = [filters]
    kept = {
        key: value for key, value in document.items() if key != "dimension_separator" or value in (".", "/")
    }
    return {
        **kept,
        "zarr_format": 2,
        "dtype": document.get("dtype") if dtype is None else dtype.str,
        "order": "F" if str(document.get("order")).upper() == "F" else "C",
        "fill_value": _fill(document.get("fill_value"), dtype, default=None),
        "compressor": compressor,
        "filters": filters if isinstance(filters, list) else None,
    }


def _usual_v3(document: Document) -> Document:
    data_type = document.get("data_type")
    if isinstance(data_type, dict) and not data_type.get("configuration"):
        data_type = data_type.get("name")
    dtype = _dtype(data_type)
    shape = document.get("shape")
    ndim = len(shape) if isinstance(shape, list) else 0
    names = document.get("dimension_names")
    endian = "big" if isinstance(data_type, str) and data_type.startswith(">") else "little"
    kept = {
        "node_type": "array",
        "data_type": data_type if dtype is None else dtype.name,
        "fill_value": _fill(document.get("fill_value"), dtype, default=0),
        "chunk_grid": _grid(document.get("chunk_grid")),
        "chunk_key_encoding": _named(document.get("chunk_key_encoding"), "default"),
        "codecs": _codecs(document.get("codecs"), ndim, endian),
        "dimension_names": names if isinstance(names, list) and len(names) == ndim else None,
    }
    # Drafts had more keys; those that say nothing can be left out.
    odd = {key for key, value in document.items() if key != "shape" and value in (None, [], {}, "C")}
    return {key: value for key, value in document.items() if key not in odd} | kept


def _dtype(text: Any) -> np.dtype[Any] | None:
    """Return the type of numbers that a text in any spelling stands for, little-endian if it does not say."""
    if not isinstance(text, str) or len(text) > 20:
        return None
    try:
        dtype = np.dtype(text.lower() if len(text) > 3 else text)
    except (TypeError, ValueError, SyntaxError):
        return None
    if dtype.kind not in "biufc":
        return None
    return dtype if text.startswith(">") else dtype.newbyteorder("<")


def _fill(value: Any, dtype: np.dtype[Any] | None, *, default: Any) -> Any:
    """Return a fill value that the type can have."""
    if dtype is None:
        return value
    if value is None or isinstance(value, list | dict):
        return False if dtype.kind == "b" and default is not None else default
    if dtype.kind == "b":
        return str(value).lower() not in ("false", "0", "0.0", "")
    if dtype.kind not in "iu":
        return value if value != "" else default
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return default
    limits = np.iinfo(dtype)
    inside = math.isfinite(number) and number.is_integer() and limits.min <= number <= limits.max
    return (value if isinstance(value, int) else int(number)) if inside else default


def _grid(value: Any) -> Any:
    """Return a grid of chunks as it is now; drafts kept the separator of chunk keys in it."""
    grid = _named(value)
    if isinstance(grid, dict):
        grid["configuration"].pop("separator", None)
    return grid


def _named(value: Any, name: str | None = None) -> Any:
    """Return what has a name and a configuration in that form: drafts had "type", and numbers beside it."""
    if value is None or isinstance(value, str):
        return {"name": value or name, "configuration": {}}
    if not isinstance(value, dict):
        return value
    rest = {key: item for key, item in value.items() if key not in ("name", "type", "id", "configuration")}
    configuration = value.get("configuration")
    named = next((value[key] for key in ("name", "type", "id") if key in value), name)
    return {
        "name": named.replace(_NUMCODECS, "numcodecs.") if isinstance(named, str) else named,
        "configuration": rest | (configuration if isinstance(configuration, dict) else {}),
    }


def _codecs(codecs: Any, ndim: int, endian: str, depth: int = 0) -> Any:
    if codecs is None or isinstance(codecs, dict | str):
        codecs = [] if codecs is None else [codecs]
    if not isinstance(codecs, list) or depth > _DEEPEST:
        return codecs
    usual_ones = [_codec(codec, ndim, endian, depth) for codec in codecs if not _does_nothing(codec)]
    names = [codec.get("name") if isinstance(codec, dict) else None for codec in usual_ones]
    if not any(name in _TO_BYTES or name in ("numcodecs.zfpy", "numcodecs.pcodec") for name in names):
        first = next((i for i, name in enumerate(names) if name != "transpose"), len(names))
        usual_ones.insert(first, {"name": "bytes", "configuration": {"endian": endian}})
    return usual_ones


def _does_nothing(codec: Any) -> bool:
    configuration = codec.get("configuration") if isinstance(codec, dict) else None
    return isinstance(configuration, dict) and configuration.get("order") == "C"


def _codec(codec: Any, ndim: int, endian: str, depth: int) -> Any:
    codec = _named(codec)
    if not isinstance(codec, dict):
        return codec
    name, configuration = codec["name"], codec["configuration"]
    if name in ("bytes", "endian"):
        return {"name": "bytes", "configuration": {"endian": configuration.get("endian") or endian}}
    if name == "transpose" and configuration.get("order") == "F":
        configuration = {"order": list(range(ndim))[::-1]}
    if isinstance(name, str) and name in _DEFAULTS:
        configuration = {**_DEFAULTS[name], **configuration}
        shuffle = configuration.get("shuffle")
        if isinstance(shuffle, int) and shuffle in (0, 1, 2):
            configuration["shuffle"] = _SHUFFLES[shuffle]
    for key in ("codecs", "index_codecs") if name == "sharding_indexed" else ():
        if key in configuration:
            configuration = {**configuration, key: _codecs(configuration[key], ndim, "little", depth + 1)}
    return {"name": name, "configuration": configuration}
