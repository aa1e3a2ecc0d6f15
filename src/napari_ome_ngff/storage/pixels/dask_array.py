"""Dask arrays over a source: slices are pushed down to the source at once.

Their cost does not depend on how many chunks or arrays lie below.
"""

from __future__ import annotations

import functools
import hashlib
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from napari_ome_ngff.storage.pixels.dask_blocks import Blocks, cut_blocks, plan_blocks
from napari_ome_ngff.storage.pixels.indexing import Source, is_basic

if TYPE_CHECKING:
    import dask.array


class Pictures(Protocol):
    """What a viewer gets of a source while the rest is on its way; None for who is no viewer."""

    def picture(self, source: Source) -> np.ndarray[Any, Any] | None:
        """What there is of a part, into memory of the caller's own."""


@dataclass(frozen=True, kw_only=True)
class _Origin:
    """What all parts of one of our arrays share: its name, and the part of its source that has that name."""

    name: str
    part: object
    inline_array: bool
    meta: Any
    pictures: Pictures | None = None
    handed: dict[object, np.ndarray[Any, Any]] = field(
        default_factory=dict
    )  # by part: values that were read of it


def lazy_array(
    source: Source, *, name: str, blocks: Blocks | None, inline_array: bool, meta: Any
) -> dask.array.Array:
    """A dask array that reads from a source; nothing is read until it is computed.

    Slicing it with integers, slices and new axes, and transposing it, takes a part of the source and makes a
    dask array of that, so that only what a request needs is read whatever was done before. (dask itself
    pushes one slice down to the source, not a slice of a slice or of a transpose: a plane of a channel would
    read the channel, a plane across the order of storage all blocks that it cuts.)

    `name` must stand for this content alone. Without `blocks` they are planned, anew for every part that is
    taken; `inline_array` and `meta` are those of ``dask.array.from_array``.
    """
    origin = _Origin(name=name, part=source.part, inline_array=inline_array, meta=meta)
    return cast("dask.array.Array", SourceArray(source, blocks, origin))


def source_of(data: object) -> Source | None:
    """The source that a dask array of ours is; None for all else, such as what was computed from one."""
    return data.source if isinstance(data, SourceArray) and not data.is_changed() else None


def with_pictures(data: Any, pictures: Pictures) -> Any:
    """The same lazy array, which gives to viewers what there is; parts that are taken of it do so too."""
    return SourceArray(data.source, data.given_blocks, replace(data.origin, pictures=pictures))


def pictures_of(data: object) -> Pictures | None:
    """What gives to viewers what there is of a lazy array of ours."""
    return data.origin.pictures if isinstance(data, SourceArray) and not data.is_changed() else None


def hand_over(data: Any, values: np.ndarray[Any, Any] | None) -> None:
    """Give what was read of a lazy array to who asks next for just that part, once; None: no more."""
    data.origin.handed.pop(data.source.part, None)
    if values is not None:
        data.origin.handed[data.source.part] = values


def token(thing: object) -> str:
    """A short digest of what an object prints as: sixteen hexadecimal digits."""
    return hashlib.blake2b(repr(thing).encode(), digest_size=8).hexdigest()


_NOT_OF_ARRAYS = ("expr", "__dask_exprs__")  # by these dask knows other collections


class SourceArray:
    """A dask array that is nothing but a source: slicing or transposing it takes a part of that.

    It passes for a ``dask.array.Array``, which is made, and dask.array imported, when something is asked that
    viewers do not ask: 0.5 s of napari's start. Copies and results are ordinary dask arrays.
    """

    def __init__(self, source: Source, blocks: Blocks | None, origin: _Origin) -> None:
        self.source = source
        self.given_blocks = blocks
        self.origin = origin
        self.shape, self.dtype = source.shape, source.dtype
        self.ndim, self.size = len(self.shape), math.prod(self.shape)
        self.nbytes = self.size * self.dtype.itemsize
        self._array: Any = None

    @property
    def __class__(self) -> type:  # isinstance asks for it, where the type itself does not answer
        return SourceArray if (array := _dask_type()) is None else array

    @__class__.setter
    def __class__(self, _: type) -> None:
        raise TypeError("The class of a lazy array cannot be changed.")

    def dask_array(self) -> Any:
        """The same as an ordinary dask array."""
        if self._array is None:
            import dask.array

            source, meta = self.source, self.origin.meta
            self._array = dask.array.from_array(  # type: ignore[no-untyped-call]
                source,
                chunks=self.chunks,
                name=self.name,
                inline_array=self.origin.inline_array,
                meta=np.empty((0,) * source.ndim, source.dtype) if meta is None else meta,
                asarray=False,
                fancy=True,  # with False dask 2026.8 pushes no slice down at all
            )
        return self._array

    def is_changed(self) -> bool:
        """Whether something was assigned to it."""
        return self._array is not None and self._array.name != self._name

    def __getattr__(self, name: str) -> Any:
        # Many ask whether there is an attribute that only others have, which needs no dask array.
        array = _dask_type()
        if array is None and name not in _NOT_OF_ARRAYS and not _is_private(name):
            array = _import_dask_type()
        if not hasattr(array, name):
            raise AttributeError(f"A dask array has no attribute {name!r}.", name=name, obj=self)
        return getattr(self.dask_array(), name)

    @functools.cached_property
    def _meta(self) -> Any:
        # xarray asks for it each time that it gets the array.
        if self.origin.meta is not None:
            return self.dask_array()._meta
        return np.empty((0,) * self.ndim, self.dtype)

    @functools.cached_property
    def _name(self) -> str:
        is_whole = self.source.part == self.origin.part
        return self.origin.name if is_whole else f"{self.origin.name}-{token(self.source.part)}"

    @property
    def name(self) -> str:
        """Name of the dask array: of its content alone."""
        return self._name if self._array is None else self._array.name

    @functools.cached_property
    def chunks(self) -> Blocks:
        """Lengths of the blocks along each axis."""
        if self.given_blocks is not None:
            return self.given_blocks
        return plan_blocks(self.source.dims, self.source.units, self.dtype.itemsize)

    @property
    def T(self) -> Any:
        """The axes in the other order."""
        return self.transpose()

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of unsized object")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def transpose(self, *axes: Any) -> Any:
        """A view with the axes in another order."""
        given = axes[0] if len(axes) == 1 and isinstance(axes[0], Iterable) else axes
        order = tuple(range(self.ndim))[::-1] if not given else tuple(int(i) % self.ndim for i in given)
        if self.is_changed() or sorted(order) != list(range(self.ndim)):
            return self.dask_array().transpose(*axes)
        given_blocks = self.given_blocks
        blocks = None if given_blocks is None else tuple(given_blocks[i] for i in order)
        return SourceArray(self.source.transpose(order), blocks, self.origin)

    def __getitem__(self, index: Any) -> Any:
        if self.is_changed() or not is_basic(index):
            return self.dask_array()[index]
        part = self.source.view(index)
        if part.part == self.source.part:
            return self
        given = self.given_blocks
        return SourceArray(
            part, None if given is None else cut_blocks(given, self.source.dims, index), self.origin
        )

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        # One request is one read, with all its chunks under way at once, however many blocks it cuts:
        # blocks would be put together from copies, and each be small enough for the cache to keep it.
        pictures = self.origin.pictures
        if self.is_changed() or self.origin.meta is not None:
            return np.asarray(self.dask_array().compute(), dtype=dtype)
        if (values := self.origin.handed.pop(self.source.part, None)) is not None:
            return values if dtype is None else values.astype(dtype, copy=False)
        if pictures is not None and (there := pictures.picture(self.source)) is not None:
            return there if dtype is None else there.astype(dtype, copy=False)
        return self.source.__array__(dtype)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        return getattr(ufunc, method)(*_as_dask(inputs), **_as_dask(options))

    def __array_function__(self, function: Any, types: Any, inputs: Any, options: Any) -> Any:
        return function(*_as_dask(inputs), **_as_dask(options))

    def __dask_graph__(self) -> Mapping[Any, Any]:
        # napari only wants to know whether there is one.
        return _Graph(self) if _dask_type() is None else self.dask_array().dask

    def __reduce__(self) -> Any:
        return _as_dask, (self.dask_array(),)


class _Graph(Mapping[Any, Any]):
    """The graph of an array, made when something is looked up in it."""

    def __init__(self, array: SourceArray) -> None:
        self._array = array

    def __getitem__(self, key: Any) -> Any:
        return self._array.dask_array().dask[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._array.dask_array().dask)

    def __len__(self) -> int:
        return len(self._array.dask_array().dask)


def _as_dask(thing: Any) -> Any:
    if isinstance(thing, SourceArray):
        return thing.dask_array()
    if type(thing) in (list, tuple):
        return type(thing)(map(_as_dask, thing))
    return {key: _as_dask(value) for key, value in thing.items()} if type(thing) is dict else thing


def _dask_type() -> Any:
    return getattr(sys.modules.get("dask.array"), "Array", None)


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__dask_")


def _import_dask_type() -> Any:
    import dask.array

    return dask.array.Array


def _delegated(name: str) -> Callable[..., Any]:
    # Python looks operators up in the class.

    def operator(self: SourceArray, *given: Any) -> Any:
        return getattr(self.dask_array(), name)(*_as_dask(given))

    operator.__name__ = name
    return operator


_OF_ONE = "abs bool complex float index int invert neg pos repr setitem"
_OF_TWO = "add and divmod floordiv lshift matmul mod mul or pow rshift sub truediv xor"
_COMPARISONS = "eq ge gt le lt ne"

for _operator in (
    *_OF_ONE.split(),
    *_OF_TWO.split(),
    *(f"r{one}" for one in _OF_TWO.split()),
    *_COMPARISONS.split(),
):
    setattr(SourceArray, f"__{_operator}__", _delegated(f"__{_operator}__"))
