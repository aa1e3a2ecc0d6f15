"""The short way to save: one call, whatever holds the image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast, overload

from napari_ome_ngff.arguments import check_flags, check_mapping, check_text, place_of
from napari_ome_ngff.errors import OptionError, give_warning
from napari_ome_ngff.metadata.nouns import Channel
from napari_ome_ngff.metadata.systems.view import systems_of
from napari_ome_ngff.metadata.versions import VERSIONS, check_version
from napari_ome_ngff.reading.open import open_ome_ngff
from napari_ome_ngff.reading.opened import Collection, Image
from napari_ome_ngff.saving.as_source import channels_for, is_place, label_source, sources_of
from napari_ome_ngff.saving.copies import CopyChoice, copy_of, version_of
from napari_ome_ngff.saving.described_axes import Description, axis_names
from napari_ome_ngff.writing.plan.options import Chunks, Factors, Shards, StorageOptions, chosen_options
from napari_ome_ngff.writing.plan.write_plan import MultiscaleSource
from napari_ome_ngff.writing.write import write_hierarchy

if TYPE_CHECKING:
    from napari_ome_ngff.arguments import Place


@overload
def save_ome_ngff(  # type: ignore[overload-overlap]
    location: Place,
    data: Collection,
    *,
    name: str | None = None,
    levels: int | None = None,
    method: str | None = None,
    ngff_version: str | None = None,
    chunks: Chunks = "auto",
    shards: Shards = None,
    compressor: object = "auto",
    options: StorageOptions | None = None,
    overwrite: bool = False,
    progress: bool = False,
) -> Collection: ...


@overload
def save_ome_ngff(
    location: Place,
    data: object,
    *,
    axes: str | Sequence[str] | None = None,
    scale: object = None,
    translation: object = None,
    units: object = None,
    channels: Sequence[str | Channel] | None = None,
    labels: Mapping[str, object] | None = None,
    name: str | None = None,
    levels: int | None = None,
    factors: Factors = None,
    method: str | None = None,
    ngff_version: str | None = None,
    chunks: Chunks = "auto",
    shards: Shards = None,
    compressor: object = "auto",
    options: StorageOptions | None = None,
    executor: Executor | None = None,
    overwrite: bool = False,
    progress: bool = False,
) -> Image: ...


def save_ome_ngff(
    location: Place,
    data: object,
    *,
    axes: str | Sequence[str] | None = None,
    scale: object = None,
    translation: object = None,
    units: object = None,
    channels: Sequence[str | Channel] | None = None,
    labels: Mapping[str, object] | None = None,
    name: str | None = None,
    levels: int | None = None,
    factors: Factors = None,
    method: str | None = None,
    ngff_version: str | None = None,
    chunks: Chunks = "auto",
    shards: Shards = None,
    compressor: object = "auto",
    options: StorageOptions | None = None,
    executor: Executor | None = None,
    overwrite: bool = False,
    progress: bool = False,
) -> Image | Collection:
    """Save an image with its lower levels and its label images, and open what was saved.

    The short way to :func:`write_hierarchy`: it takes whatever holds an image, and returns when everything
    is written. Nothing is visible at the target before that.

    Parameters
    ----------
    location
        A folder such as ``"cells.ome.zarr"``, a file that ends with ``.ozx``, an ``s3``, ``gs`` or ``az``
        address, a Zarr store, or a group or place in one.
    data
        A numpy, dask or zarr array, or what is indexed like one; an xarray DataArray, Dataset or DataTree; a
        list of levels, finest first, or a dict of them by their paths; what :func:`open_ome_ngff` returned,
        or where that is. Of an opened image everything is saved again: label images, channels, tables,
        attributes of others; levels that stay as they are stored are copied byte for byte. A plate or a
        collection that was opened is saved whole; only storage, `levels`, `method` and `name` can be chosen.
    axes
        Names of the axes in the order of the array: ``"tczyx"``, in any order and case. They are put in the
        order that OME-Zarr asks for, and a warning says so. Not needed for 2 and 5 axes (``"yx"``,
        ``"tczyx"``), nor where the array has names itself.
    scale
        Distance between two voxels: one number for all axes of space, ``{"z": 1, "y": 0.5, "x": 0.5}``, or
        a list of one for each axis, or for each axis of space.
    translation
        Position of the centre of the first voxel, in the same forms.
    units
        Units of scale and translation in the same forms, ``"micrometer"`` or ``{"z": "um", "t": "s"}``.
    channels
        Names of the channels, or :class:`Channel` for each; those of an opened image are kept without.
    labels
        Label images by their names: arrays of whole numbers, or masks. Without names of axes they have those
        of the image, without channels; without coordinates they lie on the image. Or
        :class:`MultiscaleSource`, with colours and properties.
    name
        Of the image.
    levels, factors, method
        How many levels, and how lower ones are made, as for :func:`write_multiscale_group`. If one of them is
        given, also those of a list or an opened image are made again.
    ngff_version
        ``"0.4"``, ``"0.5"`` or ``"0.6"``; None: that of an opened image, else 0.5.
    chunks, shards, compressor, executor, overwrite
        As for :func:`write_multiscale_group`.
    options
        In place of `ngff_version`, `chunks`, `shards` and `compressor`: these and more.
    progress
        Show a bar.

    Returns
    -------
    Image or Collection
        What was saved, opened.

    Raises
    ------
    OptionError
        If an argument cannot be: it is named, and what to give instead.
    CoordinateError, MetadataError, UnsupportedError
        If what the image says of itself cannot be said in OME-Zarr, or a well or scene is to be saved.
    TargetError
        If writing there could lose something, such as an image that is there without `overwrite`.
    StorageError
        If reading the data or writing fails.

    Examples
    --------
    >>> import numpy, zarr
    >>> image = save_ome_ngff(
    ...     zarr.storage.MemoryStore(),
    ...     numpy.zeros((8, 64, 64), "uint8"),
    ...     axes="zyx",
    ...     scale={"z": 2, "y": 0.5, "x": 0.5},
    ...     units="micrometer",
    ... )
    >>> image.arrays["0"].sizes["z"], image.arrays["0"].x.attrs["units"]
    (8, 'micrometer')
    """
    check_flags(overwrite=overwrite, progress=progress)
    if is_place(data):
        data = open_ome_ngff(cast("Place", data))
    given = StorageOptions(
        version="0.5" if ngff_version is None else ngff_version,
        chunks=chunks,
        shards=shards,
        compressor=compressor,
    )
    chosen = chosen_options(options, given)
    keeps_version = options is None and ngff_version is None
    store, path = place_of(location)
    if isinstance(data, Collection):
        of_one = {"axes": axes, "scale": scale, "translation": translation, "units": units}
        of_one |= {"channels": channels, "labels": labels, "factors": factors, "executor": executor}
        _refuse_for_several(data, of_one)
        chosen = replace(chosen, version=version_of(data)) if keeps_version else chosen
        choice = CopyChoice(levels=levels, method=method, name=name)
        writing = copy_of(data, store, path=path, choice=choice, options=chosen, overwrite=overwrite)
    else:
        about = Description(axes=axes, scale=scale, translation=translation, units=units)
        sources = _with_labels(sources_of(data, about), labels, axes)
        sources[""] = _named(sources[""], channels, name)
        if not (levels is None and factors is None and method is None):
            sources = {key: _made_again(key, each, levels, factors, method) for key, each in sources.items()}
        if keeps_version:
            chosen = _in_its_version(chosen, sources[""])
        if isinstance(data, Image):
            _say_what_is_left(data, chosen.version)
        writing = write_hierarchy(
            store=store, path=path, sources=sources, executor=executor, overwrite=overwrite, options=chosen
        )
    writing.run(progress=bool(progress))
    return _reopened(store, path)


def _refuse_for_several(several: Collection, arguments: Mapping[str, object]) -> None:
    for name, value in arguments.items():
        if value is not None:
            raise OptionError(
                f"{name} is for one image, and this {several.kind} holds several.",
                where=several.location,
                found=", ".join(list(several.images)[:10]),
                hint='Save one of them: opened.images["NAME"].',
            )


def _named(source: MultiscaleSource, channels: object, name: object) -> MultiscaleSource:
    named = replace(source, channels=channels_for(channels, _finest(source)) or source.channels)
    if name is None:
        return named
    check_text(name, "name")
    return replace(named, name=str(name))


def _in_its_version(chosen: StorageOptions, source: MultiscaleSource) -> StorageOptions:
    """Options with the version that an image was read in; those before 0.4 are not written."""
    if source.multiscale is None:
        return chosen
    version = source.multiscale.version
    return replace(chosen, version=version if version in VERSIONS else min(VERSIONS))


def _finest(source: MultiscaleSource) -> Any:
    return source.image if source.image is not None else next(iter((source.arrays or {}).values()))


def _with_labels(
    sources: dict[str, MultiscaleSource], labels: Mapping[str, object] | None, axes: object
) -> dict[str, MultiscaleSource]:
    if labels is None:
        return sources
    check_mapping(labels, "labels", "label images by their names")
    finest = _finest(sources[""])
    names = tuple(map(str, finest.dims)) if axes is None else axis_names(axes)
    added = {f"labels/{name}": label_source(name, data, finest, names) for name, data in labels.items()}
    return sources | added


def _made_again(
    path: str, source: MultiscaleSource, levels: int | None, factors: Factors, method: str | None
) -> MultiscaleSource:
    """A source of which the lower levels are made; labels are never averaged."""
    never = None if path and method == "mean" else method
    image = _finest(source)
    return replace(source, image=image, arrays=None, levels=levels, factors=factors, method=never)


def _say_what_is_left(image: Image, version: str) -> None:
    """Warn of coordinate systems that a version has no place for, or that are those of a scene."""
    systems = {} if image.multiscale is None else systems_of(image.multiscale)
    left = [] if check_version(version).affines else list(systems)[1:]
    if image.view is not None and image.view.system.name not in systems:
        left.append(image.view.system.name)
    if left:
        message = f"The image is saved as it lies in itself, not where it lies in {', '.join(left)}."
        give_warning(f"{message} ({image.location})", stacklevel=3)


def _reopened(store: Any, path: str) -> Image | Collection:
    import zarr

    return open_ome_ngff(zarr.open_group(store, path=path, mode="r") if path else store)
