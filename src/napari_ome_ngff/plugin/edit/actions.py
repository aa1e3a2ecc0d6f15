"""What the buttons of the dock and the commands of the palette do; each says in words how it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from napari_ome_ngff.errors import OptionError
from napari_ome_ngff.plugin.edit.correct import apply_axes, layers_of_image, looks, remember_file
from napari_ome_ngff.plugin.edit.edited_layer import begin_edit, end_edit, view_of
from napari_ome_ngff.plugin.edit.image_facts import AxisRow, axis_changes
from napari_ome_ngff.plugin.edit.new_label import follow_labels
from napari_ome_ngff.plugin.names import safe_name, unique_names
from napari_ome_ngff.plugin.origin import Origin, origin_of
from napari_ome_ngff.plugin.save.layer_image import layer_image

if TYPE_CHECKING:
    from napari.layers import Labels, Layer
    from napari.viewer import Viewer


def is_label(layer: Layer | None) -> bool:
    """Whether a layer is a Labels layer."""
    from napari.layers import Labels

    return isinstance(layer, Labels)


def paint_labels(viewer: Viewer, layer: Layer | None) -> str:
    """Make a layer of ours paintable."""
    layer = _labels(layer)
    edited = begin_edit(viewer, layer)
    from napari_ome_ngff.plugin.edit.closing import guard  # what it imports came in a thread

    if edited is not layer:
        follow_labels(edited, layer.data if layer.multiscale else [layer.data])
    guard(edited)
    view = view_of(edited)
    part = "" if view is None or view.is_whole else " Its planes are too large: it is the part in view."
    return f"{edited.name!r} can be painted on. Save changes writes what you painted.{part}"


def discard_changes(viewer: Viewer, layer: Layer | None) -> str:
    """Go back to what is in the file."""
    layer = _labels(layer)
    view = view_of(layer)
    if view is None:
        raise OptionError(f"{layer.name!r} is not being edited.")
    view.edit.discard()
    ended = end_edit(viewer, layer)
    return f"{ended.name!r} is as it is in the file."


def new_labels(viewer: Viewer, layer: Layer | None) -> str:
    """Add an empty label image to the image of a layer, and make it paintable."""
    from napari_ome_ngff.editing.new_labels import create_labels
    from napari_ome_ngff.plugin.reader import open_layers
    from napari_ome_ngff.reading.open import open_metadata

    origin = _origin(layer)
    if origin["tiles"]:
        raise OptionError("Open one field of the plate alone first.", hint="Plugins > OME-Zarr > Browse")
    place = origin["image"].partition("#")[0]
    taken = list(getattr(open_metadata(place), "labels", {}))
    name = unique_names([*taken, safe_name("labels")])[-1]
    create_labels(place, name)
    _, layers = open_layers(place, name)
    for data, meta, kind in layers:
        mine = origin_of(meta)
        if kind == "labels" and mine is not None and mine["label"] == name:
            from napari.layers import Layer as AnyLayer

            added: Any = AnyLayer.create(data, meta, kind)
            viewer.layers.append(added)
            viewer.layers.selection.active = added
            paint_labels(viewer, added)
    return f"Added the label image {name!r} to the image; paint on it, then Save changes."


def add_plain_level(viewer: Viewer, layer: Layer | None, level: int | None = None) -> str:
    """Add one level of a layer, the one that is shown, as a layer without levels: lazy, and in its place."""
    import numpy as np
    from napari.layers import Layer as AnyLayer

    origin = _origin(layer)
    assert layer is not None
    if not layer.multiscale:
        raise OptionError(f"{layer.name!r} has no levels: it is a plain layer.")
    index = layer.data_level if level is None else level
    data, meta, kind = layer.as_layer_data_tuple()
    image = layer_image((data, meta, kind))
    inserted = () if image.origin is None else image.origin["inserted"]
    axes = [i for i, label in enumerate(layer.axis_labels) if label not in inserted]
    finest, grid = image.positions[0], image.positions[index]
    factors, shift = np.ones(layer.ndim), np.zeros(layer.ndim)
    factors[axes] = np.divide(grid.scale, finest.scale)
    # As the file says: levels of labels begin at the first voxel, and not half of one later.
    shift[axes] = np.subtract(grid.translation, finest.translation) / finest.scale
    step = np.subtract(layer.data_to_world(shift), layer.data_to_world(np.zeros_like(shift)))
    corner = np.linalg.solve(layer.affine.linear_matrix, step)
    meta |= {
        "multiscale": False,
        "scale": np.asarray(layer.scale) * factors,
        "translate": np.asarray(layer.translate) + corner,
        "name": f"{layer.name} level {index}",
        "metadata": {},  # it is no longer the whole image: saved, it is a new one
    }
    viewer.layers.append(AnyLayer.create(data[index], meta, kind))
    return f"Added level {index} of {layer.name!r} from {origin['location']}."


def apply_corrections(viewer: Viewer, layer: Layer | None, name: str, rows: Sequence[AxisRow]) -> str:
    """Show all layers of an image with what was typed; the file stays as it is."""
    origin = _origin(layer)
    assert layer is not None
    changes = _changes(origin, name, rows)
    layers = _same_place(layers_of_image(viewer.layers, layer), origin)
    apply_axes(layers, origin["multiscale"], _of_axes(changes))
    return f"{len(layers)} layers are shown so. Save to file keeps it."


def save_corrections(viewer: Viewer, layer: Layer | None, name: str, rows: Sequence[AxisRow]) -> str:
    """Write what was typed, and how the layers look, into the metadata of their image."""
    from napari_ome_ngff.editing.metadata_edit import edit_metadata

    origin = _origin(layer)
    assert layer is not None
    layers = layers_of_image(viewer.layers, layer)
    changes = _changes(origin, name, rows)
    written = set()
    for location in dict.fromkeys(_locations(layers, origin)):
        asked = (changes if location == origin["location"] else {}) | looks(layers, location)
        if asked:
            written |= {f"{location}/{key}" for key in edit_metadata(location, **asked)}
    if not written:
        return "Nothing was changed: the file says so already."
    apply_axes(_same_place(layers, origin), origin["multiscale"], _of_axes(changes))
    remember_file(layers, origin["image"].partition("#")[0])
    return f"Saved {len(written)} metadata documents of {origin['image']}; no pixel was touched."


def _locations(layers: Sequence[Layer], origin: Origin) -> list[str]:
    every = (origin_of({"metadata": layer.metadata}) for layer in layers)
    return [origin["location"], *(each["location"] for each in every if each is not None)]


def _same_place(layers: Sequence[Layer], origin: Origin) -> list[Layer]:
    """The layers that lie where one lies: all of its image, or for a label image its own."""
    if origin["label"] is None:
        return list(layers)
    pairs = ((layer, origin_of({"metadata": layer.metadata})) for layer in layers)
    return [layer for layer, each in pairs if each is not None and each["location"] == origin["location"]]


def _of_axes(changes: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in changes.items() if key in ("scale", "translation", "axes")}


def _changes(origin: Origin, name: str, rows: Sequence[AxisRow]) -> dict[str, Any]:
    changes = axis_changes(origin["multiscale"], rows)
    if name.strip() and name.strip() != (origin["multiscale"].name or ""):
        changes["name"] = name.strip()
    return changes


def _labels(layer: Layer | None) -> Labels:
    from napari.layers import Labels

    if not isinstance(layer, Labels):
        raise OptionError("Only Labels layers are painted on.", hint="Select a Labels layer.")
    return layer


def _origin(layer: Layer | None) -> Origin:
    origin = None if layer is None else origin_of({"metadata": layer.metadata})
    if origin is None:
        raise OptionError("This layer was not opened from an OME-Zarr image.", hint="Select one that was.")
    return origin
