"""From what is to be saved to a plan and metadata: what can be refused is refused here.

Nothing is written and no voxel is read.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_ome_ngff.errors import CoordinateError, OptionError, UnsupportedError, give_warning
from napari_ome_ngff.irregular_axes import with_positions
from napari_ome_ngff.metadata.collections.plate_layout import PlateLayout
from napari_ome_ngff.metadata.collections.scene_layout import SceneLayout
from napari_ome_ngff.metadata.nouns import Multiscale
from napari_ome_ngff.metadata.systems.rotated import needs_affine
from napari_ome_ngff.metadata.transforms import level_transform
from napari_ome_ngff.metadata.versions import check_version
from napari_ome_ngff.storage.pixels.provenance import for_a_pass, stored_array
from napari_ome_ngff.storage.places.node_documents import DOCUMENTS
from napari_ome_ngff.stored_attrs import with_attrs
from napari_ome_ngff.writing.accepted_axes import ascending, by_name, check_ascending, in_order, placed_on
from napari_ome_ngff.writing.plan.described import as_carried
from napari_ome_ngff.writing.plan.make_plan import plan_multiscale
from napari_ome_ngff.writing.plan.multiscale import (
    describe,
    given_channels,
    is_label_image,
    lacks_window,
    model_multiscale,
)
from napari_ome_ngff.writing.plan.options import Factors, SaveOptions
from napari_ome_ngff.writing.plan.stored_tables import Encoded, set_apart
from napari_ome_ngff.writing.plan.write_plan import (
    ImageShape,
    MultiscaleSource,
    Prepared,
    split_path,
)
from napari_ome_ngff.writing.sources import source_chunks

if TYPE_CHECKING:
    from xarray import DataArray, Variable


def prepare(
    sources: Mapping[str, MultiscaleSource],
    options: SaveOptions,
    *,
    onto: ImageShape | None = None,
    plate: PlateLayout | SceneLayout | None = None,
    as_given: bool = False,
) -> tuple[Prepared, ...]:
    """Plan everything that one save writes; `sources` are those of `write_hierarchy`.

    Chunks and shards with one size per axis of the image hold for a label image with fewer axes too, by name;
    with fewer sizes than axes they hold for the last ones. Of several images, one with fewer axes than sizes
    takes the last sizes. `onto` is the image that is there already, if the sources are label images for it;
    `plate` is the plate, or the scene, that the sources are the images of. Axes that other programs refuse
    are put right, with a warning, unless the arrays are to be filled by somebody else, `as_given`.
    """
    if not sources:
        raise OptionError("There is nothing to write.", hint="Give at least one image.")
    _check_paths(sources, plate)
    prepared: list[Prepared] = []
    images = {} if onto is None else {"": onto}
    orders: dict[str, tuple[str, ...]] = {}
    for path, source in sources.items():
        above, label = split_path(path)
        image = None if label is None else images.get(above)
        source = as_carried(path, source, _arrays(source)[1])
        if as_given:
            check_ascending(_arrays(source)[0])
        else:
            source, orders[path], notice = accepted(source, options.version)
            if notice:
                give_warning(notice, stacklevel=6)
        if image is not None:
            source = _on_image(source, image)
        dims = tuple(str(dim) for dim in _arrays(source)[1].dims)
        main_dims = orders.get(above, dims if image is None else image.dims)
        for_image = replace(
            options,
            chunks=_for_dims(options.chunks, dims, main_dims, several=bool(above)),
            shards=_for_dims(options.shards, dims, main_dims, several=bool(above)),
        )
        prepared.append(_prepare_one(path, source, for_image, image))
        if label is None:
            plan = prepared[-1].plan
            images[path] = ImageShape(
                axes=prepared[-1].multiscale.axes,
                shapes=tuple(level.shape for level in plan.levels),
                finest=plan.levels[0].transform,
            )
    return tuple(prepared)


def _on_image(source: MultiscaleSource, image: ImageShape) -> MultiscaleSource:
    """A label image that lies on its image along the axes along which it says nothing."""
    finest = _arrays(source)[1]
    placed = placed_on(finest, image.axes, image.finest, image.shapes[0])
    if placed is finest or (source.multiscale is not None and source.multiscale.levels):
        return source
    if source.arrays is None:
        return replace(source, image=placed)
    return replace(source, arrays={**source.arrays, next(iter(source.arrays)): placed})


def accepted(source: MultiscaleSource, version: str) -> tuple[MultiscaleSource, tuple[str, ...], str]:
    """A source whose axes other programs accept, unread; its dims in the order as given; what was changed.

    Names that a file has stay as they are.
    """
    levels, finest = _arrays(source)
    base = source.multiscale
    new, names, notice = in_order(levels, rename=base is None or not base.levels, any_space=True)
    if names and base is not None:
        base = replace(base, axes=tuple(replace(a, name=names.get(a.name, a.name)) for a in base.axes))
    new, mirrored = ascending(new, base, version)
    if mirrored:
        notice = f"{notice} " if notice else ""
        notice += f"Pixels are stored in reverse along {', '.join(mirrored)}, each at its position."
    given = tuple(names.get(dim, dim) for dim in map(str, finest.dims))
    image, arrays = (next(iter(new.values())), None) if source.arrays is None else (None, new)
    factors = by_name(source.factors, names)
    return replace(source, image=image, arrays=arrays, multiscale=base, factors=factors), given, notice


def _check_paths(paths: Iterable[str], plate: PlateLayout | SceneLayout | None) -> None:
    """An image with its label images is at the root, or several are below it, each with its own."""
    paths = tuple(paths)
    for path in paths:
        if reserved := DOCUMENTS & {part.lower() for part in path.split("/")}:
            raise OptionError(
                f"No image is called {min(reserved)!r}: that is the name of a document of Zarr.", found=path
            )
    images = [above for above, label in map(split_path, paths) if label is None]
    all_images = {split_path(path)[0] for path in paths}
    if "" in all_images and len(all_images) > 1:
        raise OptionError("An image at the root of a hierarchy is the only one.", found=", ".join(all_images))
    missing = sorted(all_images - {""} - set(images))
    if missing:
        # 0.4, "bioformats2raw.layout": what is listed are image groups, and label images alone are none.
        raise OptionError("Label images in a collection need their image.", found=", ".join(missing))
    if plate is not None:
        if set(images) != set(plate.fields):
            raise OptionError("The images are not those of the plate or scene.")
        return
    if "" not in images and set(images) != {str(i) for i in range(len(images))}:
        # "consecutively numbered groups starting from 0": not all readers look for others.
        raise OptionError("Images of a collection are numbered from 0.", found=", ".join(images))


def _arrays(source: MultiscaleSource) -> tuple[Mapping[str, DataArray], DataArray]:
    """The levels that are given, and the finest of them."""
    if (source.image is None) == (source.arrays is None):
        raise OptionError(
            "Give either an image, whose levels are made, or arrays, the levels themselves.",
            found="both" if source.arrays else "neither",
        )
    base = source.multiscale
    first = base.levels[0].path if base and base.levels else "0"
    arrays = source.arrays if source.image is None else {first: source.image}
    if not arrays:
        raise CoordinateError("There are no arrays to make an image of.")
    return arrays, next(iter(arrays.values()))


def _for_dims(sizes: Any, dims: Sequence[str], main_dims: Sequence[str], *, several: bool) -> Any:
    """Chunks or shards for other axes than the main image's; whatever is no such tuple is left as it is."""
    if isinstance(sizes, str) or not isinstance(sizes, Sequence):
        return sizes
    if any(isinstance(n, Sequence) for n in sizes):
        if len(dims) != len(main_dims):
            return "auto"
        return tuple(_for_dims(each, dims, main_dims, several=False) for each in sizes)
    if len(sizes) == len(main_dims) and set(dims) <= set(main_dims) and tuple(dims) != tuple(main_dims):
        by_dim = dict(zip(main_dims, sizes, strict=True))
        return tuple(by_dim.get(dim, 1) for dim in dims)
    last = sizes[-len(dims) :] if several else sizes  # what is too long for one image fits another
    return (1,) * (len(dims) - len(last)) + tuple(last)


def _prepare_one(
    path: str, source: MultiscaleSource, options: SaveOptions, image: ImageShape | None
) -> Prepared:
    arrays, finest = _arrays(source)
    is_label = is_label_image(path, source)
    method = source.method or ("nearest" if is_label else "mean")
    if is_label:
        _check_label_image(path, finest, method)
    model = model_multiscale(arrays, version=options.version, name=source.name)
    base = source.multiscale
    name = source.name or (base.name if base and base.name else None)
    name = name or (path.rpartition("/")[2] if path and finest.name is None else model.name) or "image"
    plan = plan_multiscale(
        path=path,
        name=name,
        axes=model.axes,
        given=model.levels,
        shapes=[array.shape for array in arrays.values()],
        dtype=finest.dtype,
        source_chunks=[source_chunks(array) for array in arrays.values()],
        method=None if source.arrays else method,
        levels=source.levels,
        factors=None if source.arrays else _factors(source, image, model.dims, finest),
        options=options,
    )
    multiscale = describe(source, model, plan, options.transform_precision)
    _check_affine(multiscale, (base.name if base else None) or name, options.version)
    place = level_transform(multiscale, 0)
    stored = tuple(stored_array(array.variable._data) for array in arrays.values())
    # Attributes of an array that is stored are stored with it again.
    old = {} if stored[0] is None else stored[0].metadata.attributes
    attrs = {name: value for name, value in finest.attrs.items() if name not in old}
    attributes = with_attrs(with_positions(source.attributes, finest, model.axes, place), attrs)
    tables: Mapping[str, Encoded] = {}
    if multiscale.label_image is not None:
        label_image, tables = set_apart(multiscale.label_image)
        multiscale = replace(multiscale, label_image=label_image)
    channels = given_channels(source, model, plan)
    open_windows = finest.dtype.kind in "iuf" and any(map(lacks_window, channels))
    return Prepared(
        plan=plan,
        channels=channels if open_windows else (),
        multiscale=multiscale,
        inputs=tuple(_read_once(array.variable) for array in arrays.values()),
        stored=stored,
        attributes=attributes,
        groups=dict(source.groups),
        tables=tables,
    )


def _check_affine(multiscale: Multiscale, name: str, version: str) -> None:
    """Refuse what only 0.6 can say, where another version was chosen."""
    if not check_version(version).affines and needs_affine(multiscale):
        raise UnsupportedError(
            f"{name!r} is rotated, sheared or otherwise transformed: choose OME-Zarr version 0.6.",
            found=f"version {version}, which knows scale and translation only",
            hint="Save as version 0.6, reset what turns the layer (rotate, shear, affine), "
            "or transform the pixels first.",
        )


def _read_once(variable: Variable) -> Variable:
    data: Any = variable._data
    once = for_a_pass(data)
    return variable if once is data else variable.copy(deep=False, data=once)


def _factors(
    source: MultiscaleSource, image: ImageShape | None, dims: Sequence[str], finest: DataArray
) -> Factors:
    """Those of the image for a label image on its grid, unless something else was asked for."""
    if image is None or source.factors is not None or source.levels is not None:
        return source.factors
    sizes = dict(zip(image.dims, image.shapes[0], strict=True))
    if any(sizes.get(str(dim)) != size for dim, size in finest.sizes.items()):
        return None
    # 0.4, "labels": "The number of levels SHOULD match those of the parent multiscale image."
    return [
        {
            dim: max(1, round(above / here))
            for dim, above, here in zip(image.dims, fine, coarse, strict=True)
            if dim in dims
        }
        for fine, coarse in itertools.pairwise(image.shapes)
    ]


def _check_label_image(path: str, array: DataArray, method: str) -> None:
    # 0.4 and later, "labels": pixels of label images are integers.
    if array.dtype.kind not in "iu":
        raise OptionError(
            f"Label images hold whole numbers, not {array.dtype}.",
            where=path,
            hint='Convert it yourself, for example with .astype("uint32").',
        )
    if method == "mean":
        # Interpolated labels are labels of other objects, or of none.
        raise OptionError(
            "The mean of labels would be other labels.", where=path, expected='"nearest" or "mode"'
        )
