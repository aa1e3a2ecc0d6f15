"""How other programs spell an address: the place that it stands for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from napari_ome_ngff import open_ome_ngff
from napari_ome_ngff.reading.sniff import is_likely_ome_ngff
from napari_ome_ngff.storage.places.location import group_location
from napari_ome_ngff.storage.places.object_store import connect, remote_location
from tests.cases.build import image


@pytest.mark.parametrize(
    ("spelling", "usual"),
    [
        ("gcs://bucket/a.zarr", "gs://bucket/a.zarr"),
        ("s3a://bucket/a.zarr/", "s3://bucket/a.zarr"),
        ("abfs://container/a.zarr", "az://container/a.zarr"),
        ("abfss://container@account.dfs.core.windows.net/a.zarr", None),
        ("zarr://s3://bucket/a.zarr", "s3://bucket/a.zarr"),
        ("zarr3://https://host/a.zarr/", "https://host/a.zarr"),
        ("https://host/a.zarr/|zarr3:", "https://host/a.zarr"),
        ("gcs://bucket/a.zarr|zarr2:s0", "gs://bucket/a.zarr/s0"),
        ("/data/a.zip|zip:inner/|zarr3:", "/data/a.zip/inner"),
        ("/data/a|b.zarr", None),
        ("C:\\data\\a.zarr", None),
    ],
)
def test_a_spelling_stands_for_a_place(spelling: str, usual: str | None) -> None:
    assert group_location(spelling) == (spelling if usual is None else usual)
    assert group_location(group_location(spelling)) == group_location(spelling)


def test_the_account_in_an_address_of_azure_is_used() -> None:
    url = "abfss://container@account.dfs.core.windows.net/a.zarr"
    store = connect(url, {}, signed=False, timeouts={}, retry=False)
    assert store.config["account_name"] == "account"
    assert remote_location(store) == "az://container/a.zarr"


@pytest.mark.parametrize("form", ["zarr://{}", "zarr2://{}/", "{}|zarr2:", "{}/|zarr:", "file://{}|zarr2:"])
def test_local_images_open_in_the_spelling_of_neuroglancer(form: str, tmp_path: Path) -> None:
    place = form.format(image(tmp_path / "a.zarr"))
    opened: Any = open_ome_ngff(place)
    assert opened.multiscale.name == "cells"
    assert is_likely_ome_ngff(place)
