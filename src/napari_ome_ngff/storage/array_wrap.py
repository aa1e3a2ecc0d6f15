"""What the pixels of a level are handed out as: the Zarr array itself, or a lazy dask array."""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypedDict, cast

from napari_ome_ngff.errors import OptionError
from napari_ome_ngff.storage.lazy import Blocks, lazy_array, token, unit_of
from napari_ome_ngff.storage.location import location_of
from napari_ome_ngff.storage.source import ChunkedSource
from napari_ome_ngff.storage.stamps import fingerprint, state

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

        Returns
        -------
        zarr.Array
            The same object.
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

    Raises
    ------
    OptionError
        If `naming` is none of these.

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

    def __post_init__(self) -> None:
        if self.naming not in ("auto", "array_url"):
            raise OptionError(
                "This naming of dask arrays does not exist.",
                found=repr(self.naming),
                expected='"auto" or "array_url"',
            )

    def wrap(self, data: zarr.Array[Any]) -> dask.array.Array:
        """Wrap an array, without reading its values.

        Parameters
        ----------
        data
            The Zarr array of a level.

        Returns
        -------
        dask.array.Array
            With the same shape and dtype.

        Raises
        ------
        OptionError
            If the chunks do not fit the array.
        """
        source = ChunkedSource(data)
        name = f"ome-ngff-{uuid.uuid4().hex}" if self.naming == "auto" else _name_by_url(source)
        blocks = None if self.chunks == "auto" else _normalize(self.chunks, data)
        if blocks is not None:
            name = f"{name}-{token(blocks)}"
        return lazy_array(source, name=name, blocks=blocks, inline_array=self.inline_array, meta=self.meta)


def resolve_wrapper(wrapper: BaseArrayWrapper | ArrayWrapperSpec) -> BaseArrayWrapper:
    """Return the wrapper that an object or a spec dict stands for.

    Parameters
    ----------
    wrapper
        A wrapper, or ``{"name": "zarr_array" | "dask_array", "config": {...}}``.

    Returns
    -------
    BaseArrayWrapper
        The wrapper.

    Raises
    ------
    OptionError
        If the name or an option is not known.

    Examples
    --------
    >>> resolve_wrapper({"name": "dask_array", "config": {"chunks": 100}}).chunks
    100
    """
    if isinstance(wrapper, BaseArrayWrapper):
        return wrapper
    kinds: dict[str, type[BaseArrayWrapper]] = {
        "zarr_array": ZarrArrayWrapper,
        "dask_array": DaskArrayWrapper,
    }
    expected = 'a wrapper, or {"name": "zarr_array" | "dask_array", "config": {...}}'
    spec: Any = wrapper
    if not isinstance(spec, dict) or spec.get("name") not in kinds or set(spec) - {"name", "config"}:
        raise OptionError("This array wrapper is not known.", found=repr(wrapper), expected=expected)
    try:
        return kinds[spec["name"]](**spec.get("config", {}))
    except TypeError as error:
        raise OptionError(
            "This array wrapper has other options.", found=str(error), expected=expected
        ) from error


def _normalize(chunks: Chunks, array: zarr.Array[Any]) -> Blocks:
    from dask.array.core import normalize_chunks

    try:
        return cast(
            "Blocks",
            normalize_chunks(  # type: ignore[no-untyped-call]
                chunks, shape=array.shape, dtype=array.dtype, previous_chunks=unit_of(array)
            ),
        )
    except (ValueError, TypeError, NotImplementedError) as error:
        raise OptionError(
            "These chunks do not fit the array.",
            where=location_of(array),
            found=f"chunks={chunks!r} for shape {array.shape}: {error}",
        ) from error


def _name_by_url(source: ChunkedSource) -> str:
    """Return a name that says where an array is and in which state it is.

    dask and napari keep computed blocks under such names, so the name of what was overwritten must not come
    back. A state that cannot be told gives a name that is used once.
    """
    return f"{source.location}-{token((fingerprint(source.array), state(source.array)))}"
