"""Warnings are collected for who asked, and for nobody else: `warnings.filters` are of the whole process."""

from __future__ import annotations

import contextvars
import json
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from napari_ome_ngff import OmeNgffWarning, check_ome_ngff, open_ome_ngff, save_ome_ngff
from napari_ome_ngff.errors import collected_warnings, give_warning
from napari_ome_ngff.plugin.save.form import Form
from napari_ome_ngff.plugin.save.request import preview


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    """An image that is read with a warning: one of its levels is not there."""
    import numpy as np

    place = tmp_path / "faulty.ome.zarr"
    save_ome_ngff(place, np.zeros((64, 64), "uint8"), axes="yx", levels=2)
    document = json.loads((place / "zarr.json").read_text())
    document["attributes"]["ome"]["multiscales"][0]["datasets"][1]["path"] = "gone"
    (place / "zarr.json").write_text(json.dumps(document))
    return place


def test_what_is_collected_is_not_given() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with collected_warnings() as messages:
            give_warning("one", stacklevel=1)
            with collected_warnings() as inner:
                give_warning("two", stacklevel=1)
            give_warning("three", stacklevel=1)
        give_warning("four", stacklevel=1)
    assert (messages, inner) == (["one", "three"], ["two"])
    assert [str(each.message) for each in caught] == ["four"]
    assert caught[0].filename == __file__  # where it is the fault of


def test_a_thread_collects_its_own() -> None:
    """But one that is given the context of another works for that one."""
    with collected_warnings() as messages, ThreadPoolExecutor(1) as pool:
        pool.submit(contextvars.copy_context().run, lambda: give_warning("mine", stacklevel=1)).result()
        with pytest.warns(OmeNgffWarning, match="its own"):
            pool.submit(give_warning, "its own", stacklevel=1).result()
    assert messages == ["mine"]


def test_no_filter_of_the_process_is_touched(faulty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads that change filters at the same time leave those of one of them in force for good."""
    made: list[threading.Thread] = []
    catch = warnings.catch_warnings.__init__

    def noted(self: object, **options: bool) -> None:
        made.append(threading.current_thread())
        catch(self, **options)  # type: ignore[arg-type]

    with collected_warnings() as messages:
        monkeypatch.setattr(warnings.catch_warnings, "__init__", noted)
        image = open_ome_ngff(faulty)
        check_ome_ngff(faulty)
        layers = [(next(iter(image.arrays.values())).data, {"name": "a"}, "image")]
        assert preview(Form(target=str(faulty)), layers).taken
        monkeypatch.undo()
    assert "gone" in messages[0]
    assert made == []
