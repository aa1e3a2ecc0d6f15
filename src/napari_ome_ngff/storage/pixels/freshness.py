"""Which state of an array something was decoded from, so that nothing stale is shown."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import zarr

Position = tuple[int, ...]
"""Position of a chunk in the chunk grid."""


_NAMES = frozenset({"attributes", "dimension_names"})


_MAX_FILES = 20_000  # that are looked at to tell the state of an array


def stored_position(array: zarr.Array[Any], grid: Position, position: Position) -> Position:
    """Return the position of the stored object that holds a chunk: its own, or that of its shard.

    Parameters
    ----------
    array
        The array.
    grid
        Shape of its chunks.
    position
        Position of the chunk in the chunk grid.

    Returns
    -------
    tuple of int
        What ``encode_chunk_key`` takes.
    """
    if array.shards is None:
        return position
    return tuple(p * c // s for p, c, s in zip(position, grid, array.shards, strict=True))


def fingerprint(array: zarr.Array[Any]) -> str:
    """Return a digest of an array's metadata.

    Parameters
    ----------
    array
        The array.

    Returns
    -------
    str
        The same for the same shape, chunks, codecs and attributes.
    """
    text = json.dumps(array.metadata.to_dict(), default=str, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def stamper(array: zarr.Array[Any]) -> Callable[[Position], object] | None:
    """Return what tells from which state a chunk was decoded.

    Parameters
    ----------
    array
        The array.

    Returns
    -------
    callable or None
        From the position of a chunk to a value that changes when the chunk is written again; None where a
        store cannot tell without a request (remote ones).
    """
    store: Any = array.store
    kind, prefix = type(store).__name__, f"{array.path}/" if array.path else ""
    grid = tuple(max(1, n) for n in array.chunks)
    encode = array.metadata.encode_chunk_key
    if kind == "LocalStore":
        root = os.path.join(os.path.abspath(str(store.root)), prefix)
        return lambda position: file_stamp(root + encode(stored_position(array, grid, position)))
    if kind == "ZipStore":
        path = os.path.abspath(str(store.path))
        return lambda position: file_stamp(path)
    if kind == "MemoryStore":
        return lambda position: store._store_dict.get(prefix + encode(stored_position(array, grid, position)))
    return None


class Place:
    """Whether an array is still the one at its place: somebody may have put another one there.

    Chunks of another array, or of one that is stored in another way, would be decoded to nonsense.

    Parameters
    ----------
    array
        The array.

    Examples
    --------
    >>> import zarr
    >>> store = zarr.storage.MemoryStore()
    >>> place = Place(zarr.create_array(store, shape=(4,), chunks=(2,), dtype="uint8"))
    >>> place.is_taken()
    False
    >>> _ = zarr.create_array(store, shape=(4,), chunks=(1,), dtype="uint8", overwrite=True)
    >>> place.is_taken()
    True
    """

    def __init__(self, array: zarr.Array[Any]) -> None:
        self._array = array
        self._seen: object = None

    def is_taken(self) -> bool:
        """Tell whether another array is there now, or none; False where a server would have to be asked."""
        metadata, store = self._array.metadata, self._array.store
        name = "zarr.json" if metadata.zarr_format == 3 else ".zarray"
        key = f"{self._array.path}/{name}" if self._array.path else name
        kind = type(store).__name__
        if kind == "LocalStore":
            path = os.path.join(str(getattr(store, "root", "")), key)
            now: object = file_stamp(path)
        elif kind == "MemoryStore":
            now = getattr(store, "_store_dict", {}).get(key)
        else:
            return False
        if now is self._seen or now == self._seen:
            return False
        try:
            content = Path(path).read_bytes() if kind == "LocalStore" else now.to_bytes()  # type: ignore[attr-defined]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # whoever opened the array was told of what is odd about it
                found = type(metadata).from_dict({**json.loads(content), "attributes": {}})
        except Exception:  # noqa: BLE001 (it is gone, or damaged in any way)
            return True
        if _layout(found) != _layout(metadata):
            return True
        self._seen = now
        return False


def _layout(metadata: Any) -> dict[str, Any]:
    """What the values of an array depend on, besides its chunks."""
    return {key: repr(value) for key, value in metadata.to_dict().items() if key not in _NAMES}


def file_stamp(path: str) -> tuple[int, ...] | None:
    """Return what changes when a file is written again.

    Parameters
    ----------
    path
        Path of the file.

    Returns
    -------
    tuple of int or None
        Inode, size and times; None if there is no such file.

    Examples
    --------
    >>> file_stamp("/no/such/file") is None
    True
    """
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def state(array: zarr.Array[Any]) -> object:
    """Return what changes when any pixel of an array is written again.

    Parameters
    ----------
    array
        The array.

    Returns
    -------
    object
        With a ``repr`` that tells states apart; a new one each time where the state cannot be told: too many
        files, or a store that would have to be asked for each chunk.
    """
    store: Any = array.store
    kind = type(store).__name__
    if kind == "ZipStore":
        return file_stamp(str(store.path))
    if kind == "MemoryStore":
        prefix = f"{array.path}/" if array.path else ""
        digest = hashlib.blake2b(digest_size=16)
        for key in sorted(key for key in store._store_dict if key.startswith(prefix)):
            digest.update(key.encode() + store._store_dict[key].to_bytes())
        return digest.hexdigest()
    found: list[object] = []
    if kind == "LocalStore":
        for folder, _, files in os.walk(os.path.join(str(store.root), array.path)):
            found += [(name, file_stamp(os.path.join(folder, name))) for name in sorted(files)]
            if len(found) > _MAX_FILES:
                break
        else:
            return sorted(map(repr, found))
    return uuid.uuid4().hex
