"""The nouns of writing: what is given, and the plan of it. Pure data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from numbers import Integral
from types import NoneType
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ome_ngff.arguments import (
    check_all,
    check_data_array,
    check_mapping,
    check_text,
    check_type,
    check_whole,
)
from napari_ome_ngff.metadata.group_kind import foreign_attributes
from napari_ome_ngff.metadata.nouns import Axis, Channel, Json, LabelImage, Multiscale, ScaleTranslation
from napari_ome_ngff.stored_attrs import json_attrs
from napari_ome_ngff.writing.blocks import count_boxes
from napari_ome_ngff.writing.data_tree import image_in, is_tree, label_trees, tree_image
from napari_ome_ngff.writing.plan.options import Factors, SaveOptions
from napari_ome_ngff.writing.plan.stored_tables import Encoded
from napari_ome_ngff.writing.plan.tasks import Cut, Pass

if TYPE_CHECKING:
    import zarr
    from pydantic_zarr.v2 import GroupSpec as GroupSpecV2
    from pydantic_zarr.v3 import GroupSpec as GroupSpecV3
    from xarray import DataArray, Variable


MAX_LEVELS = 64
"""More than any size can be halved."""


@dataclass(frozen=True, kw_only=True)
class MultiscaleSource:
    """One image or label image to write: where its voxels come from, and what is said of it.

    Parameters
    ----------
    image
        Level 0, with coordinates; the others are made of it. In memory, or lazy (dask, zarr). Also a Dataset
        with one variable, or a DataTree, of which the finest level is taken.
    arrays
        In place of `image`: path of each level to the level, finest first, or a list of levels; they are
        copied as they are. Also a DataTree, with a group for each level; metadata in its ``attrs`` are
        written again.
    method
        How a level is made of the one above: ``"mean"``, ``"nearest"`` or ``"mode"``. None: the mean for
        images, the nearest voxel for label images, which are never averaged.
    levels
        Number of levels, level 0 included; None: until no axis of space that gets smaller
        has more than 512 voxels.
    factors
        Factor of each dim from level to level, one number for all axes of space, or a list of the former;
        None: towards isotropic voxels.
    name
        By default that of `multiscale` or of the array.
    channels
        Display settings, one per index of the channel axis. What a channel leaves open is filled in: contrast
        is that of the pixels, their extremes and their percentiles 0.5 and 99.8.
    label_image
        Colours and properties of a label image.
    multiscale
        What was read together with the arrays, if they were: what else it says is written again. Its
        `affine`, from its axes to its axes, rotates, shears or mirrors the image (0.6 only).
    attributes
        Attributes of others to keep on the group.
    groups
        The same for groups between it and its levels, by path; and under ``".."`` for the group ``labels``
        that a label image is written into.
    """

    image: DataArray | None = None
    arrays: Mapping[str, DataArray] | None = None
    method: str | None = None
    levels: int | None = None
    factors: Factors = None
    name: str | None = None
    channels: tuple[Channel, ...] = ()
    label_image: LabelImage | None = None
    multiscale: Multiscale | None = None
    attributes: Mapping[str, Json] = field(default_factory=dict)
    groups: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        levels: Any = self.arrays
        if isinstance(levels, list | tuple):
            object.__setattr__(self, "arrays", {str(i): level for i, level in enumerate(levels)})
        self._take_out_of_tree()
        if self.image is not None:
            check_data_array(self.image, "The image")
        if self.arrays is not None:
            check_mapping(self.arrays, "The arrays", 'levels by their paths: {"s0": array, ...}')
            for path, array in self.arrays.items():
                check_data_array(array, f"Level {path!r}")
        for value, what in ((self.method, "The method"), (self.name, "The name")):
            if value is not None:
                check_text(value, what)
        if self.levels is not None:
            check_whole(self.levels, 1, MAX_LEVELS, "The number of levels")
        by_dim = 'a whole number, a factor for each dim: {"y": 2, "x": 2}, or a list of these'
        check_type(self.factors, (Integral, Mapping, list, tuple, NoneType), "The factors", by_dim)
        check_all(self.channels, Channel, "The channels", "Channels, one per index of the channel axis")
        check_type(self.label_image, (LabelImage, NoneType), "The label image", "a LabelImage, or None")
        if self.label_image is not None:
            check_type(self.label_image.colors, Mapping, "Colours of labels", "{label: (r, g, b, a)}")
            check_all(
                self.label_image.properties, Mapping, "Properties of labels", '[{"label-value": 1, ...}]'
            )
        check_type(self.multiscale, (Multiscale, NoneType), "The multiscale", "a Multiscale, or None")
        for what, attributes in (("The attributes", self.attributes), ("The groups", self.groups)):
            check_mapping(attributes, what, "JSON by its name")
        for attributes in self.groups.values():
            check_mapping(attributes, "The attributes of a group", "JSON by its name")

    def _take_out_of_tree(self) -> None:
        """Put what is in a Dataset or DataTree in its place."""
        given = self.image if self.arrays is None else self.arrays
        changes: dict[str, Any] = {}
        if is_tree(given):
            content = tree_image(given)  # type: ignore[arg-type]
            multiscale = self.multiscale or content.multiscale
            changes["multiscale"] = multiscale
            changes["label_image"] = self.label_image or (multiscale and multiscale.label_image)
            changes["attributes"] = {**content.attributes, **self.attributes}
            changes["groups"] = {**content.groups, **self.groups}
            levels = dict(content.levels)
            changes |= {"arrays": levels} if self.image is None else {"image": next(iter(levels.values()))}
        elif isinstance(self.arrays, Mapping) and any(map(is_tree, self.arrays.values())):
            given_levels: Mapping[str, Any] = self.arrays
            changes["arrays"] = {
                path: image_in(array, f"Level {path!r}") if is_tree(array) else array
                for path, array in given_levels.items()
            }
        for name, value in changes.items():
            object.__setattr__(self, name, value)  # frozen from here on


def as_source(value: Any, what: str) -> MultiscaleSource:
    """A source, or the one that a DataArray or Dataset is; OptionError for anything else."""
    from xarray import DataArray

    if isinstance(value, DataArray) or is_tree(value):
        return MultiscaleSource(image=value)
    check_type(value, MultiscaleSource, what, "MultiscaleSource(image=...)")
    return value  # type: ignore[no-any-return]


def sources_of_tree(tree: object, *, make_levels: bool = True) -> dict[str, MultiscaleSource]:
    """An image in a Dataset or DataTree, and its label images, as sources by their paths in the hierarchy.

    Levels are copied as they are; those of an image that has one, and no metadata, are made if `make_levels`.
    """
    data: Any = tree
    image = MultiscaleSource(arrays=data)
    if make_levels and image.multiscale is None and len(image.arrays or {}) == 1:
        image = MultiscaleSource(image=data)
    return {"": image, **{f"labels/{name}": label for name, label in labels_of_tree(tree).items()}}


def labels_of_tree(tree: object) -> dict[str, MultiscaleSource]:
    """The label images of a DataTree by their names; of anything else none."""
    data: Any = tree
    sources = {}
    for name, each in (label_trees(data) if is_tree(data) else {}).items():
        given: Any = each
        label = MultiscaleSource(arrays=given)
        around = json_attrs(foreign_attributes(data["labels"].attrs), "An attribute of the label images")
        groups = {**label.groups, "..": around} if around else label.groups
        sources[name] = replace(label, label_image=label.label_image or LabelImage(), groups=groups)
    return sources


def split_path(path: str) -> tuple[str, str | None]:
    """Return the path of an image and the name of the label image on it; None for the image itself.

    >>> split_path(""), split_path("labels/cells"), split_path("0"), split_path("0/labels/cells")
    (('', None), ('', 'cells'), ('0', None), ('0', 'cells'))
    """
    image, separator, name = f"/{path}".partition("/labels/")
    return image[1:], name if separator else None


@dataclass(frozen=True, kw_only=True)
class ImageShape:
    """The axes and levels of an image, which label images on it follow: sizes, and where the finest lies."""

    axes: tuple[Axis, ...]
    shapes: tuple[tuple[int, ...], ...]
    finest: ScaleTranslation

    @property
    def dims(self) -> tuple[str, ...]:
        """Names of the axes."""
        return tuple(axis.name for axis in self.axes)


@dataclass(frozen=True, kw_only=True)
class LevelPlan:
    """One level to write; shapes and factors have one entry per dim.

    `factors` say how many voxels of the level above make one, 1 for level 0 and for levels that are given.
    `copied` says that the stored chunks of a given level are copied as they are, byte for byte.
    """

    path: str
    transform: ScaleTranslation
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    shards: tuple[int, ...] | None
    factors: tuple[int, ...]
    copied: bool = False

    @property
    def write_unit(self) -> tuple[int, ...]:
        """What becomes one file or object: a shard, or a chunk."""
        return self.shards or self.chunks

    @property
    def n_files(self) -> int:
        """Files or objects of data at most; one that would hold only fill values is not made."""
        return count_boxes(self.shape, self.write_unit)

    def nbytes(self, itemsize: int) -> int:
        """Bytes of the level's voxels, before compression."""
        return math.prod(self.shape) * itemsize


@dataclass(frozen=True, kw_only=True)
class MultiscalePlan:
    """One image or label image to write.

    `path` is that in the hierarchy, `method` None if the levels are given and copied. There is one pass and
    one cut per source: each is read once, and the cut says in which blocks.
    """

    path: str
    name: str
    dims: tuple[str, ...]
    units: tuple[str | None, ...]
    dtype: str
    method: str | None
    levels: tuple[LevelPlan, ...]
    passes: tuple[Pass, ...]
    cuts: tuple[Cut, ...]

    @property
    def memory(self) -> int:
        """Bytes that the engine's buffers take at most; what reading a lazy source takes comes on top."""
        return max(cut.memory for cut in self.cuts)

    @property
    def reading(self) -> int:
        """Bytes that reading takes on top, about and at most: that of the cut that needs most."""
        return max(cut.reading for cut in self.cuts)

    @property
    def decodes(self) -> float:
        """How often a chunk of a lazy source is decoded on average; 1 unless memory forces more."""
        return max(cut.decodes for cut in self.cuts)

    @property
    def nbytes(self) -> int:
        """Bytes of all voxels of all levels, before compression."""
        return sum(level.nbytes(np.dtype(self.dtype).itemsize) for level in self.levels)

    @property
    def n_tasks(self) -> int:
        """Blocks of the levels that are read."""
        return sum(
            count_boxes(each.shapes[0], cut.blocks[0])
            for each, cut in zip(self.passes, self.cuts, strict=True)
        )


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """One multiscale, ready to be written: the plan, the metadata, and what each pass reads."""

    plan: MultiscalePlan
    multiscale: Multiscale
    inputs: tuple[Variable, ...]
    stored: tuple[zarr.Array[Any] | None, ...]  # the Zarr array that an input is, if it is one
    attributes: Mapping[str, Json]
    groups: Mapping[str, Mapping[str, Json]]
    tables: Mapping[str, Encoded]  # of a label image, too large for its metadata
    channels: tuple[Channel, ...] = ()  # as given, if some of their contrast is that of the pixels


@dataclass(frozen=True, kw_only=True)
class WritePlan:
    """Everything that one save writes.

    Parameters
    ----------
    version
        Of OME-Zarr.
    multiscales
        The plan of each image and label image, with its levels.
    workers, memory_limit
        How many tasks run at once, and the bytes that their buffers may take together.
    n_documents
        Files or objects of metadata, and of the tables of label images that are too large for those.
    tables_nbytes
        Bytes of these tables, before compression.
    model
        The pydantic-zarr ``GroupSpec`` of all groups and arrays: what :func:`model_multiscale_group` returns.
    """

    version: str
    multiscales: tuple[MultiscalePlan, ...]
    workers: int
    memory_limit: int
    n_documents: int
    tables_nbytes: int
    model: GroupSpecV2[Any, Any] | GroupSpecV3[Any, Any] = field(repr=False)
    # What it was made with, what is written of each multiscale, and the empty arrays: for a save as planned.
    options: SaveOptions = field(repr=False)
    prepared: tuple[Prepared, ...] = field(repr=False, compare=False)
    arrays: Mapping[str, zarr.Array[Any]] = field(repr=False, compare=False)

    @property
    def memory(self) -> int:
        """Bytes that the engine's buffers take at most: multiscales are written one after the other."""
        return max(each.memory for each in self.multiscales)

    @property
    def reading(self) -> int:
        """Bytes that reading lazy sources takes on top, about and at most."""
        return max(each.reading for each in self.multiscales)

    @property
    def decodes(self) -> float:
        """How often a chunk of a lazy source is decoded on average; 1 unless memory forces more."""
        return max(each.decodes for each in self.multiscales)

    @property
    def nbytes(self) -> int:
        """Bytes of all voxels, before compression."""
        return sum(each.nbytes for each in self.multiscales)

    @property
    def n_files(self) -> int:
        """Files or objects at most, metadata included."""
        data = sum(level.n_files for each in self.multiscales for level in each.levels)
        return data + self.n_documents

    @property
    def n_tasks(self) -> int:
        """Blocks of the levels that are read."""
        return sum(each.n_tasks for each in self.multiscales)
