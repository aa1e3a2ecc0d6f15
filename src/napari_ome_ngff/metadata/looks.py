"""The nouns of how an image is shown: Window, Channel, LabelImage. Alike in all versions."""

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
