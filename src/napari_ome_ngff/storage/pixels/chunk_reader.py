"""Chunks of one array, decoded: the bytes are fetched and understood here, or by Zarr if they are unusual."""

from __future__ import annotations

import functools
import itertools
import uuid
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from zarr.core.buffer.cpu import NDBuffer

from napari_ome_ngff.storage.pixels.codecs import ChunkFormat, ShardIndex, chunk_format
from napari_ome_ngff.storage.pixels.freshness import Place, Position, fingerprint, stamper, stored_position
from napari_ome_ngff.storage.pixels.indexing import boxes
from napari_ome_ngff.storage.places.location import location_of
from napari_ome_ngff.storage.places.requests import Answer, Piece, read_pieces

if TYPE_CHECKING:
    import zarr

    from napari_ome_ngff.storage.pixels.chunk_cache import ChunkCache


Part = tuple[tuple[slice, ...], np.ndarray[Any, Any]]
"""Where a part lies in the region, and its values."""


class _Catcher(NDBuffer):
    """Takes what Zarr would write into an output array, and keeps it instead of copying it."""

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        # One value seen as the whole region, not writable: nothing can be written to it unnoticed.
        super().__init__(np.broadcast_to(np.zeros((), dtype), shape))
        self.parts: list[tuple[Any, Any]] = []

    def __setitem__(self, key: Any, value: Any) -> None:
        self.parts.append((key, value.as_ndarray_like() if hasattr(value, "as_ndarray_like") else value))


def read_through_zarr(
    array: zarr.Array[Any],
    positions: Sequence[Position],
    take: Callable[[Position, np.ndarray[Any, Any] | Exception], None],
) -> None:
    """Decode chunks in as few calls of Zarr as possible.

    Parameters
    ----------
    array
        The array.
    positions
        Positions in the chunk grid.
    take
        Gets each chunk, without what lies beyond the end of the array, or why it could not be read; in any
        order and in any thread.
    """
    todo = boxes(set(positions)) if positions else []
    wanted = set(positions)

    def read(box: tuple[Position, Position]) -> None:
        for position, chunk in _read_box(array, *box).items():
            if position in wanted:
                take(position, chunk)

    if len(todo) > 1:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(min(8, len(todo))) as pool:
            list(pool.map(read, todo))
    else:
        for box in todo:
            read(box)


def _read_box(
    array: zarr.Array[Any], low: Position, high: Position
) -> dict[Position, np.ndarray[Any, Any] | Exception]:
    """Read a box of neighbouring chunks in one call, each chunk in memory of its own."""
    grid = tuple(max(1, n) for n in array.chunks)
    region = _region(array, grid, low, high)
    try:
        parts = read_parts(array, region)
    except Exception as error:  # noqa: BLE001 (codecs and stores raise whatever they like)
        if low == high:
            return {low: error}
        alone: dict[Position, np.ndarray[Any, Any] | Exception] = {}
        for position in itertools.product(*(range(a, b + 1) for a, b in zip(low, high, strict=True))):
            alone |= _read_box(array, position, position)
        return alone
    decoded: dict[Position, np.ndarray[Any, Any] | Exception] = {}
    for where, values in parts:  # one chunk each, or those of a shard
        corner = [s.start + p.start for s, p in zip(region, where, strict=True)]
        ends = [s.start + p.stop for s, p in zip(region, where, strict=True)]
        numbers = [range(a // n, -(-b // n)) for a, b, n in zip(corner, ends, grid, strict=True)]
        for position in itertools.product(*numbers):
            own = _region(array, grid, position, position)
            inside: Any = tuple(slice(s.start - a, s.stop - a) for s, a in zip(own, corner, strict=True))
            decoded[position] = _own(values[(*inside, ...)])
    return decoded


def read_parts(array: zarr.Array[Any], region: tuple[slice, ...]) -> list[Part]:
    """Read a region in one call, as the decoded chunks (or parts of shards) that Zarr makes it from.

    Parameters
    ----------
    array
        The array.
    region
        Slices without steps and with both ends, one per axis.

    Returns
    -------
    list of (tuple of slice, numpy.ndarray)
        Parts that cover the region once; their slices are relative to it. Whoever keeps a part should copy
        it if it is a view.

    Examples
    --------
    >>> import zarr
    >>> array = zarr.create_array({}, shape=(4,), chunks=(2,), dtype="uint8", fill_value=5)
    >>> [(where[0].start, values.tolist()) for where, values in read_parts(array, (slice(0, 4),))]
    [(0, [5, 5]), (2, [5, 5])]
    """
    shape = tuple(part.stop - part.start for part in region)
    whole = tuple(slice(0, n) for n in shape)
    pipeline = array._async_array.codec_pipeline
    if not shape or not type(pipeline).__module__.startswith("zarr."):
        # Pipelines of other packages may write to the memory of the output.
        return [(whole, np.asarray(array[region]))]
    catcher = _Catcher(shape, np.dtype(array.dtype))
    array.get_basic_selection(region, out=catcher)
    parts = [(_full(key, shape), value) for key, value in catcher.parts]
    parts = [(where, _shaped(where, value, catcher.dtype)) for where, value in parts]
    if sum(values.size for _, values in parts) != catcher._data.size:
        return [(whole, np.asarray(array[region]))]
    return parts


def _full(key: Any, shape: tuple[int, ...]) -> tuple[slice, ...]:
    parts = key if isinstance(key, tuple) else (key,)
    return tuple(slice(*part.indices(n)) for part, n in zip(parts, shape, strict=True))


def _shaped(where: tuple[slice, ...], value: Any, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    shape = tuple(part.stop - part.start for part in where)
    if np.ndim(value) == 0:  # a chunk that was never written
        return np.full(shape, value, dtype)
    return np.asarray(value).reshape(shape)


def _region(array: zarr.Array[Any], grid: Position, low: Position, high: Position) -> tuple[slice, ...]:
    return tuple(
        slice(a * chunk, min((b + 1) * chunk, n))
        for a, b, chunk, n in zip(low, high, grid, array.shape, strict=True)
    )


def _own(chunk: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return a chunk that keeps no more memory alive than its own."""
    base = chunk
    while isinstance(base.base, np.ndarray):
        base = base.base
    return chunk if base.nbytes <= chunk.nbytes else chunk.copy()


MAX_STRETCH = 2**20
"""Bytes of neighbouring chunks of a shard that are read in one go: with more, other threads would wait."""


MAX_GAP = 2**14
"""Bytes between two chunks that are rather read and thrown away than asked around."""


Take = Callable[[Position, np.ndarray[Any, Any] | Exception], None]
"""Gets each chunk or why it could not be read, in any order and in any thread; it must not raise."""


class ChunkReader:
    """Reads chunks of one array, all that are asked for at once.

    Nothing is worked out before it is needed: a plate has thousands of arrays, most of them never looked at.

    Parameters
    ----------
    array
        The array.
    cache
        Where the indices of shards are kept.

    Examples
    --------
    >>> import zarr
    >>> from napari_ome_ngff.storage.pixels.chunk_cache import ChunkCache
    >>> array = zarr.create_array({}, shape=(4,), chunks=(2,), dtype="uint8", fill_value=3)
    >>> found = {}
    >>> ChunkReader(array, cache=ChunkCache()).read([(1,)], found.__setitem__)
    >>> found[(1,)].tolist()
    [3, 3]
    """

    def __init__(self, array: zarr.Array[Any], *, cache: ChunkCache) -> None:
        self.array = array
        self.grid = tuple(max(1, n) for n in array.chunks)
        self._cache = cache
        self._prefix = f"{array.path}/" if array.path else ""
        self._place = Place(array)

    @functools.cached_property
    def identity(self) -> Hashable:
        """What tells the array from all others, also from what was at its place before."""
        # Stores that cannot tell whether something was rewritten are only the same in the same reader.
        alone = uuid.uuid4().hex if self._stamp is None else None
        return location_of(self.array), fingerprint(self.array), alone

    @functools.cached_property
    def format(self) -> ChunkFormat | None:
        """How chunks are decoded; None where Zarr does it."""
        return chunk_format(self.array)

    @functools.cached_property
    def _stamp(self) -> Callable[[Position], object] | None:
        return stamper(self.array)

    def stamp(self, position: Position) -> object:
        """Return what changes when a chunk is written again; None where that cannot be told."""
        return None if self._stamp is None else self._stamp(position)

    def name(self, position: Position) -> str:
        """Return the name of the stored object that holds a chunk, relative to the array."""
        return str(self.array.metadata.encode_chunk_key(stored_position(self.array, self.grid, position)))

    def read(self, positions: Sequence[Position], take: Take) -> None:
        """Read and decode chunks.

        Parameters
        ----------
        positions
            Positions in the chunk grid.
        take
            Gets each chunk or why it could not be read; if another array has taken its place meanwhile, once
            more, with that as the reason.
        """
        self._read(positions, take)
        try:
            self.check_place()
        except LookupError as error:
            for position in positions:
                take(position, error)

    def check_place(self) -> None:
        """Check that no other array has taken the place of this one.

        Raises
        ------
        LookupError
            If so: what was read may be of that one.
        """
        if self._place.is_taken():
            raise LookupError("another array has taken its place; open it again")

    def _read(self, positions: Sequence[Position], take: Take) -> None:
        form = self.format
        if form is None:
            read_through_zarr(self.array, positions, take)
        elif form.shard is None:
            self._read_pieces(form, [(p, Piece(self._prefix + self.name(p))) for p in positions], take)
        else:
            self._read_shards(form, form.shard, positions, take)

    def _read_pieces(self, form: ChunkFormat, wanted: Sequence[tuple[Position, Piece]], take: Take) -> None:
        def handle(number: int, answer: Answer) -> None:
            take(wanted[number][0], _decoded(form.decode, answer))

        read_pieces(self.array.store, [piece for _, piece in wanted], handle, decoded_bytes=form.nbytes)

    def _read_shards(
        self, form: ChunkFormat, shard: ShardIndex, positions: Sequence[Position], take: Take
    ) -> None:
        """Read the indices that are not known, all at once, and then the chunks, all at once."""
        inside: dict[str, list[Position]] = defaultdict(list)
        for position in positions:
            inside[self._prefix + self.name(position)].append(position)
        wanted: list[tuple[Piece, list[tuple[Position, slice]]]] = []
        for key, index in self._indices(shard, inside).items():
            places = {}
            for position in inside[key]:
                place = index if isinstance(index, Exception) else shard.place(index, position)
                if isinstance(place, Exception):
                    take(position, place)
                elif place is None:
                    take(position, form.decode(None))
                elif place[1] > 2 * form.nbytes + 2**20:
                    take(position, ValueError(f"the index of the shard says {place[1]} bytes for a chunk"))
                else:
                    places[position] = place
            wanted += [(Piece(key, span), members) for span, members in stretches(places)]

        def handle(number: int, answer: Answer) -> None:
            for position, part in wanted[number][1]:
                take(position, _decoded(form.decode, answer[part] if isinstance(answer, bytes) else answer))

        largest = max((len(members) for _, members in wanted), default=0) * form.nbytes
        read_pieces(self.array.store, [piece for piece, _ in wanted], handle, decoded_bytes=largest)

    def _indices(
        self, shard: ShardIndex, inside: dict[str, list[Position]]
    ) -> dict[str, np.ndarray[Any, Any] | Exception]:
        keys = list(inside)
        wanted = [((self.identity, "index", key), self.stamp(inside[key][0])) for key in keys]
        found = self._cache.get(wanted)
        indices: dict[str, Any] = dict(zip(keys, found, strict=True))
        missing = [i for i, index in enumerate(found) if index is None]

        def decode(data: bytes | None) -> np.ndarray[Any, Any]:
            return shard.empty() if data is None else shard.decode(data)

        def handle(number: int, answer: Answer) -> None:
            indices[keys[missing[number]]] = _decoded(decode, answer)

        todo = [Piece(keys[i], shard.span) for i in missing]
        read_pieces(self.array.store, todo, handle, decoded_bytes=shard.span[1])
        self._cache.put(
            (*wanted[i], indices[keys[i]]) for i in missing if isinstance(indices[keys[i]], np.ndarray)
        )
        return indices


def stretches(
    places: Mapping[Position, tuple[int, int]],
) -> list[tuple[tuple[int, int], list[tuple[Position, slice]]]]:
    """Put chunks that lie one after the other in a shard together, so that they are read in one go.

    Parameters
    ----------
    places
        Offset and length of each chunk.

    Returns
    -------
    list of tuple
        Offset and length of each stretch, with the chunks in it and where they are in its bytes.

    Examples
    --------
    >>> stretches({(0,): (0, 10), (1,): (10, 5), (9,): (10_000_000, 5)})
    [((0, 15), [((0,), slice(0, 10, None)), ((1,), slice(10, 15, None))]),
     ((10000000, 5), [((9,), slice(0, 5, None))])]
    """
    found: list[tuple[int, int, list[tuple[Position, slice]]]] = []
    for position, (offset, length) in sorted(places.items(), key=lambda item: item[1]):
        start, end, members = found[-1] if found else (0, 0, [])
        together = max(end, offset + length)
        if members and offset - end <= MAX_GAP and together - start <= MAX_STRETCH:
            found[-1] = (start, together, members)
        else:
            start, members = offset, []
            found.append((offset, offset + length, members))
        members.append((position, slice(offset - start, offset - start + length)))
    return [((start, end - start), members) for start, end, members in found]


def _decoded(
    decode: Callable[[bytes | None], np.ndarray[Any, Any]], answer: Answer
) -> np.ndarray[Any, Any] | Exception:
    if isinstance(answer, Exception):
        return answer
    try:
        return decode(answer)
    except Exception as error:  # noqa: BLE001 (codecs raise whatever they like)
        return error
