"""Where the images of a scene lie: the graph of all coordinate systems and of the transforms between them.

0.6, "Which coordinate system to display?": systems are chosen by name, those of an image by path and name,
such as ``"tile_0/physical"``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from napari_ome_ngff.errors import MetadataError, OmeNgffError
from napari_ome_ngff.metadata.context import NO_PARAMETERS, Context
from napari_ome_ngff.metadata.json_checks import describe
from napari_ome_ngff.metadata.nouns import CoordinateSystem, Json, Link, Multiscale, Scene, SystemRef, View
from napari_ome_ngff.metadata.systems.graph import Edge, Way, ways_to
from napari_ome_ngff.metadata.systems.read_transform import decode_two_way
from napari_ome_ngff.metadata.systems.view import image_edges, no_such_system, systems_of


@dataclass(frozen=True, kw_only=True)
class SceneGraph:
    """All systems of a scene and its images, the transforms between them, and what could not be read."""

    systems: Mapping[SystemRef, CoordinateSystem]
    edges: tuple[Edge, ...]
    problems: tuple[str, ...]


def scene_systems(scene: Scene, members: Mapping[str, Multiscale]) -> dict[str, SystemRef]:
    """Return the coordinate systems that a scene can be shown in, by the name to choose them by.

    Its own come first; those of an image are called ``"path/name"``. `members` has the images by path.
    """
    systems = {system.name: SystemRef(name=system.name) for system in scene.systems}
    for path, member in members.items():
        for name in systems_of(member) or (member.system or "",):
            systems.setdefault(f"{path}/{name}" if name else path, SystemRef(name=name, path=path))
    return systems


def place_members(
    scene: Scene,
    members: Mapping[str, Multiscale],
    system: str | None,
    *,
    parameters: Mapping[str, Json] = NO_PARAMETERS,
    where: str = "",
) -> tuple[dict[str, View], tuple[str, ...]]:
    """Return by path how the images of a scene lie in one coordinate system, and what was not followed.

    An image that no transform leads from to the system is missing, and named. `system` is one of
    :func:`scene_systems`, or the path of an image for its intrinsic system. None stands for the first system
    of the scene or, if it has none that an image can be placed in, for the intrinsic system of the first
    image that most others can be placed in. `parameters` are relative to the scene.
    """
    context = Context.of(where, parameters)
    graph = scene_graph(scene, members, context)
    if system is None:
        target, ways = _default(scene, members, graph)
    else:
        target = find_system(system, scene, members, context)
        ways = ways_to(target, graph.edges, ndim=len(graph.systems[target].axes))
    views: dict[str, View] = {}
    problems = list(graph.problems)
    for path, member in members.items():
        way = ways.get(_intrinsic(path, member))
        if way is not None:
            views[path] = View(system=graph.systems[target], affine=way.affine, problems=way.problems)
        else:
            problems.append(
                f"Image {path!r} cannot be placed in {_quoted(target)}: no transform leads there. "
                "It is shown in its own place."
            )
    return views, tuple(dict.fromkeys(problems))


def _quoted(ref: SystemRef) -> str:
    return describe(f"{ref.path}/{ref.name}" if ref.path and ref.name else ref.path or ref.name)


def _intrinsic(path: str, member: Multiscale) -> SystemRef:
    return SystemRef(name=member.system or "", path=path)


def find_system(name: str, scene: Scene, members: Mapping[str, Multiscale], context: Context) -> SystemRef:
    """Return the system of a scene that has a name: its own, that of an image, or the only one called so."""
    systems = scene_systems(scene, members)
    if name in systems:
        return systems[name]
    if name in members:
        return _intrinsic(name, members[name])
    # A name that only one image uses is clear enough.
    namesakes = [ref for ref in systems.values() if ref.name == name]
    if len(namesakes) == 1:
        return namesakes[0]
    raise no_such_system("scene", name, systems, context)


def _default(
    scene: Scene, members: Mapping[str, Multiscale], graph: SceneGraph
) -> tuple[SystemRef, dict[SystemRef, Way]]:
    """Return the system to show a scene in, and the ways to it.

    "RECOMMENDED that the scene's first entry under the coordinateSystems field is used as the default"
    """
    of_scene = [SystemRef(name=system.name) for system in scene.systems]
    intrinsic = [_intrinsic(path, member) for path, member in members.items()]
    best: tuple[int, SystemRef, dict[SystemRef, Way]] | None = None
    seen: set[SystemRef] = set()
    for target in (*of_scene, *intrinsic):
        if target in seen:
            continue
        ways = ways_to(target, graph.edges, ndim=len(graph.systems[target].axes))
        reached = [ref for ref in intrinsic if ref in ways]
        if reached and target in of_scene:
            return target, ways
        # What leads to one image leads to those beside it: no need to ask each of thousands.
        seen.update(reached)
        if best is None or len(reached) > best[0]:
            best = len(reached), target, ways
    if best is None:
        raise MetadataError("The scene has no image.")
    return best[1], best[2]


def scene_graph(scene: Scene, members: Mapping[str, Multiscale], context: Context) -> SceneGraph:
    """Return the graph of a scene and of the images that are there."""
    systems = {SystemRef(name=system.name): system for system in scene.systems}
    edges: list[Edge] = []
    problems: dict[str, None] = {}
    parameters = _by_member(context.parameters, members)
    for path, member in members.items():
        intrinsic = CoordinateSystem(name=member.system or "", axes=member.axes)
        named = systems_of(member) or {intrinsic.name: intrinsic}
        systems |= {SystemRef(name=name, path=path): system for name, system in named.items()}
        location = f"{context.location}/{path}" if context.location else path
        inside = Context.of(location, parameters.get(path, {}))
        for edge in image_edges(member, inside, path=path):
            if isinstance(edge, Edge):
                edges.append(edge)
            else:
                problems[edge] = None
    for link in scene.links:
        try:
            edges.append(_edge(link, members, systems, context.parameters, problems))
        except OmeNgffError as error:
            problems[f"{error.summary.removesuffix('.')}; not followed ({link.where})."] = None
    return SceneGraph(systems=systems, edges=tuple(edges), problems=tuple(problems))


def _by_member(
    parameters: Mapping[str, Json], members: Mapping[str, Multiscale]
) -> dict[str, dict[str, Json]]:
    """Return for each image the parameters below it, relative to it."""
    below: dict[str, dict[str, Json]] = {}
    for key, value in parameters.items():
        parts = key.split("/")
        for cut in range(1, len(parts)):
            path = "/".join(parts[:cut])
            if path in members:
                below.setdefault(path, {})["/".join(parts[cut:])] = value
    return below


def _edge(
    link: Link,
    members: Mapping[str, Multiscale],
    systems: Mapping[SystemRef, CoordinateSystem],
    parameters: Mapping[str, Json],
    problems: dict[str, None],
) -> Edge:
    ends = [_resolved(ref, members, systems, link.where, problems) for ref in (link.input, link.output)]
    axes = [[axis.name for axis in systems[ref].axes] if ref in systems else None for ref in ends]
    # A system that is not defined, or of an image that is not there, may still lead from one to another:
    # it is taken to have as many axes.
    inputs = axes[0] or axes[1]
    if inputs is None:
        raise MetadataError(f"Nothing is known of {_quoted(ends[0])} and {_quoted(ends[1])}.")
    context = Context.of(parameters=parameters).below(link.where)
    way = decode_two_way(link.transform, context, inputs=inputs, outputs=axes[1])
    return Edge(input=ends[0], output=ends[1], way=way)


def _resolved(
    ref: SystemRef,
    members: Mapping[str, Multiscale],
    systems: Mapping[SystemRef, CoordinateSystem],
    where: str,
    problems: dict[str, None],
) -> SystemRef:
    """Return the system that is meant, whatever it is called."""
    if ref in systems:
        return ref
    member = members.get(ref.path)
    if member is None:
        if not ref.path:
            problems[f"{_quoted(ref)} is no coordinate system of the scene ({where})."] = None
        return ref
    intrinsic = _intrinsic(ref.path, member)
    if not ref.name or member.system is None:
        return intrinsic
    if len(systems_of(member)) == 1:
        problems[f"{_quoted(ref)} is not there, {_quoted(intrinsic)} is taken instead ({where})."] = None
        return intrinsic
    problems[f"{_quoted(ref)} is no coordinate system of that image ({where})."] = None
    return ref
