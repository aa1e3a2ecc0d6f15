"""OME-Zarr 0.5: everything of 0.4 (see test_v04), under one key with one version."""

from __future__ import annotations

from typing import Any

import pytest

from napari_ome_ngff.errors import NotOmeNgffError
from napari_ome_ngff.metadata.versions import decode, encode
from tests.metadata.test_v04 import IMAGE, entry


def test_it_reads_like_0_4_from_another_place() -> None:
    (old,) = decode({"multiscales": [entry(name="cells")]}, where="")
    (new,) = decode({"ome": {"version": "0.5", "multiscales": [entry(name="cells")]}}, where="")
    assert (old.version, new.version) == ("0.4", "0.5")
    assert (old.axes, old.levels, old.name) == (new.axes, new.levels, new.name)


def test_the_version_is_written_once() -> None:
    own = encode(IMAGE, "0.5")["ome"]
    assert own["version"] == "0.5"
    assert "version" not in own["multiscales"][0]


@pytest.mark.parametrize("own", [None, [], "0.5", 5])
def test_the_place_must_be_an_object(own: Any) -> None:
    with pytest.raises(NotOmeNgffError) as caught:
        decode({"ome": own}, where="a.zarr")
    assert caught.value.where == "a.zarr"
