"""Save an edit: new chunks of all levels beside the image, the journal, and then each in its place."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_ome_ngff.editing.held_chunks import HeldChunks, Position
from napari_ome_ngff.editing.lower_levels import chunk_box, dependents, make_anew
from napari_ome_ngff.editing.painted import Painted
from napari_ome_ngff.storage.edits import edit_journal
from napari_ome_ngff.writing.commit.temporary import undone_by
from napari_ome_ngff.writing.engine.encode import UnitWriter, unit_writer, write_units
from napari_ome_ngff.writing.refusals import failing, system_errors_of
from napari_ome_ngff.writing.save import Progress

if TYPE_CHECKING:
    import zarr


@dataclass(frozen=True, kw_only=True)
class EditedLevel:
    """A level of an image that is edited: its path, its array, and what was painted on it."""

    path: str
    array: zarr.Array[Any]
    painted: Painted

    @property
    def unit(self) -> tuple[int, ...]:
        """Shape of what is one file."""
        return tuple(self.array.shards or self.array.chunks)


def save_edit(
    target: Path, levels: Sequence[EditedLevel], method: str, check: Callable[[HeldChunks], None]
) -> Generator[Progress, None, None]:
    """Write what was painted on the first of `levels`, and make anew what depends on it in the others.

    `check` raises if somebody else has changed the chunks meanwhile. Ended early, it leaves everything as it
    was, and what was painted is painted still.
    """
    finest = levels[0].painted
    chunks = finest.begin_save()
    saved = False
    try:
        with ExitStack() as stack, system_errors_of(target):
            edit_journal.lock_images(stack, target)
            edit_journal.finish(target)
            check(chunks)
            folder = edit_journal.journal_folder(target)
            with undone_by(partial(edit_journal.abandon, target)):
                (folder / edit_journal.NEW).mkdir(parents=True)
                done = Progress(
                    blocks_done=0, blocks_total=_blocks(levels, chunks) + 1, bytes_done=0, bytes_total=0
                )
                done = replace(done, message="Saving changes")
                yield done
                keys: list[str] = []
                for nbytes, key in _written(folder / edit_journal.NEW, levels, chunks, method):
                    keys += [key] if key else []
                    done = replace(
                        done, blocks_done=done.blocks_done + 1, bytes_done=done.bytes_done + nbytes
                    )
                    yield done
                check(chunks)
                new = {key for key in keys if (folder / edit_journal.NEW / key).is_file()}
                edit_journal.decide(target, replaced=new, removed=set(keys) - new)
            edit_journal.finish(target)
            saved = True
    finally:
        finest.end_save(saved=saved)
    yield replace(done, blocks_done=done.blocks_total, bytes_total=done.bytes_done, message="Saved")


def _written(
    new: Path, levels: Sequence[EditedLevel], chunks: Iterable[Position], method: str
) -> Iterator[tuple[int, str | None]]:
    """Write the new chunks of all levels under their keys; yields bytes and key of each file."""
    touched = set(chunks)
    for level, coarser in zip(levels, [*levels[1:], None], strict=True):
        writer = staged_writer(level, new)
        try:
            for unit in sorted(_units(touched, level)):
                region = chunk_box(unit, level.unit, level.array.shape)
                data = level.painted.saved_box(region)
                with failing("Writing failed", str(new)):
                    write_units(writer, region, data)
                yield data.nbytes, f"{level.path}/{level.array.metadata.encode_chunk_key(unit)}"
        finally:
            writer.close()
        if coarser is None:
            return
        for position in sorted(touched):
            box = chunk_box(position, level.painted.grid, level.array.shape)
            make_anew(box, level.painted, coarser.painted, method)
            yield 0, None
        touched = set(coarser.painted.held)


def staged_writer(level: EditedLevel, new: Path) -> UnitWriter:
    """What writes chunks as those of a level, to the same keys in another folder."""
    import zarr
    from zarr.storage import LocalStore, StorePath

    place = StorePath(LocalStore(new), level.path)
    like = level.array._async_array
    return unit_writer(zarr.Array(zarr.AsyncArray(like.metadata, store_path=place, config=like.config)))


def _units(chunks: Iterable[Position], level: EditedLevel) -> set[Position]:
    grid = level.painted.grid
    return {tuple(i * n // m for i, n, m in zip(p, grid, level.unit, strict=True)) for p in chunks}


def _blocks(levels: Sequence[EditedLevel], chunks: Iterable[Position]) -> int:
    """How many files are written, and how many chunks are reduced."""
    touched, total = set(chunks), 0
    for level, coarser in zip(levels, [*levels[1:], None], strict=True):
        total += len(_units(touched, level))
        if coarser is not None:
            total += len(touched)
            touched = dependents(touched, level.painted, coarser.painted)
    return total
