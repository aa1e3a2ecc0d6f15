"""The writer of this package as a peer of the benchmark in ../shared/bench/write.

    WBENCH_ROOT=ROOT python bench.py --case a --fmt v3 --peers ours \
        --candidate ours=tests/bench/peer_ours.py --tag ours

Variants: ``nearest`` (the default) and ``mode`` for label images; ``twice`` writes a lazy source twice, one
behind the other along z; ``zarr`` goes through zarr-python, ``zarrs`` too, with the zarrs codec pipeline;
``imagecodecs`` encodes blosc with that package. The last three replace the encoder behind the seam of
``writing/engine/encode.py``.
"""

from dataclasses import replace

import numpy as np
import xarray as xr

VENV = "core"


def setup(cfg):
    import tempfile

    from napari_ome_ngff.writing import save
    from napari_ome_ngff.writing.engine import encode

    if cfg.variant in ("zarr", "zarrs"):
        save.unit_writer = lambda array, **options: encode.UnitWriter(array=array)
    if cfg.variant == "zarrs":
        import zarr
        import zarrs  # noqa: F401

        zarr.config.set(
            {"codec_pipeline.path": "zarrs.ZarrsCodecPipeline", "threading.max_workers": cfg.threads}
        )
    if cfg.variant == "imagecodecs":
        encode._encode = with_imagecodecs
    # A first save imports what any save needs (zarr, pydantic-zarr); the harness does not time imports.
    small = np.ones((4,) * (len(cfg.axes) - 1) + (64,), cfg.dtype)
    with tempfile.TemporaryDirectory() as folder:
        write(small, f"{folder}/warm.zarr", replace(cfg, levels=1, shape=small.shape))


def with_imagecodecs(chunk, compressor):
    import imagecodecs

    return imagecodecs.blosc_encode(
        chunk.reshape(-1),
        level=compressor.clevel,
        compressor=compressor.cname,
        shuffle=compressor.shuffle,
        blocksize=compressor.blocksize or None,
        typesize=chunk.itemsize,
        numthreads=1,
    )


def doubled(data):
    import dask.array as da

    return da.concatenate([data, data], axis=1)


def write(data, out, cfg):
    from napari_ome_ngff import LabelImage, write_multiscale_group

    if cfg.variant == "twice":
        data = doubled(data)
    method = ("mode" if cfg.variant == "mode" else "nearest") if cfg.labels else "mean"
    coords = {
        axis: xr.Variable((axis,), np.arange(size) * scale, {"units": unit} if unit else {})
        for axis, size, scale, unit in zip(cfg.axes, data.shape, cfg.scale, cfg.units, strict=True)
        if unit
    }
    image = xr.DataArray(data, dims=tuple(cfg.axes), coords=coords, name="image")
    limit = 256 if cfg.variant != "zarr" or cfg.shards is None else 2048
    for _ in write_multiscale_group(
        store=out,
        image=image,
        ngff_version=cfg.version,
        method=method,
        levels=cfg.levels,
        factors=dict(zip(cfg.axes, cfg.factors, strict=True)),
        chunks=cfg.chunks,
        shards=cfg.shards if cfg.version != "0.4" else None,
        compressor=cfg.numcodecs(),
        label_image=LabelImage() if cfg.labels else None,
        memory_limit=limit * 2**20,
    ):
        pass
