"""What is corrected of an image's metadata, and the metadata after it. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from types import NoneType
from typing import Any

from napari_ome_ngff.arguments import check_mapping, check_text, check_type, shown, unit_text
from napari_ome_ngff.errors import OptionError
from napari_ome_ngff.metadata.group_kind import CONTAINER, foreign_attributes
from napari_ome_ngff.metadata.nouns import (
    Axis,
    Channel,
    Json,
    LabelImage,
    Level,
    Multiscale,
    ScaleTranslation,
    Window,
)
from napari_ome_ngff.metadata.transforms import level_transform


@dataclass(frozen=True, kw_only=True)
class MetadataChange:
    """What is to be corrected; whatever is None, or is not named, stays. Dims are named as they were."""

    scale: Mapping[str, float] | None = None
    translation: Mapping[str, float] | None = None
    units: Mapping[str, str | None] | None = None
    axes: Mapping[str, str | Axis] | None = None
    name: str | None = None
    channels: Mapping[int | str, Mapping[str, Any] | Channel] | None = None
    colors: Mapping[int, tuple[int, int, int, int]] | None = None
    properties: Sequence[Mapping[str, Json]] | None = None
    acquisitions: Mapping[int, str] | None = None
    attributes: Mapping[str, Json] | None = None

    def __post_init__(self) -> None:
        for what, of in (
            ("scale", "sizes of a voxel by dim"),
            ("translation", "positions by dim"),
            ("units", "units by dim"),
            ("axes", "names, or Axis, by dim"),
            ("channels", "what changes, by index or name of the channel"),
            ("colors", "colours by label"),
            ("acquisitions", "names by id"),
            ("attributes", "values by key, None to remove one"),
        ):
            check_type(getattr(self, what), (Mapping, NoneType), what, f"a mapping: {of}")
        if self.name is not None:
            check_text(self.name, "The name")
        check_type(self.properties, (list, tuple, NoneType), "properties", '[{"label-value": 1, ...}]')
        for key in self.attributes or {}:
            check_text(key, "The key of an attribute")
            if key == CONTAINER or not foreign_attributes({key: {}}) or not foreign_attributes({key: []}):
                raise OptionError(f"{key!r} is a key of OME-Zarr.", hint="Give scale, channels ... instead.")
        for what in ("scale", "translation"):
            for dim, number in (getattr(self, what) or {}).items():
                is_number = isinstance(number, int | float) and not isinstance(number, bool)
                if not is_number or not math.isfinite(number) or (what == "scale" and number <= 0):
                    raise OptionError(
                        f"The {what} of axis {dim!r} cannot be that.",
                        found=shown(number),
                        expected="a positive number" if what == "scale" else "a number",
                    )

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be corrected."""
        return all(getattr(self, field.name) is None for field in fields(self))

    @property
    def for_labels(self) -> MetadataChange:
        """What of it holds for the label images on the image too: their axes."""
        return MetadataChange(units=self.units, axes=self.axes)


Move = Mapping[str, tuple[float, float]]
"""How positions along some dims change: ``factor * position + shift``."""


def move_of(multiscale: Multiscale, change: MetadataChange) -> Move:
    """How all positions change so that level 0 gets the voxel size and position that are asked for.

    Label images and lower levels keep their place on it.
    """
    finest = level_transform(multiscale, 0)
    sizes, starts = change.scale or {}, change.translation or {}
    for dim in [*sizes, *starts]:
        _axis_index(multiscale, dim)
    move = {}
    for dim, scale, start in zip(multiscale.dims, finest.scale, finest.translation, strict=True):
        if dim in sizes or dim in starts:
            factor = sizes.get(dim, scale) / scale if scale else 1.0
            move[dim] = (factor, starts.get(dim, start) - factor * start)
    return move


def changed(multiscale: Multiscale, change: MetadataChange, move: Move) -> Multiscale:
    """The metadata after a change."""
    result = _moved(multiscale, move)
    result = replace(result, axes=_axes(result, change))
    if change.name is not None:
        result = replace(result, name=change.name)
    if change.channels is not None:
        result = replace(result, channels=_channels(result, change.channels))
    if change.colors is not None or change.properties is not None:
        if multiscale.label_image is None:
            raise OptionError("Colours and properties are those of a label image, and this is none.")
        result = replace(result, label_image=_label_image(multiscale.label_image, change))
    return result


def with_attributes(old: Mapping[str, Json], changes: Mapping[str, Json]) -> dict[str, Json]:
    """Attributes of a group after a change of some that are not of OME-Zarr; None removes one."""
    return {
        key: value for key, value in {**old, **changes}.items() if key not in changes or value is not None
    }


def _axis_index(multiscale: Multiscale, dim: str) -> int:
    if dim not in multiscale.dims:
        raise OptionError(
            f"The image has no axis {shown(dim)}.", expected=", ".join(multiscale.dims) or "none"
        )
    return multiscale.dims.index(dim)


def _moved(multiscale: Multiscale, move: Move) -> Multiscale:
    if all(way == (1.0, 0.0) for way in move.values()):
        return multiscale
    ways = [move.get(dim, (1.0, 0.0)) for dim in multiscale.dims]
    if multiscale.transform is not None:  # it is applied after those of the levels
        return replace(multiscale, transform=_after(multiscale.transform, ways))
    levels: list[Level] = [
        replace(level, transform=_after(level.transform, ways)) for level in multiscale.levels
    ]
    return replace(multiscale, levels=tuple(levels))


def _after(transform: ScaleTranslation, ways: Sequence[tuple[float, float]]) -> ScaleTranslation:
    pairs = list(zip(transform.scale, transform.translation, ways, strict=True))
    return ScaleTranslation(
        scale=tuple(scale * factor for scale, _, (factor, _) in pairs),
        translation=tuple(start * factor + shift for _, start, (factor, shift) in pairs),
    )


def _axes(multiscale: Multiscale, change: MetadataChange) -> tuple[Axis, ...]:
    axes = list(multiscale.axes)
    for dim, new in (change.axes or {}).items():
        i = _axis_index(multiscale, dim)
        check_type(new, (str, Axis), f"The axis for {dim!r}", "its new name, or an Axis")
        axes[i] = replace(axes[i], name=new) if isinstance(new, str) else replace(new, extra=axes[i].extra)
    for dim, unit in (change.units or {}).items():
        unit = unit_text(unit, f"The unit of axis {dim!r}")
        i = _axis_index(multiscale, dim)
        axes[i] = replace(axes[i], unit=unit)
    return tuple(axes)


def _channels(
    multiscale: Multiscale, changes: Mapping[int | str, Mapping[str, Any] | Channel]
) -> tuple[Channel, ...]:
    channels = list(multiscale.channels)
    names = [channel.label for channel in channels]
    for which, new in changes.items():
        index = names.index(which) if which in names else which
        if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < len(channels):
            raise OptionError(
                f"The image has no channel {shown(which)}.",
                expected=f"0 to {len(channels) - 1}, or one of {', '.join(map(repr, names))}",
            )
        if isinstance(new, Channel):
            channels[index] = replace(new, **_window_of(channels[index], {"window": new.window or Window()}))
            continue
        check_mapping(new, "What changes of a channel", '{"label": "DAPI", "color": "0000FF"}')
        if unknown := set(new) - {"label", "color", "window", "active"}:
            raise OptionError(
                f"A channel has no {shown(sorted(unknown)[0])}.", expected="label, color, window, active"
            )
        channels[index] = replace(channels[index], **_window_of(channels[index], new))
    return tuple(channels)


def _window_of(channel: Channel, new: Mapping[str, Any]) -> Mapping[str, Any]:
    """What changes of a channel; of its window, only what is given."""
    window = new.get("window")
    if window is None:
        return new
    check_type(window, Window, "The window of a channel", "Window(start=100, end=4000)")
    old = channel.window or Window()
    given = {
        field.name: value
        for field in fields(Window)
        if (value := getattr(window, field.name)) not in (None, {})
    }
    return {**new, "window": replace(old, **given)}


def _label_image(label_image: LabelImage, change: MetadataChange) -> LabelImage:
    if change.colors is not None:
        label_image = replace(label_image, colors=dict(change.colors))
    if change.properties is not None:
        if label_image.table is not None:
            raise OptionError(
                "The properties of this label image are a table beside its metadata.",
                hint="Save the label image again, with its table (write_labels).",
            )
        label_image = replace(label_image, properties=tuple(change.properties))
    return label_image
