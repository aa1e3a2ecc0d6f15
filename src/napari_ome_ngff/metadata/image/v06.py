"""OME-NGFF 0.6: axes live in named coordinate systems, transforms lead from one to another.

An image is shown and written in its intrinsic system, the one that all its levels are placed in. Further
systems and the transforms to them are optional views; they are kept, as they are, in `Multiscale.extra`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType

from napari_ome_ngff.errors import MetadataError
from napari_ome_ngff.metadata.affine import as_scale_translation
from napari_ome_ngff.metadata.axes import (
    check_levels,
    decode_axes,
    decode_texts,
    encode_axes,
    encode_texts,
    unknown_keys,
)
from napari_ome_ngff.metadata.image.datasets import MOST_LEVELS, decode_entries, decode_levels
from napari_ome_ngff.metadata.image.v04 import decode_display, encode_display
from napari_ome_ngff.metadata.json_checks import (
    Notes,
    as_list,
    as_mapping,
    as_text,
    describe,
    plain_json,
    root,
)
from napari_ome_ngff.metadata.nouns import Affine, Json, Multiscale, ScaleTranslation
from napari_ome_ngff.metadata.systems.coordinate_systems import (
    decode_systems,
    decode_views,
    encode_systems,
    intrinsic_system,
    view_problem,
)
from napari_ome_ngff.metadata.systems.level_place import common_affine, decode_place
from napari_ome_ngff.metadata.systems.rotated import in_world
from napari_ome_ngff.metadata.transforms import (
    check_transform,
    encode_transform,
    identity,
    level_transform,
    spelled_place,
)

_SYSTEM = "physical"


def decode(
    attributes: Mapping[str, Json], *, where: str, parameters: Mapping[str, Json] = MappingProxyType({})
) -> tuple[Multiscale, ...]:
    """Return the images that a group's attributes describe.

    Parameters
    ----------
    attributes
        Attributes of the group (``attributes`` in ``zarr.json``).
    where
        Path or URL of the group, for errors and warnings.
    parameters
        Path to values, as nested lists, of the arrays that transforms keep their numbers in.

    Returns
    -------
    tuple of Multiscale
        One per entry of ``ome.multiscales``, in order, each placed in its intrinsic coordinate system.
        Further systems, the transforms to them and unknown keys are kept in `extra`, not copied. Drafts of
        0.6 are read too; where they place levels by more than scale and translation, `affine` has the rest.

    Warns
    -----
    OmeNgffWarning
        Once, if the metadata break rules but say where the voxels lie.

    Raises
    ------
    MetadataError
        If it is not clear where the voxels lie.
    UnsupportedError
        If a level is placed by a transform of an unknown type.

    Examples
    --------
    >>> axes = [{"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
    >>> place = {"type": "scale", "scale": [2, 2], "input": {"path": "0"}, "output": {"name": "lab"}}
    >>> entry = {
    ...     "coordinateSystems": [{"name": "lab", "axes": axes}],
    ...     "datasets": [{"path": "0", "coordinateTransformations": [place]}],
    ... }
    >>> decode({"ome": {"version": "0.6", "multiscales": [entry]}}, where="a.zarr")[0].system
    'lab'
    """
    own = as_mapping(attributes.get("ome"), where=f"{root(where)}ome", what="an object with OME metadata")
    notes, prefix = Notes(where), root(where, "ome")
    shown = decode_display(own, prefix=prefix, notes=notes)
    images = decode_entries(
        own,
        lambda entry, at: _decode_entry(entry, parameters=parameters, where=at, notes=notes, shown=shown),
        prefix=prefix,
        notes=notes,
    )
    notes.warn()
    return images


def _decode_entry(
    entry: Mapping[str, Json],
    *,
    parameters: Mapping[str, Json],
    where: str,
    notes: Notes,
    shown: Mapping[str, Json],
) -> Multiscale:
    at = f"{where}.coordinateSystems"
    systems = decode_systems(entry.get("coordinateSystems"), where=at, notes=notes)
    system = intrinsic_system(_outputs(entry, where=where), systems, where=at, notes=notes)
    index = next(i for i, item in enumerate(entry["coordinateSystems"]) if item is systems[system])
    axes = decode_axes(systems[system].get("axes"), where=f"{at}[{index}].axes", notes=notes)
    places: dict[str, Affine] = {}

    def place_level(dataset: Mapping[str, Json], path: str, at: str) -> ScaleTranslation | None:
        place = decode_place(dataset, path, axes, parameters=parameters, where=at, notes=notes)
        if place is not None:
            places[path] = place
        return None if place is None else as_scale_translation(place) or identity(len(axes))

    levels, unplaced = decode_levels(entry, place_level, ndim=len(axes), where=where, notes=notes)
    common: Affine | None = None
    if any(as_scale_translation(place) is None for place in places.values()):
        at = f"{where}.datasets"
        common, found, odd = common_affine(places, where=at)
        levels = tuple(replace(own, transform=found.get(own.path, own.transform)) for own in levels)
        if odd:
            notes.add(
                at, f"level {describe(odd[0])} is placed otherwise than the first; placed as near as can be"
            )
    at = f"{where}.coordinateTransformations"
    views = decode_views(systems, system, entry.get("coordinateTransformations"), where=at, notes=notes)
    return Multiscale(
        version="0.6",
        axes=axes,
        levels=levels,
        unplaced=unplaced,
        system=system,
        affine=common,
        extra=unknown_keys(entry) | views,
        **decode_texts(entry, where=where, notes=notes),
        **shown,
    )


def _outputs(entry: Mapping[str, Json], *, where: str) -> Iterator[tuple[str, Json]]:
    """Yield place and value of each level's ``output``."""
    items = as_list(entry.get("datasets"), where=f"{where}.datasets", what="a list of datasets")
    for index, item in enumerate(items[:MOST_LEVELS]):
        transforms = item.get("coordinateTransformations") if isinstance(item, Mapping) else None
        first = transforms[0] if isinstance(transforms, list | tuple) and transforms else None
        if isinstance(first, Mapping):
            place = f"{where}.datasets[{index}].coordinateTransformations[0].output"
            yield place, first.get("output")


def encode(multiscale: Multiscale) -> dict[str, Json]:
    """Return the complete attributes of an image group, all under ``ome``.

    Parameters
    ----------
    multiscale
        The image, read from or made for any version. A transform of its own (0.4, 0.5) becomes part of those
        of its levels; a missing name of the coordinate system becomes ``"physical"``; an affine leads to
        one more system, ``"world"``.

    Returns
    -------
    dict
        Plain JSON; ``ome`` holds ``version``, ``multiscales`` and, if there is something to say, ``omero``
        and ``image-label``.

    Raises
    ------
    MetadataError
        If the specification forbids something; the message names the rule.

    Examples
    --------
    >>> from napari_ome_ngff.metadata.nouns import Axis, Level
    >>> from napari_ome_ngff.metadata.transforms import identity
    >>> axes = (Axis(name="y", type="space"), Axis(name="x", type="space"))
    >>> image = Multiscale(version="0.6", axes=axes, levels=(Level(path="0", transform=identity(2)),))
    >>> encode(image)["ome"]["multiscales"][0]["coordinateSystems"][0]["name"]
    'physical'
    """
    where = "ome.multiscales[0]"
    system = _SYSTEM if multiscale.system is None else multiscale.system
    # "MUST be restricted to a single scale, identity or sequence of a scale followed by a translation"
    multiscale = in_world(multiscale, system, where=where)
    as_text(system, where=f"{where}.coordinateSystems[0].name", what="the name of a coordinate system")
    check_levels(multiscale.levels, where=f"{where}.datasets")
    axes = encode_axes(multiscale.axes, where=f"{where}.coordinateSystems[0].axes")
    entry = {
        **encode_texts(multiscale, where=where),
        "coordinateSystems": encode_systems(
            multiscale.extra.get("coordinateSystems"), system, axes, where=f"{where}.coordinateSystems"
        ),
        "datasets": [
            _encode_dataset(multiscale, index, system, where=f"{where}.datasets[{index}]")
            for index in range(len(multiscale.levels))
        ],
    }
    names = {item["name"] for item in entry["coordinateSystems"]}
    transforms = multiscale.extra.get("coordinateTransformations") or []
    place = f"{where}.coordinateTransformations"
    for index, item in enumerate(as_list(transforms, where=place, what="a list of transforms")):
        if problem := view_problem(item, system, names):
            raise MetadataError(
                "A transform of an image must lead from or to the system that its levels are placed in.",
                where=f"{place}[{index}]",
                found=problem,
                hint="Leave it out of `extra` to write the image without it.",
            )
    if transforms:
        entry["coordinateTransformations"] = transforms
    own = {
        "version": "0.6",
        "multiscales": [entry | unknown_keys(multiscale.extra)],
        **encode_display(multiscale, version=None, prefix="ome."),
    }
    return dict(plain_json({"ome": own}, where="ome"))


def _encode_dataset(multiscale: Multiscale, index: int, system: str, *, where: str) -> dict[str, Json]:
    path, ndim = multiscale.levels[index].path, len(multiscale.axes)
    place = f"{where}.coordinateTransformations[0]"
    for transform in (multiscale.levels[index].transform, multiscale.transform):
        if transform is not None:
            check_transform(transform, ndim=ndim, where=place)
    steps = encode_transform(level_transform(multiscale, index), ndim=ndim, where=place)
    # The schema of 0.6 has "exclusiveMinimum": 0 for scales.
    if any(number < 0 for number in steps[0]["scale"]):
        raise MetadataError(
            "OME-NGFF 0.6 does not allow a negative scale.",
            where=place,
            found=describe(steps[0]["scale"]),
            hint="Reverse the axis, or write version 0.5.",
        )
    kept = spelled_place(
        multiscale.levels[index].spelled, level_transform(multiscale, index), path=path, system=system
    )
    # "in the input object provide path and omit name", "in the output object provide name and omit path"
    item = {
        "type": "sequence",
        "input": {"path": path},
        "output": {"name": system},
        "transformations": steps,
    }
    return dict(multiscale.levels[index].extra) | {
        "path": path,
        "coordinateTransformations": [kept or item],
    }
