"""OME-Zarr 0.6: axes live in named coordinate systems, transforms lead from one to another.

An image is shown and written in its intrinsic system, the one that all its levels are placed in. Further
systems and the transforms to them are optional views; they are kept, as they are, in `Multiscale.extra`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from napari_ome_ngff.errors import MetadataError
from napari_ome_ngff.metadata.affine import as_scale_translation
from napari_ome_ngff.metadata.axes import (
    SYSTEMS_KEY,
    TRANSFORMS_KEY,
    check_levels,
    decode_description,
    encode_axes,
    encode_description,
    unknown_keys,
)
from napari_ome_ngff.metadata.context import Context
from napari_ome_ngff.metadata.image.datasets import MOST_LEVELS, decode_levels
from napari_ome_ngff.metadata.image.v04 import decode_axes_or_guess
from napari_ome_ngff.metadata.json_checks import as_list, as_text, describe, items_of
from napari_ome_ngff.metadata.nouns import Affine, Json, Multiscale, ScaleTranslation
from napari_ome_ngff.metadata.systems.coordinate_systems import (
    decode_systems,
    decode_views,
    encode_systems,
    intrinsic_system,
    view_problem,
)
from napari_ome_ngff.metadata.systems.level_place import common_affine, decode_place
from napari_ome_ngff.metadata.systems.rotated import affine_into_system
from napari_ome_ngff.metadata.transforms import (
    check_transform,
    encode_transform,
    identity,
    level_transform,
    original_transform,
)

_DEFAULT_SYSTEM = "physical"


def decode_entry(entry: Mapping[str, Json], context: Context, version: str) -> Multiscale:
    """Return the image that an entry of ``multiscales`` of 0.6 describes, placed in its intrinsic system.

    Further systems, the transforms to them and unknown keys are kept in `extra`. Drafts are read too; where
    they place levels by more than scale and translation, `affine` has the rest.
    """
    at = context.below(SYSTEMS_KEY)
    systems = decode_systems(entry.get(SYSTEMS_KEY), at)
    system = intrinsic_system(_outputs(entry, context), systems, at)
    index = next(i for i, item in enumerate(items_of(entry[SYSTEMS_KEY])) if item is systems[system])
    axes, guessed = decode_axes_or_guess(systems[system].get("axes"), entry, at.below(index), version)
    places: dict[str, Affine] = {}

    def place_level(dataset: Mapping[str, Json], path: str, at: Context) -> ScaleTranslation | None:
        place = decode_place(dataset, path, axes, at)
        if place is None:
            return None
        output = _output(dataset)
        if output != system and output in systems:
            raise at.below(TRANSFORMS_KEY).error("It is placed in another coordinate system.", found=output)
        if not all(map(any, zip(*place.matrix, strict=True))):
            raise at.below(TRANSFORMS_KEY).error("Its voxels have no size.")
        places[path] = place
        return as_scale_translation(place) or identity(len(axes))

    levels, unplaced = decode_levels(entry, place_level, context, ndim=len(axes))
    common: Affine | None = None
    if any(as_scale_translation(place) is None for place in places.values()):
        at = context.below("datasets")
        try:
            common, remaining, odd = common_affine(places, at)
        except MetadataError as error:
            at.note(f"{error.summary.removesuffix('.')}, voxels of size 1 assumed")
            remaining, odd, unplaced = {}, (), tuple(level.path for level in levels)
        levels = tuple(
            replace(level, transform=remaining.get(level.path, level.transform)) for level in levels
        )
        if odd:
            at.note(f"level {describe(odd[0])} is placed otherwise than the first; placed as near as can be")
    views = decode_views(systems, system, entry.get(TRANSFORMS_KEY), context.below(TRANSFORMS_KEY))
    return Multiscale(
        version=version,
        axes=axes,
        levels=levels,
        unplaced=unplaced,
        assumed=guessed,
        system=system,
        affine=common,
        extra=unknown_keys(entry) | views,
        **decode_description(entry, context),
    )


def _outputs(entry: Mapping[str, Json], context: Context) -> Iterator[tuple[Context, Json]]:
    """Yield place and value of each level's ``output``."""
    context = context.below("datasets")
    for index, item in enumerate(items_of(entry.get("datasets"), MOST_LEVELS)):
        for first in items_of(item.get(TRANSFORMS_KEY) if isinstance(item, Mapping) else None, 1):
            if isinstance(first, Mapping):
                yield context.below(index, TRANSFORMS_KEY, 0, "output"), first.get("output")


def _output(dataset: Mapping[str, Json]) -> str:
    """Return the name of the system that a level is placed in, or "" if it does not say it."""
    first = next(iter(items_of(dataset.get(TRANSFORMS_KEY), 1)), None)
    output = first.get("output") if isinstance(first, Mapping) else None
    name = output.get("name") if isinstance(output, Mapping) else output
    return name if isinstance(name, str) else ""


def encode_entry(multiscale: Multiscale, context: Context) -> dict[str, Json]:
    """Return an entry of ``multiscales`` as 0.6 has it.

    A transform of the image (0.4, 0.5) becomes part of those of its levels; a missing name of the coordinate
    system becomes ``"physical"``; an affine leads to one more system, ``"world"``.
    """
    system = _DEFAULT_SYSTEM if multiscale.system is None else multiscale.system
    # "MUST be restricted to a single scale, identity or sequence of a scale followed by a translation"
    multiscale = affine_into_system(multiscale, system, context)
    at = context.below(SYSTEMS_KEY)
    as_text(system, at.below(0, "name"), "the name of a coordinate system")
    check_levels(multiscale.levels, context.below("datasets"))
    axes = encode_axes(multiscale.axes, at.below(0, "axes"))
    entry = {
        **encode_description(multiscale, context),
        SYSTEMS_KEY: encode_systems(multiscale.extra.get(SYSTEMS_KEY), system, axes, at),
        "datasets": [
            _encode_dataset(multiscale, index, system, context.below("datasets", index))
            for index in range(len(multiscale.levels))
        ],
    }
    names = {item["name"] for item in entry[SYSTEMS_KEY]}
    transforms = multiscale.extra.get(TRANSFORMS_KEY) or []
    at = context.below(TRANSFORMS_KEY)
    for index, item in enumerate(as_list(transforms, at, "a list of transforms")):
        if problem := view_problem(item, system, names):
            raise at.below(index).error(
                "A transform of an image must lead from or to the system that its levels are placed in.",
                found=problem,
                hint="Leave it out of `extra` to write the image without it.",
            )
    if transforms:
        entry[TRANSFORMS_KEY] = transforms
    return entry | unknown_keys(multiscale.extra)


def _encode_dataset(multiscale: Multiscale, index: int, system: str, context: Context) -> dict[str, Json]:
    level, ndim, at = multiscale.levels[index], len(multiscale.axes), context.below(TRANSFORMS_KEY, 0)
    for transform in (level.transform, multiscale.transform):
        if transform is not None:
            check_transform(transform, at, ndim=ndim)
    whole = level_transform(multiscale, index)
    steps = encode_transform(whole, at, ndim=ndim)
    # The schema of 0.6 has "exclusiveMinimum": 0 for scales.
    if any(number < 0 for number in steps[0]["scale"]):
        raise at.error(
            "OME-Zarr 0.6 does not allow a negative scale.",
            found=describe(steps[0]["scale"]),
            hint="Reverse the axis, or write version 0.5.",
        )
    kept = original_transform(level.original, whole, path=level.path, system=system)
    # "in the input object provide path and omit name", "in the output object provide name and omit path"
    item = {
        "type": "sequence",
        "input": {"path": level.path},
        "output": {"name": system},
        "transformations": steps,
    }
    return dict(level.extra) | {"path": level.path, TRANSFORMS_KEY: [kept or item]}
