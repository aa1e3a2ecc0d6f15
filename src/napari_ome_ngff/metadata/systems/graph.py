"""Coordinate systems as nodes, transforms as edges: which systems lead to which, and how.

0.6, "Graph connectedness": "coordinate systems represent nodes and coordinate transformations represent
edges"; any two are linked by a path of transforms, each taken forward or back.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count

from napari_ome_ngff.metadata.affine import compose_affine, identity_affine, is_finite
from napari_ome_ngff.metadata.nouns import Affine, SystemRef
from napari_ome_ngff.metadata.systems.read_simple import TwoWay


@dataclass(frozen=True, kw_only=True)
class Edge:
    """A transform that was read, between two systems."""

    input: SystemRef
    output: SystemRef
    way: TwoWay


@dataclass(frozen=True, kw_only=True)
class Way:
    """How to get from one system to another. `problems` says what of it could not be applied."""

    affine: Affine
    problems: tuple[str, ...] = ()


def ways_to(target: SystemRef, edges: Iterable[Edge], *, ndim: int) -> dict[SystemRef, Way]:
    """Return the ways from all systems to one with `ndim` axes: the fewest problems, then the fewest steps.

    The target is among them. Of transforms between the same two systems the first counts.
    """
    into = _steps(edges)
    ways: dict[SystemRef, Way] = {}
    order = count()
    heap = [(0, 0, next(order), target, Way(affine=identity_affine(ndim)))]
    while heap:
        _, steps, _, here, way = heapq.heappop(heap)
        if here in ways:
            continue
        ways[here] = way
        for source, affine, problems in into.get(here, ()):
            if source in ways or len(affine.matrix) != len(way.affine.matrix[0]):
                continue
            longer = compose_affine(affine, way.affine)
            if is_finite(longer) and not _is_flat(longer):
                all_problems = tuple(dict.fromkeys((*problems, *way.problems)))
                further = Way(affine=longer, problems=all_problems)
                heapq.heappush(heap, (len(all_problems), steps + 1, next(order), source, further))
    return ways


def _is_flat(affine: Affine) -> bool:
    """Return whether voxels have no size along an axis that both systems have: a scale of zero."""
    rows, columns = affine.matrix, list(zip(*affine.matrix, strict=True))
    return len(rows) == len(columns) and not all(map(any, rows)) and not all(map(any, columns))


def _steps(edges: Iterable[Edge]) -> dict[SystemRef, list[tuple[SystemRef, Affine, tuple[str, ...]]]]:
    """Return for each system which systems lead to it in one step, and by which affine."""
    into: dict[SystemRef, list[tuple[SystemRef, Affine, tuple[str, ...]]]] = {}
    backward = []
    for edge in edges:
        into.setdefault(edge.output, []).append((edge.input, edge.way.forward, edge.way.problems))
        if edge.way.backward is not None:
            backward.append((edge.input, edge.output, edge.way.backward, edge.way.problems))
    # After all forward ones: a transform that is given is better than an inverted one.
    for here, source, affine, problems in backward:
        into.setdefault(here, []).append((source, affine, problems))
    return into
