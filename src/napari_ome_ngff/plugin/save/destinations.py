"""What a save does at its target: a new image, another in place of one, or label images added to one."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from napari_ome_ngff.errors import OmeNgffError, OptionError, collected_warnings
from napari_ome_ngff.metadata.affine import identity_affine
from napari_ome_ngff.metadata.collections.scene_layout import SceneLayout
from napari_ome_ngff.metadata.nouns import Axis, CoordinateSystem
from napari_ome_ngff.metadata.systems.view import shown_system
from napari_ome_ngff.metadata.versions import decode
from napari_ome_ngff.plugin.layout import display_order
from napari_ome_ngff.plugin.names import safe_name, unique_names
from napari_ome_ngff.plugin.save.bundles import Bundle, Together, targets_of, with_axes, with_identity
from napari_ome_ngff.plugin.save.form import target_path
from napari_ome_ngff.plugin.save.plate_again import PlateAgain
from napari_ome_ngff.plugin.save.summary import sizes
from napari_ome_ngff.storage.places.leftovers import beside
from napari_ome_ngff.storage.places.location import is_url
from napari_ome_ngff.writing.commit.plate_place import collection_of, plate_place

if TYPE_CHECKING:
    from napari_ome_ngff.writing.pending import Writing
    from napari_ome_ngff.writing.plan.group_documents import GroupSpec
    from napari_ome_ngff.writing.plan.options import StorageOptions
    from napari_ome_ngff.writing.plan.write_plan import MultiscaleSource, WritePlan

    Adjust = Callable[[MultiscaleSource], MultiscaleSource]

Action = Literal["new", "replace", "labels"]
"""Write where nothing is, replace what is there, or add label images to the image that is there."""


@dataclass(frozen=True, kw_only=True)
class TargetState:
    """What a target holds before the save."""

    kind: Literal["nothing", "image", "other"]  # label images can be added to an "image"
    labels: tuple[str, ...] = ()
    axes: tuple[Axis, ...] = ()  # in napari's order of display, without channels
    in_view: bool = False  # shown in another coordinate system than its intrinsic one


@dataclass(frozen=True, kw_only=True)
class SceneSave:
    """Several images that are saved as a scene of 0.6, by their paths in it."""

    layout: SceneLayout
    sources: Mapping[str, MultiscaleSource]

    def plan(self, path: str, options: StorageOptions, adjust: Adjust) -> WritePlan:
        """Plan all images; `adjust` has been done already."""
        from napari_ome_ngff.writing.plan.options import save_options
        from napari_ome_ngff.writing.plan.plan_save import plan_save

        return plan_save(self.sources, save_options(options, path, None), plate=self.layout)

    def start(
        self, path: str, options: StorageOptions, adjust: Adjust, *, overwrite: bool, verify: bool
    ) -> Writing:
        """Check what is to be written, and return the save; a scene replaces nothing."""
        from napari_ome_ngff.writing.create import filled

        sources = self.sources
        return filled(path, "", sources, options, None, overwrite=False, verify=verify, plate=self.layout)


@dataclass(frozen=True, kw_only=True)
class Destination:
    """One store, what goes into it, and what becomes of what it holds."""

    path: str
    action: Action
    sources: Mapping[
        str, MultiscaleSource
    ]  # as write_hierarchy takes them; for "labels" as write_labels does
    replaced: tuple[str, ...] = ()  # names of label images
    asks: bool = False  # replaces something that the layers were not opened from: needs permission
    bundle: Bundle | None = None  # None for a collection
    plate: PlateAgain | SceneSave | None = None  # what several images make, if it is no plain collection
    adjust: Callable[[MultiscaleSource], MultiscaleSource] = field(default=lambda source: source)
    model: GroupSpec | None = None  # of what is shown in the preview; None until it is modelled
    planned: WritePlan | None = None  # the plan that the model is of

    @property
    def folders(self) -> tuple[str, ...]:
        """Paths of what is written: the store, or the label images in it."""
        if self.action != "labels":
            return (self.path,)
        return tuple(os.path.join(self.path, "labels", name) for name in self.sources)

    @property
    def note(self) -> str:
        """What happens to label images of an existing image, or what several images make; else empty."""
        if isinstance(self.plate, SceneSave):
            return f"{len(self.plate.layout.placements)} images are saved as a scene, each at its place."
        if self.action != "labels":
            return ""
        added = [name for name in self.sources if name not in self.replaced]
        parts = [
            f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} {verb}"
            for names, verb in ((added, "added"), (self.replaced, "replaced"))
            if names
        ]
        return f"Label images of {os.path.basename(self.path)}: {'; '.join(parts)}. The image stays as it is."


def typed_target(text: str) -> str:
    """Return the path that was typed: of an image that is exactly there, else of a new one, with a suffix.

    Images inside a plate or a collection have no suffix, and label images can be added to them.
    """
    target = target_path(text)
    typed = os.path.abspath(os.path.expanduser(text.strip()))
    if not is_url(text) and plate_place(Path(typed)) is not None:  # a field of a plate
        return typed
    return typed if beside(Path(typed)).is_dir() and inspect_target(typed).kind == "image" else target


def inspect_target(path: str, *, remote: bool = False) -> TargetState:
    """Return what a path holds. Addresses count as empty without a request, unless `remote`."""
    if not remote if is_url(path) else not os.path.lexists(beside(Path(path))):
        return TargetState(kind="nothing")
    from napari_ome_ngff.writing.commit.staging import open_existing
    from napari_ome_ngff.writing.plan.existing import group_in

    with collected_warnings():  # opening the image has given them
        try:
            group = open_existing(path)
            if group is None:
                return TargetState(kind="nothing" if is_url(path) else "other")
            multiscale = decode(group.attrs.asdict(), where=path)[0]
        except OmeNgffError:
            return TargetState(kind="other")
    if multiscale.label_image is not None:
        return TargetState(kind="other")
    axes = (multiscale.axes[i] for i in display_order(multiscale.axes))
    return TargetState(
        kind="image",
        labels=tuple(group_in(group, "labels") or ()),
        axes=tuple(axis for axis in axes if axis.type != "channel"),
        in_view=shown_system(multiscale) is not None,
    )


def decide(
    path: str, sources: Mapping[str, MultiscaleSource], bundle: Bundle | None, state: TargetState
) -> Destination:
    """Decide what a save does at a path: label images alone are added to an image, everything else replaces.

    `bundle` is the image written there, None for a collection. Pure.
    """
    if state.kind == "nothing":
        return Destination(path=path, action="new", sources=sources, bundle=bundle)
    if state.kind != "image" or bundle is None or not bundle.is_labels:
        return Destination(path=path, action="replace", sources=sources, asks=True, bundle=bundle)
    replaced = tuple(name for name in bundle.labels if name in state.labels)
    labels = {
        name: with_axes(source, state.axes) if f"labels/{name}" in bundle.unnamed else source
        for name, source in bundle.labels.items()
    }
    return Destination(
        path=path,
        action="labels",
        sources={name: with_identity(label) for name, label in labels.items()} if state.in_view else labels,
        replaced=replaced,
        asks=any(not bundle.is_from(path, name) for name in replaced),
        bundle=bundle,
    )


def destinations(
    bundles: Sequence[Bundle], target: str, together: Together = "collection"
) -> tuple[Destination, ...]:
    """Return where images go, those of a collection to their places in it. Reads documents, no pixel."""
    places = _own_places(bundles, target) if together == "collection" else {}
    targets = places or targets_of(bundles, target, together)
    owners: Sequence[Bundle | None] = bundles if len(targets) == len(bundles) else [None]
    return tuple(
        decide(path, sources, owner, inspect_target(path))
        for (path, sources), owner in zip(targets.items(), owners, strict=True)
    )


def _own_places(bundles: Sequence[Bundle], target: str) -> dict[str, dict[str, MultiscaleSource]]:
    """The sources of images that were all opened from the collection at the target, by their places."""
    places = [bundle.opened.get("", "") for bundle in bundles]
    if "" in places or len(set(places)) < len(places) or any(map(is_url, (target, *places))):
        return {}
    folders = {collection_of(Path(place)) or Path(place) for place in places}
    if {os.path.realpath(folder) for folder in folders} != {os.path.realpath(target)}:
        return {}
    return {place: dict(bundle.sources) for place, bundle in zip(places, bundles, strict=True)}


def as_scene(place: Destination, version: str, system: str | None) -> Destination:
    """Several images that go to a new place are a scene in 0.6; a collection, if their axes differ."""
    from napari_ome_ngff.saving.write_scene import scene_of, shared_axes

    if version != "0.6" or place.action != "new" or place.bundle is not None or place.plate is not None:
        return place
    images = {key: source for key, source in place.sources.items() if "/" not in key}
    try:
        axes = shared_axes(images)
    except OptionError:
        return place
    names = dict(zip(images, unique_names(_image_path(source) for source in images.values()), strict=True))
    sources = {}
    for key, source in place.sources.items():
        image, mark, inside = key.partition("/")
        sources[f"{names[image]}{mark}{inside}"] = source
    placements = dict.fromkeys(names.values(), identity_affine(len(axes)))
    layout, sources = scene_of(sources, placements, CoordinateSystem(name=system or "world", axes=axes), None)
    return replace(place, plate=SceneSave(layout=layout, sources=sources), sources=sources)


def _image_path(source: MultiscaleSource) -> str:
    name = safe_name(source.name or "image", "image")
    return "image" if name == "labels" or name.startswith("__") else name


def plate_destination(
    path: str, plate: PlateAgain, adjust: Callable[[MultiscaleSource], MultiscaleSource]
) -> Destination:
    """Return where a plate goes, and whether it replaces what is there; `adjust` is for each image."""
    place = decide(path, plate.sample, None, inspect_target(path))
    return replace(place, plate=plate, adjust=adjust)


def sizes_in_words(place: Destination) -> str:
    """What is there, and what would replace it, if one of them is smaller: ``8×256×256 by 8×128×128``."""
    from napari_ome_ngff.writing.commit.staging import open_existing
    from napari_ome_ngff.writing.plan.existing import group_in

    name = place.replaced[0] if place.action == "labels" else ""
    source = place.sources.get(name)
    if source is None:
        return ""
    new = source.image if source.image is not None else next(iter((source.arrays or {}).values()), None)
    with collected_warnings():
        try:
            group = open_existing(place.path)
            old = None if group is None else group_in(group, f"labels/{name}" if name else "")
            if old is None or new is None:
                return ""
            multiscale = decode(old.attrs.asdict(), where=place.path)[0]
            shape = getattr(old.get(multiscale.levels[0].path), "shape", None)
        except OmeNgffError:
            return ""
    return "" if shape is None or shape == new.shape else f"{sizes(shape)} by {sizes(new.shape)}"


def as_they_are(place: Destination, levels: int | None) -> Destination:
    """A place with the levels that its images have, unless a number of `levels` was asked for."""
    if levels is not None:
        return place
    sources = {path: _without_new_levels(source) for path, source in place.sources.items()}
    return replace(place, sources=sources, model=None, planned=None)


def _without_new_levels(source: MultiscaleSource) -> MultiscaleSource:
    if source.image is None:
        return source
    levels = source.multiscale.levels if source.multiscale else ()
    arrays = {levels[0].path if levels else "0": source.image}
    return replace(source, image=None, arrays=arrays, method=None, levels=None, factors=None)


def with_remote_state(place: Destination) -> Destination:
    """Decide again for an address, by asking the server, which takes time: for a save, not for a preview.

    Label images alone must not replace an image there, whatever may be overwritten.
    """
    bundle = place.bundle
    if place.action != "new" or not is_url(place.path) or bundle is None or not bundle.is_labels:
        return place
    return decide(place.path, place.sources, bundle, inspect_target(place.path, remote=True))
