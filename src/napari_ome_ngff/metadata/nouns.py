"""The nouns of OME-NGFF, the same for every version: what the JSON means.

Plain frozen data without behaviour that needs anything but the data itself. `decode` functions make them
from a group's attributes, `encode` functions make attributes from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Json = Any
"""A decoded JSON value: dict, list, str, int, float, bool or None."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """Contrast of a channel: `start` and `end` are the limits in use, `min` and `max` the possible range.

    `extra` has the keys that this package does not interpret.
    """

    start: float | None = None
    end: float | None = None
    min: float | None = None
    max: float | None = None
    extra: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Channel:
    """How one channel is shown (wire name: an entry of ``omero.channels``).

    Parameters
    ----------
    label
        The channel's name, or None.
    color
        ``"RRGGBB"`` in capital hexadecimal digits without ``#``, or None.
    window
        Contrast, or None.
    active
        Whether the channel is visible.
    extra
        Keys that this package does not interpret (``coefficient``, ``family``, ``inverted``, ...).
    """

    label: str | None = None
    color: str | None = None
    window: Window | None = None
    active: bool = True
    extra: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class LabelImage:
    """What makes a multiscale a label image (wire name: ``image-label``).

    Parameters
    ----------
    colors
        Label value to ``(red, green, blue, alpha)``, each 0 to 255.
    color_extra
        Label value to the other keys of its entry in ``colors``; a value without a colour may have an entry.
    properties
        One mapping per label value, with the value under ``"label-value"``.
    source
        Path of the labelled image relative to this group, usually ``"../../"``, or None.
    extra
        Keys that this package does not interpret.
    """

    colors: Mapping[int, tuple[int, int, int, int]] = field(default_factory=dict)
    color_extra: Mapping[int, Mapping[str, Json]] = field(default_factory=dict)
    properties: tuple[Mapping[str, Json], ...] = ()
    source: str | None = None
    extra: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One axis of a multiscale, in the order of the array's dimensions.

    Parameters
    ----------
    name
        Unique within the multiscale, for example ``"z"``.
    type
        ``"space"``, ``"time"``, ``"channel"``, a custom type, or None where the file has none.
    unit
        A UDUNITS name such as ``"micrometer"``, or whatever the file says, or None.
    extra
        Keys of the axis that this package does not interpret; written back as they were.
    """

    name: str
    type: str | None = None
    unit: str | None = None
    extra: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ScaleTranslation:
    """``position = scale * index + translation``, one number per axis; index 0 is a voxel's centre.

    OME-NGFF 0.6, "Axes": the pixel or voxel centre is the origin of the continuous coordinate system.
    """

    scale: tuple[float, ...]
    translation: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Affine:
    """``position = matrix @ coordinates + translation``: from one coordinate system to another.

    Parameters
    ----------
    matrix
        One row per axis of the result, one column per axis of what it is applied to.
    translation
        One number per row.
    """

    matrix: tuple[tuple[float, ...], ...]
    translation: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class CoordinateSystem:
    """Named axes that positions are said in (wire name: an entry of ``coordinateSystems``)."""

    name: str
    axes: tuple[Axis, ...]


@dataclass(frozen=True, kw_only=True)
class View:
    """How an image lies in a coordinate system that is not its intrinsic one.

    Parameters
    ----------
    system
        The coordinate system.
    affine
        From the image's intrinsic system (columns: its axes) to `system` (rows: its axes).
    problems
        What could not be applied, one sentence each, such as a displacement field.
    """

    system: CoordinateSystem
    affine: Affine
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Level:
    """One resolution of a multiscale (wire name: dataset). Level 0 is the finest.

    Parameters
    ----------
    path
        Path of the array relative to the group that carries the metadata.
    transform
        The dataset's own transform, without the multiscale's.
    spelled
        ``coordinateTransformations`` of the dataset as they were read: they are written again as they were,
        with names and unknown keys, where they still say what `transform` says.
    extra
        Keys of the dataset that this package does not interpret.
    """

    path: str
    transform: ScaleTranslation
    spelled: Json = field(default=None, compare=False, repr=False)
    extra: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Multiscale:
    """One image at several resolutions: an entry of ``multiscales`` and what the group says about it.

    Parameters
    ----------
    version
        OME-NGFF version that the metadata were read as: ``"0.4"``, ``"0.5"`` or ``"0.6"``.
    axes
        In the order of the array's dimensions.
    levels
        Finest first.
    transform
        The multiscale's own transform, applied after each level's (0.4 and 0.5), or None.
    spelled
        Its JSON as it was read; see `Level.spelled`.
    system
        0.6: name of the intrinsic coordinate system, the one that the levels are placed in.
    name, method, metadata
        Wire names ``name``, ``type`` (how the levels were made) and ``metadata``.
    channels
        Display settings, one per index of the channel axis, or empty.
    omero_extra
        Keys of ``omero`` besides ``channels`` (``rdefs``, ``id``, ...), written back as they were.
    label_image
        Given if this is a label image.
    extra
        Keys of the entry that this package does not interpret, written back as they were; for 0.6 also the
        further ``coordinateSystems`` and the transforms to them.
    unplaced
        Paths of levels of which the file does not say where they lie (0.1 to 0.3, or a missing transform).
        Their transform is the identity until :func:`placed_by_shapes` works it out.
    affine
        Applied after all scales and translations: rotation, shear and mirroring of the whole image, from
        `axes` to `axes`. Drafts of 0.6 say it in the levels' transforms; it is written as a transform to a
        further coordinate system, which only 0.6 can say.
    """

    version: str
    axes: tuple[Axis, ...]
    levels: tuple[Level, ...]
    transform: ScaleTranslation | None = None
    spelled: Json = field(default=None, compare=False, repr=False)
    system: str | None = None
    name: str | None = None
    method: str | None = None
    metadata: Mapping[str, Json] | None = None
    channels: tuple[Channel, ...] = ()
    omero_extra: Mapping[str, Json] = field(default_factory=dict)
    label_image: LabelImage | None = None
    extra: Mapping[str, Json] = field(default_factory=dict)
    unplaced: tuple[str, ...] = ()
    affine: Affine | None = None

    @property
    def dims(self) -> tuple[str, ...]:
        """Names of the axes, in order."""
        return tuple(axis.name for axis in self.axes)

    @property
    def channel_axis(self) -> int | None:
        """Position of the channel axis, or None if there is none."""
        return next((i for i, axis in enumerate(self.axes) if axis.type == "channel"), None)


@dataclass(frozen=True, kw_only=True)
class Acquisition:
    """One round of imaging of a plate (wire name: an entry of ``plate.acquisitions``)."""

    id: int
    name: str | None = None
    extra: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PlateWell:
    """Where a well of a plate is (wire name: an entry of ``plate.wells``).

    Parameters
    ----------
    path
        Path of the well's group relative to the plate, usually ``"A/1"``.
    row, column
        Position in the plate's `rows` and `columns`, from 0.
    """

    path: str
    row: int
    column: int


@dataclass(frozen=True, kw_only=True)
class Plate:
    """A plate of wells (wire name: ``plate``).

    Parameters
    ----------
    version
        OME-NGFF version that the metadata were read as.
    name
        The plate's name, or None.
    rows, columns
        Their names, in order.
    wells
        Those that have images, in the order of the file.
    acquisitions
        In the order of the file; empty if the file lists none.
    field_count
        Largest number of fields in a well, as the file says, or None.
    extra
        Keys that this package does not interpret.
    """

    version: str
    name: str | None = None
    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    wells: tuple[PlateWell, ...] = ()
    acquisitions: tuple[Acquisition, ...] = ()
    field_count: int | None = None
    extra: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Field:
    """One image of a well (wire name: an entry of ``well.images``).

    Parameters
    ----------
    path
        Path of the image's group relative to the well.
    acquisition
        The `Acquisition.id` it belongs to, or None.
    """

    path: str
    acquisition: int | None = None


@dataclass(frozen=True, kw_only=True)
class Well:
    """The images of one well (wire name: ``well``)."""

    version: str
    fields: tuple[Field, ...] = ()
    extra: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SystemRef:
    """A coordinate system as a scene names it: `path` is that of the image that defines it, or ""."""

    name: str
    path: str = ""


@dataclass(frozen=True, kw_only=True)
class Link:
    """A transform from one coordinate system to another, not yet interpreted."""

    input: SystemRef
    output: SystemRef
    transform: Mapping[str, Json]
    where: str


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Several images and the transforms between their coordinate systems (0.6; wire name: ``scene``).

    Parameters
    ----------
    version
        OME-NGFF version that the metadata were read as.
    systems
        Those of the scene itself, in order; the first is shown by default.
    links
        The transforms, in the order of the file.
    extra
        Keys that this package does not interpret.
    """

    version: str
    systems: tuple[CoordinateSystem, ...] = ()
    links: tuple[Link, ...] = ()
    extra: Mapping[str, Json] = field(default_factory=dict)
