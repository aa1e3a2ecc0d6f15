"""Check what is at a place: every group of it, its arrays, and what our own reader has to say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from os import PathLike
from typing import TYPE_CHECKING

from napari_ome_ngff.checking.findings import Finding, Spot
from napari_ome_ngff.checking.forms import listed, mapped
from napari_ome_ngff.checking.group_rules import check_attributes, release_of
from napari_ome_ngff.checking.stored_rules import check_arrays, check_channels, check_label_array
from napari_ome_ngff.errors import OmeNgffError, collected_warnings
from napari_ome_ngff.metadata.context import Context
from napari_ome_ngff.metadata.group_kind import container_of, kind_of
from napari_ome_ngff.metadata.nouns import Json
from napari_ome_ngff.metadata.versions import VERSIONS
from napari_ome_ngff.reading.image import prefetch_images
from napari_ome_ngff.reading.open import open_metadata
from napari_ome_ngff.reading.opened import images_of
from napari_ome_ngff.storage.documents.hierarchy import Hierarchy, open_hierarchy
from napari_ome_ngff.storage.places.location import join

if TYPE_CHECKING:
    import zarr
    from zarr.abc.store import Store

_OURS = "how this package reads it"


def check_ome_ngff(location: str | PathLike[str] | Store | zarr.Group) -> tuple[Finding, ...]:
    """Check an image, a plate or a collection with all that is in it: what other programs will refuse.

    The rules are those of the version that the metadata say, 0.4 to 0.6, as the official schemas,
    ome-zarr-models and yaozarrs judge them. Pixels are not read.

    Parameters
    ----------
    location
        As for :func:`open_ome_ngff`.

    Returns
    -------
    tuple of Finding
        What breaks a rule, in the order of the file; those that are only advised against have `advice`.

    Raises
    ------
    StorageError, NotOmeNgffError
        If there is nothing, or no group.

    Examples
    --------
    >>> import numpy, zarr
    >>> from napari_ome_ngff import save_ome_ngff
    >>> store = zarr.storage.MemoryStore()
    >>> _ = save_ome_ngff(store, numpy.zeros((64, 64), "uint8"))
    >>> check_ome_ngff(store)
    ()
    >>> group = zarr.open_group(store)
    >>> group.attrs["ome"] = {**group.attrs["ome"], "version": "0.7"}
    >>> [finding.what for finding in check_ome_ngff(store) if not finding.advice]
    ["This is '0.7'."]
    """
    hierarchy = open_hierarchy(location, ahead=("labels", "OME"))
    findings = list(_group(hierarchy, ""))
    if not kind_of(hierarchy.readable_attributes("")):
        for path in _images_below(location, hierarchy.location):
            findings += _group(hierarchy, path, kind="image")
    named = [finding.where for finding in findings]
    is_refused = any(not finding.advice for finding in findings)
    for path, finding in _as_read(location, hierarchy.location):
        if not (any(where.endswith(path) or f"{path}." in where for where in named) if path else is_refused):
            findings.append(finding)
    return tuple(findings)


def _images_below(location: str | PathLike[str] | Store | zarr.Group, where: str) -> Iterator[str]:
    """Paths of the images that our reader finds below a group without metadata (SpatialData, a row)."""
    with collected_warnings():
        try:
            opened = open_metadata(location)
        except OmeNgffError:  # which is told with what else it says
            return
    for image in images_of(opened).values():
        places = [tile.location for tile in image.tiles] or [image.location]
        for place in (*places, *(label.location for label in image.labels.values())):
            if place.startswith(where) and place != where:
                yield place.removeprefix(where).strip("/")


def _as_read(location: str | PathLike[str] | Store | zarr.Group, where: str) -> Iterator[tuple[str, Finding]]:
    """What our reader warns of, or refuses, with the JSON path that it names."""
    with collected_warnings() as messages:
        try:
            open_metadata(location)
        except OmeNgffError as error:
            yield "", Finding(where=error.where or where, what=error.summary, rule=_OURS)
    for message in messages:
        lines = message.splitlines()
        notes = [line[2:].partition(": ") for line in lines if line.startswith("- ")]
        for path, _, words in notes:
            yield path, Finding(where=f"{where}: {path}", what=words, rule=_OURS)
        if not notes:
            yield "", Finding(where=where, what=" ".join(lines), rule=_OURS)


def _attributes(hierarchy: Hierarchy, path: str) -> Mapping[str, Json] | Finding:
    """The attributes of a group, or what is wrong with it."""
    where = join(hierarchy.location, path)
    try:
        attributes = hierarchy.attributes(path)
    except OmeNgffError as error:
        return Finding(where=where, what=error.summary, rule="Zarr")
    if attributes is None:
        return Finding(where=where, what="There is no group.", rule="what is listed must be there")
    return attributes


def _group(hierarchy: Hierarchy, path: str, *, kind: str = "", version: str = "") -> Iterator[Finding]:
    """Check a group, which has to be of a kind and a version, and all that it lists."""
    attributes = _attributes(hierarchy, path)
    if isinstance(attributes, Finding):
        yield attributes
        return
    where, is_a = join(hierarchy.location, path), kind_of(attributes)
    if kind and is_a != kind:
        yield Finding(where=where, what=f"This is no {kind}.", rule="what is listed must be of its kind")
    if not is_a:
        return
    yield from check_attributes(attributes, where=where)
    spot = Spot(context=Context.of(where), version=release_of(attributes))
    if version and spot.version != version:
        spot.refuse(f"The group above it is in version {version}.", "a hierarchy must be of one version")
    if VERSIONS[spot.version].zarr_format != hierarchy.zarr_format:
        spot.refuse(
            f"This is Zarr version {hierarchy.zarr_format}.",
            f"it must be Zarr version {VERSIONS[spot.version].zarr_format}",
        )
    yield from spot.findings
    container, holder = container_of(attributes) or ("", {})
    if is_a == "image":
        yield from _image(hierarchy, path, container, holder, spot.version)
    elif is_a == "labels":
        for name in _texts(holder["labels"]):
            yield from _group(hierarchy, join(path, name), kind="image", version=spot.version)
    else:
        inside = _listed(hierarchy, path, is_a, holder)
        prefetch_images(hierarchy, [join(path, name) for name, _ in inside])
        for name, its_kind in inside:
            yield from _group(hierarchy, join(path, name), kind=its_kind, version=spot.version)


def _texts(values: Json) -> list[str]:
    return [value for value in listed(values) if isinstance(value, str) and value]


def _listed(hierarchy: Hierarchy, path: str, kind: str, holder: Mapping[str, Json]) -> list[tuple[str, str]]:
    """Path and kind of what a group lists."""
    if kind == "plate":
        wells = listed(mapped(holder["plate"]).get("wells"))
        return [(name, "well") for name in _texts([mapped(well).get("path") for well in wells])]
    if kind == "well":
        images = listed(mapped(holder["well"]).get("images"))
        return [(name, "image") for name in _texts([mapped(image).get("path") for image in images])]
    if kind == "scene":
        links = listed(mapped(holder["scene"]).get("coordinateTransformations"))
        ends = [mapped(mapped(link).get(side)).get("path") for link in links for side in ("input", "output")]
        return [(name, "image") for name in dict.fromkeys(_texts(ends))]
    if kind == "bioformats2raw.layout":
        _, series = container_of(hierarchy.readable_attributes(join(path, "OME"))) or ("", {})
        names = _texts(series.get("series"))
        numbers = [name for name in hierarchy.children(path) or () if name.isdecimal()]
        return [("OME", "series")] * bool(series) + [(name, "image") for name in names or numbers]
    return []


def _image(
    hierarchy: Hierarchy, path: str, container: str, holder: Mapping[str, Json], version: str
) -> Iterator[Finding]:
    where = join(hierarchy.location, path)
    spot = Spot(context=Context.of(where), version=version).at(container)
    prefetch_images(hierarchy, [path])
    entries = [mapped(entry) for entry in listed(holder["multiscales"])]
    for index, entry in enumerate(entries):
        array = check_arrays(entry, hierarchy.below(path), spot.at("multiscales", index))
        if array is not None and not index and "omero" in holder:
            check_channels(holder["omero"], entry, array, spot.at("omero"))
        if array is not None and "image-label" in holder:
            check_label_array(array, spot.at("multiscales", index))
    yield from spot.findings
    if "image-label" not in holder and _has_labels(hierarchy, path):
        yield from _labels(hierarchy, join(path, "labels"), entries, version)


def _has_labels(hierarchy: Hierarchy, path: str) -> bool:
    try:
        return hierarchy.attributes(join(path, "labels")) is not None
    except OmeNgffError:  # damaged, which is found where it is read
        return True


def _labels(
    hierarchy: Hierarchy, path: str, entries: list[Mapping[str, Json]], version: str
) -> Iterator[Finding]:
    """Check the label images of an image: each has as many levels as the image."""
    yield from _group(hierarchy, path, kind="labels", version=version)
    _, holder = container_of(hierarchy.readable_attributes(path)) or ("", {})
    for name in _texts(holder.get("labels")):
        _, label = container_of(hierarchy.readable_attributes(join(path, name))) or ("", {})
        spot = Spot(context=Context.of(join(hierarchy.location, path, name)), version=version)
        if label and "image-label" not in label:
            spot.advise("There is no image-label.", "label images should have it")
        counts = [len(listed(mapped(each).get("datasets"))) for each in listed(label.get("multiscales"))]
        wanted = [len(listed(entry.get("datasets"))) for entry in entries]
        if len(counts) == len(wanted) == 1 and counts != wanted:
            spot.refuse(
                f"It has {counts[0]} levels, the image {wanted[0]}.",
                "a label image must have as many as its image",
            )
        yield from spot.findings
