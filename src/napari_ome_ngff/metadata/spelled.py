"""Transforms as they were read: written again as they were where they are allowed and still say the same.

The same scale can be said alone, with a translation of zero, with a name, or with keys that others need. Who
changes nothing should find the same file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from napari_ome_ngff.errors import OmeNgffError
from napari_ome_ngff.metadata.looks import Json
from napari_ome_ngff.metadata.nouns import ScaleTranslation
from napari_ome_ngff.metadata.transforms import decode_scale_translation

_PLAIN = (["scale"], ["scale", "translation"])


_OF_SYSTEMS = ("input", "output", "path")


def spelled_steps(spelled: Json, transform: ScaleTranslation) -> list[Json] | None:
    """Return transforms as 0.4 and 0.5 have them, or None if they must be spelled anew.

    Parameters
    ----------
    spelled
        ``coordinateTransformations`` as they were read, by whatever version.
    transform
        What they have to say.

    Examples
    --------
    >>> steps = [{"type": "scale", "scale": [2], "name": "binned"}]
    >>> spelled_steps(steps, ScaleTranslation(scale=(2.0,), translation=(0.0,)))
    [{'type': 'scale', 'scale': [2], 'name': 'binned'}]
    >>> spelled_steps(steps, ScaleTranslation(scale=(3.0,), translation=(0.0,))) is None
    True
    """
    steps = list(spelled) if isinstance(spelled, list | tuple) else []
    if _kinds(steps) not in _PLAIN or any(key in step for step in steps for key in _OF_SYSTEMS):
        return None
    return steps if _say(steps, transform) else None


def spelled_place(
    spelled: Json, transform: ScaleTranslation, *, path: str, system: str
) -> dict[str, Json] | None:
    """Return the transform of a level as 0.6 has it, or None if it must be spelled anew.

    Parameters
    ----------
    spelled
        ``coordinateTransformations`` of the dataset as they were read, by whatever version.
    transform
        What they have to say.
    path, system
        Of the level, and the coordinate system that it is placed in.

    Examples
    --------
    >>> item = {"type": "identity", "input": {"path": "0"}, "output": {"name": "lab"}, "name": "none"}
    >>> still = ScaleTranslation(scale=(1.0,), translation=(0.0,))
    >>> spelled_place([item], still, path="0", system="lab")["name"]
    'none'
    """
    item = spelled[0] if isinstance(spelled, list | tuple) and len(spelled) == 1 else None
    if not isinstance(item, Mapping) or None in item.values():
        return None
    # "in the input object provide path and omit name", "in the output object provide name and omit path"
    if item.get("input") != {"path": path} or item.get("output") != {"name": system}:
        return None
    steps: Json = [item]
    if item.get("type") == "sequence":
        steps = item.get("transformations")
        # "A sequence transformation containing one scale and one translation"
        if not isinstance(steps, list | tuple) or _kinds(steps) != ["scale", "translation"]:
            return None
        if any(key in step for step in steps for key in _OF_SYSTEMS):
            return None
    elif _kinds(steps) not in (["scale"], ["identity"]) or "path" in item:
        return None
    return dict(item) if _say(steps, transform) else None


def _kinds(steps: Sequence[Json]) -> list[Json]:
    return [step.get("type") if isinstance(step, Mapping) else None for step in steps]


def _say(steps: Sequence[Json], transform: ScaleTranslation) -> bool:
    try:
        return decode_scale_translation(steps, ndim=len(transform.scale), where="") == transform
    except OmeNgffError:
        return False
