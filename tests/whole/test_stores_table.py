"""Which kinds of stores can be read, written and edited: the table of the page, made by doing it.

``python -m tests.whole.test_stores_table > docs/reference/stores.md`` writes it again.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from zarr.storage import FsspecStore, LocalStore, MemoryStore, ObjectStore, StorePath

from napari_ome_ngff import OmeNgffError, append_to_image, edit_metadata, open_ome_ngff, save_ome_ngff

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "stores.md"
VOXELS = np.arange(2 * 8 * 8, dtype="uint16").reshape(2, 8, 8)

INTRODUCTION = """# Stores

What can be done in which kind of store. A test does it and makes this table. "no" means that you are told
why, before anything is changed. Web servers (`http://`) are read only; buckets (`s3://`, `gs://`, `az://`)
are read and [written](../how-to/save-to-the-cloud.md) as `ObjectStore` is. What is saved to a session of
icechunk is seen by others once you commit it; a save that ends early takes back what it wrote. Other
spellings stand for the same places: `s3a://`, `gcs://`, `abfs://`, and neuroglancer's `zarr://ADDRESS` and
`ADDRESS|zarr3:`.

"""


def _memory_files(_: Path) -> Any:
    import fsspec
    from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper

    files = AsyncFileSystemWrapper(fsspec.filesystem("memory"), asynchronous=True)
    return FsspecStore(files, path="/stores-table.zarr")


def _obstore(kind: str) -> Callable[[Path], Any]:
    def make(folder: Path) -> Any:
        import obstore.store

        if kind == "memory":
            return ObjectStore(obstore.store.MemoryStore())
        return ObjectStore(obstore.store.LocalStore(folder / "b.zarr", mkdir=True))

    return make


def _icechunk(_: Path) -> Any:
    import icechunk

    repository = icechunk.Repository.create(icechunk.in_memory_storage())
    return repository.writable_session("main").store


STORES: dict[str, Callable[[Path], Any]] = {
    "a folder, by its path": lambda folder: folder / "a.zarr",
    "an `.ozx` file": lambda folder: folder / "a.ozx",
    "a `.zarr.zip` file": lambda folder: folder / "a.zarr.zip",
    "`zarr.storage.LocalStore`": lambda folder: LocalStore(folder / "a.zarr"),
    "`zarr.storage.MemoryStore`": lambda _: MemoryStore(),
    "`zarr.storage.StorePath`": lambda _: StorePath(MemoryStore(), "images/a"),
    "`zarr.storage.ObjectStore` of obstore's `LocalStore`": _obstore("local"),
    "`zarr.storage.ObjectStore` of obstore's `MemoryStore`": _obstore("memory"),
    "`zarr.storage.FsspecStore`": _memory_files,
    "a session of icechunk": _icechunk,
}


def _same(place: Any, expected: np.ndarray[Any, Any]) -> None:
    image: Any = open_ome_ngff(place)
    assert (next(iter(image.arrays.values())).values == expected).all()


def _save(place: Any) -> None:
    save_ome_ngff(place, VOXELS, axes="tyx")


def _replace(place: Any) -> None:
    save_ome_ngff(place, VOXELS[::-1], axes="tyx", overwrite=True)
    _same(place, VOXELS[::-1])


def _correct(place: Any) -> None:
    edit_metadata(place, name="corrected")
    assert open_ome_ngff(place).multiscale.name == "corrected"  # type: ignore[union-attr]


def _append(place: Any) -> None:
    append_to_image(place, VOXELS[:1], axis="t").run()
    _same(place, np.concatenate([VOXELS[::-1], VOXELS[:1]]))


OPERATIONS: dict[str, Callable[[Any], None]] = {
    "save": _save,
    "open": lambda place: _same(place, VOXELS),
    "replace": _replace,
    "correct metadata": _correct,
    "append": _append,
}


def _done(operation: Callable[[Any], None], place: Any) -> str:
    try:
        operation(place)
    except OmeNgffError:
        return "no"
    return "yes"


def table() -> str:
    """The table in Markdown: each operation done in each store, one after the other."""
    lines = [f"| store | {' | '.join(OPERATIONS)} |", f"| --- |{' --- |' * len(OPERATIONS)}"]
    for name, make in STORES.items():
        folder = Path(tempfile.mkdtemp())
        try:
            place = make(folder)
            done = [_done(operation, place) for operation in OPERATIONS.values()]
        finally:
            shutil.rmtree(folder)
        lines.append(f"| {name} | {' | '.join(done)} |")
    return "\n".join(lines) + "\n"


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_table_in_the_docs_is_what_happens() -> None:
    pytest.importorskip("icechunk")
    pytest.importorskip("obstore")
    pytest.importorskip("fsspec", "2024.10")
    assert PAGE.read_text(encoding="utf-8") == INTRODUCTION + table()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.stdout.write(INTRODUCTION + table())
