"""Chunks of one array, fetched together and decoded."""

from __future__ import annotations

import functools
import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ome_ngff.errors import MetadataError, OmeNgffError
from napari_ome_ngff.storage.documents.json_documents import chunks_of
from napari_ome_ngff.storage.pixels.codecs import ChunkFormat, ShardIndex, chunk_format
from napari_ome_ngff.storage.pixels.freshness import (
    Position,
    ReplacementWatch,
    fingerprint,
    stored_position,
)
from napari_ome_ngff.storage.pixels.process_state import decode_pool
from napari_ome_ngff.storage.places.bounded_reads import Answer, Piece
from napari_ome_ngff.storage.places.location import location_of
from napari_ome_ngff.storage.places.requests import MAX_REQUESTS, read_pieces
from napari_ome_ngff.storage.places.stamps import stamper
from napari_ome_ngff.storage.places.store_kind import store_kind

if TYPE_CHECKING:
    import zarr

    from napari_ome_ngff.storage.pixels.chunk_cache import ChunkCache

MAX_STRETCH = 2**20
"""Bytes of neighbouring chunks of a shard that are read in one go: with more, other threads would wait."""


MAX_GAP = 2**14
"""Bytes between two chunks that are rather read and thrown away than asked around."""


_DECODED_TOGETHER = 8  # chunks in one call of Zarr


_THREADS = 8  # that ask Zarr for chunks which only it can read


Take = Callable[[Position, np.ndarray[Any, Any] | Exception], None]
"""Gets each chunk or why it could not be read, in any order and in any thread; it must not raise."""


class ChunkReader:
    """Reads chunks of one array, all that are asked for at once; indices of shards are kept in a cache.

    Nothing is worked out before it is needed: a plate has thousands of arrays, most of them never read.
    """

    def __init__(self, array: zarr.Array[Any], *, cache: ChunkCache) -> None:
        self.array = array
        self.grid = tuple(max(1, n) for n in chunks_of(array))
        self._cache = cache
        self._prefix = f"{array.path}/" if array.path else ""
        self._watch = ReplacementWatch(array)
        self._twin: ChunkReader | None = None

    def beside(self, array: zarr.Array[Any]) -> ChunkReader:
        """The reader of an array with the same metadata, of which nothing is worked out again."""
        other = ChunkReader(array, cache=self._cache)
        other._twin, other._watch = self._twin or self, self._watch.beside(array)
        return other

    @functools.cached_property
    def identity(self) -> Hashable:
        """What tells the array from all others, also from what was at its place before."""
        # Stores that cannot tell whether something was rewritten are only the same in the same reader.
        alone = uuid.uuid4().hex if self._stamp is None else None
        return location_of(self.array), self._fingerprint, alone

    @functools.cached_property
    def _fingerprint(self) -> str:
        return fingerprint(self.array) if self._twin is None else self._twin._fingerprint

    @functools.cached_property
    def format(self) -> ChunkFormat | None:
        """How chunks are decoded; None where only the Zarr array itself can tell.

        UnsupportedError for codecs that cannot be used, MetadataError for options that they do not have.
        """
        if self._twin is not None and (form := self._twin.format) is not None and form.pipeline is None:
            return form
        try:
            return chunk_format(self.array)
        except OmeNgffError:
            raise
        except Exception as error:  # codecs raise whatever they like
            raise MetadataError(
                "The codecs of an array cannot be used.",
                where=location_of(self.array),
                found=f"{type(error).__name__}: {error}"[:300],
            ) from error

    @functools.cached_property
    def bounded(self) -> zarr.Array[Any]:
        """The array, with bounds on what its chunks unpack to: for Zarr to read itself."""
        from napari_ome_ngff.storage.pixels.zarr_chain import bounded_array

        return bounded_array(self.array)

    @functools.cached_property
    def _stamp(self) -> Callable[[str], object] | None:
        return stamper(self.array.store)

    def stamps(self, positions: Collection[Position]) -> list[object]:
        """What changes when each chunk is written again; None where that cannot be told."""
        if self._stamp is None:
            return [None for _ in positions]
        if store_kind(self.array.store) == "zip":  # one file
            return [self._stamp("")] * len(positions)
        seen: dict[Position, object] = {}
        stamps = []
        for position in positions:
            place = stored_position(self._in_object, position)
            if place not in seen:
                seen[place] = self._stamp(self._prefix + self._name(place))
            stamps.append(seen[place])
        return stamps

    def name(self, position: Position) -> str:
        """Name of the stored object that holds a chunk, relative to the array."""
        return self._name(stored_position(self._in_object, position))

    def _name(self, place: Position) -> str:
        return str(self.array.metadata.encode_chunk_key(place))

    @functools.cached_property
    def _in_object(self) -> Position | None:
        # How many chunks along each axis a stored object has; None for one.
        # Zarr looks for the codec of shards each time.
        shards = self.array.shards
        return None if shards is None else tuple(s // c for s, c in zip(shards, self.grid, strict=True))

    def read(self, positions: Sequence[Position], take: Take) -> None:
        """Read and decode chunks.

        If another array has taken the place of this one meanwhile, each goes to `take` once more, with that
        as the reason.
        """
        self._read(positions, take)
        try:
            self.check_place()
        except LookupError as error:
            for position in positions:
                take(position, error)

    def check_place(self) -> None:
        """LookupError if another array has taken the place of this one: what was read may be of that one."""
        if self._watch.is_replaced():
            raise LookupError("another array has taken its place; open it again")

    def _read(self, positions: Sequence[Position], take: Take) -> None:
        form = self.format
        if form is None:
            self._select(positions, take)
        elif form.codecs is not None:
            decode = form.decode
            self._fetch(form, positions, lambda position, answer: take(position, _decoded(decode, answer)))
        else:
            for first in range(0, len(positions), MAX_REQUESTS):
                self._read_by_zarr(form, positions[first : first + MAX_REQUESTS], take)

    def _read_by_zarr(self, form: ChunkFormat, positions: Sequence[Position], take: Take) -> None:
        answers: dict[Position, Answer] = {}
        self._fetch(form, positions, answers.__setitem__)
        stored: dict[Position, bytes] = {}
        for position, answer in answers.items():
            if isinstance(answer, bytes):
                stored[position] = answer
            else:
                take(position, np.broadcast_to(form.fill, form.shape) if answer is None else answer)
        # Few at a time: memory that is used again is faster than fresh memory.
        for first in range(0, len(stored), _DECODED_TOGETHER):
            part = list(stored)[first : first + _DECODED_TOGETHER]
            for position, chunk in zip(part, form.pipeline.decode([stored[p] for p in part]), strict=True):
                take(position, chunk)

    def _select(self, positions: Sequence[Position], take: Take) -> None:
        """Read each chunk, up to the end of the array, by indexing: one that fails, fails alone."""

        def read(position: Position) -> None:
            region = tuple(
                slice(p * n, min((p + 1) * n, length))
                for p, n, length in zip(position, self.grid, self.array.shape, strict=True)
            )
            chunk: np.ndarray[Any, Any] | Exception
            try:
                chunk = np.asarray(self.bounded[region])
            except Exception as error:  # noqa: BLE001 (codecs and stores raise whatever they like)
                chunk = error
            take(position, chunk)

        with ThreadPoolExecutor(min(_THREADS, max(1, len(positions)))) as pool:
            list(pool.map(read, positions))

    def _fetch(
        self, form: ChunkFormat, positions: Sequence[Position], got: Callable[[Position, Answer], None]
    ) -> None:
        """Fetch the stored bytes of chunks."""
        if form.shard is not None:
            self._fetch_from_shards(form, form.shard, positions, got)
            return
        pieces = [Piece(self._prefix + self.name(position)) for position in positions]
        self._read_pieces(
            pieces, lambda number, answer: got(positions[number], answer), form, form.nbytes, form.most_stored
        )

    def _fetch_from_shards(
        self,
        form: ChunkFormat,
        shard: ShardIndex,
        positions: Sequence[Position],
        got: Callable[[Position, Answer], None],
    ) -> None:
        """Fetch the indices that are not in the cache, all at once, and then the chunks, all at once."""
        by_place: dict[Position, list[Position]] = defaultdict(list)
        for position in positions:
            by_place[stored_position(self._in_object, position)].append(position)
        by_key = {self._prefix + self._name(place): members for place, members in by_place.items()}
        wanted: list[tuple[Piece, list[tuple[Position, slice]]]] = []
        for key, index in self._indices(form, shard, by_key).items():
            places = {}
            for position in by_key[key]:
                place = index if isinstance(index, Exception) else shard.place(index, position)
                if place is None or isinstance(place, Exception):
                    got(position, place)
                elif place[1] > form.most_stored:
                    got(position, ValueError(f"the index of the shard says {place[1]} bytes for a chunk"))
                else:
                    places[position] = place
            wanted += [(Piece(key, span), members) for span, members in stretches(places)]

        def handle(number: int, answer: Answer) -> None:
            data: Any = memoryview(answer) if form.unpacks and isinstance(answer, bytes) else answer
            for position, part in wanted[number][1]:
                got(position, data if data is None or isinstance(data, Exception) else data[part])

        counts = [len(members) for _, members in wanted]
        most, total = max(counts, default=0), sum(counts) * form.nbytes
        self._read_pieces(
            [piece for piece, _ in wanted],
            handle,
            form,
            most * form.nbytes,
            max(1, most) * form.most_stored,
            total,
        )

    def _indices(
        self, form: ChunkFormat, shard: ShardIndex, by_key: Mapping[str, Sequence[Position]]
    ) -> dict[str, np.ndarray[Any, Any] | Exception]:
        keys = list(by_key)
        stamps = self.stamps([members[0] for members in by_key.values()])
        wanted = [((self.identity, "index", key), stamp) for key, stamp in zip(keys, stamps, strict=True)]
        cached = self._cache.get(wanted)
        indices: dict[str, Any] = dict(zip(keys, cached, strict=True))
        missing = [number for number, index in enumerate(cached) if index is None]

        def decode(data: bytes | None) -> np.ndarray[Any, Any]:
            return shard.empty() if data is None else shard.decode(data)

        def handle(number: int, answer: Answer) -> None:
            indices[keys[missing[number]]] = _decoded(decode, answer)

        size = shard.span[1]
        self._read_pieces([Piece(keys[i], shard.span) for i in missing], handle, form, size, size)
        self._cache.put(
            (*wanted[i], indices[keys[i]]) for i in missing if isinstance(indices[keys[i]], np.ndarray)
        )
        return indices

    def _read_pieces(
        self,
        pieces: Sequence[Piece],
        handle: Callable[[int, Answer], None],
        form: ChunkFormat,
        decoded_bytes: int,
        limit: int,
        total: int | None = None,
    ) -> None:
        read_pieces(
            self.array.store,
            pieces,
            handle,
            pool=decode_pool(),
            decoded_bytes=decoded_bytes,
            limit=limit,
            largest=form.largest_object,
            total=total,
        )


def stretches(
    places: Mapping[Position, tuple[int, int]],
) -> list[tuple[tuple[int, int], list[tuple[Position, slice]]]]:
    """Join chunks (by offset and length) that lie one after the other in a shard, to read them in one go.

    Offset and length of each stretch, with the chunks in it and where they are in its bytes.

    >>> stretches({(0,): (0, 10), (1,): (10, 5), (9,): (10_000_000, 5)})
    [((0, 15), [((0,), slice(0, 10, None)), ((1,), slice(10, 15, None))]),
     ((10000000, 5), [((9,), slice(0, 5, None))])]
    """
    joined: list[tuple[int, int, list[tuple[Position, slice]]]] = []
    for position, (offset, length) in sorted(places.items(), key=lambda item: item[1]):
        start, end, members = joined[-1] if joined else (0, 0, [])
        together = max(end, offset + length)
        if members and offset - end <= MAX_GAP and together - start <= MAX_STRETCH:
            joined[-1] = (start, together, members)
        else:
            start, members = offset, []
            joined.append((offset, offset + length, members))
        members.append((position, slice(offset - start, offset - start + length)))
    return [((start, end - start), members) for start, end, members in joined]


def _decoded(
    decode: Callable[[bytes | None], np.ndarray[Any, Any]], answer: Answer
) -> np.ndarray[Any, Any] | Exception:
    if isinstance(answer, Exception):
        return answer
    try:
        return decode(answer)
    except Exception as error:  # noqa: BLE001 (codecs raise whatever they like)
        return error
