"""An image in another of its coordinate systems than the intrinsic one.

0.6: the intrinsic system "should be used for viewing and processing unless a use case dictates otherwise".
The others are what `Multiscale.extra` keeps of ``coordinateSystems`` and ``coordinateTransformations``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

from napari_ome_ngff.errors import MetadataError, OmeNgffError, OptionError, UnsupportedError
from napari_ome_ngff.metadata.affine import compose_affine
from napari_ome_ngff.metadata.axes import SYSTEMS_KEY, TRANSFORMS_KEY, decode_axes
from napari_ome_ngff.metadata.context import NO_PARAMETERS, Context
from napari_ome_ngff.metadata.group_kind import CONTAINER
from napari_ome_ngff.metadata.json_checks import describe, items_of
from napari_ome_ngff.metadata.nouns import Affine, CoordinateSystem, Json, Multiscale, SystemRef, View
from napari_ome_ngff.metadata.systems.graph import Edge, ways_to
from napari_ome_ngff.metadata.systems.read_simple import number_paths
from napari_ome_ngff.metadata.systems.read_transform import decode_two_way

SHOWN_KEY = "napari-ome-ngff"
"""Key of an entry of ``multiscales`` that says in which of its systems the image is to be shown.

A layer that was rotated on the screen is a use case that dictates otherwise, and the specification has no
word for it.
"""

_MOST_ITEMS = 1024
"""Not more than anyone needs: the file may have a million."""

_MOST_ARRAYS = 256
"""Arrays of numbers that are read."""


def parameter_paths(attributes: Mapping[str, Json]) -> tuple[str, ...]:
    """Return the paths of the arrays that the transforms of an image or a scene keep their numbers in.

    Relative to the group, each once; malformed transforms, and fields, which are not applied, are left out.
    """
    paths: dict[str, None] = {}
    for holder in (attributes.get(CONTAINER), attributes):
        if not isinstance(holder, Mapping):
            continue
        for entry in (holder.get("scene"), *items_of(holder.get("multiscales"), _MOST_ITEMS)):
            datasets = items_of(entry.get("datasets"), _MOST_ITEMS) if isinstance(entry, Mapping) else ()
            for part in (entry, *datasets):
                transforms = part.get(TRANSFORMS_KEY) if isinstance(part, Mapping) else None
                paths.update(dict.fromkeys(number_paths(items_of(transforms, _MOST_ITEMS))))
    return tuple(islice(paths, _MOST_ARRAYS))


def systems_of(multiscale: Multiscale) -> dict[str, CoordinateSystem]:
    """Return the coordinate systems that an image can be shown in, the intrinsic one first; none before 0.6.

    Systems without axes that can be read are left out.
    """
    if multiscale.system is None:
        return {}
    systems = {multiscale.system: CoordinateSystem(name=multiscale.system, axes=multiscale.axes)}
    for item in items_of(multiscale.extra.get(SYSTEMS_KEY), _MOST_ITEMS):
        name = item.get("name") if isinstance(item, Mapping) else None
        if not isinstance(name, str) or name in systems:
            continue
        try:
            axes = decode_axes(item.get("axes"), Context())
        except MetadataError:
            continue
        systems[name] = CoordinateSystem(name=name, axes=axes)
    return systems


def image_edges(multiscale: Multiscale, context: Context, *, path: str = "") -> Iterator[Edge | str]:
    """Yield the transforms between the systems of one image, or a sentence for one that cannot be read.

    `path` is what the result names the image by, `context` that of the image.
    """
    systems = systems_of(multiscale)
    for index, item in enumerate(items_of(multiscale.extra.get(TRANSFORMS_KEY), _MOST_ITEMS)):
        at = context.below(TRANSFORMS_KEY, index)
        if leads_to_labels(item):
            continue
        ends = ends_of(item)
        names = [end.get("name") if isinstance(end, Mapping) else None for end in ends]
        start, end = (systems.get(name) if isinstance(name, str) else None for name in names)
        if start is None or end is None:
            yield f"A transform names a coordinate system that is not there ({at.where})."
            continue
        axes = [[axis.name for axis in system.axes] for system in (start, end)]
        try:
            way = decode_two_way(item, at, inputs=axes[0], outputs=axes[1])
        except OmeNgffError as error:
            yield f"{error.summary.removesuffix('.')} ({at.where})."
            continue
        refs = [SystemRef(name=system.name, path=path) for system in (start, end)]
        yield Edge(input=refs[0], output=refs[1], way=way)


def ends_of(transform: Json) -> list[Json]:
    """Return ``input`` and ``output`` of a transform, None for what it does not have."""
    return [transform.get(key) if isinstance(transform, Mapping) else None for key in ("input", "output")]


def leads_to_labels(transform: Json) -> bool:
    """Return whether a transform says how a label image lies, instead of the image that has it."""
    return any(isinstance(end, Mapping) and end.get("path") is not None for end in ends_of(transform))


def shown_system(multiscale: Multiscale) -> str | None:
    """Return the name of the system that an image is to be shown in by its file; None: the intrinsic one."""
    entry = multiscale.extra.get(SHOWN_KEY)
    name = entry.get("shown") if isinstance(entry, Mapping) else None
    usable = isinstance(name, str) and name != multiscale.system and name in systems_of(multiscale)
    return name if usable else None


def own_systems(multiscale: Multiscale) -> tuple[str, ...]:
    """Return the names of the systems that an image can be shown in, the one that its file wants it in first.

    Without the intrinsic one where the file wants another: that is then no more than where the levels lie.
    """
    shown = shown_system(multiscale)
    names = [name for name in systems_of(multiscale) if shown is None or name != multiscale.system]
    return tuple(sorted(names, key=lambda name: name != shown))


def view(
    multiscale: Multiscale,
    system: str | None,
    *,
    parameters: Mapping[str, Json] = NO_PARAMETERS,
    where: str = "",
) -> View | None:
    """Return how an image lies in one of its coordinate systems; None for the intrinsic one.

    The transforms of the multiscale are followed forward and back, over other systems if need be. None for
    `system` stands for the one that the file wants the image to be shown in, usually the intrinsic one: a
    warning if no transform leads there, which is an error for a system that was asked for.
    """
    context = Context.of(where, parameters)
    asked = system is not None
    system = system if asked else shown_system(multiscale)
    if system is None or system == multiscale.system:
        return None
    systems = systems_of(multiscale)
    if system not in systems:
        raise no_such_system("image", system, systems, context)
    results = list(image_edges(multiscale, context))
    edges = [result for result in results if isinstance(result, Edge)]
    ways = ways_to(SystemRef(name=system), edges, ndim=len(systems[system].axes))
    way = ways.get(SystemRef(name=multiscale.system or ""))
    if way is None and not asked:
        context.below(SHOWN_KEY).note(f"no transform leads to {describe(system)}; shown in its own system")
        context.warn()
        return None
    if way is None:
        raise context.error(
            f"The image cannot be placed in its coordinate system {describe(system)}.",
            found=" ".join(islice((problem for problem in results if isinstance(problem, str)), 5)),
            expected=f"transforms that lead there from {describe(multiscale.system)}",
            hint="Open it without naming a coordinate system.",
            kind=UnsupportedError,
        )
    return View(system=systems[system], affine=way.affine, problems=way.problems)


def no_such_system(kind: str, name: str, systems: Mapping[str, object], context: Context) -> OmeNgffError:
    """Return the error for a system that an image or a scene does not have; it names those that there are."""
    return context.error(
        f"The {kind} has no coordinate system {describe(name)}.",
        expected=", ".join(map(describe, islice(systems, 20))) or "none: it has no named coordinate systems",
        kind=OptionError,
    )


def shown_affine(multiscale: Multiscale, shown: View | None) -> Affine | None:
    """Return what is applied to an image after its levels' scale and translation, in the system `shown`.

    From the axes of the image to those of the system (None for the intrinsic one); None if there is nothing.
    """
    if multiscale.affine is None or shown is None:
        return multiscale.affine if shown is None else shown.affine
    return compose_affine(multiscale.affine, shown.affine)
