"""Write a plate: all wells with their fields, as one hierarchy that is there as a whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from types import NoneType
from typing import TYPE_CHECKING, Any

from napari_ome_ngff.arguments import check_flags, check_text, check_type, place_of
from napari_ome_ngff.metadata.collections.plate_layout import lay_out_plate
from napari_ome_ngff.metadata.nouns import Acquisition, Channel
from napari_ome_ngff.saving.described_axes import Description
from napari_ome_ngff.saving.plate_fields import acquisitions_of, fields_of, names_of
from napari_ome_ngff.writing.create import filled
from napari_ome_ngff.writing.pending import Writing
from napari_ome_ngff.writing.plan.options import StorageOptions

if TYPE_CHECKING:
    from napari_ome_ngff.arguments import Place


def write_plate(
    *,
    store: Place,
    path: str = "",
    fields: Mapping[Any, Any],
    name: str | None = None,
    rows: Iterable[str | int] | None = None,
    columns: Iterable[str | int] | None = None,
    acquisitions: Mapping[int, str | None] | Sequence[Acquisition] | None = None,
    axes: str | Sequence[str] | None = None,
    scale: object = None,
    units: object = None,
    channels: Sequence[str | Channel] | None = None,
    executor: Executor | None = None,
    overwrite: bool = False,
    verify: bool = False,
    options: StorageOptions | None = None,
) -> Writing:
    """Write a plate with all its wells and fields: nothing is visible before everything is there.

    To write fields one by one, from several processes or as a microscope makes them, use
    :class:`PlateWriter`.

    Parameters
    ----------
    store, path
        Where to, as for :func:`write_multiscale_group`.
    fields
        The images of each well, by its row and column: ``{("A", 1): [image, image], ("B", 12): [image]}``, or
        by row, column and number of the acquisition, ``("A", 1, 0)``. Fields are numbered, or named:
        ``{("A", 1): {"left": image}}``. An image is whatever :func:`save_ome_ngff` takes; with label images
        it is a dict, ``{"": image, "labels/cells": labels}``.
    name
        Of the plate.
    rows, columns
        Names of all rows and columns in their order, ``"ABCDEFGH"`` and ``range(1, 13)``; None: those of the
        wells.
    acquisitions
        Names of the acquisitions by their numbers: ``{0: "day 1", 1: "day 2"}``.
    axes, scale, units, channels
        As for :func:`save_ome_ngff`, for each field.
    executor, verify
        As for :func:`write_multiscale_group`.
    overwrite
        Replace a plate that has no other fields than this one. What is not ours is kept.
    options
        How images are stored, and the version.

    Returns
    -------
    Writing
        To be looped over, or run: ``write_plate(...).run(progress=True)``.

    Raises
    ------
    OptionError, CoordinateError, MetadataError, UnsupportedError
        If an argument cannot be; before anything is written.
    TargetError
        If writing there could lose something.
    StorageError
        If reading an image or writing fails.

    Examples
    --------
    >>> import numpy, zarr
    >>> from napari_ome_ngff import open_ome_ngff
    >>> store = zarr.storage.MemoryStore()
    >>> image = numpy.zeros((64, 64), "uint8")
    >>> _ = write_plate(store=store, fields={("A", 1): [image, image], ("B", 2): [image]}).run()
    >>> [well.path for well in open_ome_ngff(store).plate.wells]
    ['A/1', 'B/2']
    """
    place, path = place_of(store, path)
    check_flags(overwrite=overwrite, verify=verify)
    check_type(options, (StorageOptions, NoneType), "The options", "StorageOptions")
    if name is not None:
        check_text(name, "The name of the plate")
    chosen = options or StorageOptions()
    about = Description(axes=axes, scale=scale, units=units)
    wells, sources = fields_of(fields, about, channels)
    layout = lay_out_plate(
        wells,
        name=name,
        rows=names_of(rows, "rows"),
        columns=names_of(columns, "columns"),
        acquisitions=acquisitions_of(acquisitions),
        version=chosen.version,
    )
    return filled(place, path, sources, chosen, executor, overwrite=overwrite, verify=verify, plate=layout)
