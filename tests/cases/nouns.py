"""A case: how a store is made, what it is called in the docs, and what is expected of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from napari_ome_ngff import OmeNgffError

Position = tuple[float, ...]
Opened = list[tuple[Any, dict[str, Any], str]]
"""napari's layer tuples."""

GROUPS = (
    "Versions",
    "Axes",
    "Transforms",
    "Scenes",
    "Channels",
    "Labels",
    "Plates",
    "Collections",
    "Paths and files",
    "Data types",
    "Other programs",
    "Damaged",
)
"""The sections of the table, in order."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Shown:
    """A layer that is expected. What is None is not asked for.

    Parameters
    ----------
    name, kind
        Name of the layer, and "image" or "labels".
    pixels
        The finest level as the layer has it.
    shape
        Shape of the finest level, where the pixels are not given.
    levels
        How many there are at least; napari is given more where the coarsest is too big.
    axes, units
        One for each dimension of the layer.
    places
        Index of a voxel in the finest level to the world position of its centre.
    where
        Value of a voxel that occurs once to the world position of its centre: for layers whose axes may be in
        another order than those in the file.
    limits
        Contrast limits; None: anything sensible.
    color
        "gray", "green", "#FF8000" ...: the colormap.
    colors
        Labels: colour of each label, 0 to 1.
    features
        Labels: columns of the table.
    """

    name: str | None = None
    kind: str = "image"
    pixels: np.ndarray[Any, Any] | None = None
    shape: tuple[int, ...] | None = None
    levels: int = 1
    axes: Sequence[str] | None = None
    units: Sequence[str] | None = None
    places: Mapping[tuple[int, ...], Position] = field(default_factory=dict)
    where: Mapping[int, Position] = field(default_factory=dict)
    limits: tuple[float, float] | None = None
    color: str | None = None
    visible: bool = True
    colors: Mapping[int, tuple[float, ...]] | None = None
    features: Mapping[str, Sequence[Any]] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """A store and what is expected of it.

    Parameters
    ----------
    group
        Section of the table.
    name
        Of the test, unique.
    what, result
        The row of the table: what is in the file, and how it is shown or why it is refused. Cases with the
        same words share a row.
    make
        Writes the store into an empty folder, and returns what the user opens.
    layers
        What is expected, in order. Empty where something else is.
    error, says
        The error that is expected instead, and words of it.
    left
        Whether it is left to other readers.
    warns
        Words of the warnings: each is in one of them. Empty: there is none.
    may_warn
        Whether there may be warnings that are not in `warns`.
    system
        Coordinate system that is asked for (in scripts).
    check
        What else must hold.
    slices
        Whether napari may be asked for a slice.
    memory
        Bytes that opening may take at most.
    """

    group: str
    name: str
    what: str
    result: str
    make: Callable[[Path], Any]
    layers: Sequence[Shown] = ()
    error: type[OmeNgffError] | tuple[type[OmeNgffError], ...] | None = None
    says: Sequence[str] = ()
    left: bool = False
    warns: Sequence[str] = ()
    may_warn: bool = False
    system: str | None = None
    check: Callable[[Opened], None] | None = None
    slices: bool = True
    memory: int = 64 * 2**20
