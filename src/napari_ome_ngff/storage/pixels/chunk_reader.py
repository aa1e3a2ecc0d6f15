"""Chunks of one array, decoded: the bytes are fetched and understood here, or by Zarr if they are unusual."""

from __future__ import annotations

import functools
import uuid
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ome_ngff.storage.pixels.codecs import ChunkFormat, ShardIndex, chunk_format
from napari_ome_ngff.storage.pixels.freshness import Place, Position, fingerprint, stamper, stored_position
from napari_ome_ngff.storage.places.location import location_of
from napari_ome_ngff.storage.places.transfer import Answer, Piece, read_pieces

if TYPE_CHECKING:
    import zarr

    from napari_ome_ngff.storage.pixels.chunk_cache import ChunkCache

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
            from napari_ome_ngff.storage.pixels.scatter import read_through_zarr

            read_through_zarr(self.array, positions, take)
        elif form.shard is None:
            self._read_pieces(form, [(p, Piece(self._prefix + self.name(p))) for p in positions], take)
        else:
            self._read_shards(form, form.shard, positions, take)

    def _read_pieces(self, form: ChunkFormat, wanted: Sequence[tuple[Position, Piece]], take: Take) -> None:
        def handle(number: int, answer: Answer) -> None:
            take(wanted[number][0], _decoded(form.values, answer))

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
                    take(position, form.values(None))
                elif place[1] > 2 * form.nbytes + 2**20:
                    take(position, ValueError(f"the index of the shard says {place[1]} bytes for a chunk"))
                else:
                    places[position] = place
            wanted += [(Piece(key, span), members) for span, members in stretches(places)]

        def handle(number: int, answer: Answer) -> None:
            for position, part in wanted[number][1]:
                take(position, _decoded(form.values, answer[part] if isinstance(answer, bytes) else answer))

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
            return shard.none() if data is None else shard.decode(data)

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
