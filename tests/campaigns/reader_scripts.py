"""One reader of others reads files: run by `tests.campaigns.readers` in an environment that has it.

``python reader_scripts.py READER FOLDER`` prints, as JSON, what becomes of each file in the folder. Nothing
of this package is imported. Beside each file are its pixels (``.npy``) and voxel sizes (``.json``).
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Read = tuple[Any, "list[float] | None"]
"""Level 0, and the size of a voxel along each of its axes; None from readers that know no sizes."""


def is_plate(path: Path) -> bool:
    return path.name.startswith("plate")


def ome_zarr_py(path: Path) -> Read:
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    place = parse_url(str(path))
    assert place is not None, "it is not opened"
    node = next(node for node in Reader(place)() if node.data)
    transforms = node.metadata["coordinateTransformations"][0]
    steps = transforms[0].get("transformations", transforms)
    return node.data[0], next(step["scale"] for step in steps if step["type"] == "scale")


def ngff_zarr(path: Path) -> Read:
    import ngff_zarr

    if is_plate(path):
        plate = ngff_zarr.from_hcs_zarr(str(path))
        image = plate.get_well("A", "1").get_image(0).images[0]
    else:
        image = ngff_zarr.from_ngff_zarr(str(path)).images[0]
    return image.data, [image.scale[dim] for dim in image.dims]


def napari_ome_zarr(path: Path) -> Read:
    from napari_ome_zarr import napari_get_reader

    read = napari_get_reader(str(path))
    assert callable(read), "it is not opened"
    data, meta, _ = next(layer for layer in read(str(path)) if layer[2] == "image")
    # It divides channels into layers, but says where they were, or shows them together.
    finest = data[0] if isinstance(data, list | tuple) else data
    axis = meta.get("channel_axis")
    scale = list(np.broadcast_to(meta.get("scale", ()), (len(meta.get("scale", ())),)))
    if axis is None and len(scale) == finest.ndim:
        layers = [layer for layer in read(str(path)) if layer[2] == "image"]
        if len(layers) > 1:
            finest = np.stack([np.asarray(one[0][0]) for one in layers], axis=1 if finest.ndim == 4 else 0)
            scale.insert(1 if finest.ndim == 5 else 0, 1.0)
    elif axis is not None:
        scale.insert(axis, 1.0)
    return finest, scale


def bioio_ome_zarr(path: Path) -> Read:
    from bioio_ome_zarr import Reader

    image = Reader(str(path))
    data = image.xarray_dask_data
    sizes, scale = image.physical_pixel_sizes, dict.fromkeys("TCZYX", 1.0)
    scale |= {dim: size for dim, size in zip("ZYX", (sizes.Z, sizes.Y, sizes.X), strict=True) if size}
    return data.data, [scale[str(dim).upper()] for dim in data.dims]


def iohub(path: Path) -> Read:
    from iohub import open_ome_zarr

    opened = open_ome_zarr(str(path), mode="r")
    if is_plate(path):
        opened = opened["A/1/0"]
    first = opened.metadata.multiscales[0].datasets[0].path
    return opened[first], list(opened.scale)


def ngio(path: Path) -> Read:
    import ngio

    if is_plate(path):
        image = ngio.open_ome_zarr_plate(str(path)).get_image("A", 1, "0").get_image()
    else:
        image = ngio.open_ome_zarr_container(str(path)).get_image()
    return image.get_as_numpy(), list(image.dataset.scale)


def tensorstore(path: Path) -> Read:
    import tensorstore as ts

    array = path / ("A/1/0/0" if is_plate(path) else "0")
    if path.suffix == ".ozx":
        place = {"driver": "zip", "base": {"driver": "file", "path": str(path)}, "path": "0/"}
        spec = {"driver": "zarr3", "kvstore": place}
    else:
        driver = "zarr3" if (path / "zarr.json").exists() else "zarr"
        spec = {"driver": driver, "kvstore": {"driver": "file", "path": f"{array}/"}}
    return ts.open(spec, read=True).result().read().result(), None


def yaozarrs(path: Path) -> Read:
    import yaozarrs
    import zarr

    yaozarrs.validate_zarr_store(str(path))
    image = path / "A/1/0" if is_plate(path) else path
    found = yaozarrs.validate_ome_uri(str(image))
    attributes = getattr(found, "attributes", found)
    multiscale = getattr(attributes, "ome", attributes).multiscales[0]
    first = multiscale.datasets[0]
    return zarr.open_array(image / first.path, mode="r")[...], list(first.coordinateTransformations[0].scale)


def ome_zarr_models(path: Path) -> Read:
    import ome_zarr_models
    import zarr

    if path.suffix == ".ozx":
        group = zarr.open_group(zarr.storage.ZipStore(path, mode="r"), mode="r")
    else:
        group = zarr.open_group(path, mode="r")
    model = ome_zarr_models.open_ome_zarr(group)
    if is_plate(path):
        group = group["A/1/0"]
        model = ome_zarr_models.open_ome_zarr(group)
    multiscale = model.ome_attributes.multiscales[0]
    (place, *_) = multiscale.datasets[0].coordinateTransformations
    step = place.transformations[0] if hasattr(place, "transformations") else place
    return group[multiscale.datasets[0].path][...], list(step.scale)


def zarr_python(path: Path) -> Read:
    import zarr

    if path.suffix == ".ozx":
        group = zarr.open_group(zarr.storage.ZipStore(path, mode="r"), mode="r")
    else:
        group = zarr.open_group(path, mode="r")
    return group["A/1/0/0" if is_plate(path) else "0"][...], None


READERS: dict[str, tuple[str, Callable[[Path], Read]]] = {
    "ome-zarr-py": ("ome-zarr", ome_zarr_py),
    "ngff-zarr": ("ngff-zarr", ngff_zarr),
    "napari-ome-zarr": ("napari-ome-zarr", napari_ome_zarr),
    "bioio-ome-zarr": ("bioio-ome-zarr", bioio_ome_zarr),
    "iohub": ("iohub", iohub),
    "ngio": ("ngio", ngio),
    "tensorstore": ("tensorstore", tensorstore),
    "yaozarrs": ("yaozarrs", yaozarrs),
    "ome-zarr-models": ("ome-zarr-models", ome_zarr_models),
    "zarr-python": ("zarr", zarr_python),
}
"""Name of each reader, its distribution, and what reads with it."""

SAME, PIXELS = "same", "pixels"


def outcome(read: Callable[[Path], Read], path: Path) -> str:
    """Whether a reader finds the same pixels and voxel sizes; else what it found, or its error."""
    expected = np.load(path.with_name(path.name + ".npy"))
    sizes = json.loads(path.with_name(path.name + ".json").read_text())
    try:
        data, scale = read(path)
        pixels = np.asarray(data)
    except BaseException as error:  # noqa: BLE001 - each has errors of its own; those of Rust are no Exception
        words = " ".join(str(error).replace(f"{path.parent}/", "").split())
        return f"{type(error).__name__}: {words[:200]}"
    if pixels.shape[-2:] != expected.shape[-2:]:  # a plate as a mosaic: its first field
        pixels = pixels[..., : expected.shape[-2], : expected.shape[-1]]
    if pixels.size != expected.size or not np.array_equal(pixels.reshape(expected.shape), expected):
        return f"other pixels: shape {np.shape(data)}"
    if scale is None:
        return PIXELS
    given = [float(each) for each in scale][-len(sizes) :]
    return SAME if np.allclose(given, sizes) else f"other voxel size: {given}"


def main(name: str, folder: Path) -> None:
    from importlib.metadata import version

    warnings.simplefilter("ignore")
    distribution, read = READERS[name]
    files = sorted(path.with_suffix("") for path in folder.glob("*.npy"))
    results = {path.name: outcome(read, path) for path in files}
    print(json.dumps({"version": version(distribution), "files": results}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
