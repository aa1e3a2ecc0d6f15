"""Large tables and many colours of label images: kept beside the metadata, and read back as they were."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import xarray
import zarr
from hypothesis import given
from hypothesis import strategies as st

from napari_ome_ngff import (
    Collection,
    Image,
    LabelImage,
    MetadataError,
    MultiscaleSource,
    OmeNgffWarning,
    OptionError,
    create_multiscale_group,
    label_tables,
    model_multiscale_group,
    open_ome_ngff,
    write_labels,
    write_multiscale_group,
)
from napari_ome_ngff.label_tables import GROUP, LABEL, columns_of, decode_table, encode_table
from napari_ome_ngff.plugin.reader import read_layers
from napari_ome_ngff.plugin.writer import write_layers
from tests.strategies import VERSIONS

STORES = ("folder", "file", "memory")
CELLS = xarray.DataArray(np.arange(64, dtype="u4").reshape(8, 8) % 9, dims=("y", "x"))


@pytest.fixture(autouse=True)
def _everything_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is large is decided by one number."""
    monkeypatch.setattr(label_tables, "LARGEST_IN_JSON", 20)


def a_table() -> pandas.DataFrame:
    """A column of each kind that pandas, napari and JSON have."""
    return pandas.DataFrame(
        {
            LABEL: np.array([1, 2, 5, 8], "u4"),
            "area": np.array([1.5, np.nan, -np.inf, 0.0]),
            "count": np.array([1, 0, -3, 127], "i1"),
            "round": np.array([True, False, True, False]),
            "name": pandas.Series(["a", "", "\u00fc\U0001f600", "a/b\nc"]),
            "maybe": pandas.Series(["x", None, "", "y"]),
            "some": pandas.Series([1, None, 2**40, 3], dtype=object),
            "nullable": pandas.array([1, None, 3, 4], dtype="Int16"),
            "yes": pandas.array([True, None, False, True], dtype="boolean"),
            "mixed": pandas.Series([1, "one", [1, 2], {"a": None}], dtype=object),
            "type": pandas.Categorical(["t", "b", None, "t"], categories=["b", "t", "unused"], ordered=True),
            "../odd/ name": [1, 2, 3, 4],
        }
    )


def assert_same(one: Any, other: Any) -> None:
    """Two tables are the same: names in order, types, values, what is missing."""
    assert list(one) == list(other)
    for name in one:
        first, second = pandas.Series(one[name]), pandas.Series(other[name])
        pandas.testing.assert_series_equal(first, second, check_names=False, obj=name)


def target(kind: str, folder: Path, name: str = "a") -> Any:
    if kind == "memory":
        return zarr.storage.MemoryStore()
    return folder / f"{name}.{'ozx' if kind == 'file' else 'ome.zarr'}"


def write(store: Any, label_image: LabelImage, version: str = "0.5", **options: Any) -> Image:
    source = MultiscaleSource(image=CELLS, label_image=label_image)
    write_multiscale_group(
        store=store, image=CELLS, labels={"cells": source}, ngff_version=version, **options
    ).run()
    return open_ome_ngff(store)  # type: ignore[return-value]


def label_image_of(image: Image) -> LabelImage:
    multiscale = image.labels["cells"].multiscale
    assert multiscale is not None
    assert multiscale.label_image is not None
    return multiscale.label_image


ROWS = 4
TEXTS = st.text(max_size=4)
COLUMNS = st.one_of(
    st.sampled_from(["b1", "i1", "u2", "i8", "u8", "f2", "f4", "f8", ">f8", ">i4"]).flatmap(
        lambda kind: st.binary(min_size=8 * ROWS, max_size=8 * ROWS).map(
            lambda data: (
                np.frombuffer(data, "u1").view(kind)[:ROWS]
                if kind != "b1"
                else np.frombuffer(data, "u1")[:ROWS] > 99
            )
        )
    ),
    *(
        st.lists(st.one_of(st.none(), values), min_size=ROWS, max_size=ROWS).map(
            lambda values: pandas.Series(values, dtype=object)
        )
        for values in (
            st.integers(),
            st.floats(),
            st.booleans(),
            TEXTS,
            st.integers() | TEXTS | st.lists(TEXTS),
        )
    ),
    st.lists(st.one_of(st.none(), TEXTS), min_size=ROWS, max_size=ROWS).map(pandas.Categorical),
)


@given(st.dictionaries(TEXTS.filter(lambda name: name != LABEL), COLUMNS, max_size=4))
def test_a_table_is_the_same_after_it_was_stored_and_for_ever(columns: dict[str, Any]) -> None:
    table = {LABEL: np.arange(ROWS) * 3, **columns}
    attributes, arrays = encode_table(table)
    once = decode_table(json.loads(json.dumps(attributes)), arrays)
    assert list(once) == list(table)
    for name, column in columns.items():
        if isinstance(column, np.ndarray):
            np.testing.assert_array_equal(once[name], column)
            assert once[name].dtype == column.dtype.newbyteorder("=")
        elif isinstance(column, pandas.Categorical):
            assert list(pandas.Series(once[name]).cat.categories) == list(column.categories)
            assert list(once[name].codes) == list(column.codes)
        else:
            for found, given_value in zip(once[name].tolist(), column.tolist(), strict=True):
                assert type(found) is type(given_value)
                assert found == given_value or found != found
    assert all(values.ndim == 1 and values.dtype.kind in "biuf" for values in arrays.values())
    assert_same(decode_table(*encode_table(once)), once)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", STORES)
def test_what_we_write_we_open(version: str, kind: str, tmp_path: Path) -> None:
    if kind == "file" and version == "0.4":
        return
    table = a_table()
    image = write(target(kind, tmp_path), LabelImage(table=table), version)
    once = label_image_of(image)
    assert_same(once.table, {name: table[name] for name in table})
    assert not once.properties
    assert GROUP not in once.extra
    # saved again as it was read, and then once more
    for name in ("b", "c"):
        image = write(target(kind, tmp_path, name), once, version)
        assert_same(label_image_of(image).table, once.table)


@pytest.mark.parametrize("version", VERSIONS)
def test_rows_and_colours_become_columns(version: str, tmp_path: Path) -> None:
    rows = ({LABEL: 1, "area": 3, "name": "a"}, {LABEL: 2, "area": 4.5}, {LABEL: 7, "box": [1, 2]})
    colors = {value: (value, 0, 255 - value, 255) for value in range(200)}
    label_image = LabelImage(
        properties=rows, colors=colors, color_extra={3: {"note": "mine"}}, extra={"other": 1}
    )
    read = label_image_of(write(tmp_path / "a.ome.zarr", label_image, version))
    assert label_tables.rows_of(read.table or {}) == rows
    assert dict(read.colors) == colors
    assert read.color_extra == {3: {"note": "mine"}}
    assert read.extra == {"other": 1}


# In napari


def for_napari(table: pandas.DataFrame) -> pandas.DataFrame:
    return table.rename(columns={LABEL: "index"})


if find_spec("napari") is not None:
    from napari import layers
    from napari.utils.colormaps import DirectLabelColormap

    def as_layer(features: Any, **meta: Any) -> Any:
        """A Labels layer as napari hands it to a writer."""
        return layers.Labels(CELLS.values, features=features, name="cells", **meta).as_layer_data_tuple()

    def opened(path: Path) -> Any:
        """The real layer of the first label image at a place."""
        data, meta, _ = next(layer for layer in read_layers(str(path)) if layer[2] == "labels")
        return layers.Labels(data, **meta)

    def test_features_of_a_layer_come_back_with_their_types(tmp_path: Path) -> None:
        features = for_napari(a_table())
        write_layers(str(tmp_path / "a.ome.zarr"), [as_layer(features)])
        layer = opened(tmp_path / "a.ome.zarr")
        assert_same(layer.features, features)
        # saved unchanged, and with one value changed
        write_layers(str(tmp_path / "b.ome.zarr"), [layer.as_layer_data_tuple()])
        assert_same(opened(tmp_path / "b.ome.zarr").features, features)
        changed = layer.features.assign(area=[9.0, 8.0, 7.0, 6.0])
        layer.features = changed
        write_layers(str(tmp_path / "c.ome.zarr"), [layer.as_layer_data_tuple()])
        assert_same(opened(tmp_path / "c.ome.zarr").features, changed)
        layer.features = {}
        write_layers(str(tmp_path / "d.ome.zarr"), [layer.as_layer_data_tuple()])
        assert opened(tmp_path / "d.ome.zarr").features.empty

    def test_many_colours_are_shown(tmp_path: Path) -> None:
        colors: dict[int | None, Any] = {value: (value / 255, 0, 0.2, 1) for value in range(1, 200)}
        colormap = DirectLabelColormap(color_dict={**colors, None: (0, 0, 0, 0)})
        write_layers(str(tmp_path / "a.ome.zarr"), [as_layer({}, colormap=colormap)])
        assert (tmp_path / "a.ome.zarr" / GROUP / "colors").is_dir()
        shown = opened(tmp_path / "a.ome.zarr").colormap.color_dict
        for value in (1, 100, 199):
            assert tuple(np.round(shown[value] * 255)) == (value, 0, 51, 255)


# Saved onto what is there


def table_at(path: Path, name: str = "cells") -> Any:
    image = open_ome_ngff(path)
    return image.labels[name].multiscale.label_image.table  # type: ignore[union-attr]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_table_lives_and_ends_with_its_label_image(version: str, tmp_path: Path) -> None:
    path = tmp_path / "a.ome.zarr"
    write(path, LabelImage(table=a_table()), version)
    other = MultiscaleSource(image=CELLS, label_image=LabelImage(table={LABEL: [1, 2], "mine": [3, 4]}))
    write_labels(store=path, labels={"other": other}).run()
    assert_same(table_at(path), a_table())
    assert list(table_at(path, "other")["mine"]) == [3, 4]
    # the image is replaced: its label images stay
    write_multiscale_group(store=path, image=CELLS, ngff_version=version, overwrite=True).run()
    assert_same(table_at(path), a_table())
    # replaced by itself as it was read, and by others
    again = MultiscaleSource(image=CELLS, label_image=LabelImage(table=table_at(path)))
    write_labels(store=path, labels={"cells": again}, overwrite=True).run()
    assert_same(table_at(path), a_table())
    small = MultiscaleSource(image=CELLS, label_image=LabelImage(table={LABEL: [7, 8], "new": ["n", "m"]}))
    write_labels(store=path, labels={"cells": small}, overwrite=True).run()
    assert list(table_at(path)) == [LABEL, "new"]
    write_labels(store=path, labels={"cells": MultiscaleSource(image=CELLS)}, overwrite=True).run()
    assert table_at(path) is None
    assert not (path / "labels" / "cells" / GROUP).exists()
    assert (path / "labels" / "other" / GROUP).exists()


def test_a_small_table_stays_in_the_metadata(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_tables, "LARGEST_IN_JSON", 10_000)
    layer = CELLS.values, {"name": "cells", "features": for_napari(a_table())}, "labels"
    write_layers(str(tmp_path / "a.ome.zarr"), [layer])
    assert not (tmp_path / "a.ome.zarr" / GROUP).exists()
    attributes: Any = zarr.open_group(tmp_path / "a.ome.zarr", mode="r").attrs.asdict()
    numbers = {"area": 1.5, "count": 1, "some": 1, "nullable": 1, "mixed": 1, "../odd/ name": 1}
    rest = {"round": True, "name": "a", "maybe": "x", "yes": True, "type": "t"}
    assert attributes["ome"]["image-label"]["properties"][0] == {LABEL: 1, **numbers, **rest}


# What can go wrong


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    about = json.loads(path.read_text())
    change(about)
    path.write_text(json.dumps(about))


@pytest.mark.parametrize(
    "damage",
    [
        lambda group: next(group.glob("1-values/c/*")).unlink(),
        lambda group: (group / "1-values" / "zarr.json").unlink(),
        lambda group: next(group.glob("1-values/c/*")).write_bytes(b"nonsense"),
        lambda group: (group / "zarr.json").unlink(),
        lambda group: edit(group / "zarr.json", lambda about: about["attributes"].update(rows=10**12)),
        lambda group: edit(group / "zarr.json", lambda about: about["attributes"].update(columns=[{}])),
        lambda group: edit(group / "zarr.json", lambda about: about["attributes"].update(version=2)),
        lambda group: edit(
            group / "zarr.json", lambda about: about["attributes"]["columns"][0].update(name="?")
        ),
        lambda group: edit(
            group / "zarr.json", lambda about: about["attributes"]["columns"][0].update(name=[1])
        ),
        lambda group: edit(group / "1-values" / "zarr.json", lambda about: about.update(shape=[10**12])),
        lambda group: edit(group / "1-values" / "zarr.json", lambda about: about.update(shape=[10**6])),
    ],
)
def test_an_unreadable_table_does_not_take_the_image_with_it(
    damage: Callable[[Path], None], tmp_path: Path
) -> None:
    path = tmp_path / "a.ome.zarr"
    write(path, LabelImage(table=a_table(), colors={1: (1, 2, 3, 4)}))
    damage(path / "labels" / "cells" / GROUP / "properties")
    image = open_ome_ngff(path)
    assert isinstance(image, Image)
    with pytest.raises(MetadataError, match=r"table of a label image|too large|damaged"):
        dict(label_image_of(image).table or {})
    with pytest.warns(OmeNgffWarning, match="properties of label image 'cells' are left out"):
        layers = read_layers(str(path))
    assert "features" not in layers[-1][1]
    assert layers[-1][1]["colormap"][1][0] == 1 / 255


@pytest.mark.parametrize(
    "table",
    [
        {"area": [1, 2]},
        {LABEL: [1, 1], "area": [1, 2]},
        {LABEL: [1.5, 2], "area": [1, 2]},
        {LABEL: ["1", "2"], "area": [1, 2]},
        {LABEL: [1, None], "area": [1, 2]},
        {LABEL: [1, 2], "area": [1]},
    ],
)
def test_what_is_no_table_is_refused_before_the_first_byte(table: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(MetadataError):
        write(tmp_path / "a.ome.zarr", LabelImage(table=table))
    assert not (tmp_path / "a.ome.zarr").exists()


def test_a_model_without_its_tables_is_not_created(tmp_path: Path) -> None:
    source = MultiscaleSource(image=CELLS, label_image=LabelImage(table=a_table()))
    model = model_multiscale_group(sources={"": source})
    with pytest.raises(OptionError, match="too large for its metadata"):
        create_multiscale_group(store=tmp_path / "a.ome.zarr", model=model)
    assert not list(tmp_path.iterdir())


def test_tables_of_the_fields_of_a_plate_are_one(tmp_path: Path) -> None:
    rows = {"A/1": {LABEL: [1, 2], "area": [10, 20]}, "A/2": {LABEL: [2, 3], "area": [99, 30]}}
    zarr.open_group(
        tmp_path / "p.zarr",
        attributes={
            "ome": {
                "version": "0.5",
                "plate": {
                    "columns": [{"name": "1"}, {"name": "2"}],
                    "rows": [{"name": "A"}],
                    "wells": [{"path": path, "rowIndex": 0, "columnIndex": i} for i, path in enumerate(rows)],
                },
            }
        },
    )
    for path, table in rows.items():
        well = {"version": "0.5", "well": {"images": [{"path": "0"}]}}
        zarr.open_group(tmp_path / "p.zarr" / path, attributes={"ome": well})
        source = MultiscaleSource(image=CELLS, label_image=LabelImage(table=table))
        write_multiscale_group(
            store=tmp_path / "p.zarr", path=f"{path}/0", image=CELLS, labels={"cells": source}
        ).run()
    plate = open_ome_ngff(tmp_path / "p.zarr")
    assert isinstance(plate, Collection)
    (image,) = plate.images.values()
    table = label_image_of(image).table or {}
    assert list(table[LABEL]) == [1, 2, 3]
    assert list(table["area"]) == [10, 20, 30]


def test_rows_of_the_same_names_are_a_table_however_many() -> None:
    rows = [{LABEL: i, "area": i} for i in range(300_000)]
    assert len(columns_of(rows)["area"]) == len(rows)


def test_rows_of_names_of_their_own_are_no_table_and_stay_where_they_are(tmp_path: Path) -> None:
    rows = tuple({LABEL: i, f"area {i}": i} for i in range(1, 3000))
    with pytest.raises(MetadataError, match="different names"):
        columns_of(rows)
    source = MultiscaleSource(image=CELLS, label_image=LabelImage(properties=rows))
    write_multiscale_group(store=tmp_path / "a.zarr", image=CELLS, labels={"cells": source}).run()
    opened = open_ome_ngff(tmp_path / "a.zarr")
    assert isinstance(opened, Image)
    assert opened.labels["cells"].multiscale.label_image.properties == rows  # type: ignore[union-attr]
    with pytest.warns(OmeNgffWarning, match="properties of label image 'cells' are left out"):
        layers = read_layers(str(tmp_path / "a.zarr"))
    assert len(layers) == 2
