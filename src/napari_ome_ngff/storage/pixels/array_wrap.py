"""What the pixels of a level are handed out as: the Zarr array itself, or a lazy dask array."""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypedDict, cast

from napari_ome_ngff.arguments import check_type, shown
from napari_ome_ngff.errors import OptionError
from napari_ome_ngff.storage.pixels.dask_array import lazy_array, token
from napari_ome_ngff.storage.pixels.dask_blocks import Blocks
from napari_ome_ngff.storage.pixels.freshness import fingerprint, state
from napari_ome_ngff.storage.pixels.indexing import Source
from napari_ome_ngff.storage.pixels.source import ChunkedSource, Missing

if TYPE_CHECKING:
    import dask.array
    import zarr

Chunks = str | int | tuple[int, ...] | tuple[tuple[int, ...], ...]


class ZarrArrayWrapperConfig(TypedDict, total=False):
    """Options of `ZarrArrayWrapper`: none."""


class DaskArrayWrapperConfig(TypedDict, total=False):
    """Options of `DaskArrayWrapper`."""

    chunks: Chunks
    meta: Any
    inline_array: bool
    naming: Literal["auto", "array_url"]
    missing: Literal["raise", "fill"]


class ZarrArrayWrapperSpec(TypedDict):
    """A `ZarrArrayWrapper`, said as a dict."""

    name: Literal["zarr_array"]
    config: ZarrArrayWrapperConfig


class DaskArrayWrapperSpec(TypedDict):
    """A `DaskArrayWrapper`, said as a dict."""

    name: Literal["dask_array"]
    config: DaskArrayWrapperConfig


ArrayWrapperSpec = ZarrArrayWrapperSpec | DaskArrayWrapperSpec
"""A wrapper said as ``{"name": "zarr_array" | "dask_array", "config": {...}}``."""


class BaseArrayWrapper(ABC):
    """Turns a ``zarr.Array`` into what holds the values of a DataArray."""

    @abstractmethod
    def wrap(self, data: zarr.Array[Any]) -> Any:
        """Wrap an array, without reading its values.

        Parameters
        ----------
        data
            The Zarr array of a level.

        Returns
        -------
        array
            With the same shape and dtype.
        """


@dataclass(frozen=True)
class ZarrArrayWrapper(BaseArrayWrapper):
    """Passes ``zarr.Array`` through unchanged.

    Examples
    --------
    >>> import zarr
    >>> array = zarr.create_array({}, shape=(2, 2), dtype="uint8")
    >>> ZarrArrayWrapper().wrap(array) is array
    True
    """

    def wrap(self, data: zarr.Array[Any]) -> zarr.Array[Any]:
        """Return the array itself.

        Parameters
        ----------
        data
            The Zarr array of a level.
        """
        return data


@dataclass(frozen=True)
class DaskArrayWrapper(BaseArrayWrapper):
    """Wraps a ``zarr.Array`` in a dask array that reads only what is asked for, through one cache.

    Parameters
    ----------
    chunks
        Blocks of the dask array: "auto" for large ones made of whole chunks or shards, or whatever
        ``dask.array.from_array`` accepts.
    meta
        Kind of array that a block is, as in ``dask.array.from_array``; by default numpy.
    inline_array
        Whether the source stands in each task rather than in a task of its own.
    naming
        "auto" gives each dask array a name of its own; "array_url" names it after the array's URL and state:
        the same name for the same state, another one when the array was written again.
    missing
        "raise" an error when a chunk cannot be read, or "fill" its place with the fill value, note it in
        ``storage.pixels.process_state.shared_failures()`` and try it again after some seconds: for viewers.
        Who computes with the values must not mistake such places for data.

    Raises
    ------
    OptionError
        If `naming` or `missing` is none of these.

    Examples
    --------
    >>> import zarr
    >>> array = zarr.create_array({}, shape=(4, 100, 100), chunks=(1, 50, 50), dtype="uint8")
    >>> lazy = DaskArrayWrapper().wrap(array)
    >>> lazy.chunks
    ((4,), (100,), (100,))
    >>> int(lazy[2].sum().compute())
    0
    """

    chunks: Chunks = "auto"
    meta: Any = None
    inline_array: bool = True
    naming: Literal["auto", "array_url"] = "auto"
    missing: Missing = "raise"

    def __post_init__(self) -> None:
        for what, value, allowed in (
            ("way to treat missing chunks", self.missing, ("raise", "fill")),
            ("naming of dask arrays", self.naming, ("auto", "array_url")),
        ):
            if shown(value) not in map(repr, allowed):
                expected = " or ".join(f'"{name}"' for name in allowed)
                raise OptionError(f"This {what} does not exist.", found=shown(value), expected=expected)
        check_type(self.chunks, (str, int, list, tuple), "Chunks", '"auto", a size, or sizes for each axis')
        check_type(self.inline_array, bool, "inline_array", "True or False")
        if self.meta is not None and not hasattr(type(self.meta), "__array_function__"):
            raise OptionError("The meta cannot be that.", found=shown(self.meta), expected="an empty array")

    def wrap(self, data: zarr.Array[Any]) -> dask.array.Array:
        """Wrap an array, without reading its values; OptionError if the chunks do not fit it.

        Parameters
        ----------
        data
            The Zarr array of a level.
        """
        return self.wrap_source(ChunkedSource(data, missing=self.missing))

    def wrap_source(self, source: Source) -> dask.array.Array:
        """Wrap anything that can be read by indexing, such as many arrays side by side.

        Parameters
        ----------
        source
            What is read. It decides what becomes of what cannot be read.
        """
        name = f"ome-ngff-{uuid.uuid4().hex}"
        if self.naming == "array_url" and isinstance(source, ChunkedSource):
            name = _name_by_url(source)
        if self.missing == "fill":
            name = f"{name}-fill"
        blocks = None if self.chunks == "auto" else _normalize(self.chunks, source)
        if blocks is not None:
            name = f"{name}-{token(blocks)}"
        return lazy_array(source, name=name, blocks=blocks, inline_array=self.inline_array, meta=self.meta)


def resolve_wrapper(wrapper: BaseArrayWrapper | ArrayWrapperSpec) -> BaseArrayWrapper:
    """The wrapper that an object or a spec dict stands for; OptionError if name or options are not known."""
    if isinstance(wrapper, BaseArrayWrapper):
        return wrapper
    kinds: dict[str, type[BaseArrayWrapper]] = {
        "zarr_array": ZarrArrayWrapper,
        "dask_array": DaskArrayWrapper,
    }
    expected = 'a wrapper, or {"name": "zarr_array" | "dask_array", "config": {...}}'
    spec: Any = wrapper
    if not isinstance(spec, dict) or spec.get("name") not in kinds or set(spec) - {"name", "config"}:
        raise OptionError("This array wrapper is not known.", found=shown(wrapper), expected=expected)
    try:
        return kinds[spec["name"]](**spec.get("config", {}))
    except TypeError as error:
        raise OptionError(
            "This array wrapper has other options.", found=str(error), expected=expected
        ) from error


def _normalize(chunks: Chunks, source: Source) -> Blocks:
    from dask.array.core import normalize_chunks

    try:
        blocks = normalize_chunks(  # type: ignore[no-untyped-call]
            chunks, shape=source.shape, dtype=source.dtype, previous_chunks=source.units
        )
        if any(sum(sizes) != n for sizes, n in zip(blocks, source.shape, strict=True)):
            raise ValueError("they do not add up to it")
        return cast("Blocks", blocks)
    except (ArithmeticError, ValueError, TypeError, LookupError, NotImplementedError) as error:
        raise OptionError(
            "These chunks do not fit the array.",
            where=min(source.locations, default=""),
            found=f"chunks {shown(chunks)} for shape {source.shape}: {error}",
        ) from error


def _name_by_url(source: ChunkedSource) -> str:
    """A name made of an array's location and state.

    dask and napari keep computed blocks under such names, so the name of what was overwritten must not come
    back. A state that cannot be told gives a name that is used once.
    """
    return f"{source.location}-{token((fingerprint(source.array), state(source.array), source.dtype.str))}"
