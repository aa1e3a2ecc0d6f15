"""Correct what the metadata of an image say: the documents alone are written, in place."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ome_ngff.arguments import place_of
from napari_ome_ngff.channels import default_color
from napari_ome_ngff.editing.metadata_change import MetadataChange, Move, changed, move_of, with_attributes
from napari_ome_ngff.errors import OptionError, StorageError, UnsupportedError, collected_warnings
from napari_ome_ngff.metadata.collections.plates import decode_plate, decode_well
from napari_ome_ngff.metadata.group_kind import container_of, holder_of, kind_of
from napari_ome_ngff.metadata.image.label_images import decode_labels
from napari_ome_ngff.metadata.nouns import Axis, Channel, Json, Multiscale, Window
from napari_ome_ngff.metadata.versions import VERSIONS, decode, encode
from napari_ome_ngff.storage.edits.group_attributes import GroupAttributes
from napari_ome_ngff.storage.pixels.array_wrap import DaskArrayWrapper
from napari_ome_ngff.storage.places.location import join
from napari_ome_ngff.writing.commit.in_place import locked, put_documents
from napari_ome_ngff.writing.engine.seen_values import SeenValues, seen_in
from napari_ome_ngff.writing.plan.multiscale import completed, lacks_window
from napari_ome_ngff.writing.reader_bounds import check_image
from napari_ome_ngff.writing.refusals import failing

if TYPE_CHECKING:
    from napari_ome_ngff.arguments import Place


def edit_metadata(
    location: Place,
    *,
    scale: Mapping[str, float] | None = None,
    translation: Mapping[str, float] | None = None,
    units: Mapping[str, str | None] | None = None,
    axes: Mapping[str, str | Axis] | None = None,
    name: str | None = None,
    channels: Mapping[int | str, Mapping[str, Any] | Channel] | None = None,
    colors: Mapping[int, tuple[int, int, int, int]] | None = None,
    properties: Sequence[Mapping[str, Json]] | None = None,
    acquisitions: Mapping[int, str] | None = None,
    attributes: Mapping[str, Json] | None = None,
) -> tuple[str, ...]:
    """Correct the metadata of an image in place. Pixels are neither read nor written.

    What is given is changed, what is not stays, keys of others too. It is checked as a save would be. In a
    folder all documents change together or none does, even if the process is killed; in a bucket or another
    store each changes in one step, one after the other. Label images keep their place on the image: what
    changes of its voxel size, translation, units and axes changes of theirs. Of a plate or a well, every
    field is corrected. Wells are named by their row and column, which are their folders: those names stay.

    Parameters
    ----------
    location
        Folder, address or store of an image, a label image, a plate or a well.
    scale
        Size of a voxel of level 0 by dim: ``{"z": 0.5}``, in the unit of the axis. Lower levels follow.
    translation
        Position of the centre of voxel 0 of level 0 by dim.
    units
        Unit by dim, or None for none.
    axes
        New name by dim, or a whole :class:`Axis`: ``{"z": Axis(name="t", type="time", unit="second")}``.
    name
        Of the image, or of the plate.
    channels
        What changes, by index or name of the channel: ``{0: {"label": "DAPI", "color": "0000FF", "window":
        Window(start=100, end=4000), "active": False}}``; or a whole :class:`Channel`.
    colors, properties
        Of a label image: colour by label, one mapping per label.
    acquisitions
        Of a plate: name by id.
    attributes
        Attributes of the image's group that are not of OME-Zarr, by key: a new value, or None to remove it.

    Returns
    -------
    tuple of str
        Keys of the documents that were written.

    Raises
    ------
    OptionError
        If nothing is asked for, or something that this image does not have.
    MetadataError
        If the result would break a rule of the version; then nothing is changed.
    TargetError
        If another save is running, or the image is in a single file.
    NotOmeNgffError, UnsupportedError, StorageError
        If there is no image, one of a version that is not written, or it cannot be written to.

    Examples
    --------
    >>> import numpy, xarray, zarr
    >>> from napari_ome_ngff import open_ome_ngff, write_multiscale_group
    >>> store = zarr.storage.MemoryStore()
    >>> image = xarray.DataArray(numpy.zeros((64, 64), "uint8"), dims=("y", "x"))
    >>> _ = write_multiscale_group(store=store, image=image).run()
    >>> edit_metadata(store, scale={"y": 0.5, "x": 0.5}, units={"y": "micrometer", "x": "micrometer"})
    ('zarr.json',)
    >>> open_ome_ngff(store).multiscale.levels[0].transform.scale
    (0.5, 0.5)
    """
    change = MetadataChange(
        scale=scale,
        translation=translation,
        units=units,
        axes=axes,
        name=name,
        channels=channels,
        colors=colors,
        properties=properties,
        acquisitions=acquisitions,
        attributes=attributes,
    )
    if change.is_empty:
        raise OptionError("Nothing is to be changed.", hint="Give what is wrong, scale for example.")
    with locked(*place_of(location)) as place, collected_warnings():  # whoever opens it is told
        _change_group(place.documents, place.path, change)
        return put_documents(place)


def _change_group(documents: GroupAttributes, path: str, change: MetadataChange) -> None:
    attributes = documents.group(path)
    kind = kind_of(attributes)
    where = join(documents.where, path)
    if kind != "plate" and change.acquisitions is not None:
        raise OptionError("Acquisitions are those of a plate, and this is none.", where=where)
    if kind == "image":
        _change_image(documents, path, change)
    elif kind == "plate":
        plate = decode_plate(attributes, where=where)
        _change_plate(documents, path, change)
        wells = [join(path, well.path) for well in plate.wells]
        _change_fields(documents, wells, replace(change, name=None, acquisitions=None))
    elif kind == "well":
        _change_fields(documents, [path], change)
    else:
        raise UnsupportedError(
            "The metadata of an image, a label image, a plate or a well can be corrected.",
            where=where,
            found=kind or "a group that holds no OME-Zarr image",
            hint="Give the folder of one of its images.",
        )


def _change_plate(documents: GroupAttributes, path: str, change: MetadataChange) -> None:
    attributes = copy.deepcopy(dict(documents.group(path)))
    container, _ = holder_of(attributes, "plate")
    plate = (attributes[container] if container else attributes)["plate"]
    if change.name is not None:
        plate["name"] = change.name
    listed = {entry.get("id"): entry for entry in plate.get("acquisitions") or () if isinstance(entry, dict)}
    for identifier, name in (change.acquisitions or {}).items():
        if identifier not in listed:
            raise OptionError(
                f"The plate has no acquisition {identifier!r}.",
                expected=", ".join(map(str, listed)) or "none",
            )
        listed[identifier]["name"] = name
    if change.name is not None or change.acquisitions is not None:
        documents.set_attributes(path, attributes)


def _change_fields(documents: GroupAttributes, wells: Sequence[str], change: MetadataChange) -> None:
    if change.is_empty:
        return
    documents.fetch(wells)
    fields = [
        join(well, field.path)
        for well in wells
        if (attributes := documents.attributes(well)) is not None
        for field in decode_well(attributes, where=join(documents.where, well)).fields
    ]
    documents.fetch([*fields, *(join(field, "labels") for field in fields)])
    for field in fields:
        if documents.attributes(field) is not None:  # fields may be missing
            _change_image(documents, field, change)


def _change_image(documents: GroupAttributes, path: str, change: MetadataChange) -> None:
    multiscale = multiscale_at(documents, path)
    if change.channels is not None:
        multiscale = _with_channels(documents, path, multiscale)
    move = move_of(multiscale, change)
    set_multiscale(documents, path, change, changed(multiscale, change, move))
    if multiscale.label_image is None:
        _change_labels(documents, join(path, "labels"), change.for_labels, move)


def _change_labels(documents: GroupAttributes, path: str, change: MetadataChange, move: Move) -> None:
    listed = documents.attributes(path)
    names = decode_labels(listed, where=join(documents.where, path)) if listed else ()
    for name in names:
        attributes = documents.attributes(join(path, name))
        if attributes is None or kind_of(attributes) != "image":
            continue
        label = multiscale_at(documents, join(path, name))
        own = MetadataChange(units=_of_dims(change.units, label.dims), axes=_of_dims(change.axes, label.dims))
        ways = {dim: way for dim, way in move.items() if dim in label.dims}
        if ways or own.units or own.axes:
            set_multiscale(documents, join(path, name), own, changed(label, own, ways))


def _of_dims(values: Mapping[str, Any] | None, dims: Sequence[str]) -> dict[str, Any]:
    return {dim: value for dim, value in (values or {}).items() if dim in dims}


def multiscale_at(documents: GroupAttributes, path: str) -> Multiscale:
    """What the first image of a group says; refused if its version is not written."""
    where = join(documents.where, path)
    multiscale = decode(documents.group(path), where=where)[0]
    if multiscale.version not in VERSIONS or multiscale.unplaced:
        raise UnsupportedError(
            "This image does not say everything that can be corrected.",
            where=where,
            found=f"OME-Zarr {multiscale.version}",
            expected="an image in " + ", ".join(VERSIONS) + " whose levels all have a place",
            hint="Save it as a new image in one of these versions.",
        )
    return multiscale


def _with_channels(documents: GroupAttributes, path: str, multiscale: Multiscale) -> Multiscale:
    """The metadata with as many channels as there are, complete, so that each can be changed."""
    import zarr

    array = zarr.open_array(documents.store, path=join(path, multiscale.levels[0].path), mode="r")
    axis = multiscale.channel_axis
    count = 1 if axis is None else array.shape[axis]
    missing = range(len(multiscale.channels), count)
    channels = [*multiscale.channels, *(Channel(color=default_color(i, count)) for i in missing)]
    seen: tuple[Window, ...] = ()
    if array.dtype.kind in "iuf" and any(map(lacks_window, channels)):
        seen = _seen(documents, path, multiscale)
    return replace(multiscale, channels=completed(channels, np.dtype(array.dtype), seen))


def _seen(documents: GroupAttributes, path: str, multiscale: Multiscale) -> tuple[Window, ...]:
    """Contrast of the pixels of the coarsest level, for each channel; empty if they cannot be read."""
    import zarr
    from xarray import Variable

    place = join(path, multiscale.levels[-1].path)
    try:
        with failing("Reading the image failed", join(documents.where, place)):
            array = zarr.open_array(documents.store, path=place, mode="r")
            level = Variable(multiscale.dims, DaskArrayWrapper().wrap(array))
            values = SeenValues(level.shape, multiscale.channel_axis)
            seen_in(values, level, array.chunks)
    except StorageError:  # contrast is decoration
        return ()
    return values.windows(level.dtype)


def set_multiscale(
    documents: GroupAttributes, path: str, change: MetadataChange, multiscale: Multiscale
) -> None:
    """Put an image's metadata into the attributes of its group; of those, only what was asked for changes."""
    old = documents.group(path)
    container = (container_of(old) or ("", {}))[0]
    encoded = encode(multiscale, multiscale.version)
    ours: Any = encoded[container] if container else encoded
    attributes = copy.deepcopy(dict(old))
    attributes = with_attributes(attributes, change.attributes or {})
    holder = attributes[container] if container else attributes
    images = holder["multiscales"]
    holder["multiscales"] = [*ours["multiscales"], *(images[1:] if isinstance(images, list) else ())]
    if change.channels is not None:
        holder["omero"] = ours["omero"]
    if change.colors is not None or change.properties is not None:
        holder["image-label"] = ours["image-label"]
    check_image(join(documents.where, path), multiscale, attributes)
    documents.set_attributes(path, attributes)
    names = {dim: new if isinstance(new, str) else new.name for dim, new in (change.axes or {}).items()}
    if any(dim != name for dim, name in names.items()):
        for level in multiscale.levels:
            documents.rename_dims(join(path, level.path), names)
