"""The bounds of our own reader, for the writer: what it would refuse or cut short is not written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from napari_ome_ngff.coordinates import check_lengths
from napari_ome_ngff.errors import MetadataError, OmeNgffError, collected_warnings
from napari_ome_ngff.metadata.collections import bioformats2raw, plates
from napari_ome_ngff.metadata.group_kind import kind_of
from napari_ome_ngff.metadata.image import label_images
from napari_ome_ngff.metadata.nouns import Json, Multiscale
from napari_ome_ngff.metadata.versions import decode
from napari_ome_ngff.storage.documents.json_documents import MAX_NESTED, build_array, is_nested, parse
from napari_ome_ngff.storage.places import requests

if TYPE_CHECKING:
    import zarr

_MOST_NESTED = MAX_NESTED - 10  # in attributes of others, which lie in those of a group

_HINT = "Keep what is large in files of its own, or save fewer things together."


def check_documents(documents: Mapping[str, bytes]) -> None:
    """Refuse metadata documents, by their keys, that are too large or too deep to be read again."""
    for key, content in documents.items():
        is_xml = key.endswith(bioformats2raw.OME_XML)
        most = bioformats2raw.MAX_XML_BYTES if is_xml else requests.MAX_DOCUMENT_BYTES
        if len(content) > most:
            raise MetadataError(
                "The metadata would be too large to be read again.",
                where=key,
                found=f"{len(content) / 1e6:.0f} MB",
                expected=f"at most {most / 1e6:.0f} MB",
                hint=_HINT,
            )
        if not is_xml:
            parse(content, where=key)


def check_nesting(attributes: Mapping[str, Json], where: str) -> None:
    """Refuse attributes with objects and lists that lie too deep in each other to be copied."""
    if is_nested(dict(attributes), _MOST_NESTED):
        raise MetadataError(
            "Attributes are nested too deeply to be read again.",
            where=where,
            expected=f"at most {_MOST_NESTED} objects and lists in each other",
        )


def check_listings(groups: Mapping[str, Mapping[str, Json]], images: int = 0) -> None:
    """Refuse more label images of one image, or images of a collection, than are opened."""
    for path, attributes in groups.items():
        if kind_of(attributes) == "labels":
            _check_count(
                "label images", len(label_images.decode_labels(attributes)), label_images.MOST_LABELS, path
            )
    _check_count("images", images, plates.MAX_ENTRIES, "")


def check_image(path: str, multiscale: Multiscale, attributes: Mapping[str, Json]) -> None:
    """Refuse an image of which less would be read from its attributes than is written."""
    try:
        with collected_warnings():
            read = decode(attributes, where=path)[0]
    except OmeNgffError as error:
        raise MetadataError(
            "The image could not be read again.", where=path, found=error.summary, hint=error.hint or _HINT
        ) from error
    _check_count("levels", len(multiscale.levels), len(read.levels), path)
    _check_count("channels", len(multiscale.channels), len(read.channels), path)
    if multiscale.label_image is not None and read.label_image is not None:
        for what in ("colors", "properties"):
            written, again = (len(getattr(one, what)) for one in (multiscale.label_image, read.label_image))
            _check_count(what, written, again, path)


def checked_arrays(models: Mapping[str, Any]) -> dict[str, zarr.Array[Any]]:
    """The arrays of pydantic-zarr models by their paths, stored nowhere; refused if not to be opened."""
    import zarr

    store, arrays = zarr.storage.MemoryStore(), dict[str, zarr.Array[Any]]()
    for path, model in models.items():
        document = model.model_dump()
        check_lengths(path, document["shape"])
        arrays[path] = build_array(store, path, document, document["attributes"], where=path)
    return arrays


def _check_count(what: str, count: int, most: int, where: str) -> None:
    if count > most:
        raise MetadataError(
            f"There are more {what} than are read again.",
            where=where,
            found=str(count),
            expected=f"at most {most}",
            hint=_HINT,
        )
