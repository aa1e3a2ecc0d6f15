"""What an array looks like on disk: chunks, codecs and fill value, for Zarr v2 and v3."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ome_ngff.arguments import shown
from napari_ome_ngff.errors import OptionError
from napari_ome_ngff.writing.plan.options import StorageOptions

if TYPE_CHECKING:
    import zarr
    from numpy.typing import DTypeLike
    from pydantic_zarr.v2 import ArraySpec as ArraySpecV2
    from pydantic_zarr.v3 import ArraySpec as ArraySpecV3

# What the bytes of a stored chunk, and of one that is missing, depend on. Their keys are not among it.
_V2 = ("shape", "chunks", "dtype", "order", "compressor", "filters", "fill_value")


_V3 = ("shape", "data_type", "chunk_grid", "codecs", "fill_value", "storage_transformers")


_KEYS_V3: Any = {"name": "default", "configuration": {"separator": "/"}}  # of chunks, as OME-Zarr wants them


def spec_like(array: zarr.Array[Any], dims: Sequence[str]) -> ArraySpecV2[Any] | ArraySpecV3[Any]:
    """Model an array that is stored as another one is, attributes included, with OME-Zarr's chunk keys."""
    attributes = attributes_like(array, dims)
    if array.metadata.zarr_format == 2:
        return _stored(array).model_copy(update={"dimension_separator": "/", "attributes": attributes})
    update = {"dimension_names": tuple(dims), "chunk_key_encoding": _KEYS_V3, "attributes": attributes}
    return _stored(array).model_copy(update=update)


def _stored(array: zarr.Array[Any]) -> ArraySpecV2[Any] | ArraySpecV3[Any]:
    # What `from_zarr` does, which looks the version of Zarr up each time: 3 ms for each array of a plan.
    document = array.metadata.to_dict()
    if array.metadata.zarr_format == 2:
        from pydantic_zarr.v2 import ArraySpec

        return ArraySpec.model_validate(document)
    from pydantic_zarr.core import tuplify_json
    from pydantic_zarr.v3 import ArraySpec as ArraySpecV3

    return ArraySpecV3.model_validate(tuplify_json(document))


def stored_like(spec: Any, array: zarr.Array[Any]) -> Any:
    """The model of an array whose chunks are encoded as those of another one, in the same format of Zarr."""
    like = spec_like(array, ())
    names = ("dtype", "compressor", "filters", "order", "fill_value", "dimension_separator")
    if array.metadata.zarr_format == 2:
        given: Any = _stored(array)
        return spec.model_copy(update={name: getattr(given, name) for name in names})
    codecs: list[Any] = list(like.codecs)  # type: ignore[union-attr]
    sharding = spec.codecs[0] if spec.codecs and spec.codecs[0]["name"] == "sharding_indexed" else None
    if codecs[0]["name"] == "sharding_indexed":
        inside = codecs[0]["configuration"]
        if sharding is None:
            codecs = list(inside["codecs"])
        else:
            kept = {**inside, "chunk_shape": sharding["configuration"]["chunk_shape"]}
            codecs = [{**codecs[0], "configuration": kept}, *codecs[1:]]
    return spec.model_copy(update={"codecs": tuple(codecs), "fill_value": like.fill_value})


def attributes_like(array: zarr.Array[Any], dims: Sequence[str]) -> dict[str, Any]:
    """Return the attributes of an array for one that has the same voxels along `dims`."""
    attributes: dict[str, Any] = dict(array.metadata.attributes)
    if "_ARRAY_DIMENSIONS" in attributes:  # xarray's names of the axes
        attributes["_ARRAY_DIMENSIONS"] = list(dims)
    return attributes


def says_same_storage(document: Mapping[str, Any], array: zarr.Array[Any]) -> bool:
    """Whether a document says, in the words of zarr-python, that values are stored as those of an array."""
    return _storage(document) == _storage(array.metadata.to_dict())


def has_same_storage(model: Any, array: zarr.Array[Any]) -> bool:
    """Whether a pydantic-zarr model of an array stores the same values as the same bytes as an array."""
    from zarr.core.metadata import ArrayV2Metadata, ArrayV3Metadata

    given = model.model_dump()
    kind = ArrayV3Metadata if given["zarr_format"] == 3 else ArrayV2Metadata
    # Codecs are compared with what they say by default, unless both say the same.
    return says_same_storage(given, array) or says_same_storage(kind.from_dict(given).to_dict(), array)


def _storage(about: Mapping[str, Any]) -> str:
    wanted = _V3 if about.get("zarr_format") == 3 else _V2
    # As text: NaN is NaN, and a tuple is a list.
    return json.dumps(
        [about.get("zarr_format"), *(about.get(key) for key in wanted)], default=str, sort_keys=True
    )


_CHUNK_BYTES = 4 * 2**20


_BLOCK = 2**20


_OPEN_BLOCK = 2**19  # hardly slower, and in chunks of 8 MiB two threads take 25 MiB less


_BLOSC_SHUFFLE = {0: "noshuffle", 1: "shuffle", 2: "bitshuffle"}


def auto_chunks(shape: Sequence[int], axis_types: Sequence[str | None], itemsize: int) -> tuple[int, ...]:
    """Choose chunks that are cheap to write plane by plane and quick to show, about 1 to 4 MiB.

    Along y and x 256 or more, along z up to 16 planes (32 of 8-bit data), along time, channel and custom
    axes 1; never larger than the array.

    >>> auto_chunks((2, 64, 2048, 2048), ("channel", "space", "space", "space"), 2)
    (1, 16, 256, 256)
    """
    spatial = [i for i, kind in enumerate(axis_types) if kind == "space"]
    plane, depth = spatial[-2:], spatial[:-2]
    chunks = [1] * len(shape)
    for i in depth:
        chunks[i] = min(shape[i], 32 if itemsize == 1 else 16)
    planes = int(np.prod([chunks[i] for i in depth], dtype=np.int64))
    side = 256
    while planes * side**2 * itemsize > _CHUNK_BYTES and side > 64:
        side //= 2
    while planes * (2 * side) ** 2 * itemsize <= _CHUNK_BYTES:
        side *= 2
    for i in plane:
        chunks[i] = side
    return clip_chunks(chunks, shape)


def choose_compressor(compressor: object, *, labels: bool = False) -> object:
    """Return the compressor that ``"auto"`` stands for; any other as it is, but for an open block of blosc.

    It is blosc-zstd at level 1 in blocks of 1 MiB. Blosc with zstd whose block is left open (0) gets blocks
    of 512 KiB: with those that blosc would choose it takes longer to encode, and much longer to decode.
    Shuffled bytes make images smaller and faster to encode; label images are runs of equal values, which
    shuffling breaks up. The measurements are in ``docs/explanation/compression.md``.
    """
    from numcodecs import Blosc, get_codec

    if isinstance(compressor, str) and compressor == "auto":
        shuffle = Blosc.NOSHUFFLE if labels else Blosc.SHUFFLE
        return Blosc(cname="zstd", clevel=1, shuffle=shuffle, blocksize=_BLOCK)
    if compressor is None:
        return None
    config = _codec_config(compressor)
    try:
        get_codec(config)
    except Exception as error:  # codecs raise whatever they like
        raise OptionError(
            "There is no such compressor.",
            found=f"{type(error).__name__}: {error}",
            expected='"auto", a numcodecs codec such as numcodecs.Zstd(level=3), or None',
        ) from error
    if config.get("id") == "blosc" and config.get("cname") == "zstd" and not config.get("blocksize"):
        return {**config, "blocksize": _OPEN_BLOCK}
    return compressor


def clip_chunks(chunks: Sequence[int], shape: Sequence[int]) -> tuple[int, ...]:
    """Cut `chunks` to a shape: nowhere larger than `shape` and nowhere smaller than 1."""
    return tuple(max(1, min(chunk, size)) for chunk, size in zip(chunks, shape, strict=True))


def array_spec(
    *,
    shape: Sequence[int],
    dtype: DTypeLike,
    chunks: Sequence[int],
    shards: Sequence[int] | None = None,
    dims: Sequence[str],
    options: StorageOptions,
    labels: bool = False,
) -> ArraySpecV2[Any] | ArraySpecV3[Any]:
    """Make the pydantic-zarr model of one level; of `options` it takes version, compressor and fill value.

    0.5, "multiscales": in Zarr v3 `dims` are stored as dimension names, which must equal those of the axes.
    """
    kind = np.dtype(dtype)
    if kind.kind not in "biufc" or kind.itemsize > 16 or (kind.kind == "f" and kind.itemsize > 8):
        raise OptionError(
            f"Data of type {kind} cannot be stored in OME-Zarr.",
            expected="booleans, integers, floating point or complex numbers",
        )
    fill = _fill_json(options.fill_value, kind)
    compressor = choose_compressor(options.compressor, labels=labels)
    if options.zarr_format == 3:
        from pydantic_zarr.v3 import ArraySpec as ArraySpecV3

        grid: Any = {"name": "regular", "configuration": {"chunk_shape": tuple(shards or chunks)}}
        return ArraySpecV3(
            attributes={},
            shape=tuple(shape),
            data_type=kind.newbyteorder("=").name,
            chunk_grid=grid,
            chunk_key_encoding=_KEYS_V3,
            fill_value=fill,
            codecs=tuple(_codecs_v3(chunks, shards, kind, compressor)),
            storage_transformers=(),
            dimension_names=tuple(dims),
        )
    from pydantic_zarr.v2 import ArraySpec

    return ArraySpec(
        attributes={},
        shape=tuple(shape),
        chunks=tuple(chunks),
        dtype=kind.str,
        fill_value=fill,
        order="C",
        filters=None,
        dimension_separator="/",
        compressor=_codec_v2(compressor),
    )


def _codecs_v3(
    chunks: Sequence[int], shards: Sequence[int] | None, dtype: np.dtype[Any], compressor: object
) -> list[Any]:
    """Codecs of Zarr v3, from values to what is stored at once: a chunk, or a shard of them."""
    to_bytes: dict[str, Any] = {"name": "bytes"}
    if dtype.itemsize > 1:
        to_bytes["configuration"] = {"endian": "big" if dtype.byteorder == ">" else "little"}
    compressed = _codec_v3(compressor, dtype.itemsize)
    codecs = [to_bytes] if compressed is None else [to_bytes, compressed]
    if shards is None:
        return codecs
    configuration = {
        "chunk_shape": list(chunks),
        "codecs": codecs,
        "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}],
        "index_location": "end",
    }
    return [{"name": "sharding_indexed", "configuration": configuration}]


def _codec_config(compressor: object) -> dict[str, Any]:
    """Return a compressor as numcodecs would write it, whatever package it comes from."""
    if hasattr(type(compressor), "get_config"):
        return dict(compressor.get_config())  # type: ignore[attr-defined]
    if isinstance(compressor, Mapping):
        return dict(compressor)
    if hasattr(type(compressor), "to_dict"):
        given = compressor.to_dict()  # type: ignore[attr-defined]
        config = {"id": given["name"], **given.get("configuration", {})}
        if given["name"] == "blosc":
            names = {name: number for number, name in _BLOSC_SHUFFLE.items()}
            config["shuffle"] = names[str(getattr(config["shuffle"], "value", config["shuffle"]))]
            config["cname"] = str(getattr(config["cname"], "value", config["cname"]))
            config.pop("typesize", None)
        return config
    raise OptionError(
        f"{type(compressor).__name__} is no compressor.",
        expected='"auto", a numcodecs codec such as numcodecs.Zstd(level=3), or None',
    )


def _codec_v2(compressor: object) -> dict[str, Any] | None:
    if compressor is None:
        return None
    config = _codec_config(compressor)
    if config.get("checksum") is False:
        # Older and stricter readers do not know the key; without it the bytes are the same.
        del config["checksum"]
    return config


def _codec_v3(compressor: object, itemsize: int) -> dict[str, Any] | None:
    """Return the Zarr v3 metadata of a compressor; refused if Zarr v3 has none that every reader knows."""
    if compressor is None:
        return None
    config = _codec_config(compressor)
    match config.get("id"):
        case "zstd":
            options = {"level": config.get("level", 0), "checksum": bool(config.get("checksum", False))}
        case "gzip":
            options = {"level": config.get("level", 5)}
        case "blosc":
            options = _blosc_v3(config, itemsize)
        case name:
            raise OptionError(
                f"The compressor {name!r} has no counterpart in Zarr v3.",
                expected="Zstd, Blosc, GZip or None for OME-Zarr 0.5 and later",
            )
    return {"name": config["id"], "configuration": options}


def _blosc_v3(config: Mapping[str, Any], itemsize: int) -> dict[str, Any]:
    shuffle = config.get("shuffle", 1)
    if shuffle == -1:
        # numcodecs' AUTOSHUFFLE: bits for single bytes, bytes for the rest.
        shuffle = 2 if itemsize == 1 else 1
    return {
        "cname": config.get("cname", "lz4"),
        "clevel": config.get("clevel", 5),
        "shuffle": _BLOSC_SHUFFLE[shuffle],
        "typesize": itemsize,
        "blocksize": config.get("blocksize", 0),
    }


def _fill_json(fill_value: object, dtype: np.dtype[Any]) -> Any:
    """Return the fill value as JSON of the dtype; refused if the dtype cannot hold it."""
    try:
        value = np.asarray(fill_value)
        fill = value.astype(dtype.newbyteorder("="))
        same = fill.shape == () and bool(fill == value or (fill != fill and value != value))
    except (TypeError, ValueError, OverflowError):
        same = False
    if not same:
        raise OptionError(
            f"The fill value {shown(fill_value)} is no value of type {dtype}.",
            hint="Choose one that the data type can hold, usually 0.",
        )
    if dtype.kind == "c":
        return [_float_json(fill.real), _float_json(fill.imag)]
    if dtype.kind == "f":
        return _float_json(fill)
    return fill.item()


def _float_json(value: Any) -> float | str:
    number = float(value)
    if np.isnan(number):
        return "NaN"
    return ("Infinity" if number > 0 else "-Infinity") if np.isinf(number) else number
