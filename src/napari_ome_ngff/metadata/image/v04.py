"""OME-NGFF 0.4: axes and transforms directly in each entry of ``multiscales``, at the attributes' top level.

Its entries are those of 0.5 too, which is why both directions are written here for both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from napari_ome_ngff.errors import MetadataError
from napari_ome_ngff.metadata.axes import (
    check_levels,
    decode_axes,
    decode_texts,
    encode_axes,
    encode_texts,
    unknown_keys,
)
from napari_ome_ngff.metadata.image.datasets import (
    ASSUMED_AXES,
    MOST_IMAGES,
    MOST_LEVELS,
    decode_entries,
    decode_levels,
)
from napari_ome_ngff.metadata.image.label_images import decode_label_image, encode_label_image
from napari_ome_ngff.metadata.image.omero import decode_omero, encode_omero
from napari_ome_ngff.metadata.json_checks import Notes, describe, plain_json, root
from napari_ome_ngff.metadata.nouns import Axis, Json, Multiscale, ScaleTranslation
from napari_ome_ngff.metadata.systems.rotated import straightened
from napari_ome_ngff.metadata.transforms import (
    check_transform,
    compose,
    decode_scale_translation,
    encode_transform,
    identity,
    spelled_steps,
    usable_steps,
)
from napari_ome_ngff.metadata.units import axis_type

_NO_PARAMETERS: Mapping[str, Json] = MappingProxyType({})


def decode(
    attributes: Mapping[str, Json], *, where: str, parameters: Mapping[str, Json] = _NO_PARAMETERS
) -> tuple[Multiscale, ...]:
    """Return the images that a group's attributes describe.

    Parameters
    ----------
    attributes
        Attributes of the group (content of ``.zattrs``).
    where
        Path or URL of the group, for errors and warnings.
    parameters
        Path to content of the arrays that transforms keep their numbers in.

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
    (Level(path='0', transform=ScaleTranslation(scale=(0.5, 0.5), translation=(0.0, 0.0)), extra={}),)
    """
    return decode_images(attributes, version="0.4", where=where, container="", parameters=parameters)


def decode_images(
    own: Mapping[str, Json],
    *,
    version: str,
    where: str,
    container: str,
    placed: bool = True,
    parameters: Mapping[str, Json] = _NO_PARAMETERS,
) -> tuple[Multiscale, ...]:
    """Return the images described with the entries of 0.4 and 0.5.

    Parameters
    ----------
    own
        The object that holds ``multiscales``.
    version
        What to give as the images' version.
    where
        Path or URL of the group.
    container
        Key of `own` in the attributes, or "".
    placed
        Whether a level must say where it lies (0.4 and later).
    parameters
        Path to content of the arrays that transforms keep their numbers in.

    Raises
    ------
    MetadataError
        If it is not clear where the voxels lie.
    UnsupportedError
        If a level is placed by something else than scale and translation.
    """
    notes, prefix = Notes(where), root(where, container)
    shown = decode_display(own, prefix=prefix, notes=notes)

    def decode_entry(entry: Mapping[str, Json], at: str) -> Multiscale:
        image = _decode_entry(
            entry, version=version, where=at, placed=placed, parameters=parameters, notes=notes
        )
        return replace(image, **shown)

    images = decode_entries(own, decode_entry, prefix=prefix, notes=notes)
    notes.warn()
    return images


def _decode_entry(
    entry: Mapping[str, Json],
    *,
    version: str,
    where: str,
    placed: bool,
    parameters: Mapping[str, Json],
    notes: Notes,
) -> Multiscale:
    axes, guessed = _decode_axes(entry, where=where, notes=notes)
    levels, unplaced = decode_levels(
        entry,
        lambda dataset, _, at: _decode_place(
            dataset, axes=axes, parameters=parameters, where=at, notes=notes
        ),
        ndim=len(axes),
        where=where,
        notes=notes,
        placed=placed,
    )
    at = f"{where}.coordinateTransformations"
    transforms = entry.get("coordinateTransformations")
    whole = _decode_whole(transforms, axes=axes, parameters=parameters, where=at, notes=notes)
    for level in levels:
        check_transform(compose(level.transform, whole or identity(len(axes))), ndim=len(axes), where=at)
    return Multiscale(
        # Neither axes nor places: that is what 0.2 was, whose axes follow from the arrays.
        version="0.2" if guessed and len(unplaced) == len(levels) else version,
        axes=axes,
        levels=levels,
        unplaced=unplaced,
        transform=whole,
        spelled=None if whole is None else transforms,
        extra=unknown_keys(entry),
        **decode_texts(entry, where=where, notes=notes),
    )


def _decode_axes(entry: Mapping[str, Json], *, where: str, notes: Notes) -> tuple[tuple[Axis, ...], bool]:
    """Return the axes of an image, and whether they had to be guessed from the number of dims."""
    axes, place = entry.get("axes"), f"{where}.axes"
    if axes is not None and axes != []:
        return decode_axes(axes, where=place, notes=notes), False
    lengths = _vector_lengths(entry) or {len(ASSUMED_AXES)}
    if len(lengths) > 1 or not 2 <= min(lengths) <= len(ASSUMED_AXES):
        raise MetadataError("The image does not say its axes.", where=place, expected="2 to 5 axes")
    found = ASSUMED_AXES[-min(lengths) :]
    notes.add(place, f"missing, {', '.join(axis.name for axis in found)} assumed")
    return found, True


def _vector_lengths(entry: Mapping[str, Json]) -> set[int]:
    """Return for how many axes the levels of an image are placed, as their scales and translations say."""
    datasets = entry.get("datasets")
    steps = [
        step
        for item in (datasets[:MOST_LEVELS] if isinstance(datasets, list | tuple) else ())
        if isinstance(item, Mapping) and isinstance(item.get("coordinateTransformations"), list | tuple)
        for step in item["coordinateTransformations"][:2]
        if isinstance(step, Mapping)
    ]
    vectors = [step.get(key) for step in steps for key in ("scale", "translation")]
    return {len(vector) for vector in vectors if isinstance(vector, list | tuple)}


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
    dataset: Mapping[str, Json],
    *,
    axes: tuple[Axis, ...],
    parameters: Mapping[str, Json],
    where: str,
    notes: Notes,
) -> ScaleTranslation | None:
    """Return a dataset's transform, or None if the file does not say where this level lies."""
    transforms, where = dataset.get("coordinateTransformations"), f"{where}.coordinateTransformations"
    # 'MUST contain the field "coordinateTransformations" ... MUST contain exactly one scale'
    if transforms is None or transforms == []:
        return None
    transforms = usable_steps(transforms, axes, parameters=parameters, where=where, notes=notes)
    transform = decode_scale_translation(transforms, ndim=len(axes), where=where)
    kinds = [item["type"] for item in transforms]
    if kinds not in (["scale"], ["scale", "translation"]):
        notes.add(where, f"{describe(kinds)} instead of a scale, then at most one translation")
    return transform


def _decode_whole(
    transforms: Json,
    *,
    axes: tuple[Axis, ...],
    parameters: Mapping[str, Json],
    where: str,
    notes: Notes,
) -> ScaleTranslation | None:
    """Return the multiscale's own transform; None where it changes nothing."""
    # MoBIE and SpatialData have written an empty list, and an identity.
    if transforms is None or transforms == []:
        return None
    transforms = usable_steps(transforms, axes, parameters=parameters, where=where, notes=notes)
    transform = decode_scale_translation(transforms, ndim=len(axes), where=where)
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
    >>> from napari_ome_ngff.metadata.nouns import Axis, Level
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
    >>> from napari_ome_ngff.metadata.nouns import Axis, Level
    >>> axes = (Axis(name="y", type="space"), Axis(name="x", type="space"))
    >>> image = Multiscale(version="0.5", axes=axes, levels=(Level(path="0", transform=identity(2)),))
    >>> sorted(encode_entry(image, where="multiscales[0]"))
    ['axes', 'datasets']
    """
    multiscale = straightened(multiscale, where=where)
    ndim = len(multiscale.axes)
    axes = encode_axes(multiscale.axes, where=f"{where}.axes")
    check_levels(multiscale.levels, where=f"{where}.datasets")
    levels = []
    for index, level in enumerate(multiscale.levels):
        at = f"{where}.datasets[{index}].coordinateTransformations"
        steps = _encode_steps(level.transform, level.spelled, ndim=ndim, where=at)
        levels.append(dict(level.extra) | {"path": level.path, "coordinateTransformations": steps})
    entry = {**encode_texts(multiscale, where=where), "axes": axes, "datasets": levels}
    if multiscale.transform is not None:
        at = f"{where}.coordinateTransformations"
        steps = _encode_steps(multiscale.transform, multiscale.spelled, ndim=ndim, where=at)
        entry["coordinateTransformations"] = steps
    return entry | unknown_keys(multiscale.extra)


def _encode_steps(transform: ScaleTranslation, spelled: Json, *, ndim: int, where: str) -> list[Json]:
    steps = encode_transform(transform, ndim=ndim, where=where)
    return spelled_steps(spelled, transform) or [*steps]


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


def decode_legacy(
    attributes: Mapping[str, Json], *, version: str, where: str, container: str = ""
) -> tuple[Multiscale, ...]:
    """Return the images that a group's attributes describe.

    Parameters
    ----------
    attributes
        Attributes of the group (content of ``.zattrs``), or what is under ``ome`` in them.
    version
        ``"0.1"``, ``"0.2"`` or ``"0.3"``.
    where
        Path or URL of the group, for errors and warnings.
    container
        ``"ome"`` if `attributes` are those under ``ome``.

    Returns
    -------
    tuple of Multiscale
        One per entry of ``multiscales``, in order; all levels of it are `unplaced`, unless the file has
        transforms nevertheless.

    Warns
    -----
    OmeNgffWarning
        Once, if the metadata break rules.

    Raises
    ------
    MetadataError
        If it is not clear which arrays the image is made of.

    Examples
    --------
    >>> entry = {"datasets": [{"path": "0"}]}
    >>> image = decode_legacy({"multiscales": [entry]}, version="0.1", where="a.zarr")[0]
    >>> image.dims, image.unplaced
    (('t', 'c', 'z', 'y', 'x'), ('0',))
    """
    entries = attributes.get("multiscales")
    if isinstance(entries, list | tuple):
        entries = [_with_axes(entry, version) for entry in entries[:MOST_IMAGES]]
    own = {**attributes, "multiscales": entries}
    return decode_images(own, version=version, where=where, container=container, placed=False)


def _with_axes(entry: Json, version: str) -> Json:
    """Return an entry with its axes said as in 0.4."""
    if not isinstance(entry, Mapping):
        return entry
    axes = entry.get("axes")
    if axes is None and version != "0.3":
        return {**entry, "axes": [{"name": axis.name, "type": axis.type} for axis in ASSUMED_AXES]}
    # 0.3: '"axes": ["t", "c", "z", "y", "x"]'
    if isinstance(axes, list | tuple) and all(isinstance(name, str) for name in axes):
        return {**entry, "axes": [{"name": name, "type": axis_type(name, None)} for name in axes]}
    return entry
