"""The part of a save that writes: staged place, empty arrays, pixels, and the metadata last."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from napari_ome_ngff.writing.commit.staging import Staged, staged
from napari_ome_ngff.writing.commit.system_names import check_paths
from napari_ome_ngff.writing.empty_group import create_arrays, write_documents
from napari_ome_ngff.writing.engine.cascade import PassJob
from napari_ome_ngff.writing.engine.copy_levels import CopyJob, copy_level, verify_copy
from napari_ome_ngff.writing.engine.encode import UnitWriter, unit_writer
from napari_ome_ngff.writing.engine.executors import Done
from napari_ome_ngff.writing.engine.run_pass import run_pass
from napari_ome_ngff.writing.engine.seen_values import SeenValues, seen_in
from napari_ome_ngff.writing.engine.verify import compare
from napari_ome_ngff.writing.plan.copied_levels import requests
from napari_ome_ngff.writing.plan.existing import over_existing, replaced_members
from napari_ome_ngff.writing.plan.group_documents import (
    group_documents,
    groups_of,
    join_paths,
    series_document,
    with_windows,
)
from napari_ome_ngff.writing.plan.options import SaveOptions
from napari_ome_ngff.writing.plan.stored_tables import table_documents
from napari_ome_ngff.writing.plan.write_plan import Prepared, WritePlan
from napari_ome_ngff.writing.reader_bounds import check_documents, check_listings
from napari_ome_ngff.writing.refusals import failing
from napari_ome_ngff.writing.target import local_root

if TYPE_CHECKING:
    from zarr.abc.store import Store


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a save is.

    Parameters
    ----------
    blocks_done, blocks_total
        Blocks of the source; one more stands for the metadata and the renaming at the end, so that the two
        are equal only when everything is in its place.
    bytes_done, bytes_total
        Bytes of all levels, before compression.
    message
        What is being done, for people.
    """

    blocks_done: int
    blocks_total: int
    bytes_done: int
    bytes_total: int
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class Save:
    """Everything that was checked, for the part that writes."""

    store: Store | str | PathLike[str]
    path: str
    plan: WritePlan
    documents: Mapping[str, bytes]
    executor: Executor | None
    overwrite: bool
    obsolete: tuple[str, ...]
    verify: bool
    empty: bool = False  # the arrays stay as they are created


def new_save(
    *,
    store: Store | str | PathLike[str],
    path: str,
    plan: WritePlan,
    old: zarr.Group | None,
    executor: Executor | None,
    overwrite: bool,
    verify: bool,
) -> Save:
    """Check against the group that is replaced, and put together, what is to be written."""
    model = plan.model if old is None else over_existing(plan.model, old)
    documents = {**series_document(plan.prepared, model), **group_documents(model)}
    if old is not None:  # with what is kept of it, there may be more than was planned
        check_listings(groups_of(model))
        check_documents(documents)
    obsolete = () if old is None else replaced_members(plan.model, old)
    if (root := local_root(store)) is not None:
        check_paths(root, path, groups_of(model), _files(plan), obsolete)
    return Save(
        store=store,
        path=path,
        plan=plan,
        documents={**_tables(plan.prepared, model.zarr_format), **documents},
        executor=executor,
        overwrite=overwrite,
        obsolete=obsolete,
        verify=verify,
    )


def _files(plan: WritePlan) -> dict[str, list[int]]:
    """How many files, at most, each array has along its axes."""
    return {
        join_paths(one.path, level.path): [
            -(-n // unit) for n, unit in zip(level.shape, level.write_unit, strict=True)
        ]
        for one in plan.multiscales
        for level in one.levels
    }


def _tables(prepared: tuple[Prepared, ...], zarr_format: int) -> dict[str, bytes]:
    """What is stored of large tables of labels, by its key in the hierarchy."""
    return {
        join_paths(one.plan.path, key): content
        for one in prepared
        for key, content in table_documents(one.tables, zarr_format).items()
    }


def run_save(save: Save) -> Generator[Progress, None, None]:
    """Write what was prepared: nothing before the first ``next``; closed early, it leaves nothing."""
    tasks = 0 if save.empty else save.plan.n_tasks * (2 if save.verify else 1)
    nbytes = 0 if save.empty else save.plan.nbytes
    total = Progress(blocks_done=0, blocks_total=tasks + 1, bytes_done=0, bytes_total=nbytes)
    done = total
    with ExitStack() as stack:
        part = stack.enter_context(
            staged(
                save.store,
                save.path,
                overwrite=save.overwrite,
                obsolete=save.obsolete,
                zarr_format=save.plan.model.zarr_format,
            )
        )
        where = part.final
        executor = save.executor or stack.enter_context(
            ThreadPoolExecutor(save.plan.options.workers, thread_name_prefix="ome-ngff-write")
        )
        with failing("The arrays could not be created", where):
            writers = {
                path: unit_writer(array, shared_memory=save.plan.options.shared_memory)
                for path, array in create_arrays(part, save.plan.arrays).items()
            }
        stack.callback(_close, writers.values())
        yield total
        for message, step in _steps(save, part, writers, executor):
            done = _after(done, step, message)
            yield done
    yield replace(done, blocks_done=done.blocks_total, message="Written")


def _steps(
    save: Save, part: Staged, writers: Mapping[str, UnitWriter], executor: Executor
) -> Iterator[tuple[str, Done]]:
    """Pixels, documents, and what is verified: a folder before its documents, a single file when packed."""
    where = part.final
    documents = dict(save.documents)
    for prepared in () if save.empty else save.plan.prepared:
        seen = _values_of(prepared)
        for step in _write_multiscale(prepared, writers, executor, where, save.plan.options, seen):
            yield f"Writing {prepared.plan.name}", step
        if seen is not None:
            dtype = np.dtype(prepared.plan.dtype)
            documents |= with_windows(save.documents, prepared, seen.windows(dtype))
    _close(writers.values())
    if save.verify and part.packed is None:
        yield from _verified(save, writers, executor, where)
    with failing("The metadata could not be written", where):
        write_documents(part, documents)
    for _ in _packed(part):
        yield "Packing", Done(0, 0)
    if save.verify and part.packed is not None:
        with failing("Reading back what was written failed", where):
            packed = {
                path: UnitWriter(array=zarr.open_array(part.packed, path=path, mode="r")) for path in writers
            }
        yield from _verified(save, packed, executor, where)


def _verified(
    save: Save, writers: Mapping[str, UnitWriter], executor: Executor, where: str
) -> Iterator[tuple[str, Done]]:
    for prepared in save.plan.prepared:
        for step in _verify_multiscale(prepared, writers, executor, where, save.plan.options):
            yield f"Verifying {prepared.plan.name}", step


def _after(done: Progress, step: Done, message: str) -> Progress:
    return replace(
        done,
        blocks_done=done.blocks_done + step.blocks,
        bytes_done=done.bytes_done + step.nbytes,
        message=message,
    )


def _verify_multiscale(
    prepared: Prepared,
    writers: Mapping[str, UnitWriter],
    executor: Executor,
    where: str,
    options: SaveOptions,
) -> Iterator[Done]:
    plan = prepared.plan
    place = join_paths(where, plan.path)
    for level, work, cut, source, stored in zip(
        plan.levels, plan.passes, plan.cuts, prepared.inputs, prepared.stored, strict=False
    ):
        writer = writers[join_paths(plan.path, level.path)]
        if level.copied and stored is not None:
            yield from verify_copy(_copy_job(stored, writer, place, options), cut, executor)
        else:
            job = PassJob(
                work=work, cut=cut, writers=(UnitWriter(array=writer.array),), method="", where=place
            )
            yield from run_pass(job, source, executor, task=compare)


def _write_multiscale(
    prepared: Prepared,
    writers: Mapping[str, UnitWriter],
    executor: Executor,
    where: str,
    options: SaveOptions,
    seen: SeenValues | None,
) -> Iterator[Done]:
    plan = prepared.plan
    each = [writers[join_paths(plan.path, level.path)] for level in plan.levels]
    place = join_paths(where, plan.path)
    if seen is not None and plan.levels[0].copied:
        _look_at_coarsest(prepared, seen, place)
    for i, (work, cut, source, stored) in enumerate(
        zip(plan.passes, plan.cuts, prepared.inputs, prepared.stored, strict=True)
    ):
        if plan.levels[i].copied and stored is not None:
            yield from copy_level(_copy_job(stored, each[i], place, options), cut, executor)
            continue
        job = PassJob(
            work=work,
            cut=cut,
            writers=tuple(each[i : i + len(work.shapes)]),
            method=plan.method or "nearest",
            where=place,
        )
        yield from run_pass(job, source, executor, None if i else seen)


def _values_of(prepared: Prepared) -> SeenValues | None:
    """What is to be seen of the values of an image: None if the contrast of its channels is complete."""
    if not prepared.channels:
        return None
    return SeenValues(prepared.plan.levels[0].shape, prepared.multiscale.channel_axis)


def _look_at_coarsest(prepared: Prepared, seen: SeenValues, place: str) -> None:
    with failing("Reading the image failed", place):
        seen_in(seen, prepared.inputs[-1], prepared.plan.levels[-1].chunks)


def documents_without_pixels(save: Save, where: str) -> Mapping[str, bytes]:
    """The documents of a save whose pixels are in place: with their contrast, where none is given."""
    documents = dict(save.documents)
    for prepared in save.plan.prepared:
        if (seen := _values_of(prepared)) is not None:
            _look_at_coarsest(prepared, seen, join_paths(where, prepared.plan.path))
            documents |= with_windows(save.documents, prepared, seen.windows(np.dtype(prepared.plan.dtype)))
    return documents


def _copy_job(source: zarr.Array[Any], writer: UnitWriter, where: str, options: SaveOptions) -> CopyJob:
    return CopyJob(source=source, writer=writer, at_once=requests(source, options), where=where)


def _packed(part: Staged) -> Iterator[None]:
    with failing("Packing the file failed", part.final):
        yield from part.packing


def _close(writers: Iterable[UnitWriter]) -> None:
    for writer in writers:
        writer.close()
