"""``engine="ome-ngff"`` of xarray: what it opens, what it leaves to others, and that nothing stays open."""

from __future__ import annotations

import pickle
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr

from napari_ome_ngff import Image, OptionError, StorageError, open_ome_ngff, write_hierarchy
from napari_ome_ngff.reading.xarray_engine import OmeNgffBackend
from napari_ome_ngff.writing.plan.write_plan import MultiscaleSource

ENGINE = "ome-ngff"


def pixels(shape: tuple[int, ...] = (4, 32, 48), dtype: str = "u2") -> xr.DataArray:
    values = np.random.default_rng(0).integers(1, 99, shape).astype(dtype)
    coords = {
        dim: (dim, 5 + 0.5 * np.arange(n), {"units": "micrometer"})
        for dim, n in zip("zyx", shape, strict=True)
    }
    return xr.DataArray(values, dims=tuple("zyx"), coords=coords, name="cells")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("engine") / "a.ome.zarr")


def written(target: Path) -> Path:
    sources = {
        "": MultiscaleSource(image=pixels(), levels=2, attributes={"lab": {"room": 7}}),
        "labels/nuclei": MultiscaleSource(image=pixels(dtype="u1"), levels=2),
    }
    write_hierarchy(store=target, sources=sources, chunks=(2, 16, 16)).run()
    return target


def test_the_engine_is_installed() -> None:
    (declared,) = [each for each in entry_points(group="xarray.backends") if each.name == ENGINE]
    assert declared.load() is OmeNgffBackend


def test_a_tree_has_the_levels_and_the_label_images_below(folder: Path) -> None:
    opened = open_ome_ngff(folder)
    with xr.open_datatree(folder, engine=ENGINE) as tree:
        assert list(tree.children) == ["0", "1", "labels"]
        assert list(tree["labels/nuclei"].children) == ["0", "1"]
        for path, level in opened.arrays.items():
            xr.testing.assert_identical(tree[path]["image"].rename("cells"), level)
        for path, level in opened.labels["nuclei"].arrays.items():
            assert tree[f"labels/nuclei/{path}"]["image"].equals(level)
        assert tree["0"].z.attrs == {"units": "micrometer", "type": "space", "scale": 0.5}
        assert tree.attrs == zarr.open_group(folder, mode="r").attrs.asdict()
        assert tree.attrs["lab"] == {"room": 7}


@pytest.mark.parametrize(
    ("group", "path"),
    [
        (None, "0"),
        (0, "0"),
        (1, "1"),
        ("1", "1"),
        ("/1/", "1"),
        ("labels/nuclei", "labels/nuclei/0"),
        ("labels/nuclei/1", "labels/nuclei/1"),
    ],
)
def test_a_dataset_is_one_level(folder: Path, group: str | int | None, path: str) -> None:
    tree = xr.open_datatree(folder, engine=ENGINE)
    dataset = xr.open_dataset(folder, engine=ENGINE, group=group)
    xr.testing.assert_identical(dataset["image"], tree[path]["image"])
    assert dataset.attrs == tree[path].parent.attrs


@pytest.mark.parametrize("group", ["2", 2, -1, "labels", "nuclei"])
def test_a_level_that_is_not_there_is_named(folder: Path, group: str | int) -> None:
    with pytest.raises(OptionError, match=r"There is no level .*\n(.*\n)*Found: 0, 1, labels/nuclei/0"):
        xr.open_dataset(folder, engine=ENGINE, group=group)


@pytest.mark.parametrize("group", ["labels/nuclei", "/labels", "1", "/"])
def test_a_tree_may_begin_below(folder: Path, group: str) -> None:
    tree = xr.open_datatree(folder, engine=ENGINE)
    part = xr.open_datatree(folder, engine=ENGINE, group=group)
    expected = tree if group == "/" else tree[group]
    paths = [[node.relative_to(root) for node in root.subtree] for root in (part, expected)]
    assert paths[0] == paths[1]
    for one, other in zip(part.subtree, expected.subtree, strict=True):
        xr.testing.assert_identical(one.to_dataset(), other.to_dataset())
    with pytest.raises(OptionError, match="There is no level 'labels/other'"):
        xr.open_datatree(folder, engine=ENGINE, group="labels/other")


def test_a_series_of_images_is_one_image(folder: Path) -> None:
    movie = xr.open_mfdataset(
        [folder, folder], engine=ENGINE, combine="nested", concat_dim="t", group="1", combine_attrs="override"
    )
    store = zarr.storage.MemoryStore()
    write_hierarchy(store=store, sources=movie.transpose("t", ...)).run()
    opened = open_ome_ngff(store)
    assert isinstance(opened, Image)
    assert opened.arrays["0"].shape == (2, 2, 16, 24)
    assert opened.attributes["lab"] == {"room": 7}


def test_nothing_is_read_before_it_is_asked_for(folder: Path, tmp_path: Path) -> None:
    copy = written(tmp_path / "b.ome.zarr")
    for chunk in [*copy.rglob("c/*/*/*")]:
        chunk.write_bytes(b"damaged")
    tree = xr.open_datatree(copy, engine=ENGINE)
    assert not any(node["image"]._in_memory for node in tree.leaves)
    with pytest.raises(StorageError, match="could not be read"):
        tree["1/image"].sum().values  # noqa: B018


def test_chunks_make_dask_arrays_of_the_stored_chunks(folder: Path) -> None:
    level = xr.open_dataset(folder, engine=ENGINE, chunks={})["image"]
    assert level.chunks == ((2, 2), (16, 16), (16, 16, 16))
    np.testing.assert_array_equal(level.compute(scheduler="sync"), pixels())
    tree = xr.open_datatree(folder, engine=ENGINE, chunks={"z": 4})
    assert tree["0/image"].chunks == ((4,), (16, 16), (16, 16, 16))


def test_a_tree_pickles(folder: Path) -> None:
    tree = pickle.loads(pickle.dumps(xr.open_datatree(folder, engine=ENGINE)))
    np.testing.assert_array_equal(tree["0/image"], pixels())


def test_single_files_are_closed(tmp_path: Path) -> None:
    """That no file stays open is checked after every test."""
    target = written(tmp_path / "a.ozx")
    with xr.open_datatree(target) as tree:
        np.testing.assert_array_equal(tree["0/image"][1], pixels()[1])
    with xr.open_dataset(target, group="1") as dataset:
        assert dataset["image"].shape == (2, 16, 24)


def test_several_images_are_groups_of_their_names(tmp_path: Path) -> None:
    sources = {str(i): MultiscaleSource(image=pixels(), name=f"image {i}", levels=1) for i in range(2)}
    target = tmp_path / "a.ome.zarr"
    write_hierarchy(store=target, sources=sources).run()
    names = list(open_ome_ngff(target).images)  # type: ignore[union-attr]
    tree = xr.open_datatree(target, engine=ENGINE)
    assert list(tree.children) == names
    for name in names:
        assert tree[name]["0/image"].equals(pixels())
        assert xr.open_dataset(tmp_path / "a.ome.zarr", engine=ENGINE, group=name)["image"].shape == (
            4,
            32,
            48,
        )


def test_the_engine_is_guessed_where_nobody_else_is_meant(folder: Path, tmp_path: Path) -> None:
    guess = OmeNgffBackend().guess_can_open
    assert guess(folder)
    assert guess(f"{folder}/")
    assert guess("https://example.org/a/b.ome.zarr?signature=1")
    assert guess("s3://bucket/b.OME.zarr/")
    assert xr.open_datatree(folder)["0/image"].equals(pixels())
    # xarray's own, also with our ending; what is not there; what is no path
    xr.Dataset({"a": ("x", [1, 2])}).to_zarr(tmp_path / "plain.ome.zarr", zarr_format=2)
    assert xr.open_dataset(tmp_path / "plain.ome.zarr")["a"].values.tolist() == [1, 2]
    plain = written(tmp_path / "b.zarr")
    others = [plain, f"{plain}/", "https://example.org/b.zarr", "a.nc", tmp_path / "c.ome.zarr", b"CDF", 3]
    assert not any(map(guess, others))
    assert xr.open_datatree(plain, engine=ENGINE)["0/image"].equals(pixels())


def test_variables_can_be_left_out_and_views_chosen(folder: Path) -> None:
    assert not xr.open_dataset(folder, engine=ENGINE, drop_variables="image").data_vars
    assert not xr.open_datatree(folder, engine=ENGINE, drop_variables=["image"], multiscale=0)["0"].data_vars
    assert xr.open_dataset(folder, engine=ENGINE, drop_variables=["nothing"]).data_vars
