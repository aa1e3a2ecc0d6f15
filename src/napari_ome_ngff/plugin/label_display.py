"""How label images look and what is known of each label: colours and properties, both ways. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from napari_ome_ngff.metadata.looks import Json, LabelImage

Color = tuple[int, int, int, int]


LARGEST_WITHOUT_NUMBA = 2**16
"""Largest label that napari can give a colour of its own where numba is not installed."""


_UNLISTED = (0.6, 0.6, 0.6, 1.0)


_CLEAR = (0.0, 0.0, 0.0, 0.0)


def direct_colors(
    colors: Mapping[int, Color], dtype: np.dtype[Any], *, any_label: bool
) -> dict[int | None, tuple[float, ...]] | None:
    """Return colours per label as napari's Labels layers take them, or None if it cannot show them.

    Labels that the file gives no colour are gray; the background (0) is clear unless it has a colour.

    Parameters
    ----------
    colors
        Label value to ``(red, green, blue, alpha)``, each 0 to 255.
    dtype
        Data type of the label image: colours of values that it cannot hold are left out.
    any_label
        False if napari can colour labels up to 65536 only, as it can without numba.

    Examples
    --------
    >>> direct_colors({1: (255, 0, 0, 255)}, np.dtype("uint8"), any_label=False)[1]
    (1.0, 0.0, 0.0, 1.0)
    """
    low, high = (0, 1) if dtype.kind == "b" else (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
    shown = {label: color for label, color in colors.items() if low <= label <= high}
    if not shown:
        return None
    largest = max(abs(label) for label in shown) * (2 if min(shown) < 0 else 1)
    if largest > LARGEST_WITHOUT_NUMBA and not any_label:
        return None
    table: dict[int | None, tuple[float, ...]] = {None: _UNLISTED, 0: _CLEAR}
    table |= {label: tuple(part / 255 for part in color) for label, color in shown.items()}
    return table


def colors_of(colormap: object, known: Mapping[int, Color]) -> dict[int, Color]:
    """Return the colour of each label that has one of its own in a Labels layer.

    Parameters
    ----------
    colormap
        The layer's colormap: only a ``DirectLabelColormap`` (or a mapping) holds colours of single labels.
    known
        Colours that the file had; kept where the layer has none of its own, since napari cannot show all.

    Examples
    --------
    >>> colors_of({None: (0, 0, 0, 1), 3: (1.0, 0.5, 0.0, 1.0)}, {})
    {3: (255, 128, 0, 255)}
    """
    table = colormap if isinstance(colormap, Mapping) else getattr(colormap, "color_dict", None)
    if not isinstance(table, Mapping):
        return dict(known)
    colors = {int(label): _bytes(color) for label, color in table.items() if label is not None}
    if 0 not in known and colors.get(0, (0, 0, 0, 0))[3] == 0:
        colors.pop(0, None)  # the clear background is napari's, not the file's
    return colors


def _bytes(color: Sequence[float]) -> Color:
    parts = [round(255 * min(max(float(part), 0.0), 1.0)) for part in color]
    red, green, blue, alpha = [*parts, 255][:4]
    return red, green, blue, alpha


def features_table(label_image: LabelImage) -> dict[str, list[Any]] | None:
    """Return the properties of labels as columns for napari, the label values in the column ``index``.

    A value that a label does not have is None. Properties that are themselves called ``index`` get the name
    ``index_``, since napari takes that column for the label values.

    Examples
    --------
    >>> features_table(LabelImage(properties=({"label-value": 1, "area": 5}, {"label-value": 2})))
    {'index': [1, 2], 'area': [5, None]}
    """
    rows = [row for row in label_image.properties if "label-value" in row]
    if not rows:
        return None
    names = dict.fromkeys(key for row in rows for key in row if key != "label-value")
    if not names:
        return None
    table: dict[str, list[Any]] = {"index": [row["label-value"] for row in rows]}
    for name in names:
        table["index_" if name == "index" else name] = [row.get(name) for row in rows]
    return table


def properties_of(features: Any) -> tuple[dict[str, Json], ...]:
    """Return the rows of a features table as properties of labels, without what is missing.

    Parameters
    ----------
    features
        A data frame or a mapping of columns. The column ``index`` holds the label values; without one the
        row number is the label, as in napari.

    Examples
    --------
    >>> properties_of({"index": [1, 2], "area": [5.0, float("nan")]})
    ({'label-value': 1, 'area': 5.0}, {'label-value': 2})
    """
    rows = _rows(features)[0]
    if all(len(row) == 1 for row in rows.values()):
        return ()
    return tuple(row for row in rows.values() if len(row) > 1 or row["label-value"] != 0)


def rows_left_out(features: Any) -> int:
    """Return how many rows of a features table are not saved: of no label, or of one that has another.

    Examples
    --------
    >>> rows_left_out({"index": [1, 1, float("nan")], "area": [5.0, 6.0, 7.0]})
    2
    """
    return _rows(features)[1]


def _rows(features: Any) -> tuple[dict[int, dict[str, Json]], int]:
    """Properties by label, and the number of rows that are left out."""
    if features is None or len(features) == 0:
        return {}, 0
    columns = {str(name): list(features[name]) for name in features}
    labels = columns.pop("index", None)
    if not columns:
        return {}, 0
    if labels is None:
        labels = list(range(max(len(column) for column in columns.values())))
    rows: dict[int, dict[str, Json]] = {}
    for i, label in enumerate(labels):
        value = _json(label)
        if not isinstance(value, int | float) or value != int(value):
            continue  # a row that belongs to no label
        known = {name: _json(column[i]) for name, column in columns.items()}
        # "Each label-value SHOULD be unique" (0.4 and later, "labels metadata"): the last row counts.
        rows[int(value)] = {"label-value": int(value)} | {k: v for k, v in known.items() if v is not None}
    return rows, len(labels) - len(rows)


def _json(value: Any) -> Json:
    """Return what JSON can say of a table's cell; None for what is missing or not a number."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _json(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    text = str(value)
    return None if text in ("NaT", "<NA>") else text
