"""Whose a group's attributes are: what kind of OME-NGFF group it is, and what belongs to others."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from napari_ome_ngff.metadata.nouns import Json

# What a group can be, by the key that says so, with what is told to those who asked for one image.
# The order matters: a plate may also carry a "bioformats2raw.layout", an image also "labels".
COLLECTIONS: Mapping[str, tuple[type | tuple[type, ...], str]] = MappingProxyType(
    {
        "plate": (
            Mapping,
            "This is a plate; open it with open_ome_ngff, or read one of its images, such as 'A/1/0'.",
        ),
        "well": (
            Mapping,
            "This is a well of a plate; open it with open_ome_ngff, or read one of its images, such as '0'.",
        ),
        "scene": (
            Mapping,
            "This is a scene of several images; open it with open_ome_ngff, or read one of its images.",
        ),
        "bioformats2raw.layout": (
            (int, float, str),
            "This is a collection of images; open it with open_ome_ngff, or read one of them, such as '0'.",
        ),
        "series": (
            (list, tuple),
            "This describes a collection of images; open the group above with open_ome_ngff, or read one of "
            "the images beside it.",
        ),
        "labels": (
            (list, tuple),
            "This only lists label images; open it with open_ome_ngff, or read one of them.",
        ),
    }
)


_IMAGE_KEYS = frozenset({"multiscales", "omero", "image-label"})


_AROUND = frozenset({"bioformats2raw.layout"})


_ONLY_INSIDE = frozenset({"scene", "series"})
"""Keys that are ours inside ``ome`` alone: at the top level they are too common a word, or too new."""


def container_of(attributes: Json) -> tuple[str, Mapping[str, Json]] | None:
    """Return where in a group's attributes our metadata are.

    Parameters
    ----------
    attributes
        Attributes of a Zarr group of either format.

    Returns
    -------
    tuple of str and mapping, or None
        The key that holds them ("" for the top level) and what holds them; None if there are none.

    Examples
    --------
    >>> container_of({"ome": {"version": "0.5", "labels": ["cells"]}})[0]
    'ome'
    """
    if not isinstance(attributes, Mapping):
        return None
    # 0.5 and later: everything is under "ome", which counts where both are there.
    for key, own in (("ome", attributes.get("ome")), ("", attributes)):
        if isinstance(own, Mapping) and ("multiscales" in own or collection(own, key)):
            return key, own
    return None


def collection(own: Mapping[str, Json], container: str) -> str:
    """Return the key that says what a group is, or "" if none says so and it may be an image.

    Parameters
    ----------
    own
        What holds our metadata.
    container
        Key of `own` in the attributes, or "".

    Examples
    --------
    >>> collection({"plate": {"rows": []}}, ""), collection({"multiscales": []}, "")
    ('plate', '')
    """
    return next((key for key in COLLECTIONS if _says_so(key, own.get(key), container)), "")


def _says_so(key: str, value: Json, container: str) -> bool:
    """Return whether a value makes a collection: somebody else's "plate" may be a number."""
    return isinstance(value, COLLECTIONS[key][0]) and bool(container or key not in _ONLY_INSIDE)


def kind_of(attributes: Json) -> str:
    """Return what a group is.

    Parameters
    ----------
    attributes
        Attributes of a Zarr group of either format.

    Returns
    -------
    str
        ``"image"`` (it has ``multiscales``, whatever else it has), or the key that makes it a collection:
        ``"plate"``, ``"well"``, ``"scene"``, ``"bioformats2raw.layout"``, ``"series"`` or ``"labels"``, the
        first of them that is there; "" if nothing in it is ours.

    Examples
    --------
    >>> kind_of({"multiscales": [], "labels": []}), kind_of({"ome": {"plate": {}, "series": []}}), kind_of({})
    ('image', 'plate', '')
    """
    found = container_of(attributes)
    if found is None:
        return ""
    container, own = found
    kind = collection(own, container)
    return kind if kind and own.get("multiscales") is None else "image"


def is_ome_ngff(attributes: Mapping[str, Json]) -> bool:
    """Return whether a group's attributes hold anything of OME-NGFF, valid or not.

    Parameters
    ----------
    attributes
        Attributes of a Zarr group of either format.

    Examples
    --------
    >>> is_ome_ngff({"ome": {"version": "0.5", "labels": ["cells"]}}), is_ome_ngff({"author": "me"})
    (True, False)
    """
    return container_of(attributes) is not None


def foreign_attributes(attributes: Mapping[str, Json]) -> dict[str, Json]:
    """Return the attributes of a group that do not belong to OME-NGFF.

    Parameters
    ----------
    attributes
        Attributes of a group of any version; not changed.

    Returns
    -------
    dict
        Without our keys at the top level and under ``ome``, and without ``ome`` if nothing is left in it.

    Examples
    --------
    >>> foreign_attributes({"ome": {"version": "0.5", "multiscales": []}, "author": "me"})
    {'author': 'me'}
    """
    kept = _strangers(attributes, "")
    inside = kept.get("ome")
    if isinstance(inside, Mapping):
        kept["ome"] = _strangers(inside, "ome")
        if not kept["ome"]:
            del kept["ome"]
    return kept


def _strangers(own: Mapping[str, Json], container: str) -> dict[str, Json]:
    return {
        key: value
        for key, value in own.items()
        if key not in _IMAGE_KEYS
        and not (key in COLLECTIONS and _says_so(key, value, container))
        and not (key == "version" and container)
    }


def merge_attributes(existing: Mapping[str, Json], ours: Mapping[str, Json]) -> dict[str, Json]:
    """Return existing attributes with everything of OME-NGFF replaced by ours.

    Parameters
    ----------
    existing
        Attributes of a group of any version; not changed.
    ours
        What `encode` or `encode_labels` returned.

    Returns
    -------
    dict
        Keys of other owners, at the top level and under ``ome``, and ours.

    Examples
    --------
    >>> merge_attributes({"author": "me", "multiscales": []}, {"ome": {"version": "0.5"}})
    {'author': 'me', 'ome': {'version': '0.5'}}
    """
    kept = foreign_attributes(existing)
    inside, own = kept.get("ome"), ours.get("ome")
    merged = {**kept, **ours}
    if isinstance(inside, Mapping) and isinstance(own, Mapping):
        merged["ome"] = {**own, **{key: value for key, value in inside.items() if key not in own}}
    if kind_of(existing) == kind_of(ours) == "image":
        # On an image it says how a converter laid out what is around it, which the image does not change.
        for key in _AROUND & set(_own(existing)):
            container = merged["ome"] if own is not None else merged
            container.setdefault(key, _own(existing)[key])
    return merged


def _own(attributes: Mapping[str, Json]) -> Mapping[str, Json]:
    found = container_of(attributes)
    return {} if found is None else found[1]
