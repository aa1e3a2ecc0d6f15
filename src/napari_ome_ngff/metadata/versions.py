"""Which version metadata are in, and the one table that says what to do about it.

Nothing outside this module branches on the version.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from napari_ome_ngff.errors import (
    MetadataError,
    NotOmeNgffError,
    OmeNgffError,
    OptionError,
    UnsupportedError,
    give_warning,
)
from napari_ome_ngff.metadata.context import NO_PARAMETERS, Context
from napari_ome_ngff.metadata.group_kind import COLLECTIONS, CONTAINER, beside, collection, container_of
from napari_ome_ngff.metadata.image import v04, v06
from napari_ome_ngff.metadata.image.datasets import LEGACY, decode_entries
from napari_ome_ngff.metadata.image.label_images import decode_label_image, encode_label_image
from napari_ome_ngff.metadata.image.omero import decode_omero, encode_omero
from napari_ome_ngff.metadata.json_checks import as_mapping, as_paths, describe, items_of, plain_json
from napari_ome_ngff.metadata.nouns import Json, Multiscale
from napari_ome_ngff.metadata.systems.coordinate_systems import MOST_SYSTEMS


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version of OME-Zarr that is read and written."""

    name: str
    zarr_format: int
    """The only format of Zarr that it allows."""
    container: str
    """Attribute that holds everything of ours and the version, or "" where our keys are at the top level."""
    affines: bool
    """Whether an image may be placed by more than scale and translation."""
    decode_entry: Callable[[Mapping[str, Json], Context, str], Multiscale]
    """From an entry of ``multiscales`` and the version to the image in it."""
    encode_entry: Callable[[Multiscale, Context], dict[str, Json]]
    """From an image to its entry of ``multiscales``, without a version."""

    def attributes(self, content: Mapping[str, Json]) -> dict[str, Json]:
        """Return the attributes of a group with our content in its place."""
        # 0.5: "The OME-Zarr Metadata MUST contain the version". ome-zarr-models refuses a whole image if it
        # is missing in a labels group.
        return {self.container: {"version": self.name, **content}} if self.container else dict(content)


_V04 = Version(
    name="0.4",
    zarr_format=2,
    container="",
    affines=False,
    decode_entry=v04.decode_entry,
    encode_entry=v04.encode_entry,
)

# The entries of 0.4, moved into the attribute "ome" that carries the one version.
_V05 = replace(_V04, name="0.5", zarr_format=3, container=CONTAINER)

_V06 = replace(_V05, name="0.6", affines=True, decode_entry=v06.decode_entry, encode_entry=v06.encode_entry)

VERSIONS: Mapping[str, Version] = MappingProxyType({row.name: row for row in (_V04, _V05, _V06)})
"""The versions that are read and written, by name."""

_PREVIEW = "0.9"
"""What comes after 0.6: axes in any order and number (RFC-3), otherwise as in 0.6."""


def decode(
    attributes: Mapping[str, Json], *, where: str, parameters: Mapping[str, Json] = NO_PARAMETERS
) -> tuple[Multiscale, ...]:
    """Return the images that a group's attributes describe, whatever their version: one per entry.

    Each has at least two axes and one level, and perhaps levels that are still to be placed by their sizes
    (`unplaced`). Unknown keys are kept, not copied. Warns once if the metadata break rules but say where the
    voxels lie; raises if that is not clear, or if this is no image. `where` is the path or URL of the group,
    `parameters` what :class:`Context` says.
    """
    context = Context.of(where, parameters)
    ours = container_of(as_mapping(attributes, context, "the attributes of a group"))
    if ours is None:
        raise _no_image(attributes, context)
    container, holder = ours
    if holder.get("multiscales") is None and (kind := collection(holder, container)):
        raise context.error(COLLECTIONS[kind][1], found=f"the attribute {kind!r}", kind=UnsupportedError)
    name = _detect(holder, container, where)
    version = VERSIONS["0.4" if name in LEGACY else name]
    if version.container != container:
        _warn(f"OME-Zarr {name} metadata are not where they should be.", where)
    inside = context.below(container)
    # A group says once for all its images how they are shown.
    channels, omero_extra = decode_omero(*_display(attributes, container, "omero", context))
    label_image = decode_label_image(*_display(attributes, container, "image-label", context))

    def decode_entry(entry: Mapping[str, Json], at: Context) -> Multiscale:
        image = version.decode_entry(entry, at, name)
        return replace(image, channels=channels, omero_extra=omero_extra, label_image=label_image)

    images = decode_entries(holder, decode_entry, inside)
    context.warn()
    return images


def _display(
    attributes: Mapping[str, Json], container: str, key: str, context: Context
) -> tuple[Json, Context]:
    """Return how an image is shown, and where that stands: with the image, beside it or in its entry."""
    name, value = beside(attributes, container, key)
    at = context.below(name, key)
    if value is None:
        holder = attributes[container] if container else attributes
        first = next(iter(items_of(holder.get("multiscales"), 1)), None)
        value = first.get(key) if isinstance(first, Mapping) else None
        if not isinstance(value, Mapping):
            return None, at
        at = context.below(container, "multiscales", 0, key)
    if at.keys != (container, key):
        at.note(f"not in its place, {'.'.join(filter(None, (container, key)))}")
    return value, at


def _no_image(attributes: Mapping[str, Json], context: Context) -> OmeNgffError:
    holders = (attributes, attributes.get(CONTAINER))
    if any(isinstance(holder, Mapping) and "image-label" in holder for holder in holders):
        # 0.4: "image-label groups MUST also contain multiscales metadata"
        return context.error("This label image does not say where its arrays are.")
    return context.error(
        "This group holds no OME-Zarr image.",
        found=describe(attributes),
        hint="Open a group whose attributes have 'multiscales'.",
        kind=NotOmeNgffError,
    )


def _detect(holder: Mapping[str, Json], container: str, where: str) -> str:
    """Return the version to read as: the one that the metadata name, unless their form is another's."""
    images = holder.get("multiscales")
    first = next(iter(items_of(images, 1)), None)
    entry = first if isinstance(first, Mapping) else {}
    tags = [holder.get("version"), entry.get("version")]
    tag = next((tag for tag in (tags if container else tags[::-1]) if tag is not None), None)
    form = _version_by_form(entry, container)
    if tag is None:
        if container:
            # 0.5: "The OME-Zarr Metadata MUST contain the version"; 0.4 only has a SHOULD.
            _warn(f"The metadata do not say their OME-Zarr version; read as {form}.", where)
        return form
    name = _release(tag)
    if name == _PREVIEW:
        _warn(f"OME-Zarr {tag[:20]} is a preview that may still change; read as {form}.", where)
        return form
    if name not in VERSIONS and name not in LEGACY:
        _warn(f"{describe(tag)} is no known version of OME-Zarr; read as {form}.", where)
        return form
    # 0.6 has coordinate systems in place of axes, which is what tells it from all others.
    if (name == "0.6") != (form == "0.6") and (name == "0.6" or "axes" not in entry):
        _warn(f"The metadata say version {describe(tag)}, but have the form of {form}; read as that.", where)
        return form
    return name


def _release(tag: Json) -> str:
    """Return the release that a version tag leads to or belongs to, or "" if it is none of a release.

    For example ``"0.4-dev-spatialdata"``, ``"0.5.2"``, ``"0.6.dev1"`` and ``"0.6rc0"``.
    """
    match = re.match(r"v?(\d{1,3}\.\d{1,3})(?!\d)", tag.strip()) if isinstance(tag, str) else None
    return "" if match is None else match[1]


def _version_by_form(entry: Mapping[str, Json], container: str) -> str:
    """Return the version whose form an entry of ``multiscales`` has."""
    if any(isinstance(item, Mapping) for item in items_of(entry.get("coordinateSystems"), MOST_SYSTEMS)):
        return "0.6"
    axes = entry.get("axes")
    if container or "datasets" not in entry:
        return "0.5" if container else "0.4"
    if axes is None:
        return "0.2"
    # 0.3 had the names alone: "axes": ["t", "c", "y", "x"]
    strings = isinstance(axes, list | tuple) and bool(axes) and all(isinstance(a, str) for a in axes)
    return "0.3" if strings else "0.4"


def _warn(summary: str, where: str) -> None:
    give_warning(f"{summary}\nWhere: {where}" if where else summary, stacklevel=2)


def check_version(version: str) -> Version:
    """Return what a version that is to be written needs; an unknown one is refused."""
    # Not by the table alone: what is no text may not be hashable.
    is_text = isinstance(version, str)
    row = next((row for row in VERSIONS.values() if is_text and row.name == version), None)
    if row is None:
        raise OptionError(
            "There is no such OME-Zarr version to write.",
            found=describe(version),
            expected=", ".join(repr(name) for name in VERSIONS),
        )
    return row


def encode(multiscale: Multiscale, version: str) -> dict[str, Json]:
    """Return the complete attributes of an image group in a version: plain JSON, ``multiscales`` and display.

    Refused, with the rule, if the specification forbids something, a level is not placed yet, or the image is
    rotated or sheared and the version older than 0.6. Before 0.6, coordinate systems besides the one that the
    levels are placed in are left out.
    """
    row = check_version(version)
    if multiscale.unplaced:
        raise MetadataError(
            "It is not known where all levels of the image lie.",
            where="multiscales[0].datasets",
            found=describe(multiscale.unplaced),
            hint="Place them by their sizes: metadata.image.datasets.placed_by_shapes.",
        )
    context = Context().below(row.container)
    # Before 0.5 each part carries the version.
    tag = {} if row.container else {"version": row.name}
    entry = row.encode_entry(multiscale, context.below("multiscales", 0))
    content: dict[str, Json] = {"multiscales": [tag | entry]}
    if omero := encode_omero(multiscale, context.below("omero")):
        content["omero"] = tag | omero
    if multiscale.label_image is not None:
        label = encode_label_image(multiscale.label_image, context.below("image-label"))
        content["image-label"] = tag | label
    return dict(plain_json(row.attributes(content), Context(keys=(row.container or "multiscales",))))


def encode_labels(names: Iterable[str], version: str) -> dict[str, Json]:
    """Return the complete attributes of a ``labels`` group that lists label images by their paths."""
    row = check_version(version)
    context = Context().below(row.container, "labels")
    return row.attributes({"labels": as_paths(names, context, holder="labels group", what="label image")})
