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
from napari_ome_ngff.plugin.layout import Frame, display_order, shown_units

Floats = npt.NDArray[np.float64]


_NEGLIGIBLE = 1e-10  # of a voxel, over the whole image


_HEAVIER = 1e-9


_MOST_SORTED = 6  # dimensions: the number of orders grows with the factorial


@dataclass(frozen=True, kw_only=True, eq=False)
class World:
    """A coordinate system in which an image is shown, and the way there from the image's own.

    Parameters
    ----------
    axes
        Of the system: one per row.
    dims
        Names of the image's axes: one per column.
    linear, offset
        ``position = linear @ coordinates + offset``.
    """

    axes: tuple[Axis, ...]
    dims: tuple[str, ...]
    linear: Floats
    offset: Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class Shown:
    """Where a layer lies in napari's world: one entry per dimension of the layer, and per axis of the world.

    Parameters
    ----------
    order
        Position in the frame of each of the layer's dimensions; None for one that the data do not have.
    scale, translate
        Applied to voxels.
    affine
        Applied after them, one row and column more than there are dimensions; None if it would do nothing.
    labels, units
        Of the axes of the world.
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
        found: dict[str, Any] = {
            "scale": self.scale,
            "translate": self.translate,
            "units": self.units,
            "axis_labels": self.labels,
        }
        return found if self.affine is None else found | {"affine": self.affine}


def world_of(multiscale: Multiscale, view: View | None) -> World | None:
    """Return the coordinate system that an image is shown in, or None if that is its own.

    Parameters
    ----------
    multiscale
        Its `affine`, if it has one, belongs to the way there.
    view
        The system that was asked for.

    Examples
    --------
    >>> axes = (Axis(name="y", type="space"), Axis(name="x", type="space"))
    >>> turn = Affine(matrix=((0, 1), (1, 0)), translation=(5, 0))
    >>> world_of(Multiscale(version="0.6", axes=axes, levels=(), affine=turn), None).offset.tolist()
    [5.0, 0.0]
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


def is_usable(world: World) -> bool:
    """Tell whether all numbers of a system are finite.

    Examples
    --------
    >>> axes = (Axis(name="x"),)
    >>> is_usable(World(axes=axes, dims=("x",), linear=np.eye(1), offset=np.array([np.inf])))
    False
    """
    return bool(np.isfinite(world.linear).all() and np.isfinite(world.offset).all())


def without_channel(world: World, dim: str | None) -> World | None:
    """Take out the axis that becomes layers; None if it is mixed with others, and cannot be.

    Parameters
    ----------
    world
        The system.
    dim
        Name of the image's channel axis, or None if it has none: the system may have one all the same.

    Examples
    --------
    >>> axes = (Axis(name="c", type="channel"), Axis(name="x", type="space"))
    >>> world = World(axes=axes, dims=("c", "x"), linear=np.diag([1.0, 3.0]), offset=np.zeros(2))
    >>> without_channel(world, "c").linear.tolist()
    [[3.0]]
    """
    rows = [i for i, axis in enumerate(world.axes) if axis.type == "channel" and not world.linear[i].any()]
    columns: list[int] = []
    if dim is not None:
        column = world.dims.index(dim)
        columns.append(column)
        own = np.flatnonzero(world.linear[:, column]).tolist()
        if len(own) > 1 or any(np.count_nonzero(world.linear[i]) > 1 for i in own):
            return None
        rows += own
    keep = [i for i in range(len(world.axes)) if i not in rows]
    stay = [j for j in range(len(world.dims)) if j not in columns]
    return World(
        axes=tuple(world.axes[i] for i in keep),
        dims=tuple(world.dims[j] for j in stay),
        linear=world.linear[np.ix_(keep, stay)],
        offset=world.offset[keep],
    )


def shown(frame: Frame, world: World | None) -> Shown:
    """Return where a layer lies: in its image's own system, or in another.

    The dimensions of the data are sorted so that each lies along the axis of the world that it points to.
    What is then nothing but scale and translation needs no matrix.

    Parameters
    ----------
    frame
        The layer in its image's own system.
    world
        The system to show it in, without the channel axis; None for its own.

    Examples
    --------
    >>> frame = Frame(dims=("y", "x"), scale=(2, 3), translate=(0, 1), units=("pixel",) * 2, shape=(4, 4))
    >>> axes = (Axis(name="v", type="space"), Axis(name="u", type="space"))
    >>> world = World(axes=axes, dims=("y", "x"), linear=np.array([[0, 10.0], [1, 0]]), offset=np.zeros(2))
    >>> found = shown(frame, world)
    >>> found.order, found.scale, found.translate, found.labels
    ((1, 0), (30.0, 2.0), (10.0, 0.0), ('v', 'u'))
    """
    if world is None:
        return Shown(
            order=tuple(range(len(frame.dims))),
            scale=frame.scale,
            translate=frame.translate,
            affine=None,
            labels=frame.dims,
            units=frame.units,
        )
    axes, units, columns = _sorted(frame, world)
    fitted = squared(columns, inputs=[Axis(name=dim) for dim in frame.dims], outputs=axes)
    linear, offset = _numbers(fitted.affine)
    best = _best_order(linear)
    order, linear = tuple(fitted.order[j] for j in best), linear[:, best]
    scale, translate, sizes = (
        np.array([default if j is None else values[j] for j in order], dtype=np.float64)
        for default, values in ((1, frame.scale), (0, frame.translate), (1, frame.shape))
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
    return Shown(
        order=order,
        scale=tuple(scale.tolist()),
        translate=tuple(translate.tolist()),
        affine=affine,
        labels=tuple(axis.name for axis in fitted.axes),
        units=(*(frame.units[j] for j in kept if j is not None), *units),
    )


def _sorted(frame: Frame, world: World) -> tuple[list[Axis], list[str], Affine]:
    """Sort rows as axes are displayed, and columns as in the frame; dims that the world lacks come first.

    Returns
    -------
    tuple
        The axes, and the unit of each, by row; and the matrix.
    """
    order = list(display_order(world.axes))
    own = [dim for dim in frame.dims if dim not in world.dims]
    linear = np.zeros((len(own) + len(order), len(frame.dims)))
    for j, dim in enumerate(frame.dims):
        if dim in world.dims:
            linear[len(own) :, j] = world.linear[order, world.dims.index(dim)]
        else:
            linear[own.index(dim), j] = 1.0
    offset = [0.0] * len(own) + world.offset[order].tolist()
    axes = [Axis(name=dim) for dim in own] + [world.axes[i] for i in order]
    units = [frame.units[frame.dims.index(dim)] for dim in own] + list(shown_units(axes[len(own) :]))
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
