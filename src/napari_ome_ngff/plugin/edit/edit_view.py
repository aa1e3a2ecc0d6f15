"""What napari paints on: level 0 with the dimensions of a layer."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from types import EllipsisType
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from napari_ome_ngff.editing.label_edit import LabelEdit


class EditView:
    """A `LabelEdit` with the dimensions of a layer.

    `levels` is what the layer showed before. `axes` has the position in the file of each of the layer's
    dimensions, None for one that the file lacks; `channel` is the index along the file's axis that is none of
    the layer's; `window` is the part that the layer shows of it.
    """

    def __init__(
        self,
        edit: LabelEdit,
        *,
        levels: Any,
        axes: Sequence[int | None],
        channel: int | None,
        window: Sequence[slice] | None = None,
    ) -> None:
        self.edit = edit
        self.levels = levels
        self._axes = tuple(axes)
        self._channel = channel
        full = tuple(1 if axis is None else edit.shape[axis] for axis in self._axes)
        self.window = tuple(window) if window is not None else tuple(slice(0, n) for n in full)
        self.shape = tuple(part.stop - part.start for part in self.window)
        self.dtype = edit.dtype
        self.ndim = len(self.shape)
        self.size = math.prod(self.shape)
        self.largest_painted = 0  # label
        self.largest_in_file: int | None = None  # once it was looked for, in the overview
        self.overview: Any = None  # a level that can be looked through, if there is one
        # napari reads and writes at each dab of a brush: nothing is translated that need not be.
        self._as_file = self._axes == tuple(range(edit.ndim)) and self.shape == edit.shape

    def within(self, window: Sequence[slice] | None) -> EditView:
        """The same edit as seen through another window; None: all of it."""
        return EditView(self.edit, levels=self.levels, axes=self._axes, channel=self._channel, window=window)

    @property
    def is_whole(self) -> bool:
        """Whether the layer shows all of the file."""
        full = (1 if axis is None else self.edit.shape[axis] for axis in self._axes)
        return self.shape == tuple(full)

    @property
    def chunks(self) -> tuple[int, ...]:
        """Shape of the chunks, for whoever reads all of it."""
        return tuple(1 if axis is None else self.edit.chunks[axis] for axis in self._axes)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, int) and self.ndim > 2:
            return _Plane(self, key)
        if self._as_file:
            return self.edit[key]
        items = self._items(key)
        if any(isinstance(item, np.ndarray) for item in items):
            return self.edit[self._points(items)]
        values = self.edit[self._file_key(items)]
        return _as_in_layer(values, self._kept(items), items)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.largest_painted = max(self.largest_painted, int(np.max(value, initial=0)))
        if self._as_file:
            self.edit[key] = value
            return
        items = self._items(key)
        if any(isinstance(item, np.ndarray) for item in items):
            self.edit[self._points(items)] = value
            return
        kept = self._kept(items)
        shape = [len(item) for item in items if isinstance(item, range)]
        new = np.broadcast_to(np.asarray(value), shape)
        inserted = tuple(
            0 if axis is None else slice(None)
            for axis, item in zip(self._axes, items, strict=True)
            if isinstance(item, range)
        )
        new = new[inserted]
        self.edit[self._file_key(items)] = new.transpose(np.argsort(kept)) if kept else new

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        return np.asarray(self[...], dtype)

    def __len__(self) -> int:
        return self.shape[0]

    def _items(self, key: Any) -> list[Any]:
        """One integer, range or array of positions for each dimension, in the whole of the file."""
        items = list(key) if isinstance(key, tuple) else [key]
        if len(items) == 1 and isinstance(items[0], np.ndarray) and items[0].dtype == bool:
            items = list(np.nonzero(items[0]))
        gaps = [i for i, item in enumerate(items) if isinstance(item, EllipsisType)]
        at = gaps[0] if gaps else len(items)
        items[at : at + len(gaps)] = [slice(None)] * (self.ndim - len(items) + len(gaps))
        if len(items) != self.ndim:
            raise IndexError(f"{len(items)} indices for {self.ndim} dimensions")
        return [_absolute(item, part) for item, part in zip(items, self.window, strict=True)]

    def _points(self, items: Sequence[Any]) -> tuple[Any, ...]:
        """Lists of positions for each axis of the file; slices beside lists select as numpy does."""
        lists = [np.asarray(item) for item in items if not isinstance(item, range)]
        if len(lists) != len(items):  # napari gives a list for each dimension
            raise IndexError("lists of positions for some dimensions and slices for others are not supported")
        arrays = np.broadcast_arrays(*lists)
        by_axis = {axis: array for axis, array in zip(self._axes, arrays, strict=True) if axis is not None}
        channel = np.zeros_like(arrays[0]) + (self._channel or 0)
        return tuple(by_axis.get(i, channel) for i in range(self.edit.ndim))

    def _file_key(self, items: Sequence[Any]) -> tuple[Any, ...]:
        by_axis = {axis: item for axis, item in zip(self._axes, items, strict=True) if axis is not None}
        return tuple(_as_index(by_axis.get(i, self._channel or 0)) for i in range(self.edit.ndim))

    def _kept(self, items: Sequence[Any]) -> list[int]:
        """Axes of the file that are left of a request, in the layer's order."""
        pairs = zip(self._axes, items, strict=True)
        return [axis for axis, item in pairs if axis is not None and isinstance(item, range)]


class _Plane(np.lib.mixins.NDArrayOperatorsMixin):
    """``view[i]``, read when its values are needed: napari asks ``view[0]`` for its dtype, at each dab."""

    def __init__(self, view: EditView, index: int) -> None:
        range(view.shape[0])[index]  # IndexError now, not when it is read
        self._view, self._index = view, index
        self.shape, self.dtype, self.ndim = view.shape[1:], view.dtype, view.ndim - 1

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        return np.asarray(self._view[self._index, ...], dtype)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        arrays = [np.asarray(each) if isinstance(each, _Plane) else each for each in inputs]
        return getattr(ufunc, method)(*arrays, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # numpy looks for some of these while it makes an array of this
            raise AttributeError(name)
        return getattr(np.asarray(self), name)  # sum(), max() and the rest of an array

    def __getitem__(self, key: Any) -> Any:
        return np.asarray(self)[key]

    def __len__(self) -> int:
        return self.shape[0]


def _absolute(item: Any, part: slice) -> Any:
    n = part.stop - part.start
    if isinstance(item, slice):
        return range(part.start, part.stop)[item]
    if isinstance(item, list | np.ndarray) and np.ndim(item):
        positions = np.asarray(item)
        if ((positions < -n) | (positions >= n)).any():
            raise IndexError(f"an index is out of bounds for an axis of length {n}")
        return np.where(positions < 0, positions + n, positions) + part.start
    return range(part.start, part.stop)[operator.index(item)]


def _as_index(item: Any) -> Any:
    if not isinstance(item, range):
        return item
    stop = item.stop if item.step > 0 or item.stop >= 0 else None
    return slice(item.start, stop, item.step)


def _as_in_layer(values: Any, kept: Sequence[int], items: Sequence[Any]) -> Any:
    """Values in the order of the file, in that of the layer, with the dimensions that the file lacks."""
    if not kept and not any(isinstance(item, range) for item in items):
        return values
    ordered = np.asarray(values).transpose(np.argsort(kept).argsort()) if kept else np.asarray(values)
    return ordered.reshape([len(item) for item in items if isinstance(item, range)])
