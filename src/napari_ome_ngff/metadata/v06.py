"""OME-NGFF 0.6: axes live in named coordinate systems, transforms lead from one to another.

An image is shown and written in its intrinsic system, the one that all its levels are placed in. Further
systems and the transforms to them are optional views; they are kept, as they are, in `Multiscale.extra`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from napari_ome_ngff.errors import MetadataError
from napari_ome_ngff.metadata.checks import (
    Notes,
    as_list,
    as_mapping,
    as_text,
    describe,
    plain_json,
    root,
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
from napari_ome_ngff.metadata.systems import (
    decode_systems,
    decode_views,
    encode_systems,
    intrinsic_system,
    view_problem,
)
from napari_ome_ngff.metadata.transforms import (
    check_transform,
    decode_scale_translation,
    decode_transform,
    encode_transform,
    level_transform,
)
from napari_ome_ngff.metadata.v04 import decode_display, encode_display, entries, missing_place

_SYSTEM = "physical"


def decode(attributes: Mapping[str, Json], *, where: str) -> tuple[Multiscale, ...]:
    """Return the images that a group's attributes describe.

    Parameters
    ----------
    attributes
        Attributes of the group (``attributes`` in ``zarr.json``).
    where
        Path or URL of the group, for errors and warnings.

    Returns
    -------
    tuple of Multiscale
        One per entry of ``ome.multiscales``, in order, each placed in its intrinsic coordinate system.
        Further systems, the transforms to them and unknown keys are kept in `extra`, not copied.

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
    images = tuple(
        _decode_entry(entry, where=f"{prefix}multiscales[{index}]", notes=notes, shown=shown)
        for index, entry in enumerate(entries(own, prefix=prefix))
    )
    notes.warn()
    return images


def _decode_entry(
    entry: Mapping[str, Json], *, where: str, notes: Notes, shown: Mapping[str, Json]
) -> Multiscale:
    at = f"{where}.coordinateSystems"
    systems = decode_systems(entry.get("coordinateSystems"), where=at, notes=notes)
    placed = [(at, dataset, _single(dataset, where=at)) for at, dataset in datasets(entry, where=where)]
    outputs = [
        (f"{at}.coordinateTransformations[0].output", item.get("output")) for at, _, item in placed if item
    ]
    system = intrinsic_system(outputs, systems, where=at, notes=notes)
    index = next(i for i, item in enumerate(entry["coordinateSystems"]) if item is systems[system])
    axes = decode_axes(systems[system].get("axes"), where=f"{at}[{index}].axes", notes=notes)
    levels: list[Level] = []
    for at, dataset, item in placed:
        path = decode_path(dataset.get("path"), where=f"{at}.path", notes=notes)
        at = f"{at}.coordinateTransformations"
        transform = _decode_place(item, path=path, first=not levels, ndim=len(axes), where=at, notes=notes)
        if transform is not None:
            levels.append(Level(path=path, transform=transform))
    check_levels(levels, where=f"{where}.datasets")
    at = f"{where}.coordinateTransformations"
    views = decode_views(systems, system, entry.get("coordinateTransformations"), where=at, notes=notes)
    return Multiscale(
        version="0.6",
        axes=axes,
        levels=tuple(levels),
        system=system,
        extra=unknown_keys(entry) | views,
        **decode_texts(entry, where=where, notes=notes),
        **shown,
    )


def _single(dataset: Mapping[str, Json], *, where: str) -> Mapping[str, Json] | None:
    """Return a dataset's one transform, or None if it has none."""
    where = f"{where}.coordinateTransformations"
    transforms = dataset.get("coordinateTransformations")
    if transforms is None or transforms == []:
        return None
    items = as_list(transforms, where=where, what="a list of transforms")
    # "MUST be restricted to a single scale, identity or sequence of a scale followed by a translation"
    if len(items) != 1:
        raise MetadataError(
            "In OME-NGFF 0.6 a level is placed by one transform.",
            where=where,
            found=f"{len(items)} transforms",
            expected="one: a scale, an identity, or a sequence of scale and translation",
        )
    return as_mapping(items[0], where=f"{where}[0]", what="a transform")


def _decode_place(
    item: Mapping[str, Json] | None, *, path: str, first: bool, ndim: int, where: str, notes: Notes
) -> ScaleTranslation | None:
    """Return a dataset's transform, or None if the file does not say where this level lies."""
    if item is None:
        return missing_place(first=first, ndim=ndim, where=where, notes=notes)
    source = item.get("input")
    # "SHOULD always treat the dataset's path field as if it were equal to the value of path under input"
    given = source.get("path") if isinstance(source, Mapping) else source
    if given != path:
        notes.add(f"{where}[0].input", f"{describe(given)} instead of {describe(path)}, ignored")
    where = f"{where}[0]"
    steps = list(_steps(item, where=where))
    if len(steps) == 1 and steps[0] is item:
        transform = decode_transform(item, ndim=ndim, where=where)
    else:
        transform = decode_scale_translation(steps, ndim=ndim, where=f"{where}.transformations")
    kinds = [step["type"] for step in steps]
    if kinds not in (["scale"], ["identity"], ["scale", "translation"]):
        notes.add(where, f"{describe(kinds)} instead of a scale, then at most one translation")
    if any(number < 0 for number in transform.scale):
        notes.add(where, f"scale {describe(transform.scale)} is negative")
    return transform


def _steps(transform: Mapping[str, Json], *, where: str) -> Iterator[Json]:
    """Yield the transforms that a sequence is made of, in order, sequences in it taken apart.

    With a stack in place of recursion: a file may nest as deep as it likes.
    """
    stack: list[Json] = [transform]
    while stack:
        item = stack.pop()
        if isinstance(item, Mapping) and item.get("type") == "sequence":
            parts = as_list(
                item.get("transformations"), where=f"{where}.transformations", what="a list of transforms"
            )
            stack.extend(reversed(parts))
        else:
            yield item


def encode(multiscale: Multiscale) -> dict[str, Json]:
    """Return the complete attributes of an image group, all under ``ome``.

    Parameters
    ----------
    multiscale
        The image, read from or made for any version. A transform of its own (0.4, 0.5) becomes part of those
        of its levels; a missing name of the coordinate system becomes ``"physical"``.

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
    >>> from napari_ome_ngff.metadata.model import Axis
    >>> from napari_ome_ngff.metadata.transforms import identity
    >>> axes = (Axis(name="y", type="space"), Axis(name="x", type="space"))
    >>> image = Multiscale(version="0.6", axes=axes, levels=(Level(path="0", transform=identity(2)),))
    >>> encode(image)["ome"]["multiscales"][0]["coordinateSystems"][0]["name"]
    'physical'
    """
    where = "ome.multiscales[0]"
    system = _SYSTEM if multiscale.system is None else multiscale.system
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
    # "in the input object provide path and omit name", "in the output object provide name and omit path"
    item = {
        "type": "sequence",
        "input": {"path": path},
        "output": {"name": system},
        "transformations": steps,
    }
    return {"path": path, "coordinateTransformations": [item]}
