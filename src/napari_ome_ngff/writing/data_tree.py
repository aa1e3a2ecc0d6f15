"""xarray's Datasets and DataTrees as what writing takes: levels, label images, metadata. Nothing is read.

The metadata are those in ``attrs`` of the group, as :mod:`napari_ome_ngff.reading.xarray_engine` leaves them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_ome_ngff.channels import channels_at
from napari_ome_ngff.errors import OmeNgffError, OptionError, collected_warnings, give_warning
from napari_ome_ngff.label_tables import GROUP
from napari_ome_ngff.metadata.group_kind import foreign_attributes, is_ome_ngff
from napari_ome_ngff.metadata.nouns import Json, Multiscale
from napari_ome_ngff.metadata.versions import decode
from napari_ome_ngff.stored_attrs import json_attrs

if TYPE_CHECKING:
    from xarray import DataArray, Dataset, DataTree

LABELS = "labels"

_ANY_NAME = ("image", "voxels")
"""Names of variables that are the same for all images, and so are not the name of one."""


@dataclass(frozen=True, kw_only=True)
class TreeImage:
    """One image of a DataTree: its levels by their paths, finest first, and what its ``attrs`` say.

    `attributes` and `groups` are those of others, as in ``MultiscaleSource``.
    """

    levels: Mapping[str, DataArray]
    multiscale: Multiscale | None
    attributes: Mapping[str, Json]
    groups: Mapping[str, Mapping[str, Json]]


def is_tree(data: object) -> bool:
    """Whether this is a Dataset or a DataTree."""
    from xarray import Dataset, DataTree

    return isinstance(data, Dataset | DataTree)


def tree_image(data: Dataset | DataTree, what: str = "The image") -> TreeImage:
    """The image in a Dataset, or the one whose levels are the groups of a DataTree, labels aside."""
    from xarray import DataTree

    if not isinstance(data, DataTree):
        levels, groups = {"0": image_in(data, what)}, {}
    else:
        nodes = dict(_nodes(data))
        by_path = {path: image_in(node.to_dataset(), f"Group {path!r}") for path, node in nodes.items()}
        levels = dict(sorted(by_path.items(), key=lambda level: -level[1].size))
        if not levels:
            raise _no_levels(data, what)
        between = {path.rpartition("/")[0] for path in levels} - {""}
        groups = {path: json_attrs(data[path].attrs, "An attribute") for path in between if data[path].attrs}
    finest = next(iter(levels.values()))
    attrs: dict[Any, Any] = dict(data.attrs)
    multiscale = _described(attrs, finest)
    attributes = json_attrs(foreign_attributes(attrs), f"An attribute of {what.lower()}")
    return TreeImage(levels=levels, multiscale=multiscale, attributes=attributes, groups=groups)


def image_in(dataset: Dataset, what: str) -> DataArray:
    """The one variable of a Dataset; OptionError if there are several."""
    names = list(dataset.data_vars)
    if len(names) != 1:
        raise OptionError(
            f"{what} has {len(names)} variables: which of them is the image?",
            found=", ".join(map(str, names)),
            hint=f'Give one of them: dataset["{names[0] if names else "NAME"}"].',
        )
    array: DataArray = dataset[names[0]]
    return array.rename(None) if names[0] in _ANY_NAME else array


def label_trees(tree: Dataset | DataTree) -> dict[str, DataTree]:
    """The label images of a DataTree by their names, which may have several parts."""
    from xarray import DataTree

    labels = tree.children.get(LABELS) if isinstance(tree, DataTree) else None
    return {} if labels is None else dict(_label_trees(labels))


def _label_trees(tree: DataTree, path: str = "") -> Iterator[tuple[str, DataTree]]:
    for name, child in tree.children.items():
        attrs: Any = child.attrs
        if is_ome_ngff(attrs) or child.data_vars or any(c.data_vars for c in child.children.values()):
            yield path + name, child
        else:
            yield from _label_trees(child, f"{path}{name}/")


def _nodes(tree: DataTree) -> Iterator[tuple[str, DataTree]]:
    """The groups with variables, label images aside, by their paths; "0" for the tree itself."""
    if tree.data_vars:
        yield "0", tree
    for name, child in tree.children.items():
        if name == LABELS:
            continue
        for node in child.subtree:
            if node.data_vars:
                yield node.path.removeprefix(tree.path).strip("/"), node


def _no_levels(tree: DataTree, what: str) -> OptionError:
    labels = label_trees(tree)
    return OptionError(
        f"{what} is a DataTree without levels.",
        found=f"label images {', '.join(labels)}" if labels else ", ".join(tree.groups),
        expected='a group with one variable for each level: tree["0"]["image"]',
    )


def _described(attrs: Mapping[Any, Any], finest: DataArray) -> Multiscale | None:
    """What the metadata in attrs say of the image that is left; None where they say nothing."""
    if not is_ome_ngff(attrs):
        return None
    try:
        with collected_warnings():  # reading has warned of that
            multiscale = decode(attrs, where="")[0]
    except OmeNgffError as error:
        message = f"OME-Zarr metadata in attrs are left out: {error.summary}"
        give_warning(message, stacklevel=4)
        return None
    label_image = multiscale.label_image
    if label_image is not None and GROUP in label_image.extra:
        extra = dict(label_image.extra)
        message = f"A DataTree does not hold large tables of label images: {extra.pop(GROUP)} are left out."
        give_warning(message, stacklevel=4)
        multiscale = replace(multiscale, label_image=replace(label_image, extra=extra))
    return replace(multiscale, channels=channels_at(multiscale, finest))
