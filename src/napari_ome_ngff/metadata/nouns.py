"""The nouns of OME-Zarr, the same for every version: what the JSON means.

Plain frozen data. `decode` functions make them from a group's attributes, `encode` functions make attributes
from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Json = Any
"""A decoded JSON value: dict, list, str, int, float, bool or None."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """Contrast of a channel.

    Parameters
    ----------
    start, end
        The contrast limits in use, in the array's values, or None.
    min, max
        The possible range, or None.
    extra
        Keys that this package does not interpret; written back as they were.

    Examples
    --------
    >>> Window(start=100, end=4000, min=0, max=65535).end
    4000
    """

    start: float | None = None
    end: float | None = None
    min: float | None = None
    max: float | None = None
    extra: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Channel:
    """How one channel is shown (an entry of ``omero.channels``).

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

    Examples
    --------
    >>> Channel(label="DAPI", color="0000FF", window=Window(start=100, end=4000, min=0, max=65535)).label
    'DAPI'
    """

    label: str | None = None
    color: str | None = None
    window: Window | None = None
    active: bool = True
    extra: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class LabelImage:
    """What makes a multiscale a label image (``image-label``).

    Parameters
    ----------
    colors
        Label value to ``(red, green, blue, alpha)``, each 0 to 255.
    color_extra
        Label value to the other keys of its entry in ``colors``; a value without a colour may have an entry.
    properties
        One mapping per label value, with the value under ``"label-value"``.
    table
        Properties as columns by name, the label values under ``"label-value"``: numpy arrays, lists, pandas
        columns or a whole ``DataFrame``. A large one is stored as Zarr arrays beside the levels, and read
        when it is first asked for something; a small one becomes `properties`.
    source
        Path of the labelled image relative to this group, usually ``"../../"``, or None.
    extra
        Keys that this package does not interpret; written back as they were.

    Examples
    --------
    >>> label = LabelImage(colors={1: (255, 0, 0, 255)}, properties=({"label-value": 1, "class": "cell"},))
    >>> label.colors[1]
    (255, 0, 0, 255)
    """

    colors: Mapping[int, tuple[int, int, int, int]] = field(default_factory=dict)
    color_extra: Mapping[int, Mapping[str, Json]] = field(default_factory=dict)
    properties: tuple[Mapping[str, Json], ...] = ()
    table: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)
    source: str | None = None
    extra: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One axis of a multiscale.

    Parameters
    ----------
    name
        Unique within the multiscale, for example ``"z"``.
    type
        ``"space"``, ``"time"``, ``"channel"``, a custom type, or None where the file has none.
    unit
        A UDUNITS name such as ``"micrometer"``, or whatever the file says, or None.
    extra
        Keys that this package does not interpret; written back as they were.

    Examples
    --------
    >>> Axis(name="z", type="space", unit="micrometer").unit
    'micrometer'
    """

    name: str
    type: str | None = None
    unit: str | None = None
    extra: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ScaleTranslation:
    """The transform ``position = scale * index + translation``, from indices to positions.

    Index 0 is the centre of a voxel (OME-Zarr 0.6, "Axes": the pixel or voxel centre is the origin of the
    continuous coordinate system).

    Parameters
    ----------
    scale
        Size of a voxel along each axis, in the axis' unit; one number per axis, such as ``(z, y, x)``.
    translation
        Position of the centre of voxel 0 along each axis, in the axis' unit.

    Examples
    --------
    >>> ScaleTranslation(scale=(2.0, 0.5, 0.5), translation=(0.0, 10.0, 20.0)).scale
    (2.0, 0.5, 0.5)
    """

    scale: tuple[float, ...]
    translation: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Affine:
    """The transform ``position = matrix @ coordinates + translation``, from one coordinate system to another.

    Parameters
    ----------
    matrix
        One row per axis of the result, one column per axis of what it is applied to. It need not be square.
    translation
        One number per row, in the unit of the result's axis.

    Examples
    --------
    A rotation by 90 degrees in the plane ``(y, x)``:

    >>> Affine(matrix=((0.0, -1.0), (1.0, 0.0)), translation=(10.0, 0.0)).matrix[0]
    (0.0, -1.0)
    """

    matrix: tuple[tuple[float, ...], ...]
    translation: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class CoordinateSystem:
    """Named axes that positions refer to (an entry of ``coordinateSystems``)."""

    name: str
    axes: tuple[Axis, ...]


@dataclass(frozen=True, kw_only=True)
class View:
    """How an image lies in a coordinate system that is not its intrinsic one."""

    system: CoordinateSystem
    affine: Affine
    """From the image's intrinsic system (columns: its axes) to `system` (rows: its axes)."""
    problems: tuple[str, ...] = ()
    """What could not be applied, one sentence each, such as a displacement field."""


@dataclass(frozen=True, kw_only=True)
class Level:
    """One resolution of a multiscale (an entry of ``datasets``). Level 0 is the finest.

    Parameters
    ----------
    path
        Path of the array relative to the group that carries the metadata.
    transform
        The dataset's own transform, without the multiscale's.
    original
        ``coordinateTransformations`` of the dataset as they were read. They are written again as they were,
        with names and unknown keys, as long as they mean what `transform` says.
    extra
        Keys of the dataset that this package does not interpret; written back as they were.

    Examples
    --------
    >>> level = Level(path="0", transform=ScaleTranslation(scale=(0.5, 0.5), translation=(0.0, 0.0)))
    >>> level.transform.scale
    (0.5, 0.5)
    """

    path: str
    transform: ScaleTranslation
    original: Json = field(default=None, compare=False, repr=False)
    extra: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Multiscale:
    """One image at several resolutions: an entry of ``multiscales`` and what the group says about it.

    Parameters
    ----------
    version
        OME-Zarr version that the metadata were read as: ``"0.4"``, ``"0.5"`` or ``"0.6"``.
    axes
        In the order of the array's dimensions.
    levels
        Finest first.
    transform
        The multiscale's own transform, applied after each level's (0.4 and 0.5), or None.
    original
        Its JSON as it was read; see `Level.original`.
    system
        0.6: name of the intrinsic coordinate system, the one that the levels are placed in.
    name, method, metadata
        ``name``, ``type`` (how the levels were made) and ``metadata`` of the entry.
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
        Paths of levels that the file does not place (0.1 to 0.3, or a missing transform). Their transform is
        the identity until it is worked out from the shapes of the arrays, as all reading functions do.
    assumed
        Whether the axes are a guess, because the file does not say them: arrays that name their dimensions,
        or have fewer, know better.
    affine
        Applied after all scales and translations: rotation, shear and mirroring of the whole image, from
        `axes` to `axes`. Drafts of 0.6 say it in the levels' transforms; it is written as a transform to a
        further coordinate system, which only 0.6 can say.

    Examples
    --------
    >>> axes = (Axis(name="y", type="space"), Axis(name="x", type="space"))
    >>> level = Level(path="0", transform=ScaleTranslation(scale=(0.5, 0.5), translation=(0.0, 0.0)))
    >>> Multiscale(version="0.5", axes=axes, levels=(level,), name="cells").dims
    ('y', 'x')
    """

    version: str
    axes: tuple[Axis, ...]
    levels: tuple[Level, ...]
    transform: ScaleTranslation | None = None
    original: Json = field(default=None, compare=False, repr=False)
    system: str | None = None
    name: str | None = None
    method: str | None = None
    metadata: Mapping[str, Json] | None = None
    channels: tuple[Channel, ...] = ()
    omero_extra: Mapping[str, Json] = field(default_factory=dict)
    label_image: LabelImage | None = None
    extra: Mapping[str, Json] = field(default_factory=dict)
    unplaced: tuple[str, ...] = ()
    assumed: bool = False
    affine: Affine | None = None

    @property
    def dims(self) -> tuple[str, ...]:
        """Names of the axes, in order."""
        return tuple(axis.name for axis in self.axes)

    @property
    def channel_axis(self) -> int | None:
        """Index of the channel axis, or None if there is none."""
        return next((i for i, axis in enumerate(self.axes) if axis.type == "channel"), None)


@dataclass(frozen=True, kw_only=True)
class Acquisition:
    """One round of imaging of a plate (an entry of ``plate.acquisitions``)."""

    id: int
    name: str | None = None
    extra: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PlateWell:
    """Where a well of a plate is (an entry of ``plate.wells``): index of its row and column, from 0."""

    path: str
    """Of the well's group relative to the plate, usually ``"A/1"``."""
    row: int
    column: int


@dataclass(frozen=True, kw_only=True)
class Plate:
    """A plate of wells (``plate``); lists are in the order of the file."""

    version: str
    name: str | None = None
    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    wells: tuple[PlateWell, ...] = ()
    """Those that have images."""
    acquisitions: tuple[Acquisition, ...] = ()
    field_count: int | None = None
    """Largest number of fields in a well, as the file says, or None."""
    extra: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Field:
    """One image of a well (an entry of ``well.images``): its path relative to the well."""

    path: str
    acquisition: int | None = None
    """`Acquisition.id` it belongs to, or None."""


@dataclass(frozen=True, kw_only=True)
class Well:
    """The images of one well (``well``)."""

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
    """Several images and the transforms between their coordinate systems (0.6, ``scene``).

    Both are in the order of the file; the first system is shown by default.
    """

    version: str
    systems: tuple[CoordinateSystem, ...] = ()
    links: tuple[Link, ...] = ()
    extra: Mapping[str, Json] = field(default_factory=dict)
