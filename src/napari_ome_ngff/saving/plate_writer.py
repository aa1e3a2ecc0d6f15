"""Write a plate field by field, from any number of processes, and publish it when all of them are there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_ome_ngff.arguments import check_text, check_type, place_of
from napari_ome_ngff.errors import NotOmeNgffError, TargetError
from napari_ome_ngff.metadata.collections.plate_layout import PlateLayout, encode_plate, lay_out_plate
from napari_ome_ngff.metadata.group_kind import OUR_KEYS, kind_of
from napari_ome_ngff.metadata.nouns import Acquisition, Channel, Field
from napari_ome_ngff.metadata.versions import decode
from napari_ome_ngff.saving.described_axes import Description
from napari_ome_ngff.saving.plate_fields import (
    acquisition_number,
    acquisitions_of,
    field_sources,
    names_of,
    well_key,
)
from napari_ome_ngff.storage.edits.group_attributes import GroupAttributes
from napari_ome_ngff.storage.edits.locks import exclusive
from napari_ome_ngff.storage.places import keys
from napari_ome_ngff.storage.places.folders import link_tree, remove
from napari_ome_ngff.storage.places.leftovers import PLATE, short
from napari_ome_ngff.storage.places.location import join
from napari_ome_ngff.writing.commit.checks import check_target
from napari_ome_ngff.writing.commit.local_swap import recover
from napari_ome_ngff.writing.commit.staging import staged
from napari_ome_ngff.writing.commit.system_names import check_paths
from napari_ome_ngff.writing.empty_group import write_documents
from napari_ome_ngff.writing.pending import Writing
from napari_ome_ngff.writing.plan.group_documents import group_documents, group_spec
from napari_ome_ngff.writing.plan.options import StorageOptions
from napari_ome_ngff.writing.reader_bounds import check_documents
from napari_ome_ngff.writing.refusals import failing, system_errors_of, target_exists
from napari_ome_ngff.writing.target import as_store, is_archive, local_root, location_in, target_folder
from napari_ome_ngff.writing.write import write_hierarchy

if TYPE_CHECKING:
    from os import PathLike

    from zarr.abc.store import Store

_OF_A_SAVE = re.compile(r"\.(.+?)(\.[0-9a-f]{8})?\.ngff-(part|old|lock)")

_ACQUISITION = f"{OUR_KEYS}acquisition"
"""Attribute of a field that is written: which acquisition it is of, until the plate is published."""


@dataclass(frozen=True, kw_only=True)
class PlateWriter:
    """A plate that is written field by field, in any order and from any number of processes.

    Nothing is at the target before :meth:`publish`: until then the fields lie beside it
    (``.NAME.ngff-plate``), where another process finds them again; in a bucket or another store they lie in
    their places, and are no plate before that. It can be sent to other processes, or made there anew.

    Parameters
    ----------
    store, path
        Where to, as for :func:`write_multiscale_group`.
    options
        How images are stored, and the version: the same in all processes.

    Examples
    --------
    >>> import tempfile, numpy
    >>> from napari_ome_ngff import open_ome_ngff
    >>> place = tempfile.mkdtemp() + "/plate.ome.zarr"
    >>> plate = PlateWriter(store=place)
    >>> for well in ("A", 1), ("B", 2):
    ...     _ = plate.write_field(well, numpy.zeros((64, 64), "uint8")).run()
    >>> plate.fields()
    {('A', '1'): ('0',), ('B', '2'): ('0',)}
    >>> plate.publish(name="first")
    >>> open_ome_ngff(place).plate.name
    'first'
    """

    store: Store | str | PathLike[str]
    path: str = ""
    options: StorageOptions = field(default_factory=StorageOptions)

    def __post_init__(self) -> None:
        store, path = place_of(self.store, self.path)
        object.__setattr__(self, "store", store)
        object.__setattr__(self, "path", path)
        check_type(self.options, StorageOptions, "The options", "StorageOptions")

    def write_field(
        self,
        well: Any,
        image: Any,
        *,
        field: str | int = "0",
        acquisition: int | None = None,
        axes: str | Sequence[str] | None = None,
        scale: object = None,
        units: object = None,
        channels: Sequence[str | Channel] | None = None,
        executor: Executor | None = None,
        overwrite: bool = False,
        verify: bool = False,
    ) -> Writing:
        """Write one field. It counts once it is complete: of one that is killed nothing is left.

        Parameters
        ----------
        well
            Row and column: ``("A", 1)``.
        image
            As in `fields` of :func:`write_plate`.
        field
            Its name in the well.
        acquisition
            Number of the acquisition that it is of.
        axes, scale, units, channels
            As for :func:`save_ome_ngff`.
        executor, verify
            As for :func:`write_multiscale_group`.
        overwrite
            Write a field again that is there.

        Returns
        -------
        Writing
            To be looped over, or run.

        Raises
        ------
        OptionError, CoordinateError, MetadataError, UnsupportedError
            If an argument cannot be; before anything is written.
        TargetError
            If the field is there, or the plate is published already.
        StorageError
            If reading the image or writing fails.
        """
        key, number = well_key(well)
        number = number if acquisition is None else acquisition_number(acquisition)
        item = Field(path=str(field), acquisition=number)
        lay_out_plate({key: [item]}, version=self.options.version)
        self._check_free()
        inside = join(*key, item.path)
        sources = field_sources(image, Description(axes=axes, scale=scale, units=units), channels, inside)
        if number is not None:
            main = sources[""]
            sources[""] = replace(main, attributes={**main.attributes, _ACQUISITION: number})
        place, above = self._staging()
        if isinstance(place, Path):
            with system_errors_of(place):
                check_paths(place, inside, (), {})
                (place / inside).parent.mkdir(parents=True, exist_ok=True)
        return write_hierarchy(
            store=place / inside if isinstance(place, Path) else place,
            path="" if isinstance(place, Path) else join(above, inside),
            sources=sources,
            executor=executor,
            overwrite=overwrite,
            verify=verify,
            options=self._chosen(),
        )

    def fields(self) -> dict[tuple[str, str], tuple[str, ...]]:
        """Return the names of the fields that are complete, by their wells, in no particular order.

        Raises
        ------
        StorageError
            If the place cannot be read.
        """
        return {key: tuple(item.path for item in items) for key, items in self._complete()[0].items()}

    def publish(
        self,
        *,
        name: str | None = None,
        rows: Iterable[str | int] | None = None,
        columns: Iterable[str | int] | None = None,
        acquisitions: Mapping[int, str | None] | Sequence[Acquisition] | None = None,
    ) -> None:
        """Make the fields that were written a plate, at once: from now on it is at the target.

        Parameters
        ----------
        name, rows, columns, acquisitions
            As for :func:`write_plate`.

        Raises
        ------
        TargetError
            If something is at the target, or a field is being written.
        NotOmeNgffError
            If there is no field.
        OptionError, MetadataError
            If the specification does not allow a plate like this.
        StorageError
            If writing fails.
        """
        if name is not None:
            check_text(name, "The name of the plate")
        self._check_free()
        wells, unfinished = self._complete()
        if unfinished:
            raise TargetError(
                "Not all fields are complete.",
                where=self._where,
                found=", ".join(unfinished[:10]),
                hint="Wait until they are written, or write them again with overwrite=True.",
            )
        if not wells:
            raise NotOmeNgffError(
                "There is no field that a plate could be made of.",
                where=self._where,
                hint="Write one with write_field.",
            )
        layout = lay_out_plate(
            wells,
            name=name,
            rows=names_of(rows, "rows"),
            columns=names_of(columns, "columns"),
            acquisitions=acquisitions_of(acquisitions),
            version=self.options.version,
        )
        zarr_format = self.options.zarr_format
        documents = group_documents(group_spec({}, encode_plate(layout), zarr_format=zarr_format))
        check_documents(documents)
        place, above = self._staging()
        if isinstance(place, Path):
            self._publish_folder(place, layout, documents)
            return
        with failing("The metadata could not be written", self._where):
            for key, content in documents.items():
                keys.put(place, join(above, key), content)

    def discard(self) -> None:
        """Delete the fields that were written and are not published.

        Raises
        ------
        TargetError
            If a field is being written, or the plate was published in a store other than a folder.
        StorageError
            If the place cannot be read.
        """
        place, above = self._staging()
        if isinstance(place, Path):
            _settle(place)
            remove(place)
            return
        self._check_free()
        for key, items in self._complete()[0].items():
            for item in items:
                keys.delete(place, keys.under(place, join(above, *key, item.path)))

    @property
    def _where(self) -> str:
        root = local_root(self.store)
        return (
            location_in(as_store(self.store), self.path)
            if root is None
            else str(target_folder(root, self.path))
        )

    def _staging(self) -> tuple[Any, str]:
        """Where fields are written before the plate is published: a folder, or a store and the path in it."""
        root = local_root(self.store)
        if root is None:
            return as_store(self.store), self.path.strip("/")
        target = target_folder(root, self.path)
        return target.with_name(f".{short(target.name)}{PLATE}"), ""

    def _chosen(self) -> StorageOptions:
        # What will be packed is stored as in a single file.
        is_packed = is_archive(self.store) and self.options.shards is None
        return replace(self.options, shards="auto") if is_packed else self.options

    def _check_free(self) -> None:
        """Refuse a target where something is; in a store, where the plate is published already."""
        place, above = self._staging()
        if isinstance(place, Path):
            check_target(self.store, self.path)
        elif keys.has_attributes(place, above):
            raise target_exists(self._where)

    def _complete(self) -> tuple[dict[tuple[str, str], list[Field]], list[str]]:
        """The fields of each well that are complete, and the paths of those that are not."""
        from zarr.storage import LocalStore

        place, above = self._staging()
        if isinstance(place, Path):
            if not place.is_dir():
                return {}, []
            place = LocalStore(place, read_only=True)
        with failing("Looking for fields failed", self._where):
            paths = [above]
            for _ in range(3):
                paths = keys.children(place, paths)
            documents = GroupAttributes(place, location_in(place, ""))
            documents.fetch(paths)
        wells: dict[tuple[str, str], list[Field]] = {}
        unfinished = []
        for path in sorted(paths):
            *_, row, column, name = path.split("/")
            attributes = documents.attributes(path) or {}
            if kind_of(attributes) != "image":
                unfinished.append(f"{row}/{column}/{name}")
                continue
            version = decode(attributes, where=f"{documents.where}/{path}")[0].version
            if version != self.options.version:
                raise TargetError(
                    "A field was written in another version.",
                    where=f"{documents.where}/{path}",
                    found=version,
                    expected=self.options.version,
                )
            number: Any = attributes.get(_ACQUISITION)
            wells.setdefault((row, column), []).append(Field(path=name, acquisition=number))
        return wells, unfinished

    def _publish_folder(self, folder: Path, layout: PlateLayout, documents: Mapping[str, bytes]) -> None:
        """Give all fields a second name below a new folder, which takes the name of the plate."""
        _settle(folder)
        with staged(self.store, self.path, zarr_format=self.options.zarr_format) as part:
            for inside in layout.fields:
                copy = Path(part.store.root, part.path, inside)  # type: ignore[attr-defined]
                copy.parent.mkdir(parents=True, exist_ok=True)
                link_tree(folder / inside, copy)
            with failing("The metadata could not be written", part.final):
                write_documents(part, documents)
        remove(folder)


def _settle(folder: Path) -> None:
    """Clean up after fields whose writing was interrupted; refused while one is being written."""
    for part in folder.glob("*/*/.*"):
        name = _OF_A_SAVE.fullmatch(part.name)
        if name is None:
            continue
        target = part.with_name(name[1])
        with system_errors_of(target), exclusive(target) as alone:
            recover(target, alone=alone)
