"""Facts of an image as lines for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from napari_ome_ngff.metadata.nouns import Json

_MOST_IMAGES = 20
"""Of a collection, in full; the others are counted."""


def lines_of(facts: Mapping[str, Json]) -> Iterator[str]:
    """All that is known of an image or a collection."""
    yield facts["location"]
    if facts["kind"] == "image":
        yield from _image(facts)
        return
    name = f" {facts['name']!r}" if facts["name"] else ""
    yield f"{facts['kind']}{name}, {len(facts['images'])} images"
    yield from _plate(facts.get("plate"))
    for number, (key, image) in enumerate(facts["images"].items()):
        if number == _MOST_IMAGES:
            yield f"and {len(facts['images']) - number} more"
            return
        yield ""
        yield key or "(no name)"
        yield from (f"  {line}" for line in _image(image))


def _plate(plate: Mapping[str, Json] | None) -> Iterator[str]:
    if plate is not None:
        yield f"OME-Zarr {plate['version']}, rows {_some(plate['rows'])}, columns {_some(plate['columns'])}"
        yield f"{len(plate['wells'])} wells: {_some(plate['wells'])}"
        if plate["acquisitions"]:
            names = [each["name"] or str(each["id"]) for each in plate["acquisitions"]]
            yield f"acquisitions: {_some(names)}"


def _image(facts: Mapping[str, Json]) -> Iterator[str]:
    if "version" in facts:
        name = f", {facts['name']!r}" if facts["name"] else ""
        fields = f", a mosaic of {facts['fields']} fields" if "fields" in facts else ""
        yield f"OME-Zarr {facts['version']}{name}{fields}"
        yield from _columns("axis", [_axis(axis) for axis in facts["axes"]])
        yield from _columns("level", [_level(level) for level in facts["levels"]])
        channels = [_channel(i, channel) for i, channel in enumerate(facts["channels"])]
        yield from _columns("channel", channels)
    for name, label in facts["labels"].items():
        levels = label.get("levels") or [{"shape": (), "dtype": "unreadable"}]
        yield f"label image {name!r}: {_sizes(levels[0]['shape'])} {levels[0]['dtype']}, {len(levels)} levels"


def _axis(axis: Mapping[str, Json]) -> Sequence[str]:
    step = f"{axis['scale']:.9g} {axis['unit'] or ''}".strip()
    measure = [f"step {step}", f"from {axis['start']:.9g}"] if axis["type"] != "channel" else []
    return [axis["name"], axis["type"] or "", f"size {axis['size']}", *measure]


def _level(level: Mapping[str, Json]) -> Sequence[str]:
    cells = [level["path"], _sizes(level["shape"]), level["dtype"]]
    if "chunks" not in level:
        return cells
    shards = f", shards {_sizes(level['shards'])}" if level["shards"] else ""
    return [
        *cells,
        f"chunks {_sizes(level['chunks'])}{shards}",
        ", ".join(level["compressors"]) or "not compressed",
    ]


def _channel(index: int, channel: Mapping[str, Json]) -> Sequence[str]:
    window = channel["window"] or {}
    shown = [window.get("start"), window.get("end")]
    contrast = "" if None in shown else f"contrast {shown[0]:.9g} to {shown[1]:.9g}"
    color = f"#{channel['color']}" if channel["color"] else ""
    return [str(index), channel["label"] or "", color, contrast, "" if channel["active"] else "hidden"]


def _columns(what: str, rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows in columns, each after the name of what it is."""
    count = max(map(len, rows), default=0)
    padded = [[*row, *[""] * (count - len(row))] for row in rows]
    widths = [max(len(row[i]) for row in padded) for i in range(count)]
    for row in padded:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True) if width)
        yield f"{what} {'  '.join(cells)}".rstrip()


def _sizes(numbers: Iterable[int]) -> str:
    return "×".join(map(str, numbers))


def _some(names: Sequence[str]) -> str:
    more = f" ... {names[-1]}" if len(names) > 12 else ""
    return ", ".join(names[: 11 if more else 12]) + more or "none"
