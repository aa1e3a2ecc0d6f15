"""A SpatialData store, whole: its images and labels, each in a coordinate system of the store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_ome_ngff.errors import OmeNgffError, OptionError, UnsupportedError, give_warning
from napari_ome_ngff.metadata.group_kind import foreign_attributes, kind_of
from napari_ome_ngff.metadata.image.label_images import MOST_LABELS, decode_labels
from napari_ome_ngff.metadata.json_checks import describe
from napari_ome_ngff.metadata.nouns import Json, LabelImage
from napari_ome_ngff.metadata.systems.alternatives import PREFERRED
from napari_ome_ngff.metadata.systems.view import view
from napari_ome_ngff.reading.image import open_image, open_labels, prefetch_images
from napari_ome_ngff.reading.omissions import LeftOut, warned_once
from napari_ome_ngff.reading.opened import Collection, Image

if TYPE_CHECKING:
    from napari_ome_ngff.storage.documents.hierarchy import Hierarchy

_OTHERS = ("points", "shapes", "tables", "table")
"""What a store may hold besides images and labels; ``table`` is that of the first versions."""

_MOST_NAMED = 5


def open_spatialdata(hierarchy: Hierarchy, *, coordinate_system: str | None = None) -> Collection:
    """Open all images and labels of a store by name, the images first; levels are not read yet.

    Each lies in the system that is asked for; by default in the one that most of them are in (``global`` of
    several), and those that are not in it in their own. What cannot be opened, and points, shapes and tables,
    are named in warnings.
    """
    where = hierarchy.location
    hierarchy.fetch(("images", "labels", *_OTHERS), groups=True)
    left = LeftOut(where)
    with warned_once(where):
        elements = dict(_elements(hierarchy, left))
    others = _parts(hierarchy, _OTHERS)
    if not elements:
        held = _parts(hierarchy, ("images", "labels", *_OTHERS))
        raise left.error(
            f"There is no image in this SpatialData store that can be opened. It holds {held or 'nothing'}.",
            UnsupportedError,
        )
    systems = Counter(name for image in elements.values() for name in _systems(image))
    if coordinate_system is not None and coordinate_system not in systems:
        raise OptionError(
            f"The SpatialData store has no coordinate system {describe(coordinate_system)}.",
            where=where,
            expected=", ".join(map(describe, systems)),
        )
    common = max(systems, key=lambda name: (systems[name], name == PREFERRED))
    asked = coordinate_system or common
    elsewhere = [name for name, image in elements.items() if asked not in _systems(image)]
    if elsewhere:
        left.add(f"elements are not in the coordinate system {describe(asked)}", *elsewhere)
    # Labels come last, on top; the first one is in the system that is shown.
    order = sorted(elements, key=lambda name: name in elsewhere)
    if not _is_labels(elements[order[0]]):
        order.sort(key=lambda name: _is_labels(elements[name]))
    images = {
        name: _placed(elements[name], asked)
        for name in order
        if coordinate_system is None or name not in elsewhere
    }
    left.warn()
    if others:
        message = f"Of this SpatialData store images and labels are opened, and not {others}. ({where})"
        give_warning(message, stacklevel=3)
    return Collection(
        location=where,
        kind="spatialdata",
        name=None,
        images=images,
        attributes=foreign_attributes(hierarchy.attributes() or {}),
        systems=tuple(sorted(systems, key=lambda name: name != common)),
    )


def is_spatialdata(hierarchy: Hierarchy) -> bool:
    """Whether a group without attributes is a store of the first versions of SpatialData."""
    names = hierarchy.children() or ()
    return "images" in names and not set(_OTHERS).isdisjoint(names)


def _elements(hierarchy: Hierarchy, left: LeftOut) -> Iterator[tuple[str, Image]]:
    labels = hierarchy.below("labels")
    listed = decode_labels(labels.readable_attributes(""), where=labels.location)
    names = _names(hierarchy, "images", ())
    label_names = _names(hierarchy, "labels", listed)
    prefetch_images(
        hierarchy, [f"images/{name}" for name in names] + [f"labels/{name}" for name in label_names]
    )
    for name in names:
        inside = hierarchy.below(f"images/{name}")
        try:
            if kind_of(inside.attributes() or {}) == "image":
                yield name, open_image(inside)
            else:
                left.add("images are listed but not there", name)
        except OmeNgffError as error:
            left.failed("images", name, error)
    for name, image in open_labels(labels, label_names).items():
        if image.multiscale is not None:
            marked = image.multiscale.label_image or LabelImage()
            yield name, replace(image, multiscale=replace(image.multiscale, label_image=marked))


def _names(hierarchy: Hierarchy, kind: str, listed: Sequence[str]) -> tuple[str, ...]:
    """The names of the elements of a kind: those that are listed, and those that are there."""
    below = hierarchy.children(kind)
    names = dict.fromkeys([*listed, *(_consolidated(hierarchy, kind) if below is None else below)])
    return tuple(names)[:MOST_LABELS]


def _consolidated(hierarchy: Hierarchy, kind: str) -> list[str]:
    """The names of elements in the consolidated metadata of a store, sorted."""
    is_old = hierarchy.zarr_format == 2
    document: Json = hierarchy.document(".zmetadata" if is_old else "zarr.json")
    for key in ("metadata",) if is_old else ("consolidated_metadata", "metadata"):
        document = document.get(key) if isinstance(document, Mapping) else None
    paths = [path.split("/") for path in document] if isinstance(document, Mapping) else []
    inside = {path[1] for path in paths if path[0] == kind and len(path) > 1}
    return sorted(name for name in inside if not name.startswith("."))


def _systems(image: Image) -> tuple[str, ...]:
    """The systems that an element is in; without any it is in ``global``, as SpatialData has it."""
    return () if image.multiscale is None else image.systems or (PREFERRED,)


def _is_labels(image: Image) -> bool:
    return image.multiscale is not None and image.multiscale.label_image is not None


def _placed(image: Image, system: str) -> Image:
    """Return an element as it lies in a system, if it is in that, else as it is."""
    if image.multiscale is None or system not in image.systems:
        return image
    shown = view(image.multiscale, system, parameters={}, where=image.location)
    return replace(image, view=shown)


def _parts(hierarchy: Hierarchy, kinds: Sequence[str]) -> str:
    """Return what there is of some kinds of elements, in words."""
    parts = []
    for kind in kinds:
        names = _names(hierarchy, kind, ())
        if names or (hierarchy.children(kind) is None and hierarchy.readable_attributes(kind)):
            some = ", ".join(names[:_MOST_NAMED]) + (", ..." if len(names) > _MOST_NAMED else "")
            parts.append(f"{kind} ({some})" if some else kind)
    return ", ".join(parts)
