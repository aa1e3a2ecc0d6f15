"""One image with its label images, from metadata documents alone.

All documents that can be asked for are fetched together: the group, then its levels and label images, then
what is still unknown of those. So the number of round trips does not depend on how many there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from napari_ome_ngff.errors import OmeNgffError, collected_warnings, give_warning
from napari_ome_ngff.metadata.group_kind import foreign_attributes, kind_of
from napari_ome_ngff.metadata.image.datasets import groups_above, listed_paths
from napari_ome_ngff.metadata.image.label_images import MOST_LABELS, decode_labels
from napari_ome_ngff.metadata.nouns import Multiscale, View
from napari_ome_ngff.metadata.systems.view import parameter_paths, systems_of, view
from napari_ome_ngff.reading.float_labels import as_labels
from napari_ome_ngff.reading.multiscale_group import decode_images, find_levels, select_image
from napari_ome_ngff.reading.opened import Image
from napari_ome_ngff.storage.edits.edit_journal import finish_interrupted
from napari_ome_ngff.storage.places.location import join
from napari_ome_ngff.storage.places.save_note import unfinished
from napari_ome_ngff.storage.places.store_kind import local_folder

if TYPE_CHECKING:
    from napari_ome_ngff.storage.documents.hierarchy import Hierarchy

_MOST_GUESSED = 2048
"""Documents of label images' levels that are asked for before it is known what they are called."""

_MAX_NAMED = 5
"""Missing label images that are named; more are counted: nobody reads a notification of a thousand lines."""


def open_image(
    hierarchy: Hierarchy,
    *,
    multiscale: int | str = 0,
    coordinate_system: str | None = None,
    only: str | None = None,
    labels: bool = True,
) -> Image:
    """Open the image that a group describes, with its label images; levels are not read yet.

    `only` is the path of the one level to open. Without `coordinate_system` the file says in which system the
    image lies (0.6), which is usually the intrinsic one.
    """
    where, attributes = hierarchy.location, hierarchy.attributes() or {}
    inside = hierarchy.moved("labels") if labels else "labels"
    names = _label_names(hierarchy, inside) if labels else ()
    label_groups = [f"{inside}/{name}" for name in names]
    # The levels of label images are nearly always called as those of the image: asked for at once, they save
    # a round trip.
    paths = listed_paths(attributes)
    label_levels = [f"{group}/{path}" for group in label_groups for path in paths]
    if len(label_levels) > _MOST_GUESSED:
        label_levels = []
    images, parameters = decode_images(hierarchy, ahead=[*label_groups, *label_levels])
    image = _with_view(
        hierarchy, select_image(images, multiscale, where), parameters, coordinate_system, only=only
    )
    label_images = open_labels(hierarchy.below(inside), names) if names else {}
    model = cast("Multiscale", image.multiscale)
    labelled = {
        name: _in_view(label, coordinate_system, model, image.view) for name, label in label_images.items()
    }
    return replace(
        image,
        labels=labelled,
        attributes=foreign_attributes(attributes),
        groups=_foreign_attributes(hierarchy, groups_above(level.path for level in model.levels)),
    )


def images_of_group(
    hierarchy: Hierarchy, *, coordinate_system: str | None = None
) -> list[Callable[[], Image]]:
    """Return what opens each entry of ``multiscales``; label images go with the first.

    The group is decoded once for all others, which share what belongs to others.
    """
    images, parameters = decode_images(hierarchy)
    attributes = foreign_attributes(hierarchy.attributes() or {})
    paths = groups_above(level.path for multiscale in images for level in multiscale.levels)
    foreign = _foreign_attributes(hierarchy, paths)

    def opened(multiscale: Multiscale) -> Image:
        image = _with_view(hierarchy, multiscale, parameters, coordinate_system)
        above = groups_above(level.path for level in multiscale.levels)
        groups = {path: foreign[path] for path in above if path in foreign}
        return replace(image, attributes=attributes, groups=groups)

    first = partial(open_image, hierarchy, coordinate_system=coordinate_system)
    return [first, *(partial(opened, multiscale) for multiscale in images[1:])]


def _with_view(
    hierarchy: Hierarchy,
    multiscale: Multiscale,
    parameters: Mapping[str, Any],
    coordinate_system: str | None,
    *,
    only: str | None = None,
) -> Image:
    """Open a multiscale of a group, as it lies in a coordinate system, without all that is around it."""
    if (folder := local_folder(hierarchy.store)) is not None:
        finish_interrupted(Path(folder, hierarchy.path))
    where, group = hierarchy.location, find_levels(hierarchy, multiscale, only)
    placed = view(group.multiscale, coordinate_system, parameters=parameters, where=where)
    for problem in placed.problems if placed else ():
        _warn(problem, where)
    return Image(location=where, multiscale=group.multiscale, view=placed, group=group)


def prefetch_images(hierarchy: Hierarchy, paths: Iterable[str], also: Iterable[str] = ()) -> None:
    """Fetch all documents that opening several images will need, in three round trips.

    `also` are further paths for the first of them. What is damaged is reported when it is opened.
    """
    paths = tuple(paths)
    hierarchy.fetch([*paths, *(join(path, "labels") for path in paths), *also], groups=True)
    with collected_warnings():
        labels = [
            join(path, "labels", name)
            for path in paths
            for name in decode_labels(hierarchy.readable_attributes(join(path, "labels")))
        ]
    hierarchy.fetch([*_needed_arrays(hierarchy, paths), *labels])
    hierarchy.fetch(_needed_arrays(hierarchy, labels))


def _needed_arrays(hierarchy: Hierarchy, paths: Iterable[str]) -> Iterator[str]:
    for path in paths:
        attributes = hierarchy.readable_attributes(path)
        yield from (join(path, each) for each in (*listed_paths(attributes), *parameter_paths(attributes)))


def _foreign_attributes(hierarchy: Hierarchy, paths: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Attributes of others on groups; one that cannot be read has nothing to do with showing the image."""
    foreign = {}
    for path in paths:
        try:
            foreign[path] = foreign_attributes(hierarchy.attributes(path) or {})
        except OmeNgffError as error:
            _warn(f"Attributes cannot be read: {error.summary}", f"{hierarchy.location}/{path}")
    return {path: attributes for path, attributes in foreign.items() if attributes}


def _label_names(hierarchy: Hierarchy, inside: str) -> tuple[str, ...]:
    """Return the names of an image's label images: those that are listed, and those that are just there."""
    where = f"{hierarchy.location}/{inside}"
    try:
        attributes = hierarchy.attributes(inside)
    except OmeNgffError as error:  # a part that fails is not the whole
        attributes = None
        _warn(f"The list of label images cannot be read: {error.summary}", where)
    if attributes is None and hierarchy.is_refused(inside):
        _warn("Label images cannot be read: the server refuses access to their list.", where)
    listed = decode_labels(attributes, where=where) if attributes else ()
    unlisted = set(hierarchy.children(inside) or ()) - set(listed)
    if unlisted and unfinished(hierarchy.store, join(hierarchy.path, inside)):
        unlisted = set()  # a save lists them when all of them are there
    return (*listed, *sorted(unlisted))


def open_labels(hierarchy: Hierarchy, names: Iterable[str]) -> dict[str, Image]:
    """Open label images of the group ``labels`` by name; one that cannot be read is left out with a warning.

    What exists without being listed may be something else: it is passed over in silence if it is no image.
    """
    attributes = hierarchy.readable_attributes("")
    listed = frozenset(decode_labels(attributes) if attributes else ())
    names = tuple(names)
    missing: list[str] = []
    hierarchy.fetch(names)
    groups: dict[str, Mapping[str, Any]] = {}
    for name in names:
        try:
            label_attributes = hierarchy.attributes(name)
        except OmeNgffError as error:
            _warn(f"Label image {name!r} is left out: {error.summary}", f"{hierarchy.location}/{name}")
            continue
        if label_attributes is not None and (name in listed or kind_of(label_attributes) == "image"):
            groups[name] = label_attributes
        elif name in listed:
            missing.append(name)
    for name in missing[:_MAX_NAMED]:
        _warn(f"Label image {name!r} is listed but not there.", hierarchy.location)
    if len(missing) > _MAX_NAMED:
        _warn(f"{len(missing) - _MAX_NAMED} more label images are listed but not there.", hierarchy.location)
    if len(groups) > MOST_LABELS:
        _warn(f"Only {MOST_LABELS} of {len(groups)} label images are opened.", hierarchy.location)
        groups = dict(islice(groups.items(), MOST_LABELS))
    hierarchy.fetch(f"{name}/{path}" for name, each in groups.items() for path in listed_paths(each))
    around = {"..": foreign} if (foreign := foreign_attributes(attributes or {})) else {}
    images: dict[str, Image] = {}
    for name in groups:
        try:
            image = open_image(hierarchy.below(name), labels=False)
            levels = image.group and as_labels(image.group)
            images[name] = replace(image, group=levels, groups={**image.groups, **around})
        except OmeNgffError as error:
            _warn(f"Label image {name!r} is left out: {error.summary}", f"{hierarchy.location}/{name}")
    if len(images) < len(listed) and (reason := unfinished(hierarchy.store, hierarchy.path)):
        _warn(str(reason), hierarchy.location)
    return images


def _in_view(image: Image, system: str | None, parent: Multiscale, parent_view: View | None) -> Image:
    """Place a label image in the coordinate system that its image is shown in."""
    if parent_view is None or image.multiscale is None:
        return image if system is None else replace(image, view=None)
    if system is None and image.view is not None:
        return image  # its own metadata name the system
    if system in systems_of(image.multiscale):
        return replace(image, view=view(image.multiscale, system, parameters={}, where=image.location))
    # 0.6, "image-label": without a transform of its own, a label image lies in its image's system.
    return replace(image, view=parent_view) if image.multiscale.dims == parent.dims else image


def _warn(message: str, where: str) -> None:
    give_warning(f"{message} ({where})", stacklevel=3)
