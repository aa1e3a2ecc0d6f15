"""The engine ``"ome-ngff"`` of xarray, which finds it by an entry point: images as DataTrees and Datasets.

xarray imports this module whenever it looks for an engine, so it imports nothing heavy but xarray.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import NoneType
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from xarray import DataTree
from xarray.backends import BackendEntrypoint

from napari_ome_ngff.arguments import check_type, shown
from napari_ome_ngff.errors import OptionError
from napari_ome_ngff.reading.sniff import is_likely_ome_ngff
from napari_ome_ngff.storage.places.location import group_location, is_url, join
from napari_ome_ngff.storage.places.store_kind import store_kind

if TYPE_CHECKING:
    from xarray import Dataset

    from napari_ome_ngff.reading.opened import Collection, Image

VARIABLE = "image"
"""Name of the variable that holds the voxels of a level, as in other DataTrees of multiscale images."""

_ENDINGS = (".ome.zarr", ".ome.zarr.zip", ".ozx")

_MOST_NAMED = 12


class OmeNgffBackend(BackendEntrypoint):
    """What xarray calls for ``engine="ome-ngff"``.

    A level is a group of the path that it has in the file (``"0"`` or ``"s0"``), label images lie below
    (``"labels/cells/0"``), and the images of a plate, scene or collection in groups of their names. A level
    holds one variable, `VARIABLE`; the attributes of an image's group are those that are stored.
    """

    description: ClassVar[str] = "Open OME-Zarr (OME-NGFF) images with their levels and label images"
    supports_groups: ClassVar[bool] = True
    open_dataset_parameters: ClassVar[tuple[str, ...] | None] = (
        "filename_or_obj",
        "drop_variables",
        "group",
        "multiscale",
        "coordinate_system",
    )

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Whether a place has a name that only OME-Zarr has; a plain ``.zarr`` is left to xarray's own."""
        if not isinstance(filename_or_obj, str | os.PathLike):
            return False
        text = os.fspath(filename_or_obj)
        place = group_location(text) if isinstance(text, str) else ""
        path = urlsplit(place).path if is_url(place) else place
        return path.rstrip("/").lower().endswith(_ENDINGS) and is_likely_ome_ngff(text)

    def open_dataset(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        group: str | int | None = None,
        multiscale: int | str | None = None,
        coordinate_system: str | None = None,
    ) -> Dataset:
        """Open one level: by its path, by its number, or the finest; of a label image by ``labels/NAME``."""
        check_type(group, (str, int, NoneType), "The group", "the path or the number of a level, or None")
        opened = _opened(filename_or_obj, multiscale, coordinate_system)
        level = _find(list(_levels(opened)), group, opened.location)
        dataset = _dataset(level, drop_variables)
        dataset.encoding["source"] = join(level.image.location, level.path)
        dataset.set_close(partial(_close, opened))
        return dataset

    def open_groups_as_dict(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        group: str | None = None,
        multiscale: int | str | None = None,
        coordinate_system: str | None = None,
    ) -> dict[str, Dataset]:
        """Open all levels of all images, by their paths; groups between them have attributes alone."""
        check_type(group, (str, NoneType), "The group", "the path of a group, or None")
        opened = _opened(filename_or_obj, multiscale, coordinate_system)
        groups = _groups(opened, drop_variables, (group or "").strip("/"))
        groups["/"].set_close(partial(_close, opened))
        return groups

    def open_datatree(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        group: str | None = None,
        multiscale: int | str | None = None,
        coordinate_system: str | None = None,
    ) -> DataTree:
        """Open all levels of all images as one tree, or those below a group."""
        groups = self.open_groups_as_dict(
            filename_or_obj,
            drop_variables=drop_variables,
            group=group,
            multiscale=multiscale,
            coordinate_system=coordinate_system,
        )
        tree: DataTree = DataTree.from_dict(groups)
        tree.set_close(groups["/"]._close)
        return tree


@dataclass(frozen=True)
class _Level:
    """A level of what was opened: the path of its image, the image, and the path of the level in that."""

    prefix: str
    image: Image
    path: str

    @property
    def place(self) -> str:
        return join(self.prefix, self.path.strip("/"))


def _opened(place: Any, multiscale: int | str | None, coordinate_system: str | None) -> Image | Collection:
    from napari_ome_ngff.reading.open import open_ome_ngff

    return open_ome_ngff(place, multiscale=multiscale, coordinate_system=coordinate_system)


def _images(opened: Image | Collection) -> Iterator[tuple[str, Image]]:
    """Every image and label image with its path in the tree."""
    from napari_ome_ngff.reading.opened import images_of

    for name, image in images_of(opened).items():
        # xarray divides paths at slashes, and takes "." and ".." for steps.
        prefix = "/".join(part for part in name.split("/") if part.strip("."))
        yield prefix, image
        for label, label_image in image.labels.items():
            yield join(prefix, "labels", label), label_image


def _levels(opened: Image | Collection) -> Iterator[_Level]:
    for prefix, image in _images(opened):
        for path in image.arrays:
            yield _Level(prefix, image, path)


def _find(levels: list[_Level], group: str | int | None, where: str) -> _Level:
    if not isinstance(group, str):
        first = [level for level in levels if level.prefix == levels[0].prefix]
        if 0 <= (group or 0) < len(first):
            return first[group or 0]
    else:
        path = group.strip("/")
        by_path = [level for level in levels if level.place == path]
        # The path of an image stands for its finest level.
        if chosen := by_path or [level for level in levels if level.prefix == path]:
            return chosen[0]
    places = [level.place for level in levels]
    raise OptionError(
        f"There is no level {shown(group)}.",
        where=where,
        found=", ".join(places[:_MOST_NAMED]) + (", ..." if len(places) > _MOST_NAMED else ""),
        hint='Choose one of them: open_dataset(..., group="PATH").',
    )


def _groups(opened: Image | Collection, drop: str | Iterable[str] | None, below: str) -> dict[str, Dataset]:
    """Every group at a path or below it, by its path from there."""
    from xarray import Dataset

    attributes: dict[str, Mapping[str, Any]] = {"": opened.attributes}
    groups: dict[str, Dataset] = {}
    for prefix, image in _images(opened):
        attributes[prefix] = _stored_attributes(image)
        for path, around in image.groups.items():
            inside = join(prefix, path) if path != ".." else prefix.rpartition("/")[0]
            attributes.setdefault(inside, around)
    for path, around in attributes.items():
        if (place := _within(path, below)) is not None:
            groups[place] = Dataset(attrs=dict(around))
    levels = list(_levels(opened))
    for level in levels:
        if (place := _within(level.place, below)) is not None:
            groups[place] = _dataset(level, drop, attrs=False)
    if not groups:
        _find(levels, below, opened.location)  # says what there is
    groups.setdefault("/", Dataset())
    groups["/"].encoding["source"] = opened.location
    return groups


def _within(path: str, below: str) -> str | None:
    """A path as seen from another one; None if it is not there or below."""
    inside = f"{path}/".removeprefix(f"{below}/") if below else f"{path}/"
    return None if below and inside == f"{path}/" else "/" + inside.rstrip("/")


def _dataset(level: _Level, drop: str | Iterable[str] | None, *, attrs: bool = True) -> Dataset:
    """One level; with the attributes of its image's group where the tree has no place for them."""
    from napari_ome_ngff.storage.pixels.xarray_backend import stored_chunks

    array = level.image.arrays[level.path]
    dataset = array.to_dataset(name=VARIABLE if VARIABLE not in {*array.dims, *array.coords} else "voxels")
    (variable,) = (dataset.variables[name] for name in dataset.data_vars)
    if chunks := stored_chunks(variable._data):
        variable.encoding["preferred_chunks"] = dict(zip(array.dims, chunks, strict=True))
    if attrs:
        dataset.attrs = dict(_stored_attributes(level.image))
    names = [drop] if isinstance(drop, str) else list(drop or ())
    return dataset.drop_vars(names, errors="ignore") if names else dataset


def _stored_attributes(image: Image) -> Mapping[str, Any]:
    return image.attributes if image.group is None else image.group.attributes or image.attributes


def _close(opened: Image | Collection) -> None:
    """Close what is kept open: the file of a zip."""
    import zarr

    for _, image in _images(opened):
        for source in image.group.sources.values() if image.group else ():
            if isinstance(source, zarr.Array) and store_kind(source.store) == "zip":
                source.store.close()
