"""Metadata and empty arrays: what is modelled, what is refused, and that nothing of others is lost."""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import xarray
import zarr
import zarr.codecs

from napari_ome_ngff import (
    Channel,
    CoordinateError,
    DaskArrayWrapper,
    LabelImage,
    MetadataError,
    MultiscaleSource,
    OptionError,
    StorageOptions,
    TargetError,
    create_multiscale_group,
    model_multiscale_group,
    plan_hierarchy,
    read_multiscale_group,
    write_hierarchy,
)
from tests.strategies import DTYPES, VERSIONS


def square(size: int = 8, dtype: str = "uint8") -> xarray.DataArray:
    data = np.arange(size * size).reshape(size, size).astype(dtype)
    return xarray.DataArray(data, dims=("y", "x"))


@pytest.mark.parametrize("version", VERSIONS)
def test_the_default_compressor_and_its_block_size_are_in_the_metadata(version: str) -> None:
    group = create_multiscale_group(
        store=zarr.storage.MemoryStore(), arrays={"s0": square(dtype="uint16")}, ngff_version=version
    )
    about = group["s0"].metadata.to_dict()
    if version == "0.4":
        expected = {"id": "blosc", "cname": "zstd", "clevel": 1, "shuffle": 1, "blocksize": 2**20}
        assert about["compressor"] == expected
    else:
        settings = {"cname": "zstd", "clevel": 1, "shuffle": "shuffle", "typesize": 2, "blocksize": 2**20}
        assert about["codecs"][1] == {"name": "blosc", "configuration": settings}


@pytest.mark.parametrize(("version", "zarr_format"), [("0.4", 2), ("0.5", 3), ("0.6", 3)])
def test_each_version_has_its_zarr_format_separator_and_names(
    tmp_path: Path, version: str, zarr_format: int
) -> None:
    group = create_multiscale_group(store=tmp_path / "a.zarr", arrays={"s0": square()}, ngff_version=version)
    array = group["s0"]
    assert (group.metadata.zarr_format, array.metadata.zarr_format) == (zarr_format, zarr_format)
    array[...] = 1
    if zarr_format == 2:
        assert (tmp_path / "a.zarr/s0/0/0").exists()
    else:
        assert array.metadata.dimension_names == ("y", "x")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_keeps_its_values_and_byte_order(dtype: str, version: str) -> None:
    image = square(dtype=dtype)
    group = create_multiscale_group(
        store=zarr.storage.MemoryStore(), arrays={"s0": image}, ngff_version=version
    )
    group["s0"][...] = image.values
    np.testing.assert_array_equal(group["s0"][...], image.values)
    assert group["s0"].dtype.newbyteorder("=") == np.dtype(dtype).newbyteorder("=")


@pytest.mark.parametrize(
    ("codec", "expected"),
    [
        (numcodecs.Zstd(level=5), {"name": "zstd", "configuration": {"level": 5, "checksum": False}}),
        (numcodecs.GZip(level=2), {"name": "gzip", "configuration": {"level": 2}}),
        (
            numcodecs.Blosc(cname="zstd", clevel=1, shuffle=2, blocksize=2**20),
            {
                "name": "blosc",
                "configuration": {
                    "cname": "zstd",
                    "clevel": 1,
                    "shuffle": "bitshuffle",
                    "typesize": 2,
                    "blocksize": 2**20,
                },
            },
        ),
        (zarr.codecs.ZstdCodec(level=7), {"name": "zstd", "configuration": {"level": 7, "checksum": False}}),
    ],
)
def test_compressors_are_mapped_to_zarr_v3(codec: object, expected: dict[str, object]) -> None:
    spec = model_multiscale_group(arrays={"s0": square(dtype="uint16")}, ngff_version="0.5", compressor=codec)
    assert spec.members["s0"].codecs[1] == expected
    group = spec.to_zarr(zarr.storage.MemoryStore(), "a")
    group["s0"][...] = 3
    assert int(group["s0"][...].sum()) == 3 * 64


@pytest.mark.parametrize(
    ("codec", "block"),
    [
        (numcodecs.Blosc(cname="zstd", clevel=3), 2**19),
        (zarr.codecs.BloscCodec(cname="zstd", clevel=3), 2**19),
        ({"id": "blosc", "cname": "zstd", "clevel": 3}, 2**19),
        (numcodecs.Blosc(cname="zstd", clevel=3, blocksize=2**16), 2**16),
        (numcodecs.Blosc(cname="lz4"), 0),
    ],
)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_block_that_is_left_open_is_the_one_that_is_fast_with_zstd(
    codec: object, block: int, version: str
) -> None:
    group = create_multiscale_group(
        store=zarr.storage.MemoryStore(), arrays={"s0": square()}, ngff_version=version, compressor=codec
    )
    (found,) = group["s0"].compressors
    config = found.get_config() if version == "0.4" else found.to_dict()["configuration"]
    assert config["blocksize"] == block
    group["s0"][...] = 3
    assert int(group["s0"][...].sum()) == 3 * 64


def test_no_compressor_means_none() -> None:
    for version in VERSIONS:
        store = zarr.storage.MemoryStore()
        group = create_multiscale_group(
            store=store, arrays={"s0": square()}, ngff_version=version, compressor=None
        )
        assert group["s0"].compressors == ()


def test_a_compressor_without_counterpart_is_refused() -> None:
    with pytest.raises(OptionError, match="'lzma' has no counterpart in Zarr v3"):
        model_multiscale_group(arrays={"s0": square()}, ngff_version="0.5", compressor=numcodecs.LZMA())
    model_multiscale_group(arrays={"s0": square()}, ngff_version="0.4", compressor=numcodecs.LZMA())


def test_chunks_may_be_one_shape_or_one_per_level() -> None:
    arrays = {"s0": square(8), "s1": square(4)}
    one = model_multiscale_group(arrays=arrays, chunks=(5, 8))
    each = model_multiscale_group(arrays=arrays, chunks=((2, 2), (4, 1)))
    assert [one.members[p].chunks for p in arrays] == [(5, 8), (4, 4)]
    assert [each.members[p].chunks for p in arrays] == [(2, 2), (4, 1)]
    last = model_multiscale_group(arrays=arrays, chunks=(2,))
    assert [last.members[p].chunks for p in arrays] == [(1, 2), (1, 2)], "as they are written"
    for wrong in ((1, 2, 2), (0, 2), ((2, 2),), "large"):
        with pytest.raises(OptionError, match="chunks do not fit"):
            model_multiscale_group(arrays=arrays, chunks=wrong)


def test_nested_level_paths_make_the_groups_on_their_way() -> None:
    group = create_multiscale_group(
        store=zarr.storage.MemoryStore(), arrays={"scale0/image": square(8), "scale1/image": square(4)}
    )
    assert list(read_multiscale_group(group)) == ["scale0/image", "scale1/image"]


def test_fill_values_are_of_the_dtype() -> None:
    for version in VERSIONS:
        group = create_multiscale_group(
            store=zarr.storage.MemoryStore(),
            arrays={"s0": square(dtype="float32")},
            ngff_version=version,
            fill_value=np.nan,
        )
        assert np.isnan(group["s0"][...]).all()
        with pytest.raises(OptionError, match="fill value -1 is no value of type uint8"):
            model_multiscale_group(arrays={"s0": square()}, ngff_version=version, fill_value=-1)


def test_transform_precision_rounds() -> None:
    image = square(4).assign_coords(y=np.arange(4) / 3)
    model = model_multiscale_group(arrays={"s0": image}, transform_precision=2)
    transform, *_ = model.attributes["multiscales"][0]["datasets"][0]["coordinateTransformations"]
    assert transform["scale"] == [0.33, 1.0]
    with pytest.raises(OptionError, match="transform_precision=0 rounds the scale of axis 'y' to 0"):
        model_multiscale_group(arrays={"s0": image}, transform_precision=0)


def test_what_the_specification_forbids_is_refused() -> None:
    with pytest.raises(MetadataError, match="larger than"):
        model_multiscale_group(arrays={"s0": square(4), "s1": square(8)})
    with pytest.raises(MetadataError, match="different data types"):
        model_multiscale_group(arrays={"s0": square(8), "s1": square(4, "uint16")})
    with pytest.raises(MetadataError):
        model_multiscale_group(arrays={"s0": xarray.DataArray(np.zeros((2, 2, 2)), dims=("x", "t", "y"))})
    with pytest.raises(MetadataError):
        model_multiscale_group(arrays={"s0": xarray.DataArray(np.zeros(3), dims=("x",))})
    with pytest.raises(CoordinateError):
        model_multiscale_group(arrays={})
    with pytest.raises(OptionError, match=r"0\.3"):
        model_multiscale_group(arrays={"s0": square()}, ngff_version="0.3")
    with pytest.raises(OptionError, match="cannot be stored"):
        model_multiscale_group(arrays={"s0": xarray.DataArray(np.array([["a", "b"]]), dims=("y", "x"))})


@pytest.mark.parametrize("version", VERSIONS)
def test_an_existing_group_is_not_touched_without_overwrite(tmp_path: Path, version: str) -> None:
    store = tmp_path / "a.zarr"
    group = create_multiscale_group(store=store, arrays={"s0": square()}, ngff_version=version)
    group["s0"][...] = 5
    with pytest.raises(TargetError):
        create_multiscale_group(store=store, arrays={"s0": square(4)}, ngff_version=version)
    assert (zarr.open_group(store, mode="r")["s0"][...] == 5).all()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", ["local", "memory"])
def test_what_is_not_ours_survives_an_overwrite(tmp_path: Path, version: str, kind: str) -> None:
    store = tmp_path / "a.zarr" if kind == "local" else zarr.storage.MemoryStore()
    group = create_multiscale_group(
        store=store, arrays={"s0": square(8), "s1": square(4), "s2": square(2)}, ngff_version=version
    )
    group.attrs["mine"] = {"kept": True}
    labels = group.create_group("labels")
    labels.attrs["labels"] = ["cells"]
    table = group.create_array("table", shape=(3,), dtype="uint8")
    table[...] = 7
    after = create_multiscale_group(
        store=store, arrays={"s0": square(6), "s1": square(3)}, ngff_version=version, overwrite=True
    )
    assert after.attrs["mine"] == {"kept": True}
    assert after["labels"].attrs["labels"] == ["cells"]
    assert (after["table"][...] == 7).all()
    assert list(read_multiscale_group(after)) == ["s0", "s1"]
    assert "s2" not in after, "the levels of before are gone"


@pytest.mark.parametrize("wrapper", [None, DaskArrayWrapper()])
@pytest.mark.parametrize("kind", ["local", "memory"])
def test_a_group_that_is_being_read_is_not_emptied(tmp_path: Path, wrapper: object, kind: str) -> None:
    store = tmp_path / "a.zarr" if kind == "local" else zarr.storage.MemoryStore()
    group = create_multiscale_group(store=store, arrays={"s0": square()})
    group["s0"][...] = 9
    levels = read_multiscale_group(group, **({"array_wrapper": wrapper} if wrapper else {}))
    with pytest.raises(TargetError, match="read from the group"):
        create_multiscale_group(store=store, arrays=levels, overwrite=True)
    changed = {"s0": (levels["s0"] + 1).astype("uint8").isel(y=slice(2, None))} if wrapper else levels
    with pytest.raises(TargetError, match="read from the group"):
        create_multiscale_group(store=store, arrays=changed, overwrite=True)
    assert (group["s0"][...] == 9).all()


# --- one way from a model to a file


def hierarchy() -> dict[str, MultiscaleSource]:
    image = xarray.DataArray(
        np.arange(2 * 64 * 64, dtype="uint16").reshape(2, 64, 64),
        dims=("c", "y", "x"),
        name="cells",
        attrs={"mine": 1},
    )
    labels = MultiscaleSource(image=image[0].astype("uint8"), label_image=LabelImage())
    return {
        "": MultiscaleSource(image=image, levels=3, channels=(Channel(label="a"), Channel(label="b"))),
        "labels/nuclei": labels,
        "labels/cells": labels,
    }


def several() -> dict[str, MultiscaleSource]:
    sources = hierarchy()
    return {"0": sources[""], "0/labels/cells": sources["labels/cells"], "1": sources[""]}


def without_window(content: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in content.items() if key != "window"}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("sources", [hierarchy(), several()], ids=["one", "several"])
def test_what_is_modelled_is_what_is_created_and_what_is_written(
    sources: dict[str, MultiscaleSource], version: str, tmp_path: Path
) -> None:
    model = model_multiscale_group(sources=sources, ngff_version=version, chunks=(1, 32, 32))
    create_multiscale_group(store=tmp_path / "created.zarr", model=model)
    write_hierarchy(
        store=tmp_path / "written.zarr", sources=sources, ngff_version=version, chunks=(1, 32, 32)
    ).run()
    plan = plan_hierarchy(sources=sources, ngff_version=version, chunks=(1, 32, 32))
    assert plan.model == model
    names = {"zarr.json", ".zarray", ".zattrs", ".zgroup"}
    documents = [
        {
            # The contrast of channels is that of the pixels: no model knows it.
            str(path.relative_to(tmp_path / name)): json.loads(path.read_bytes(), object_hook=without_window)
            for path in (tmp_path / name).rglob("*")
            if path.name in names
        }
        for name in ("created.zarr", "written.zarr")
    ]
    assert documents[0] == documents[1]
    assert len(documents[0]) > 8


def test_pixels_fill_what_was_modelled_and_nothing_else() -> None:
    store, options = zarr.storage.MemoryStore(), StorageOptions(chunks=(1, 32, 32))
    model = model_multiscale_group(sources=hierarchy(), options=options)
    create_multiscale_group(store=store, model=model, pixels=hierarchy(), options=options).run()
    group, image = zarr.open_group(store, mode="r"), hierarchy()[""].image
    assert image is not None
    np.testing.assert_array_equal(group["0"][...], image.values)
    for wrong in ({"pixels": several(), "options": options}, {"pixels": hierarchy()}):
        empty = zarr.storage.MemoryStore()
        with pytest.raises(OptionError, match="The model is of other pixels"):
            create_multiscale_group(store=empty, model=model, **wrong)
        assert not empty._store_dict


def test_a_plan_is_written_and_modelled_as_the_sources_that_it_is_of(tmp_path: Path) -> None:
    options = StorageOptions(chunks=(1, 32, 32))
    plan = plan_hierarchy(sources=hierarchy(), options=options)
    assert model_multiscale_group(sources=plan, options=options) == plan.model
    assert plan_hierarchy(sources=plan, options=options, workers=plan.workers + 1) is plan
    planned, given = tmp_path / "planned.zarr", tmp_path / "given.zarr"
    create_multiscale_group(store=planned, model=plan.model, pixels=plan, options=options).run()
    write_hierarchy(store=given, sources=hierarchy(), options=options).run()
    assert contents(planned) == contents(given)


def test_a_plan_is_written_where_and_as_it_was_planned(tmp_path: Path) -> None:
    options = StorageOptions(chunks=(1, 32, 32))
    plan = plan_hierarchy(sources=hierarchy(), options=options)
    other = model_multiscale_group(sources=several(), options=options)
    with pytest.raises(OptionError, match="The model is of other pixels"):
        create_multiscale_group(store=tmp_path / "a.zarr", model=other, pixels=plan, options=options)
    with ProcessPoolExecutor(1) as processes:
        for store, more in (
            (tmp_path / "a.zarr", {}),
            (tmp_path / "a.ozx", {"options": options}),
            (zarr.storage.MemoryStore(), {"options": options}),
            (tmp_path / "a.zarr", {"options": options, "executor": processes}),
        ):
            with pytest.raises(OptionError, match="The plan is for other options"):
                create_multiscale_group(store=store, model=plan.model, pixels=plan, **more)
    assert not list(tmp_path.iterdir())


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_pixels_are_given_alone_and_what_is_for_them_not_without() -> None:
    store = zarr.storage.MemoryStore()
    with pytest.raises(OptionError, match="Give either arrays"):
        create_multiscale_group(store=store, arrays={"s0": square()}, pixels=hierarchy())
    with ThreadPoolExecutor() as executor:
        for more in ({"verify": True}, {"executor": executor}):
            with pytest.raises(OptionError, match="are for pixels"):
                create_multiscale_group(store=store, arrays={"s0": square()}, **more)
    assert not store._store_dict


@pytest.mark.parametrize("version", VERSIONS)
def test_a_model_is_the_one_that_arrays_make(version: str) -> None:
    arrays = {"s0": square(8), "s1": square(4)}
    model = model_multiscale_group(arrays=arrays, ngff_version=version)
    one, other = zarr.storage.MemoryStore(), zarr.storage.MemoryStore()
    create_multiscale_group(store=one, model=model)
    create_multiscale_group(store=other, arrays=arrays, ngff_version=version)
    assert {k: v.to_bytes() for k, v in one._store_dict.items()} == {
        k: v.to_bytes() for k, v in other._store_dict.items()
    }


def test_a_model_is_given_without_other_options() -> None:
    model = model_multiscale_group(arrays={"s0": square()})
    store = zarr.storage.MemoryStore()
    for more in ({"arrays": {"s0": square()}}, {"chunks": (4, 4)}, {"ngff_version": "0.5"}):
        with pytest.raises(OptionError, match="A model already says"):
            create_multiscale_group(store=store, model=model, **more)
    for wrong in ({}, {"arrays": {"s0": square()}, "sources": hierarchy()}):
        with pytest.raises(OptionError, match="Give either arrays"):
            model_multiscale_group(**wrong)


def test_a_chunk_of_any_size_is_modelled() -> None:
    large = xarray.DataArray(np.broadcast_to(np.uint8(0), (2**15, 2**15)), dims=("y", "x"))
    model = model_multiscale_group(arrays={"s0": large}, chunks=(2**15, 2**15))
    assert model.members["s0"].chunks == (2**15, 2**15)


@pytest.mark.parametrize("version", VERSIONS)
def test_groups_that_are_made_above_are_of_the_same_zarr_format(version: str, tmp_path: Path) -> None:
    create_multiscale_group(
        store=tmp_path / "c.zarr", path="a/b", arrays={"s0": square()}, ngff_version=version
    )
    sources, options = {"": MultiscaleSource(image=square())}, StorageOptions(version=version)
    write_hierarchy(store=tmp_path / "w.zarr", path="a/b", sources=sources, options=options).run()
    for place in ("w.zarr", "w.zarr/a", "c.zarr", "c.zarr/a"):
        group = zarr.open_group(tmp_path / place, mode="r")
        assert group.metadata.zarr_format == (2 if version == "0.4" else 3)
