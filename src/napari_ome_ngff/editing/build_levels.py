"""Make the lower levels of an image that is there, without copying the finest one."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ome_ngff.arguments import check_type
from napari_ome_ngff.editing.label_edit import chosen_method, folder_image, is_label
from napari_ome_ngff.editing.metadata_change import MetadataChange
from napari_ome_ngff.editing.metadata_edit import multiscale_at, set_multiscale
from napari_ome_ngff.errors import OptionError, TargetError
from napari_ome_ngff.metadata.versions import VERSIONS
from napari_ome_ngff.reading.open import read_multiscale_group
from napari_ome_ngff.reading.opened import Image
from napari_ome_ngff.storage.places.location import join
from napari_ome_ngff.storage.places.node_documents import DOCUMENTS
from napari_ome_ngff.writing.commit.in_place import Change, changing
from napari_ome_ngff.writing.engine.cascade import PassJob
from napari_ome_ngff.writing.engine.encode import UnitWriter, unit_writer
from napari_ome_ngff.writing.engine.run_pass import run_pass
from napari_ome_ngff.writing.pending import Writing
from napari_ome_ngff.writing.plan.array_spec import stored_like
from napari_ome_ngff.writing.plan.group_documents import arrays_of, group_documents, group_spec
from napari_ome_ngff.writing.plan.options import Factors, SaveOptions, StorageOptions, save_options
from napari_ome_ngff.writing.plan.plan_save import plan_save
from napari_ome_ngff.writing.plan.write_plan import MultiscaleSource, Prepared
from napari_ome_ngff.writing.refusals import failing, system_errors_of
from napari_ome_ngff.writing.save import Progress

if TYPE_CHECKING:
    import zarr


def build_levels(
    location: str | PathLike[str],
    *,
    levels: int | None = None,
    factors: Factors = None,
    method: str | None = None,
    options: StorageOptions | None = None,
    executor: Executor | None = None,
) -> Writing:
    """Make the lower levels of an image in a folder, anew or for the first time, from its finest level.

    The finest level is read, and neither copied nor written. The new levels lie beside the image first
    (``.NAME.ngff-edit``); when all are there, they and the metadata take the place of those that were there.
    Whoever is killed meanwhile leaves the image as it was, or one that is finished when it is opened or saved
    to again.

    Parameters
    ----------
    location
        Folder of an image, or of a label image.
    levels, factors
        How many levels, the finest included, and by which factors, as for :func:`write_multiscale_group`.
    method
        ``"mean"``, ``"nearest"`` or ``"mode"``. None: as the metadata say that they were made, else the mean;
        of a label image the nearest voxel.
    options
        Chunks, shards, compressor and memory limit of the new levels; None: stored as the finest is. The
        version is that of the image.
    executor
        As for :func:`write_multiscale_group`: threads.

    Returns
    -------
    Writing
        To be looped over, or run: ``build_levels(...).run(progress=True)``.

    Raises
    ------
    OptionError
        If an argument cannot be.
    TargetError
        If the image is not in a folder that can be written to, something else is where a new level goes, or,
        when it runs, another save is running.
    NotOmeNgffError, MetadataError, UnsupportedError, StorageError
        If there is no image, one of a version that is not written, or reading or writing fails.

    Examples
    --------
    >>> import tempfile, numpy
    >>> from napari_ome_ngff import open_ome_ngff, save_ome_ngff
    >>> place = tempfile.mkdtemp() + "/cells.ome.zarr"
    >>> _ = save_ome_ngff(place, numpy.zeros((64, 64), "uint8"), levels=1)
    >>> _ = build_levels(place, levels=3).run()
    >>> [level.shape for level in open_ome_ngff(place).arrays.values()]
    [(64, 64), (32, 32), (16, 16)]
    """
    check_type(options, (StorageOptions, NoneType), "The options", "StorageOptions")
    check_type(method, (str, NoneType), "The method", '"mean", "nearest" or "mode"')
    check_type(executor, (ThreadPoolExecutor, NoneType), "The executor", "threads, or None")
    plan = _plan(folder_image(location), levels, factors, method, options, executor)
    return Writing(_steps(plan, executor), plan.image.location)


@dataclass(frozen=True, kw_only=True)
class LowerLevels:
    """The lower levels that an image gets: what is written of each, and which of those there end with it."""

    image: Image
    prepared: Prepared
    options: SaveOptions
    specs: Mapping[str, Any]  # model of each new array by the path of its level
    obsolete: tuple[str, ...]  # paths of levels that are there


def _plan(
    image: Image,
    levels: int | None,
    factors: Factors,
    method: str | None,
    options: StorageOptions | None,
    executor: Executor | None,
) -> LowerLevels:
    multiscale = image.multiscale
    assert multiscale is not None
    assert image.group is not None
    path, finest = next(iter(read_multiscale_group(image.group).items()))
    stored: Any = image.group.sources[path]
    if multiscale.levels[0].path != path:
        raise OptionError(
            "The finest level of this image is not there.",
            where=f"{image.location}/{multiscale.levels[0].path}",
        )
    version = multiscale.version if multiscale.version in VERSIONS else "0.4"
    chosen = replace(options or _as_stored(stored), version=version)
    setup = save_options(chosen, image.location, executor)
    source = MultiscaleSource(
        image=finest,
        multiscale=multiscale,
        label_image=multiscale.label_image,
        method=chosen_method(image, method, labels=is_label(image)),
        levels=levels,
        factors=factors,
    )
    plan = plan_save({"": source}, setup)
    (prepared,) = plan.prepared
    model = arrays_of(plan.model)
    lower = [level.path for level in prepared.plan.levels[1:]]
    specs = {each: model[each] if options else stored_like(model[each], stored) for each in lower}
    obsolete = tuple(level.path for level in multiscale.levels[1:])
    for each in lower:
        place = Path(image.location, each)
        if each not in obsolete and os.path.lexists(place):
            raise TargetError(
                "Something else is where a new level goes.", where=str(place), hint="Move it away first."
            )
    return LowerLevels(image=image, prepared=prepared, options=setup, specs=specs, obsolete=obsolete)


def _as_stored(array: zarr.Array[Any]) -> StorageOptions:
    version = "0.4" if array.metadata.zarr_format == 2 else "0.5"
    return StorageOptions(version=version, chunks=array.chunks, shards=array.shards)


class _Unwritten:
    """The finest level for the engine: its voxels are there already."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype

    def __setitem__(self, region: object, values: object) -> None:
        pass


def _steps(plan: LowerLevels, given: Executor | None) -> Generator[Progress, None, None]:
    from zarr.storage import LocalStore

    work, cut = plan.prepared.plan.passes[0], plan.prepared.plan.cuts[0]
    total = plan.prepared.plan.n_tasks + 1
    done = Progress(blocks_done=0, blocks_total=total, bytes_done=0, bytes_total=0, message="Building levels")
    where = plan.image.location
    with ExitStack() as stack:
        stack.enter_context(system_errors_of(Path(where)))
        executor = given or stack.enter_context(
            ThreadPoolExecutor(plan.options.workers, thread_name_prefix="ome-ngff-levels")
        )
        change = stack.enter_context(changing(where))
        if multiscale_at(change.documents, change.path).levels != plan.image.multiscale.levels:  # type: ignore[union-attr]
            raise TargetError(
                "Somebody else has changed the image meanwhile.", where=where, hint="Try again."
            )
        yield done
        store = LocalStore(change.new)
        places = {path: join(change.path, path) for path in plan.specs}
        first: Any = UnitWriter(array=_Unwritten(np.dtype(plan.prepared.plan.dtype)))  # type: ignore[arg-type]
        with failing("The arrays could not be created", where):
            writers = [
                unit_writer(plan.specs[path].to_zarr(store, place), shared_memory=True)
                for path, place in places.items()
            ]
        for writer in writers:
            stack.callback(writer.close)
        job = PassJob(
            work=work,
            cut=cut,
            writers=(first, *writers),
            method=plan.prepared.plan.method or "nearest",
            where=where,
        )
        for step in run_pass(job, plan.prepared.inputs[0], executor):
            done = replace(
                done, blocks_done=done.blocks_done + step.blocks, bytes_done=done.bytes_done + step.nbytes
            )
            yield done
        _register(change, plan, places.values())
    yield replace(done, blocks_done=total, bytes_total=done.bytes_done, message="Built")


def _register(change: Change, plan: LowerLevels, new: Iterable[str]) -> None:
    """Put the files of new levels in the place of those of old ones, and say so in the metadata."""
    old = [join(change.path, path) for path in plan.obsolete]
    new = list(new)
    for place in old:
        change.keys.extend(_files(change.root, place))
    for place in (*old, *_emptied(change, old, new)):
        change.documents.list_node(place, None)
    for place in new:
        change.keys.extend(_files(change.new, place))
    group = group_documents(group_spec({}, {"": {}}, zarr_format=plan.options.zarr_format))
    for place in _groups_above(change.path, new):
        if change.documents.attributes(place) is None:
            for name, content in group.items():
                (change.new / place / name).write_bytes(content)
                change.keys.append(join(place, name))
            change.documents.list_node(place, change.new / place)
    for place in new:
        change.documents.list_node(place, change.new / place)
    set_multiscale(change.documents, change.path, MetadataChange(), plan.prepared.multiscale)


def _emptied(change: Change, old: Iterable[str], new: Iterable[str]) -> list[str]:
    """Groups between the image and old levels, in which nothing else is: they end with those."""
    old, kept = set(old), set(_groups_above(change.path, new))
    groups = [place for place in _groups_above(change.path, old) if place not in kept]
    emptied: list[str] = []
    for place in sorted(groups, key=lambda place: -place.count("/")):
        inside = {join(place, name) for name in os.listdir(change.root / place) if name not in DOCUMENTS}
        if inside <= {*old, *emptied}:
            emptied.append(place)
            change.keys.extend(join(place, name) for name in DOCUMENTS)
    return emptied


def _groups_above(path: str, levels: Iterable[str]) -> list[str]:
    """Groups between an image and its levels: ``scale1`` of ``scale1/image``."""
    between: dict[str, None] = {}
    for level in levels:
        parts = level.split("/")
        first = len(path.split("/")) + 1 if path else 1
        between |= {"/".join(parts[:n]): None for n in range(first, len(parts))}
    return list(between)


def _files(root: Path, place: str) -> list[str]:
    return [
        (Path(folder) / name).relative_to(root).as_posix()
        for folder, _, names in os.walk(root / place)
        for name in names
    ]
