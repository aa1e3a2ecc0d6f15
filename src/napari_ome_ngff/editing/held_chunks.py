"""Chunks that were painted and are not saved: in memory up to a limit, then on disk."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Position = tuple[int, ...]
"""Position of a chunk in the grid of its array."""


class HeldChunks:
    """Chunks by their position; those that were not used for longest go to a temporary folder first."""

    def __init__(self, memory_limit: int) -> None:
        self._limit = memory_limit
        self._memory: OrderedDict[Position, NDArray[Any]] = OrderedDict()
        self._in_memory = 0
        self._files: dict[Position, str] = {}
        self._folder: str | None = None
        self.nbytes = 0

    def __len__(self) -> int:
        return len(self._memory) + len(self._files)

    def __iter__(self) -> Iterator[Position]:
        yield from sorted([*self._memory, *self._files])

    def __contains__(self, position: object) -> bool:
        return position in self._memory or position in self._files

    def get(self, position: Position) -> NDArray[Any] | None:
        """The chunk at a position, to be looked at or painted on, or None."""
        chunk = self._memory.get(position)
        if chunk is not None:
            self._memory.move_to_end(position)
            return chunk
        path = self._files.pop(position, None)
        if path is None:
            return None
        loaded: NDArray[Any] = np.load(path)
        os.unlink(path)
        self._keep(position, loaded)
        return loaded

    def put(self, position: Position, chunk: NDArray[Any]) -> None:
        """Hold a chunk that is not held yet."""
        self.nbytes += chunk.nbytes
        self._keep(position, chunk)

    def _keep(self, position: Position, chunk: NDArray[Any]) -> None:
        self._memory[position] = chunk
        self._in_memory += chunk.nbytes
        while self._in_memory > self._limit and len(self._memory) > 1:
            oldest, spilled = self._memory.popitem(last=False)
            self._in_memory -= spilled.nbytes
            self._files[oldest] = self._spill(oldest, spilled)

    def _spill(self, position: Position, chunk: NDArray[Any]) -> str:
        if self._folder is None:
            self._folder = tempfile.mkdtemp(prefix="ome-ngff-edit-")
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        path = os.path.join(self._folder, ".".join(map(str, position)) + ".npy")
        np.save(path, chunk)
        return path
