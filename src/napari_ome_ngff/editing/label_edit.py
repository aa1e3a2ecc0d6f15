"""Paint on an image that is there, and save only what has changed."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ome_ngff.arguments import bytes_of, check_text, check_type, check_whole, place_of
from napari_ome_ngff.editing.held_chunks import HeldChunks
from napari_ome_ngff.editing.lower_levels import chunk_box
from napari_ome_ngff.editing.painted import Painted
from napari_ome_ngff.editing.save_edit import EditedLevel, save_edit
from napari_ome_ngff.errors import OmeNgffError, OptionError, TargetError, UnsupportedError
from napari_ome_ngff.metadata.transforms import METHODS
from napari_ome_ngff.reading.open import open_metadata
from napari_ome_ngff.reading.opened import Image
from napari_ome_ngff.storage.pixels.source import ChunkedSource
from napari_ome_ngff.storage.places.store_kind import local_folder
from napari_ome_ngff.writing.pending import Writing
from napari_ome_ngff.writing.target import is_archive, local_root

if TYPE_CHECKING:
    from napari_ome_ngff.arguments import Place
    from napari_ome_ngff.metadata.nouns import Multiscale

MEMORY = 2**29
"""Bytes of painted chunks that are held in memory; more of them are kept in a temporary folder."""


@dataclass(frozen=True, kw_only=True)
class Dirty:
    """What was painted and is not saved.

    Parameters
    ----------
    chunks
        How many chunks of level 0.
    nbytes
        Bytes of their voxels.
    """

    chunks: int
    nbytes: int


class LabelEdit:
    """Level 0 of a label image, or of any image, as an array to paint on.

    It is indexed like a numpy array: ``edit[3, 10:20, 10:20] = 7``, also with masks and with lists of
    coordinates. A chunk is copied when it is painted on for the first time; the file is not touched before
    :meth:`save`. Threads may read while one paints.

    Attributes are `shape`, `dtype`, `ndim`, `size`, `chunks`, `location` (the folder) and `multiscale`.

    Examples
    --------
    >>> import tempfile, numpy, xarray
    >>> from napari_ome_ngff import edit_image, write_multiscale_group
    >>> place = tempfile.mkdtemp() + "/cells.ome.zarr"
    >>> image = xarray.DataArray(numpy.zeros((64, 64), "uint8"), dims=("y", "x"))
    >>> _ = write_multiscale_group(store=place, image=image).run()
    >>> edit = edit_image(place)
    >>> edit[10:20, 10:20] = 7
    >>> edit.dirty
    Dirty(chunks=1, nbytes=4096)
    >>> edit.save().run().message
    'Saved'
    """

    def __init__(self, image: Image, method: str, memory_limit: int) -> None:
        assert image.multiscale is not None
        assert image.group is not None
        self.location: str = image.location
        self.multiscale: Multiscale = image.multiscale
        self._method = method
        self._memory_limit = memory_limit
        self._arrays: dict[str, Any] = dict(image.group.sources)
        self._painted = self._paintable(next(iter(self._arrays.values())))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of level 0, in the order of the axes on disk."""
        return self._painted.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the voxels."""
        return self._painted.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of voxels."""
        return math.prod(self.shape)

    @property
    def chunks(self) -> tuple[int, ...]:
        """Shape of the chunks."""
        return self._painted.grid

    @property
    def dirty(self) -> Dirty:
        """What was painted and is not saved."""
        held = [self._painted.held, self._painted.saving]
        parts = [one for one in held if one is not None]
        return Dirty(chunks=sum(map(len, parts)), nbytes=sum(one.nbytes for one in parts))

    @property
    def is_saving(self) -> bool:
        """Whether a save of it is running, in another thread; there is one at a time."""
        return self._painted.saving is not None

    def __getitem__(self, key: Any) -> Any:
        return self._painted[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self._painted[key] = value

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        return np.asarray(self[...], dtype)

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        dirty = self.dirty
        return (
            f"<LabelEdit {self.location} shape={self.shape} dtype={self.dtype} {dirty.chunks} chunks painted>"
        )

    def discard(self) -> None:
        """Forget what was painted and is not saved."""
        self._painted.discard()

    def save(self) -> Writing:
        """Write the chunks that were painted on, and make anew what depends on them in the lower levels.

        Nothing else is written. The new chunks lie beside the image first (``.NAME.ngff-edit``); when all are
        there, each takes its place. Whoever is killed meanwhile leaves the old state, or one that is finished
        when the image is opened or saved to again. Painting may go on while it runs: that is the next save's.

        Returns
        -------
        Writing
            To be looped over, or run: ``edit.save().run(progress=True)``.

        Raises
        ------
        TargetError
            When it runs: if another save is running, or somebody else has changed the same chunks since they
            were painted on. What was painted stays.
        StorageError
            When it runs: if it cannot be written. What was painted stays.
        """
        (path, array), *coarser = self._arrays.items()
        levels = [EditedLevel(path=path, array=array, painted=self._painted)]
        levels += [EditedLevel(path=p, array=a, painted=self._paintable(a)) for p, a in coarser]
        return Writing(save_edit(Path(self.location), levels, self._method, self._check), self.location)

    def _paintable(self, array: Any) -> Painted:
        return Painted(ChunkedSource(array), memory_limit=self._memory_limit)

    def _check(self, chunks: HeldChunks) -> None:
        """Refuse to save over what somebody else has done."""
        try:
            self._painted.source.check_place()
        except LookupError as error:
            raise TargetError(
                "Another image has taken the place of the one that was painted on.",
                where=self.location,
                hint="Save it as a new image.",
            ) from error
        if changed := self._painted.changed_by_others(chunks):
            raise TargetError(
                "Somebody else has changed what was painted on.",
                where=self.location,
                found=f"{len(changed)} of {len(chunks)} chunks, {changed[0]} among them",
                hint="Open the image again and repeat what is missing, or save this as a new image.",
            )


def edit_labels(
    location: Place, name: str, *, method: str | None = None, memory_limit: int | str = MEMORY
) -> LabelEdit:
    """Open a label image of an image to be painted on. Nothing is written before `LabelEdit.save`.

    Parameters
    ----------
    location
        Folder of the image.
    name
        Of the label image.
    method
        How lower levels are made anew: ``"nearest"`` or ``"mode"``. None: as the metadata say they were made,
        else the nearest voxel.
    memory_limit
        Bytes of painted chunks that are held in memory; more are kept in a temporary folder.

    Returns
    -------
    LabelEdit
        Level 0, as an array.

    Raises
    ------
    TargetError
        If the image is not in a folder that can be written to: single files and buckets are saved as new.
    OptionError
        If the image has no such label image, or there is no such method.
    NotOmeNgffError, MetadataError, UnsupportedError, StorageError
        As for :func:`open_ome_ngff`.

    Examples
    --------
    >>> import tempfile, numpy, xarray
    >>> from napari_ome_ngff import MultiscaleSource, write_multiscale_group
    >>> place = tempfile.mkdtemp() + "/cells.ome.zarr"
    >>> image = xarray.DataArray(numpy.zeros((64, 64), "uint8"), dims=("y", "x"))
    >>> labels = {"nuclei": MultiscaleSource(image=image)}
    >>> _ = write_multiscale_group(store=place, image=image, labels=labels).run()
    >>> edit = edit_labels(place, "nuclei")
    >>> edit[10:20, 10:20] = 7
    >>> _ = edit.save().run()
    """
    check_text(name, "The name of the label image")
    _check_method(method)
    if method == "mean":
        raise OptionError("The mean of labels would be other labels.", expected='"nearest" or "mode"')
    image = folder_image(location)
    if name not in image.labels:
        raise OptionError(
            f"The image has no label image {name!r}.",
            where=image.location,
            expected=", ".join(image.labels) or "none: it has no label images",
        )
    return _edit(image.labels[name], method, memory_limit, labels=True)


def edit_image(location: Place, *, method: str | None = None, memory_limit: int | str = MEMORY) -> LabelEdit:
    """Open any image to be painted on, as :func:`edit_labels` does with a label image.

    Parameters
    ----------
    location
        Folder of the image, or of a label image.
    method
        How lower levels are made anew: ``"mean"``, ``"nearest"`` or ``"mode"``. None: as the metadata say
        they were made, else the mean; for a label image the nearest voxel.
    memory_limit
        As for :func:`edit_labels`.

    Returns
    -------
    LabelEdit
        Level 0, as an array.

    Raises
    ------
    TargetError, OptionError, NotOmeNgffError, MetadataError, UnsupportedError, StorageError
        As for :func:`edit_labels`.

    Examples
    --------
    >>> import tempfile, numpy, xarray
    >>> from napari_ome_ngff import write_multiscale_group
    >>> place = tempfile.mkdtemp() + "/cells.ome.zarr"
    >>> image = xarray.DataArray(numpy.zeros((64, 64), "uint8"), dims=("y", "x"))
    >>> _ = write_multiscale_group(store=place, image=image).run()
    >>> edit_image(place).shape
    (64, 64)
    """
    _check_method(method)
    image = folder_image(location)
    return _edit(image, method, memory_limit, labels=is_label(image))


def _check_method(method: object) -> None:
    check_type(method, (str, NoneType), "The method", " or ".join(METHODS))


def folder_image(location: Place) -> Image:
    """Open an image that is to be changed in place; refused unless its folder can be written to."""
    folder: Any
    folder, path = place_of(location)
    if not isinstance(folder, str | PathLike):
        root_folder = local_folder(folder)
        if root_folder is None:
            raise OptionError("Only what is in a folder can be edited.", expected="the path of a folder")
        folder = os.path.join(root_folder, path)
    root = local_root(folder)
    if root is None or is_archive(folder) or root.is_file():
        raise TargetError(
            "Only images in folders can be edited in place.",
            where=os.fspath(folder),
            found="a single file" if root is not None else "an address",
            hint="Save it as a new image, in a folder; that can be edited.",
        )
    image = open_metadata(folder)
    if not isinstance(image, Image) or image.group is None:
        raise UnsupportedError(
            "These are several images; one at a time can be edited.",
            where=os.fspath(folder),
            hint="Give the folder of the image itself, a field of a plate for example.",
        )
    if not os.access(image.location, os.W_OK):
        raise TargetError(
            "This image cannot be edited: its folder is read-only.",
            where=image.location,
            hint="Copy it to a place where you may write, or save what you paint as a new image.",
        )
    return image


def chosen_method(image: Image, method: str | None, *, labels: bool) -> str:
    """How lower levels are made: as asked for, else as the metadata say they were, else as is usual."""
    allowed = [each for each in METHODS if each != "mean" or not labels]
    if method is None:
        stored = image.multiscale.method if image.multiscale else None
        return stored if stored in allowed else "nearest" if labels else "mean"
    if method not in allowed:
        raise OptionError("There is no such method here.", found=repr(method), expected=" or ".join(allowed))
    return method


def is_in_file(edit: LabelEdit) -> bool:
    """Whether another image has taken the place of the one that was painted on, with all that was painted."""
    painted = edit._painted
    try:
        painted.source.check_place()
        return False
    except LookupError:  # as after a save of the layer itself
        pass
    try:
        image = open_metadata(edit.location)
        if edit.is_saving or not isinstance(image, Image) or image.group is None:
            return False
        arrays: dict[str, Any] = dict(image.group.sources)
        now = ChunkedSource(next(iter(arrays.values())))
        boxes = [chunk_box(position, painted.grid, edit.shape) for position in painted.held]
        return now.shape == edit.shape and all(np.array_equal(now[box], painted[box]) for box in boxes)
    except OmeNgffError:
        return False


def is_label(image: Image) -> bool:
    """Whether an image says itself that its voxels are labels."""
    return image.multiscale is not None and image.multiscale.label_image is not None


def _edit(image: Image, method: str | None, memory_limit: int | str, *, labels: bool) -> LabelEdit:
    if isinstance(memory_limit, str):
        memory_limit = bytes_of(memory_limit, "The limit of memory")
    check_whole(memory_limit, 1, 2**62, "The limit of memory")
    return LabelEdit(image, chosen_method(image, method, labels=labels), memory_limit)
