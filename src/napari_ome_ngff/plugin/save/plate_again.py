"""Layers of a plate's mosaic as the plate that they are: its fields, with what was changed of their looks."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_ome_ngff.metadata.collections.plate_layout import PlateLayout
from napari_ome_ngff.metadata.nouns import Channel, LabelImage
from napari_ome_ngff.plugin.looks import with_looks
from napari_ome_ngff.plugin.origin import LayerData, Origin, origin_of
from napari_ome_ngff.plugin.save.appearance import channels_of, label_image_of
from napari_ome_ngff.plugin.save.from_layers import is_whole
from napari_ome_ngff.plugin.save.layer_image import LayerImage, layer_image

if TYPE_CHECKING:
    from napari_ome_ngff.writing.pending import Writing
    from napari_ome_ngff.writing.plan.options import StorageOptions
    from napari_ome_ngff.writing.plan.write_plan import MultiscaleSource, WritePlan

    Adjust = Callable[[MultiscaleSource], MultiscaleSource]

_FLAT = "The mosaic is saved as one picture, not as a plate: {}."

_CHANGED = ("label", "color", "window", "active", "extra")


@dataclass(frozen=True, kw_only=True)
class PlateAgain:
    """A plate that is saved again, as the layers show it.

    Of thousands of fields only some are opened for a preview: `sample` has one of each mosaic with its label
    images by their paths, `layout` is that of a plate of these, and `like` has the paths of all fields for
    which each of them stands.
    """

    location: str
    images: tuple[LayerImage, ...]
    layout: PlateLayout
    sample: Mapping[str, MultiscaleSource]
    like: Mapping[str, tuple[str, ...]]
    losses: tuple[str, ...] = ()  # what the fields do not take from the layers

    def plan(self, path: str, options: StorageOptions, adjust: Adjust) -> WritePlan:
        """Plan the fields of the sample, and take as many of them as there are."""
        from napari_ome_ngff.writing.plan.options import save_options
        from napari_ome_ngff.writing.plan.plan_save import plan_save

        sample = {path: adjust(source) for path, source in self.sample.items()}
        plan = plan_save(sample, save_options(options, path, None), plate=self.layout)
        multiscales = []
        for each in plan.multiscales:
            field, label, name = each.path.partition("/labels/")
            multiscales += [
                replace(each, path=f"{place}{label}{name}", name=each.name if label else place)
                for place in self.like.get(field, (field,))
            ]
        times = len(multiscales) / len(plan.multiscales)
        return replace(plan, multiscales=tuple(multiscales), n_documents=math.ceil(plan.n_documents * times))

    def start(
        self, path: str, options: StorageOptions, adjust: Adjust, *, overwrite: bool, verify: bool
    ) -> Writing:
        """Open all fields, check what is to be written, and return the save."""
        from napari_ome_ngff.writing.create import filled

        fields = {place for places in self.like.values() for place in places}
        layout, sources = _opened(self.location, self.images, options.version, fields)
        adjusted = {place: adjust(source) for place, source in sources.items()}
        return filled(path, "", adjusted, options, None, overwrite=overwrite, verify=verify, plate=layout)


def plate_again(layers: Sequence[LayerData], version: str, *, is_part: bool) -> PlateAgain | str:
    """The plate that layers show, with the fields that they show, or why they cannot be saved as one.

    "" if none of them shows a plate. Documents of the plate are read, no pixels. `is_part` says that not all
    of the layers is to be written.
    """
    origins = [origin_of(meta) for _, meta, _ in layers]
    shown = [origin for origin in origins if origin is not None and origin["tiles"]]
    if not shown:
        return ""
    why = "only a part is written" if is_part else _why_not(layers, origins)
    if why:
        return _FLAT.format(why)
    images = tuple(layer_image(layer) for layer in layers)
    fields = [tuple(f"{tile.well}/{tile.field}" for tile in origin["tiles"]) for origin in shown]
    like = {paths[0]: paths for paths in fields}
    location = shown[0]["location"]
    layout, sample = _opened(location, images, version, like)
    if missing := _missing_channels(images, sample):
        return _FLAT.format(f"{missing} of its channels are not written")
    return PlateAgain(
        location=location, images=images, layout=layout, sample=sample, like=like, losses=_losses(images)
    )


def _losses(images: Sequence[LayerImage]) -> tuple[str, ...]:
    """What fields keep as it is in the file, whatever the layers show."""
    names = []
    for group in _by_image(images):
        pictures = [image for image in group if image.kind == "image"]
        for layers in (pictures, *([image] for image in group if image.kind == "labels")):
            if layers and with_looks({}, [image.meta for image in layers], layers[0].kind):
                names += [_shown_name(image) for image in layers]
    changed = [
        _shown_name(image) for image in images if image.kind == "labels" and _has_other_features(image)
    ]
    notes = (("Gamma, opacity and the like", names), ("Features", changed))
    return tuple(
        f"{what} of {', '.join(map(repr, those))} are not saved: fields of a plate keep their own."
        for what, those in notes
        if those
    )


def _shown_name(image: LayerImage) -> str:
    return str(image.meta.get("name", image.name))


def _has_other_features(image: LayerImage) -> bool:
    before = image.origin["multiscale"].label_image if image.origin else None
    after = label_image_of(image, on_image=True)
    return after.properties != (before or LabelImage()).properties


def _opened(
    location: str, images: Sequence[LayerImage], version: str, fields: Container[str]
) -> tuple[PlateLayout, dict[str, MultiscaleSource]]:
    from napari_ome_ngff.saving.copies import CopyChoice, plate_sources
    from napari_ome_ngff.storage.documents.hierarchy import open_hierarchy

    layout, sources = plate_sources(open_hierarchy(location), version, CopyChoice(), only=fields)
    return layout, _as_shown(sources, images)


def _why_not(layers: Sequence[LayerData], origins: Sequence[Origin | None]) -> str:
    from napari_ome_ngff.reading.plates.mosaic import MosaicSource
    from napari_ome_ngff.storage.pixels.dask_array import source_of

    shown = [origin for origin in origins if origin is not None and origin["tiles"]]
    images, first = {origin["image"] for origin in shown}, shown[0]["location"]
    for (data, meta, kind), origin in zip(layers, origins, strict=True):
        name = repr(meta.get("name", kind))
        # Labels are known by the image that they lie on: its tiles are theirs.
        if origin is None or origin["image"] not in images or origin["location"] != first:
            return f"{name} is not of it"
        if origin["kind"] != "plate":
            return "it is a well"
        source = source_of(data[0] if isinstance(data, Sequence) else data)
        whole = isinstance(source, MosaicSource) and all(part == range(len(part)) for part in source.dims)
        if not whole:
            return f"the pixels of {name} are others than those of its fields"
        if not is_whole(layer_image((data, meta, kind))):
            return f"{name} was moved, or is of another size"
    if "image" not in [kind for _, _, kind in layers]:
        return "its label images alone are written"
    return ""


def _missing_channels(images: Sequence[LayerImage], sources: Mapping[str, MultiscaleSource]) -> int:
    """How many channels of the fields have no layer."""
    missing = 0
    for group in _by_image(images):
        given = {image.origin["channel"] for image in group if image.kind == "image" and image.origin}
        paths = _fields_of(group)
        for path, source in sources.items():
            axis = source.multiscale.channel_axis if source.multiscale else None
            if path in paths and axis is not None and given and None not in given:
                finest = next(iter((source.arrays or {}).values()))
                missing = max(missing, finest.shape[axis] - len(given))
    return missing


def _as_shown(
    sources: Mapping[str, MultiscaleSource], images: Sequence[LayerImage]
) -> dict[str, MultiscaleSource]:
    """The fields with colours, contrast and names as the layers have them, where those were changed."""
    channels: dict[str, tuple[Mapping[str, Any], ...]] = {}
    labels: dict[str, dict[str, tuple[LabelImage, LabelImage]]] = {}
    for group in _by_image(images):
        paths = _fields_of(group)
        pictures = [(image.origin, image) for image in group if image.kind == "image" and image.origin]
        pictures.sort(key=lambda each: each[0]["channel"] or 0)
        model = pictures[0][0]["multiscale"]
        changes = _changes(channels_of([image for _, image in pictures], model), model.channels)
        channels |= dict.fromkeys(paths, changes)
        shown = {
            str(image.origin["label"]): (
                image.origin["multiscale"].label_image or LabelImage(),
                label_image_of(image, on_image=True),
            )
            for image in group
            if image.kind == "labels" and image.origin is not None
        }
        labels |= dict.fromkeys(paths, shown)
    result = {}
    for path, source in sources.items():
        field, _, label = path.partition("/labels/")
        if not label:
            result[path] = _with_channels(source, channels.get(field, ()))
        elif label in labels.get(field, {}):  # those whose layers were removed are left out
            result[path] = _with_colors(source, *labels[field][label])
    return result


def _fields_of(group: Sequence[LayerImage]) -> set[str]:
    """Paths of the fields that the layers of one mosaic show."""
    return {f"{tile.well}/{tile.field}" for image in group if image.origin for tile in image.origin["tiles"]}


def _by_image(images: Sequence[LayerImage]) -> list[list[LayerImage]]:
    groups: dict[str, list[LayerImage]] = {}
    for image in images:
        groups.setdefault(image.origin["image"] if image.origin else "", []).append(image)
    return list(groups.values())


def _changes(new: Sequence[Channel], old: Sequence[Channel]) -> tuple[Mapping[str, Any], ...]:
    before = [*old, *(Channel() for _ in range(len(old), len(new)))]
    return tuple(
        {name: getattr(one, name) for name in _CHANGED if getattr(one, name) != getattr(other, name)}
        for one, other in zip(new, before, strict=False)
    )


def _with_channels(source: MultiscaleSource, changes: Sequence[Mapping[str, Any]]) -> MultiscaleSource:
    if not any(changes):
        return source
    channels = source.channels or (source.multiscale.channels if source.multiscale else ())
    channels = (*channels, *(Channel() for _ in range(len(channels), len(changes))))
    changed = [replace(channel, **change) for channel, change in zip(channels, changes, strict=False)]
    return replace(source, channels=(*changed, *channels[len(changed) :]))


def _with_colors(source: MultiscaleSource, old: LabelImage, new: LabelImage) -> MultiscaleSource:
    label_image = source.label_image or LabelImage()
    colors = {value: color for value, color in new.colors.items() if old.colors.get(value) != color}
    if not colors:
        return source
    return replace(source, label_image=replace(label_image, colors={**label_image.colors, **colors}))
