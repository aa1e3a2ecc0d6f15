"""Where the images of a scene lie: the graph of all coordinate systems and of the transforms between them.

0.6, "Which coordinate system to display?": systems are chosen by name, those of an image by path and name,
such as ``"tile_0/physical"``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

from napari_ome_ngff.errors import MetadataError, OmeNgffError, OptionError
from napari_ome_ngff.metadata.json_checks import describe
from napari_ome_ngff.metadata.nouns import CoordinateSystem, Json, Link, Multiscale, Scene, SystemRef, View
from napari_ome_ngff.metadata.systems.graph import Edge, Way, ways_to
from napari_ome_ngff.metadata.systems.read_transform import decode_two_way
from napari_ome_ngff.metadata.systems.view import own_edges, systems_of


@dataclass(frozen=True, kw_only=True)
class SceneGraph:
    """All systems of a scene and its images, the transforms between them, and what could not be read."""

    systems: Mapping[SystemRef, CoordinateSystem]
    edges: tuple[Edge, ...]
    problems: tuple[str, ...]


def scene_systems(scene: Scene, members: Mapping[str, Multiscale]) -> dict[str, SystemRef]:
    """Return the coordinate systems that a scene can be shown in, by the name to choose them by.

    Parameters
    ----------
    scene
        The scene: its own systems come first, by their names.
    members
        Path of each image to the image: its systems are called ``"path/name"``.

    Examples
    --------
    >>> image = Multiscale(version="0.6", axes=(), levels=(), system="physical")
    >>> list(scene_systems(Scene(version="0.6"), {"tile_0": image}))
    ['tile_0/physical']
    """
    found = {system.name: SystemRef(name=system.name) for system in scene.systems}
    for path, member in members.items():
        for name in systems_of(member) or (member.system or "",):
            found.setdefault(f"{path}/{name}" if name else path, SystemRef(name=name, path=path))
    return found


def place_members(
    scene: Scene,
    members: Mapping[str, Multiscale],
    system: str | None,
    *,
    parameters: Mapping[str, Json],
    where: str,
) -> tuple[dict[str, View], tuple[str, ...]]:
    """Return how each image of a scene lies in one coordinate system.

    Parameters
    ----------
    scene
        The scene.
    members
        Path of each image that is there to the image.
    system
        One of :func:`scene_systems`; the path of an image for its intrinsic system. None for the first system
        of the scene or, if it has none that an image can be placed in, the intrinsic system of the first
        image that most others can be placed in.
    parameters
        Path of an array that a transform keeps its numbers in to its values, relative to the scene.
    where
        Location of the scene.

    Returns
    -------
    dict of View
        By path; an image that no transform leads from to the system is missing.
    tuple of str
        What could not be read or followed, and which images are missing.

    Raises
    ------
    OptionError
        If there is no such system; the error names those that there are.

    Examples
    --------
    >>> image = Multiscale(version="0.6", axes=(), levels=(), system="physical")
    >>> place_members(Scene(version="0.6"), {"a": image}, "b", parameters={}, where="")
    Traceback (most recent call last):
    napari_ome_ngff.errors.OptionError: The scene has no coordinate system 'b'...
    """
    graph = scene_graph(scene, members, parameters=parameters, where=where)
    if system is None:
        target, ways = _default(scene, members, graph)
    else:
        target = find_system(system, scene, members, where=where)
        ways = ways_to(target, graph.edges, ndim=len(graph.systems[target].axes))
    views: dict[str, View] = {}
    problems = list(graph.problems)
    for path, member in members.items():
        way = ways.get(_intrinsic(path, member))
        if way is not None:
            views[path] = View(system=graph.systems[target], affine=way.affine, problems=way.problems)
        else:
            problems.append(
                f"Image {path!r} cannot be placed in {_said(target)}: no transform leads there. "
                "It is shown in its own place."
            )
    return views, tuple(dict.fromkeys(problems))


def _said(ref: SystemRef) -> str:
    return describe(f"{ref.path}/{ref.name}" if ref.path and ref.name else ref.path or ref.name)


def _intrinsic(path: str, member: Multiscale) -> SystemRef:
    return SystemRef(name=member.system or "", path=path)


def find_system(name: str, scene: Scene, members: Mapping[str, Multiscale], *, where: str) -> SystemRef:
    """Return the system of a scene that has a name: its own, that of an image, or the only one called so."""
    known = scene_systems(scene, members)
    if name in known:
        return known[name]
    if name in members:
        return _intrinsic(name, members[name])
    # A name that only one image uses is clear enough.
    alike = [ref for ref in known.values() if ref.name == name]
    if len(alike) == 1:
        return alike[0]
    raise OptionError(
        f"The scene has no coordinate system {describe(name)}.",
        where=where,
        expected=", ".join(map(describe, islice(known, 20))) or "none: it has no named coordinate systems",
    )


def _default(
    scene: Scene, members: Mapping[str, Multiscale], graph: SceneGraph
) -> tuple[SystemRef, dict[SystemRef, Way]]:
    """Return the system to show a scene in, and the ways there.

    "RECOMMENDED that the scene's first entry under the coordinateSystems field is used as the default"
    """
    own = [SystemRef(name=system.name) for system in scene.systems]
    intrinsic = [_intrinsic(path, member) for path, member in members.items()]
    best: tuple[int, SystemRef, dict[SystemRef, Way]] | None = None
    seen: set[SystemRef] = set()
    for target in (*own, *intrinsic):
        if target in seen:
            continue
        ways = ways_to(target, graph.edges, ndim=len(graph.systems[target].axes))
        reached = [ref for ref in intrinsic if ref in ways]
        if reached and target in own:
            return target, ways
        # What leads to one image leads to those beside it: no need to ask each of thousands.
        seen.update(reached)
        if best is None or len(reached) > best[0]:
            best = len(reached), target, ways
    if best is None:
        raise MetadataError("The scene has no image.")
    return best[1], best[2]


def scene_graph(
    scene: Scene, members: Mapping[str, Multiscale], *, parameters: Mapping[str, Json], where: str
) -> SceneGraph:
    """Return the graph of a scene and of the images that are there."""
    systems = {SystemRef(name=system.name): system for system in scene.systems}
    edges: list[Edge] = []
    problems: dict[str, None] = {}
    below = _by_member(parameters, members)
    for path, member in members.items():
        intrinsic = CoordinateSystem(name=member.system or "", axes=member.axes)
        named = systems_of(member) or {intrinsic.name: intrinsic}
        systems |= {SystemRef(name=name, path=path): system for name, system in named.items()}
        place = f"{where}/{path}" if where else path
        for edge in own_edges(member, path=path, parameters=below.get(path, {}), where=place):
            if isinstance(edge, Edge):
                edges.append(edge)
            else:
                problems[edge] = None
    for link in scene.links:
        try:
            edges.append(_edge(link, members, systems, parameters, problems))
        except OmeNgffError as error:
            problems[f"{error.summary.removesuffix('.')}; not followed ({link.where})."] = None
    return SceneGraph(systems=systems, edges=tuple(edges), problems=tuple(problems))


def _by_member(
    parameters: Mapping[str, Json], members: Mapping[str, Multiscale]
) -> dict[str, dict[str, Json]]:
    """Return for each image the parameters below it, relative to it."""
    found: dict[str, dict[str, Json]] = {}
    for key, value in parameters.items():
        parts = key.split("/")
        for cut in range(1, len(parts)):
            path = "/".join(parts[:cut])
            if path in members:
                found.setdefault(path, {})["/".join(parts[cut:])] = value
    return found


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
        raise MetadataError(f"Nothing is known of {_said(ends[0])} and {_said(ends[1])}.")
    way = decode_two_way(
        link.transform, inputs=inputs, outputs=axes[1], parameters=parameters, where=link.where
    )
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
            problems[f"{_said(ref)} is no coordinate system of the scene ({where})."] = None
        return ref
    own = _intrinsic(ref.path, member)
    if not ref.name or member.system is None:
        return own
    if len(systems_of(member)) == 1:
        problems[f"{_said(ref)} is not there, {_said(own)} is taken instead ({where})."] = None
        return own
    problems[f"{_said(ref)} is no coordinate system of that image ({where})."] = None
    return ref
