"""What a save does at its place: a new image, another in the stead of one, or label images onto one."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from napari_ome_ngff.errors import OmeNgffError, OmeNgffWarning
from napari_ome_ngff.metadata.nouns import Axis
from napari_ome_ngff.metadata.systems.view import shown_system
from napari_ome_ngff.plugin.layout import display_order
from napari_ome_ngff.plugin.save.bundles import Bundle, Together, not_turned, on_axes, targets_of
from napari_ome_ngff.plugin.save.form import target_path

if TYPE_CHECKING:
    from napari_ome_ngff.writing.plan.options import Chunks, Shards
    from napari_ome_ngff.writing.plan.write_plan import MultiscaleSource, WritePlan
    from napari_ome_ngff.writing.save import Writing

Action = Literal["new", "replace", "labels"]
"""Write where nothing is, replace what is there, or add label images to the image that is there."""


@dataclass(frozen=True, kw_only=True)
class There:
    """What is at a place.

    Parameters
    ----------
    kind
        ``"image"`` if label images can be added to it.
    version
        OME-NGFF version of the image.
    labels
        Names of its label images.
    axes
        Its axes in the order in which napari shows them, without channels.
    turned
        Whether it is shown in another coordinate system than its own.
    """

    kind: Literal["nothing", "image", "other"]
    version: str | None = None
    labels: tuple[str, ...] = ()
    axes: tuple[Axis, ...] = ()
    turned: bool = False


@dataclass(frozen=True, kw_only=True)
class Destination:
    """One store, what goes into it, and what becomes of what is there.

    Parameters
    ----------
    path
        Path or address of the store.
    action
        What is done.
    sources
        What is written: as :func:`napari_ome_ngff.write_hierarchy` takes it, or for ``"labels"`` as
        :func:`napari_ome_ngff.write_labels` does.
    version
        OME-NGFF version that is given by the image that is there; None if it can be chosen.
    replaced
        Names of label images that are replaced.
    asks
        Whether something is replaced that the layers were not opened from: that must have been asked for.
    bundle
        The image that is written there; None for a collection.
    """

    path: str
    action: Action
    sources: Mapping[str, MultiscaleSource]
    version: str | None = None
    replaced: tuple[str, ...] = ()
    asks: bool = False
    bundle: Bundle | None = None

    @property
    def folders(self) -> tuple[str, ...]:
        """Where what is written is found, if it is in a local folder."""
        if self.action != "labels":
            return (self.path,)
        return tuple(os.path.join(self.path, "labels", name) for name in self.sources)

    @property
    def note(self) -> str:
        """What will happen, where it is not simply a new image; else empty."""
        if self.action != "labels":
            return ""
        new = [name for name in self.sources if name not in self.replaced]
        said = [
            f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} {what}"
            for names, what in ((new, "added"), (self.replaced, "replaced"))
            if names
        ]
        return f"Label images of {os.path.basename(self.path)}: {'; '.join(said)}. The image stays as it is."


def place_of(text: str) -> str:
    """Return the place that a typed path means: an image that is exactly there, else that of a new one.

    Images inside a plate or a collection have no suffix, and label images can be added to them.

    Examples
    --------
    >>> place_of("/no/such/cells")
    '/no/such/cells.ome.zarr'
    """
    target = target_path(text)
    typed = os.path.abspath(os.path.expanduser(text.strip()))
    return typed if os.path.isdir(typed) and look_at(typed).kind == "image" else target


def look_at(path: str, *, remote: bool = False) -> There:
    """Look at what is at a place. Of addresses nothing is asked, unless `remote`: they count as empty.

    Examples
    --------
    >>> look_at("/no/such/image.ome.zarr").kind
    'nothing'
    """
    from napari_ome_ngff.storage.places.location import is_url

    if not remote if is_url(path) else not os.path.lexists(path):
        return There(kind="nothing")
    import zarr

    from napari_ome_ngff.metadata.versions import decode
    from napari_ome_ngff.writing.commit.staging import open_existing

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OmeNgffWarning)  # opening the image told of them
        try:
            group = open_existing(path)
            if group is None:
                return There(kind="nothing" if is_url(path) else "other")
            multiscale = decode(group.attrs.asdict(), where=path)[0]
        except OmeNgffError:
            return There(kind="other")
    if multiscale.label_image is not None:
        return There(kind="other")
    labels = group.get("labels")
    names = tuple(labels) if isinstance(labels, zarr.Group) else ()
    shown = (multiscale.axes[i] for i in display_order(multiscale.axes))
    axes = tuple(axis for axis in shown if axis.type != "channel")
    turned = shown_system(multiscale) is not None
    return There(kind="image", version=multiscale.version, labels=names, axes=axes, turned=turned)


def decide(
    path: str, sources: Mapping[str, MultiscaleSource], bundle: Bundle | None, there: There
) -> Destination:
    """Decide what becomes of what is at a place. Pure.

    Label images alone are added to an image that is there; everything else would replace it.

    Parameters
    ----------
    path, sources
        As of :func:`targets_of`.
    bundle
        The image that is written there, None for a collection.
    there
        What is there.

    Examples
    --------
    >>> from napari_ome_ngff.writing.plan.write_plan import MultiscaleSource
    >>> cells = Bundle(name="cells", sources={"labels/cells": MultiscaleSource()})
    >>> found = decide("a.zarr", {}, cells, There(kind="image", version="0.4", labels=("cells",)))
    >>> found.action, found.version, found.replaced, found.asks
    ('labels', '0.4', ('cells',), True)
    """
    if there.kind == "nothing":
        return Destination(path=path, action="new", sources=sources, bundle=bundle)
    if there.kind == "image" and bundle is not None and bundle.is_labels:
        replaced = tuple(name for name in bundle.labels if name in there.labels)
        named = {
            name: on_axes(source, there.axes) if f"labels/{name}" in bundle.unnamed else source
            for name, source in bundle.labels.items()
        }
        return Destination(
            path=path,
            action="labels",
            sources={name: not_turned(one) for name, one in named.items()} if there.turned else named,
            version=there.version,
            replaced=replaced,
            asks=any(not bundle.is_from(path, name) for name in replaced),
            bundle=bundle,
        )
    return Destination(path=path, action="replace", sources=sources, asks=True, bundle=bundle)


def destinations(
    bundles: Sequence[Bundle], target: str, together: Together = "collection"
) -> tuple[Destination, ...]:
    """Return where images go, and what becomes of what is there. Looks at the places, and reads no pixel.

    Parameters
    ----------
    bundles, target, together
        As of :func:`targets_of`.

    Examples
    --------
    >>> from napari_ome_ngff.writing.plan.write_plan import MultiscaleSource
    >>> bundle = Bundle(name="cells", sources={"": MultiscaleSource()})
    >>> [found.action for found in destinations([bundle], "/no/such/image.ome.zarr")]
    ['new']
    """
    targets = targets_of(bundles, target, together)
    owners: Sequence[Bundle | None] = bundles if len(targets) == len(bundles) else [None]
    return tuple(
        decide(path, sources, owner, look_at(path))
        for (path, sources), owner in zip(targets.items(), owners, strict=True)
    )


def plan_destination(
    destination: Destination,
    *,
    version: str,
    chunks: Chunks = "auto",
    shards: Shards = None,
    compressor: object = "auto",
) -> WritePlan:
    """Plan what would be written into one store. No pixel is read, and whether it is allowed is not asked.

    Raises
    ------
    OmeNgffError
        If it cannot be written like this.
    """
    from napari_ome_ngff.writing.labels import plan_labels
    from napari_ome_ngff.writing.write import plan_hierarchy

    if destination.action == "labels":
        return plan_labels(
            store=destination.path,
            labels=destination.sources,
            chunks=chunks,
            shards=shards,
            compressor=compressor,
        )
    return plan_hierarchy(
        store=destination.path,
        sources=destination.sources,
        ngff_version=version,
        chunks=chunks,
        shards=shards,
        compressor=compressor,
    )


def write_destination(
    place: Destination,
    *,
    version: str,
    chunks: Chunks = "auto",
    shards: Shards = None,
    compressor: object = "auto",
    overwrite: bool = False,
    verify: bool = False,
) -> Writing:
    """Write into one store, all or nothing.

    Parameters
    ----------
    place
        Of :func:`destinations`.
    version, chunks, shards, compressor, verify
        As of :func:`napari_ome_ngff.write_multiscale_group`; label images get the version of their image.
    overwrite
        Whether what is there may be replaced. Label images that the layers were opened from always are.

    Returns
    -------
    Writing
        The place is checked before this returns.

    Raises
    ------
    OmeNgffError
        If it cannot be written.
    """
    from napari_ome_ngff.writing.labels import write_labels
    from napari_ome_ngff.writing.write import write_hierarchy

    place = _asked_for(place)
    if place.action != "labels":
        return write_hierarchy(
            store=place.path,
            sources=place.sources,
            ngff_version=version,
            chunks=chunks,
            shards=shards,
            compressor=compressor,
            overwrite=overwrite,
            verify=verify,
        )
    return write_labels(
        store=place.path,
        labels=place.sources,
        chunks=chunks,
        shards=shards,
        compressor=compressor,
        overwrite=overwrite or not place.asks,
        verify=verify,
    )


def _asked_for(place: Destination) -> Destination:
    """Return what becomes of what is at an address: only now is there time to ask a server.

    Label images alone must not take the place of an image there, whatever may be overwritten.
    """
    from napari_ome_ngff.storage.places.location import is_url

    bundle = place.bundle
    if place.action != "new" or not is_url(place.path) or bundle is None or not bundle.is_labels:
        return place
    # With the options that the sources have been given since.
    given = {
        f"labels/{name}": source for name, source in zip(bundle.labels, place.sources.values(), strict=True)
    }
    return decide(place.path, place.sources, replace(bundle, sources=given), look_at(place.path, remote=True))
