"""Which version metadata are in, and the one table that says what to do about it.

Nothing outside this module branches on the version.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from napari_ome_ngff.errors import (
    MetadataError,
    NotOmeNgffError,
    OmeNgffError,
    OmeNgffWarning,
    OptionError,
    UnsupportedError,
)
from napari_ome_ngff.metadata.group_kind import COLLECTIONS, collection, container_of
from napari_ome_ngff.metadata.image import v04, v05, v06
from napari_ome_ngff.metadata.json_checks import as_mapping, as_path, describe, root
from napari_ome_ngff.metadata.nouns import Json, Multiscale


@dataclass(frozen=True, kw_only=True)
class Version:
    """What there is to know about one version of OME-NGFF.

    Parameters
    ----------
    name
        As it is written in metadata: ``"0.4"``, ``"0.5"`` or ``"0.6"``.
    zarr_format
        2 or 3: the only format of Zarr that this version allows.
    container
        Attribute that holds everything of ours, or "" where our keys are at the top level.
    affines
        Whether an image may be placed by more than scale and translation.
    decode
        From a group's attributes to the images in it.
    encode
        From an image to the attributes of its group.
    """

    name: str
    zarr_format: int
    container: str
    affines: bool
    decode: Callable[..., tuple[Multiscale, ...]]
    encode: Callable[[Multiscale], dict[str, Json]]


VERSIONS: Mapping[str, Version] = MappingProxyType(
    {
        "0.4": Version(
            name="0.4", zarr_format=2, container="", affines=False, decode=v04.decode, encode=v04.encode
        ),
        "0.5": Version(
            name="0.5", zarr_format=3, container="ome", affines=False, decode=v05.decode, encode=v05.encode
        ),
        "0.6": Version(
            name="0.6", zarr_format=3, container="ome", affines=True, decode=v06.decode, encode=v06.encode
        ),
    }
)
"""The versions that are read and written, by name."""


_NO_PARAMETERS: Mapping[str, Json] = MappingProxyType({})


_LEGACY = ("0.1", "0.2", "0.3")


_PREVIEW = "0.9"
"""What comes after 0.6: axes in any order and number (RFC-3), otherwise as in 0.6."""


def decode(
    attributes: Mapping[str, Json], *, where: str, parameters: Mapping[str, Json] = _NO_PARAMETERS
) -> tuple[Multiscale, ...]:
    """Return the images that a group's attributes describe, whatever their version.

    Parameters
    ----------
    attributes
        Attributes of a Zarr group of either format.
    where
        Path or URL of the group, for errors and warnings.
    parameters
        Path to content of the arrays that transforms keep their numbers in, as far as they are known.

    Returns
    -------
    tuple of Multiscale
        One per entry of ``multiscales``, in order. Each has at least two axes and one level, and perhaps
        levels that are still to be placed by their sizes (`unplaced`).

    Warns
    -----
    OmeNgffWarning
        If the metadata break rules but say where the voxels lie, or name an unknown version.

    Raises
    ------
    NotOmeNgffError
        If there is nothing of OME-NGFF.
    MetadataError
        If it is not clear where the voxels lie.
    UnsupportedError
        If it is no image, or an image of a kind that cannot be shown.

    Examples
    --------
    >>> axes = [{"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
    >>> place = [{"type": "scale", "scale": [0.5, 0.5]}]
    >>> entry = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": place}]}
    >>> decode({"multiscales": [entry]}, where="a.zarr")[0].version
    '0.4'
    """
    found = container_of(as_mapping(attributes, where=where, what="the attributes of a group"))
    if found is None:
        raise _nothing_there(attributes, where)
    container, own = found
    if own.get("multiscales") is None and (kind := collection(own, container)):
        raise UnsupportedError(COLLECTIONS[kind][1], where=where, found=f"the attribute {kind!r}")
    name = _detect(own, container, where=where)
    home = "" if name in _LEGACY else VERSIONS[name].container
    if home != container:
        _warn(f"OME-NGFF {name} metadata are not where they should be.", where)
    if name in _LEGACY:
        return v04.decode_legacy(own, version=name, where=where, container=container)
    return VERSIONS[name].decode({"ome": own} if home else own, where=where, parameters=parameters)


def _nothing_there(attributes: Mapping[str, Json], where: str) -> OmeNgffError:
    if any(isinstance(own, Mapping) and "image-label" in own for own in (attributes, attributes.get("ome"))):
        # 0.4: "image-label groups MUST also contain multiscales metadata"
        return MetadataError("This label image does not say where its arrays are.", where=where)
    return NotOmeNgffError(
        "This group holds no OME-NGFF image.",
        where=where,
        found=describe(attributes),
        hint="Open a group whose attributes have 'multiscales'.",
    )


def _detect(own: Mapping[str, Json], container: str, *, where: str) -> str:
    """Return the version to read as: the one that the metadata name, unless their form is another's."""
    images = own.get("multiscales")
    first = images[0] if isinstance(images, list | tuple) and images else None
    entry = first if isinstance(first, Mapping) else {}
    tag = own.get("version") if container else entry.get("version")
    if tag is None:
        tag = entry.get("version") if container else own.get("version")
    form = _looks_like(entry, container)
    if tag is None:
        if container:
            # 0.5: "The OME-Zarr Metadata MUST contain the version"; 0.4 only has a SHOULD.
            _warn(f"The metadata do not say their OME-NGFF version; read as {form}.", where)
        return form
    name = _release(tag)
    if name == _PREVIEW:
        _warn(f"OME-NGFF {tag[:20]} is a preview that may still change; read as {form}.", where)
        return form
    if name not in VERSIONS and name not in _LEGACY:
        _warn(f"{describe(tag)} is no known version of OME-NGFF; read as {form}.", where)
        return form
    # 0.6 has coordinate systems in place of axes, which is what tells it from all others.
    if (name == "0.6") != (form == "0.6") and ("axes" in entry) == (name == "0.6"):
        _warn(f"The metadata say version {describe(tag)}, but have the form of {form}; read as that.", where)
        return form
    return name


def _release(tag: Json) -> str:
    """Return the release that a version tag leads to or belongs to, or "" if it is none of a release.

    For example ``"0.4-dev-spatialdata"``, ``"0.5.2"``, ``"0.6.dev1"`` and ``"0.6rc0"``.
    """
    found = re.match(r"v?(\d{1,3}\.\d{1,3})(?!\d)", tag.strip()) if isinstance(tag, str) else None
    if found is None:
        return ""
    return found[1]


def _looks_like(entry: Mapping[str, Json], container: str) -> str:
    """Return the version whose form an entry of ``multiscales`` has."""
    if "coordinateSystems" in entry:
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
    warnings.warn(f"{summary}\nWhere: {where}" if where else summary, OmeNgffWarning, stacklevel=2)


def check_version(version: str) -> Version:
    """Return what there is to know about a version that is to be written.

    Raises
    ------
    OptionError
        If it is not one that is written.

    Examples
    --------
    >>> check_version("0.5").zarr_format
    3
    """
    found = next((known for known in VERSIONS.values() if known.name == version), None)
    if found is None:
        raise OptionError(
            "There is no such OME-NGFF version to write.",
            found=describe(version),
            expected=", ".join(repr(name) for name in VERSIONS),
        )
    return found


def encode(multiscale: Multiscale, version: str) -> dict[str, Json]:
    """Return the complete attributes of an image group in a version.

    Parameters
    ----------
    multiscale
        The image, read from or made for any version.
    version
        ``"0.4"``, ``"0.5"`` or ``"0.6"``.

    Raises
    ------
    MetadataError
        If the specification forbids something; the message names the rule.
    UnsupportedError
        If the image is rotated or sheared, and the version older than 0.6.
    OptionError
        If there is no such version.

    Examples
    --------
    >>> from napari_ome_ngff.metadata.nouns import Axis, Level
    >>> from napari_ome_ngff.metadata.transforms import identity
    >>> axes = (Axis(name="y", type="space"), Axis(name="x", type="space"))
    >>> image = Multiscale(version="0.4", axes=axes, levels=(Level(path="0", transform=identity(2)),))
    >>> encode(image, "0.5")["ome"]["version"]
    '0.5'
    """
    known = check_version(version)
    if multiscale.unplaced:
        raise MetadataError(
            "It is not known where all levels of the image lie.",
            where="multiscales[0].datasets",
            found=describe(multiscale.unplaced),
            hint="Place them by their sizes: metadata.shapes.placed_by_shapes.",
        )
    return known.encode(multiscale)


def encode_labels(names: Iterable[str], version: str) -> dict[str, Json]:
    """Return the complete attributes of a ``labels`` group.

    Parameters
    ----------
    names
        Paths of the label images relative to the group.
    version
        ``"0.4"``, ``"0.5"`` or ``"0.6"``.

    Raises
    ------
    MetadataError
        If there is no name, one occurs twice, or one leads out of the group.
    OptionError
        If there is no such version.

    Examples
    --------
    >>> encode_labels(["cells"], "0.5")
    {'ome': {'version': '0.5', 'labels': ['cells']}}
    """
    found = check_version(version)
    place = f"{root('', found.container)}labels"
    paths = [as_path(name, where=place, what="label image") for name in names]
    if not paths or len(set(paths)) < len(paths):
        raise MetadataError(
            "A labels group must list at least one label image, and each only once.",
            where=place,
            found=describe(paths),
        )
    if not found.container:
        return {"labels": paths}
    # ome-zarr-models refuses a whole image if the version is missing here.
    return {found.container: {"version": found.name, "labels": paths}}
