"""From an image's own coordinate system to another one, as napari's scale, translate and affine. Pure.

napari places a voxel by ``affine @ (scale * index + translate)``. The matrix is square and aligns axes of the
world with those of the data by position; so axes are added, sorted and taken out here until that fits.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_ome_ngff.metadata.affine import squared
from napari_ome_ngff.metadata.nouns import Affine, Axis, Multiscale, View
from napari_ome_ngff.plugin.layout import VoxelGrid, display_order, shown_units

Floats = npt.NDArray[np.float64]


_NEGLIGIBLE = 1e-10  # of a voxel, over the whole image


_HEAVIER = 1e-9


_MOST_SORTED = 6  # dimensions: the number of orders grows with the factorial


@dataclass(frozen=True, kw_only=True, eq=False)
class World:
    """A coordinate system in which an image is shown: ``position = linear @ coordinates + offset``.

    There is one row per axis of the system, and one column per dim of the image.
    """

    axes: tuple[Axis, ...]
    dims: tuple[str, ...]
    linear: Floats
    offset: Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerTransform:
    """Where a layer lies in napari's world: one entry per dimension of the layer, and per axis of the world.

    `order` is the position in the voxel grid of each of the layer's dimensions, None for one that the data
    do not have. `affine` has one row and column more than there are dimensions; None if it would do nothing.
    `labels` and `units` are those of the axes of the world.
    """

    order: tuple[int | None, ...]
    scale: tuple[float, ...]
    translate: tuple[float, ...]
    affine: Floats | None
    labels: tuple[str, ...]
    units: tuple[str, ...]

    @property
    def arguments(self) -> dict[str, Any]:
        """What napari's layers take."""
        arguments: dict[str, Any] = {
            "scale": self.scale,
            "translate": self.translate,
            "units": self.units,
            "axis_labels": self.labels,
        }
        return arguments if self.affine is None else arguments | {"affine": self.affine}


def world_of(multiscale: Multiscale, view: View | None) -> World | None:
    """Return the coordinate system that an image is shown in, or None if that is its own.

    `Multiscale.affine` belongs to the way there, before that of the view.
    """
    steps = [step for step in (multiscale.affine, None if view is None else view.affine) if step is not None]
    if not steps:
        return None
    size = len(multiscale.axes)
    linear, offset = np.eye(size), np.zeros(size)
    for step in steps:
        matrix, translation = _numbers(step)
        linear, offset = matrix @ linear, matrix @ offset + translation
    axes = multiscale.axes if view is None else view.system.axes
    return World(axes=axes, dims=multiscale.dims, linear=linear, offset=offset)


def _numbers(affine: Affine) -> tuple[Floats, Floats]:
    return np.array(affine.matrix, dtype=np.float64), np.array(affine.translation, dtype=np.float64)


def without_channel(world: World, dim: str | None) -> World | None:
    """Take out the axis that becomes layers; None if it is mixed with others, and cannot be.

    An image without a channel axis (`dim` is None) may lie in a system that has one all the same.
    """
    rows = [i for i, axis in enumerate(world.axes) if axis.type == "channel" and not world.linear[i].any()]
    columns: list[int] = []
    if dim is not None:
        column = world.dims.index(dim)
        columns.append(column)
        targets = np.flatnonzero(world.linear[:, column]).tolist()
        if len(targets) > 1 or any(np.count_nonzero(world.linear[i]) > 1 for i in targets):
            return None
        rows += targets
    keep = [i for i in range(len(world.axes)) if i not in rows]
    stay = [j for j in range(len(world.dims)) if j not in columns]
    return World(
        axes=tuple(world.axes[i] for i in keep),
        dims=tuple(world.dims[j] for j in stay),
        linear=world.linear[np.ix_(keep, stay)],
        offset=world.offset[keep],
    )


def layer_transform(grid: VoxelGrid, world: World | None) -> LayerTransform:
    """Return where a layer lies: in its image's own system (`world` is None), or in another.

    The dimensions of the data are sorted so that each lies along the axis of the world that it points to.
    What is then nothing but scale and translation needs no matrix.
    """
    if world is None:
        return LayerTransform(
            order=tuple(range(len(grid.dims))),
            scale=grid.scale,
            translate=grid.translate,
            affine=None,
            labels=grid.dims,
            units=grid.units,
        )
    axes, units, columns = _sorted(grid, world)
    fitted = squared(columns, inputs=[Axis(name=dim) for dim in grid.dims], outputs=axes)
    linear, offset = _numbers(fitted.affine)
    best = _best_order(linear)
    order, linear = tuple(fitted.order[j] for j in best), linear[:, best]
    scale, translate, sizes = (
        np.array([default if j is None else values[j] for j in order], dtype=np.float64)
        for default, values in ((1, grid.scale), (0, grid.translate), (1, grid.shape))
    )
    steps = np.abs(linear * scale)  # how far the next voxel along each dimension lies along each axis
    slight = steps * np.maximum(sizes, 1) < _NEGLIGIBLE * np.diag(steps)[:, None]
    linear = np.where(slight & ~np.eye(len(linear), dtype=bool), 0.0, linear)
    affine = None
    if np.array_equal(linear, np.diag(np.diag(linear))):
        scale, translate = np.diag(linear) * scale, np.diag(linear) * translate + offset
    else:
        affine = np.eye(len(linear) + 1)
        affine[:-1, :-1], affine[:-1, -1] = linear, offset
    kept = fitted.order[: len(fitted.axes) - len(axes)]  # dims of the image that the world has no axis for
    return LayerTransform(
        order=order,
        scale=tuple(scale.tolist()),
        translate=tuple(translate.tolist()),
        affine=affine,
        labels=tuple(axis.name for axis in fitted.axes),
        units=(*(grid.units[j] for j in kept if j is not None), *units),
    )


def _sorted(grid: VoxelGrid, world: World) -> tuple[list[Axis], list[str], Affine]:
    """Sort rows as axes are displayed, and columns as in the grid; dims that the world lacks come first.

    Returns the axis and the unit of each row, and the matrix.
    """
    order = list(display_order(world.axes))
    extra = [dim for dim in grid.dims if dim not in world.dims]
    linear = np.zeros((len(extra) + len(order), len(grid.dims)))
    for j, dim in enumerate(grid.dims):
        if dim in world.dims:
            linear[len(extra) :, j] = world.linear[order, world.dims.index(dim)]
        else:
            linear[extra.index(dim), j] = 1.0
    offset = [0.0] * len(extra) + world.offset[order].tolist()
    axes = [Axis(name=dim) for dim in extra] + [world.axes[i] for i in order]
    units = [grid.units[grid.dims.index(dim)] for dim in extra] + list(shown_units(axes[len(extra) :]))
    return axes, units, Affine(matrix=tuple(map(tuple, linear.tolist())), translation=tuple(offset))


def _best_order(linear: Floats) -> list[int]:
    """Return the order of columns in which the diagonal weighs most; as it is where none weighs more."""
    size = len(linear)
    if size > _MOST_SORTED:
        return list(range(size))
    with np.errstate(divide="ignore"):
        weights = np.log(np.abs(linear))  # the sum does not depend on units of axes and sizes of voxels
    best, most = list(range(size)), -np.inf
    for order in permutations(range(size)):
        weight = float(sum(weights[i, j] for i, j in enumerate(order)))
        if weight > most + _HEAVIER:
            best, most = list(order), weight
    return best
