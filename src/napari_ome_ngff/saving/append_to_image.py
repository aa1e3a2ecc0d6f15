"""Put more planes at the end of an image that is there, along time, channels or another axis."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from os import PathLike
from typing import Any

import numpy as np

from napari_ome_ngff.arguments import check_mapping, check_text, check_whole
from napari_ome_ngff.channels import default_color
from napari_ome_ngff.editing.label_edit import chosen_method, folder_image, is_label
from napari_ome_ngff.editing.longer_levels import Extension, check_extension, count_steps, write_extension
from napari_ome_ngff.editing.metadata_change import MetadataChange, changed, move_of
from napari_ome_ngff.editing.metadata_edit import multiscale_at, set_multiscale
from napari_ome_ngff.errors import OptionError, TargetError, give_warning
from napari_ome_ngff.irregular_axes import POSITIONS, longer_positions
from napari_ome_ngff.metadata.nouns import Channel
from napari_ome_ngff.metadata.transforms import level_transform
from napari_ome_ngff.reading.opened import Image
from napari_ome_ngff.saving.as_source import channels_for, label_source, sources_of
from napari_ome_ngff.saving.described_axes import Description
from napari_ome_ngff.storage.places.location import join
from napari_ome_ngff.writing.commit.in_place import Change, changing
from napari_ome_ngff.writing.pending import Writing
from napari_ome_ngff.writing.plan.multiscale import completed
from napari_ome_ngff.writing.plan.options import MEMORY_LIMIT
from napari_ome_ngff.writing.refusals import system_errors_of
from napari_ome_ngff.writing.save import Progress


def append_to_image(
    location: str | PathLike[str],
    data: object,
    *,
    axis: str = "t",
    axes: str | Sequence[str] | None = None,
    channels: Sequence[str | Channel] | None = None,
    labels: Mapping[str, object] | None = None,
    method: str | None = None,
    workers: int | None = None,
    memory_limit: int = MEMORY_LIMIT,
) -> Writing:
    """Put more time points, or channels, at the end of an image in a folder: one of ours or of others.

    All levels get longer, as they are stored: version, chunks, shards and codecs stay. What is there is not
    written again, but for the last chunks if the old end lies inside of them. The new files lie beside the
    image first (``.NAME.ngff-edit``); when all are there, they take their places. Whoever is killed meanwhile
    leaves the image as it was, or one that is finished when it is opened or saved to again.

    Parameters
    ----------
    location
        Folder of the image.
    data
        The new part: whatever :func:`save_ome_ngff` takes, with the axes of the image, or without `axis` if
        it is one plane along it. Its data type is that of the image; its position along `axis` is not asked,
        but of true times, if the image has them: then they go on, and so does their mean step.
    axis
        Name of the axis that gets longer. Levels must not be smaller along it, as time and channels are not.
    axes
        Names of the axes of `data` if it has none; None: those of the image.
    channels
        Names of the new channels, or :class:`Channel` for each, if `axis` is that of the channels.
    labels
        The new part of label images, by name. Those that are left out are 0 there.
    method
        How lower levels are made of the new part; None: as the metadata say that they were made, else the
        mean; of label images the nearest voxel.
    workers
        Number of threads that write; None: as many as Python chooses.
    memory_limit
        Bytes of new voxels that are held in memory; more are kept in a temporary folder.

    Returns
    -------
    Writing
        To be looped over, or run: ``append_to_image(...).run(progress=True)``.

    Raises
    ------
    OptionError, CoordinateError
        If the new part does not fit the image; before anything is written.
    UnsupportedError
        If lower levels are smaller along `axis`, or too much of what is there would be written again.
    TargetError
        If the image is not in a folder that can be written to; when it runs, if another save is running or
        the image has changed.
    NotOmeNgffError, MetadataError, StorageError
        If there is no image, or reading or writing fails.

    Examples
    --------
    >>> import tempfile, numpy
    >>> from napari_ome_ngff import open_ome_ngff, save_ome_ngff
    >>> place = tempfile.mkdtemp() + "/movie.ome.zarr"
    >>> _ = save_ome_ngff(place, numpy.zeros((2, 64, 64), "uint8"), axes="tyx")
    >>> _ = append_to_image(place, numpy.ones((64, 64), "uint8")).run()
    >>> open_ome_ngff(place).arrays["0"].shape
    (3, 64, 64)
    """
    check_text(axis, "axis")
    check_mapping(labels or {}, "labels", "label images by their names")
    check_whole(memory_limit, 1, 2**62, "The limit of memory")
    if workers is not None:
        check_whole(workers, 1, 4096, "The number of workers")
    image = folder_image(location)
    extensions, added, places = _extensions(image, data, axis, axes, labels or {}, channels, method)
    for extension in extensions:
        check_extension(extension, axis, join(image.location, extension.path))
    add = partial(_add_places, axis=axis, extensions=extensions, places=places)
    return Writing(_steps(image, extensions, added, add, workers, memory_limit), image.location)


def _extensions(
    image: Image,
    data: object,
    axis: str,
    axes: str | Sequence[str] | None,
    labels: Mapping[str, object],
    channels: Sequence[str | Channel] | None,
    method: str | None,
) -> tuple[list[Extension], tuple[Channel, ...], Any]:
    """What each of the image and its label images gets, the new channels, and where the new part lies."""
    dims = _dims(image)
    if axis not in dims:
        raise OptionError(f"The image has no axis {axis!r}.", where=image.location, expected=", ".join(dims))
    ndim = len(getattr(data, "shape", ()))
    if axes is None and not hasattr(data, "dims") and ndim in (len(dims), len(dims) - 1):
        axes = [dim for dim in dims if ndim == len(dims) or dim != axis]
    source = sources_of(data, Description(axes=axes), what="data")[""]
    finest = source.image if source.image is not None else next(iter((source.arrays or {}).values()))
    result = [_extension(image, "", finest, axis, chosen_method(image, method, labels=is_label(image)))]
    added: tuple[Channel, ...] = ()
    assert image.multiscale is not None
    if image.multiscale.channel_axis == dims.index(axis):
        whole = finest if axis in finest.dims else finest.expand_dims(axis)
        added = channels_for(channels, whole) or (Channel(),) * whole.sizes[axis]
    elif channels is not None:
        raise OptionError("channels are given where no channels are added.", found=f"axis={axis!r}")
    for name, label in image.labels.items():
        if name in labels:
            given = label_source(name, labels[name], finest, [str(dim) for dim in finest.dims])
            part: Any = given.image if given.image is not None else next(iter((given.arrays or {}).values()))
            part = part.astype(_finest(label).dtype)
        elif axis in _dims(label):
            part = _zeros(label, axis, result[0].data.shape[dims.index(axis)])
        else:
            continue
        path = join("labels", name)
        if axis in part.dims and part.sizes[axis] != result[0].data.shape[dims.index(axis)]:
            raise OptionError(
                f"The new part of {path} does not fit.",
                found=f"{axis} {part.sizes[axis]}",
                expected=f"{axis} {result[0].data.shape[dims.index(axis)]}",
            )
        result.append(_extension(label, path, part, axis, chosen_method(label, None, labels=True)))
    if unknown := set(labels) - set(image.labels):
        raise OptionError(
            f"The image has no label image {sorted(unknown)[0]!r}.",
            where=image.location,
            expected=", ".join(image.labels) or "none: it has no label images",
        )
    places = np.atleast_1d(finest.coords[axis].values) if axis in finest.coords else None
    return result, added, places


def _dims(image: Image) -> tuple[str, ...]:
    return () if image.multiscale is None else image.multiscale.dims


def _finest(image: Image) -> Any:
    assert image.group is not None
    return next(iter(image.group.sources.values()))


def _zeros(label: Image, axis: str, count: int) -> Any:
    from xarray import DataArray

    dims = _dims(label)
    like = _finest(label)
    sizes = [count if dim == axis else n for dim, n in zip(dims, like.shape, strict=True)]
    return DataArray(np.broadcast_to(np.zeros((), like.dtype), sizes), dims=dims)


def _extension(image: Image, path: str, part: Any, axis: str, method: str) -> Extension:
    """The new part in the order of the arrays, compared with them."""
    assert image.group is not None
    arrays: Any = image.group.sources
    like = next(iter(arrays.values()))
    dims = _dims(image)
    if axis not in part.dims and axis in dims:
        part = part.expand_dims(axis)
    what = f"The new part of {path or 'the image'}"
    if set(part.dims) != set(dims):
        raise OptionError(
            f"{what} has other axes.", found=", ".join(map(str, part.dims)), expected=", ".join(dims)
        )
    part = part.transpose(*dims)
    sizes = {dim: n for dim, n in zip(dims, like.shape, strict=True) if dim != axis}
    if any(part.sizes[dim] != n for dim, n in sizes.items()) or not part.sizes[axis]:
        raise OptionError(
            f"{what} does not fit.",
            found=", ".join(f"{dim} {part.sizes[dim]}" for dim in dims),
            expected=", ".join(f"{dim} {n}" for dim, n in sizes.items()),
        )
    if part.dtype.newbyteorder("=") != like.dtype.newbyteorder("="):
        raise OptionError(
            f"{what} is of another type.",
            found=str(part.dtype),
            expected=str(like.dtype),
            hint=f'Convert it yourself, for example with .astype("{like.dtype}").',
        )
    return Extension(path=path, arrays=arrays, data=part.variable, axis=dims.index(axis), method=method)


def _steps(
    image: Image,
    extensions: Sequence[Extension],
    added: tuple[Channel, ...],
    add_places: Callable[[Change], None],
    workers: int | None,
    memory_limit: int,
) -> Generator[Progress, None, None]:
    total = sum(map(count_steps, extensions)) + 1
    done = Progress(blocks_done=0, blocks_total=total, bytes_done=0, bytes_total=0, message="Appending")
    with (
        ThreadPoolExecutor(workers, thread_name_prefix="ome-ngff-append") as executor,
        system_errors_of(image.location),  # type: ignore[arg-type]
        changing(image.location) as change,
    ):
        _check_unchanged(image)
        yield done
        for extension in extensions:
            path = join(change.path, extension.path)
            for nbytes, keys in write_extension(
                extension, change.new, path, executor, memory_limit=memory_limit
            ):
                change.keys.extend(keys)
                done = replace(done, blocks_done=done.blocks_done + 1, bytes_done=done.bytes_done + nbytes)
                yield done
            for name, array in extension.arrays.items():
                change.documents.set_shape(join(path, name), extension.shape(array))
        if added:
            _add_channels(change, image, added)
        else:
            add_places(change)
    yield replace(done, blocks_done=total, bytes_total=done.bytes_done, message="Appended")


def _check_unchanged(image: Image) -> None:
    """Refuse if somebody else has changed the size of the image, or put another one in its place."""
    now = folder_image(image.location)
    shapes = [
        [array.shape for array in one.group.sources.values()]  # type: ignore[union-attr]
        for each in (image, now)
        for one in (each, *each.labels.values())
        if one.group is not None
    ]
    half = len(shapes) // 2
    if shapes[:half] != shapes[half:]:
        raise TargetError(
            "Somebody else has changed the image meanwhile.", where=image.location, hint="Append again."
        )


def _add_channels(change: Change, image: Image, added: tuple[Channel, ...]) -> None:
    """Describe the new channels, if the image describes those that it has."""
    multiscale = multiscale_at(change.documents, change.path)
    if not multiscale.channels:
        return
    like = _finest(image)
    old = int(like.shape[multiscale.channel_axis or 0])
    count = old + len(added)
    channels = [*multiscale.channels, *(Channel() for _ in range(len(multiscale.channels), old)), *added]
    colored = [
        channel if channel.color else replace(channel, color=default_color(i, count))
        for i, channel in enumerate(channels[:count])
    ]
    new = replace(multiscale, channels=completed(colored, np.dtype(like.dtype)))
    set_multiscale(change.documents, change.path, MetadataChange(channels={}), new)


def _add_places(change: Change, *, axis: str, extensions: Sequence[Extension], places: Any) -> None:
    """Let true times, or other irregular positions, go on in images that have them."""
    for extension in extensions:
        path = join(change.path, extension.path)
        stored = change.documents.group(path).get(POSITIONS)
        if not isinstance(stored, Mapping) or axis not in stored:
            continue
        multiscale = multiscale_at(change.documents, path)
        longer = longer_positions(stored[axis], extension.old, places)
        if longer is None:
            message = f"The true positions along {axis!r} end: the new part has none of their kind."
            give_warning(f"{message} ({change.documents.where}/{path})", stacklevel=3)
            continue
        entry, step = longer
        scaled = MetadataChange(scale={axis: step} if step > 0 else {})
        new = changed(multiscale, scaled, move_of(multiscale, scaled))
        place = level_transform(new, 0)
        index = new.dims.index(axis)
        entry |= {"scale": place.scale[index], "translation": place.translation[index]}
        kept = MetadataChange(attributes={POSITIONS: {**stored, axis: entry}})
        set_multiscale(change.documents, path, kept, new)
