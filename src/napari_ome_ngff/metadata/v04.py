"""OME-NGFF 0.4: axes and transforms directly in each entry of ``multiscales``, at the attributes' top level.

Its entries are those of 0.5 too, which is why both directions are written here for both.
"""

from __future__ import annotations

from collections.abc import Mapping

from napari_ome_ngff.errors import MetadataError
from napari_ome_ngff.metadata.checks import Notes, as_list, as_mapping, describe, plain_json, root
from napari_ome_ngff.metadata.display import (
    decode_label_image,
    decode_omero,
    encode_label_image,
    encode_omero,
)
from napari_ome_ngff.metadata.model import Json, Level, Multiscale, ScaleTranslation
from napari_ome_ngff.metadata.parts import (
    check_levels,
    datasets,
    decode_axes,
    decode_path,
    decode_texts,
    encode_axes,
    encode_texts,
    unknown_keys,
)
from napari_ome_ngff.metadata.transforms import (
    check_transform,
    compose,
    decode_scale_translation,
    encode_transform,
    identity,
)


def decode(attributes: Mapping[str, Json], *, where: str) -> tuple[Multiscale, ...]:
    """Return the images that a group's attributes describe.

    Parameters
    ----------
    attributes
        Attributes of the group (content of ``.zattrs``).
    where
        Path or URL of the group, for errors and warnings.

    Returns
    -------
    tuple of Multiscale
        One per entry of ``multiscales``, in order. Unknown keys are kept, not copied.

    Warns
    -----
    OmeNgffWarning
        Once, if the metadata break rules but say where the voxels lie.

    Raises
    ------
    MetadataError
        If it is not clear where the voxels lie.
    UnsupportedError
        If a level is placed by something else than scale and translation.

    Examples
    --------
    >>> axes = [{"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
    >>> place = [{"type": "scale", "scale": [0.5, 0.5]}]
    >>> entry = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": place}]}
    >>> decode({"multiscales": [entry]}, where="a.zarr")[0].levels
    (Level(path='0', transform=ScaleTranslation(scale=(0.5, 0.5), translation=(0.0, 0.0))),)
    """
    return decode_images(attributes, version="0.4", where=where, container="")


def decode_images(
    own: Mapping[str, Json], *, version: str, where: str, container: str
) -> tuple[Multiscale, ...]:
    """Return the images described with the entries of 0.4 and 0.5.

    Parameters
    ----------
    own
        The object that holds ``multiscales``.
    version
        ``"0.4"`` or ``"0.5"``.
    where
        Path or URL of the group.
    container
        Key of `own` in the attributes, or "".

    Raises
    ------
    MetadataError
        If it is not clear where the voxels lie.
    UnsupportedError
        If a level is placed by something else than scale and translation.
    """
    notes, prefix = Notes(where), root(where, container)
    found = []
    for index, entry in enumerate(entries(own, prefix=prefix)):
        place = f"{prefix}multiscales[{index}]"
        axes = decode_axes(entry.get("axes"), where=f"{place}.axes", notes=notes)
        ndim = len(axes)
        levels: list[Level] = []
        for at, dataset in datasets(entry, where=place):
            path = decode_path(dataset.get("path"), where=f"{at}.path", notes=notes)
            transforms = dataset.get("coordinateTransformations")
            at = f"{at}.coordinateTransformations"
            transform = _decode_place(transforms, first=not levels, ndim=ndim, where=at, notes=notes)
            if transform is not None:
                levels.append(Level(path=path, transform=transform))
        check_levels(levels, where=f"{place}.datasets")
        at = f"{place}.coordinateTransformations"
        whole = _decode_whole(entry.get("coordinateTransformations"), ndim=ndim, where=at, notes=notes)
        for level in levels:
            check_transform(compose(level.transform, whole or identity(ndim)), ndim=ndim, where=at)
        found.append((entry, place, axes, tuple(levels), whole))
    shown = decode_display(own, prefix=prefix, notes=notes)
    images = tuple(
        Multiscale(
            version=version,
            axes=axes,
            levels=levels,
            transform=whole,
            extra=unknown_keys(entry),
            **decode_texts(entry, where=place, notes=notes),
            **shown,
        )
        for entry, place, axes, levels, whole in found
    )
    notes.warn()
    return images


def entries(own: Mapping[str, Json], *, prefix: str) -> list[Mapping[str, Json]]:
    """Return the entries of ``multiscales``.

    Raises
    ------
    MetadataError
        If there are none, or one is not an object.

    Examples
    --------
    >>> entries({"multiscales": [{"name": "a"}]}, prefix="ome.")
    [{'name': 'a'}]
    """
    items = as_list(own.get("multiscales"), where=f"{prefix}multiscales", what="a list of images")
    if not items:
        raise MetadataError("The list of images is empty.", where=f"{prefix}multiscales")
    return [
        as_mapping(item, where=f"{prefix}multiscales[{index}]", what="the description of an image")
        for index, item in enumerate(items)
    ]


def decode_display(own: Mapping[str, Json], *, prefix: str, notes: Notes) -> dict[str, Json]:
    """Return what a group says about all its images: the fields of a Multiscale that are about display.

    Examples
    --------
    >>> decode_display({}, prefix="", notes=Notes(""))
    {'channels': (), 'omero_extra': {}, 'label_image': None}
    """
    channels, extra = decode_omero(own.get("omero"), where=f"{prefix}omero", notes=notes)
    label = decode_label_image(own.get("image-label"), where=f"{prefix}image-label", notes=notes)
    return {"channels": channels, "omero_extra": extra, "label_image": label}


def _decode_place(
    transforms: Json, *, first: bool, ndim: int, where: str, notes: Notes
) -> ScaleTranslation | None:
    """Return a dataset's transform, or None if the file does not say where this level lies."""
    # 'MUST contain the field "coordinateTransformations" ... MUST contain exactly one scale'
    if transforms is None or transforms == []:
        return missing_place(first=first, ndim=ndim, where=where, notes=notes)
    transform = decode_scale_translation(transforms, ndim=ndim, where=where)
    kinds = [item["type"] for item in transforms]
    if kinds not in (["scale"], ["scale", "translation"]):
        notes.add(where, f"{describe(kinds)} instead of a scale, then at most one translation")
    return transform


def missing_place(*, first: bool, ndim: int, where: str, notes: Notes) -> ScaleTranslation | None:
    """Note that a level has no transform; return the identity for the first level, None for others.

    Without a transform the finest level alone still makes an image; a coarser one would be shown too small.

    Examples
    --------
    >>> missing_place(first=False, ndim=2, where="datasets[1]", notes=Notes("")) is None
    True
    """
    notes.add(where, "missing" + (", voxels of size 1 assumed" if first else ", this level is left out"))
    return identity(ndim) if first else None


def _decode_whole(transforms: Json, *, ndim: int, where: str, notes: Notes) -> ScaleTranslation | None:
    """Return the multiscale's own transform; None where it changes nothing."""
    # MoBIE and SpatialData have written an empty list, and an identity.
    if transforms is None or transforms == []:
        return None
    transform = decode_scale_translation(transforms, ndim=ndim, where=where)
    kinds = [item["type"] for item in transforms]
    if kinds not in (["scale"], ["scale", "translation"], ["identity"]):
        notes.add(where, f"{describe(kinds)} instead of a scale, then at most one translation")
    return None if set(kinds) == {"identity"} else transform


def encode(multiscale: Multiscale) -> dict[str, Json]:
    """Return the complete attributes of an image group.

    Parameters
    ----------
    multiscale
        The image, read from or made for any version. Coordinate systems of 0.6 besides the one that the
        levels are placed in cannot be said here and are left out.

    Returns
    -------
    dict
        Plain JSON with ``multiscales`` and, if there is something to say, ``omero`` and ``image-label``.

    Raises
    ------
    MetadataError
        If the specification forbids something; the message names the rule.

    Examples
    --------
    >>> from napari_ome_ngff.metadata.model import Axis
    >>> axes = (Axis(name="y", type="space"), Axis(name="x", type="space"))
    >>> image = Multiscale(version="0.4", axes=axes, levels=(Level(path="0", transform=identity(2)),))
    >>> sorted(encode(image)["multiscales"][0])
    ['axes', 'datasets', 'version']
    """
    entry = {"version": "0.4", **encode_entry(multiscale, where="multiscales[0]")}
    attributes = {"multiscales": [entry], **encode_display(multiscale, version="0.4", prefix="")}
    return dict(plain_json(attributes, where="multiscales"))


def encode_entry(multiscale: Multiscale, *, where: str) -> dict[str, Json]:
    """Return an entry of ``multiscales`` as 0.4 and 0.5 have it, without version.

    Raises
    ------
    MetadataError
        If the specification forbids something; the message names the rule.

    Examples
    --------
    >>> from napari_ome_ngff.metadata.model import Axis
    >>> axes = (Axis(name="y", type="space"), Axis(name="x", type="space"))
    >>> image = Multiscale(version="0.5", axes=axes, levels=(Level(path="0", transform=identity(2)),))
    >>> sorted(encode_entry(image, where="multiscales[0]"))
    ['axes', 'datasets']
    """
    ndim = len(multiscale.axes)
    axes = encode_axes(multiscale.axes, where=f"{where}.axes")
    check_levels(multiscale.levels, where=f"{where}.datasets")
    levels = [
        {
            "path": level.path,
            "coordinateTransformations": encode_transform(
                level.transform, ndim=ndim, where=f"{where}.datasets[{index}].coordinateTransformations"
            ),
        }
        for index, level in enumerate(multiscale.levels)
    ]
    entry = {**encode_texts(multiscale, where=where), "axes": axes, "datasets": levels}
    if multiscale.transform is not None:
        entry["coordinateTransformations"] = encode_transform(
            multiscale.transform, ndim=ndim, where=f"{where}.coordinateTransformations"
        )
    return entry | unknown_keys(multiscale.extra)


def encode_display(multiscale: Multiscale, *, version: str | None, prefix: str) -> dict[str, Json]:
    """Return ``omero`` and ``image-label``, those that there are.

    Parameters
    ----------
    multiscale
        The image.
    version
        What to write as their ``version`` (0.4), or None for none.
    prefix
        What their JSON paths start with.

    Raises
    ------
    MetadataError
        If the specification forbids something; the message names the rule.

    Examples
    --------
    >>> encode_display(Multiscale(version="0.5", axes=(), levels=()), version=None, prefix="ome.")
    {}
    """
    omero = encode_omero(multiscale, version=version, where=f"{prefix}omero")
    found: dict[str, Json] = {"omero": omero} if omero else {}
    if multiscale.label_image is not None:
        found["image-label"] = encode_label_image(
            multiscale.label_image, version=version, where=f"{prefix}image-label"
        )
    return found
