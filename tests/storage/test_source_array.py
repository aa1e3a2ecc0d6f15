"""Lazy levels pass for dask arrays, without dask.array until something is asked that viewers do not ask."""

from __future__ import annotations

import copy
import operator
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
import pytest
import zarr

from napari_ome_ngff import DaskArrayWrapper, save_ome_ngff
from napari_ome_ngff.storage.pixels.dask_array import SourceArray, hand_over, source_of

VALUES = np.arange(6 * 8 * 10, dtype="int16").reshape(6, 8, 10)


@pytest.fixture
def lazy() -> Any:
    """A lazy array of `VALUES`."""
    array = zarr.create_array({}, data=VALUES, chunks=(2, 4, 5))
    return DaskArrayWrapper().wrap(array)


def run(code: str, *arguments: object) -> str:
    """Run code in a new process, in which nothing is imported yet."""
    command = [sys.executable, "-W", "error", "-c", code, *map(str, arguments)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def test_it_is_a_dask_array_for_whoever_asks(lazy: Any) -> None:
    assert isinstance(lazy, da.Array)
    assert isinstance(lazy[1], da.Array)
    assert dask.is_dask_collection(lazy)
    assert not isinstance(lazy, np.ndarray)
    assert da.asarray(lazy) is lazy, "dask takes it as it is"
    assert repr(lazy) == repr(lazy.dask_array())
    assert not hasattr(lazy, "values"), "attributes of others are none of it"


def same(found: Any, expected: Any) -> None:
    """A dask array, unread, of these values and of this type."""
    assert isinstance(found, da.Array)
    assert not isinstance(found, np.ndarray)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found.compute(), expected)


NUMBERS = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "eq", "ne", "lt", "le", "gt", "ge")
BITS = ("and_", "or_", "xor", "lshift", "rshift")


@pytest.mark.parametrize("name", NUMBERS + BITS)
def test_operators_are_those_of_dask(lazy: Any, name: str) -> None:
    """With a number, with one of ours on either side, and with an ordinary dask array."""
    apply = getattr(operator, name)
    part, small = lazy[0], VALUES[0] % 3 + 1
    ones = DaskArrayWrapper().wrap(zarr.create_array({}, data=small, chunks=(8, 10)))
    same(apply(part, 2), apply(VALUES[0], 2))
    same(apply(2, ones), apply(2, small))
    same(apply(part, ones), apply(VALUES[0], small))
    same(apply(part, da.from_array(small)), apply(VALUES[0], small))
    same(apply(da.from_array(small), ones), apply(small, small))


def test_functions_of_numpy_and_dask_take_it(lazy: Any) -> None:
    same(np.sqrt(lazy), np.sqrt(VALUES))
    same(np.stack([lazy, lazy[::-1]]), np.stack([VALUES, VALUES[::-1]]))
    same(da.stack([lazy, lazy]), np.stack([VALUES, VALUES]))
    same(da.concatenate([lazy, lazy], axis=1), np.concatenate([VALUES, VALUES], axis=1))
    same(np.mean(lazy, axis=0), VALUES.mean(axis=0))
    same(lazy.rechunk((6, 8, 10)).map_blocks(np.negative), -VALUES)
    same(lazy[lazy > 100], VALUES[VALUES > 100])
    same(lazy @ lazy.transpose(0, 2, 1), VALUES @ VALUES.transpose(0, 2, 1))
    same(-lazy, -VALUES)
    same(abs(-lazy), VALUES)
    assert int(lazy[1, 2, 3]) == VALUES[1, 2, 3]
    assert not bool(lazy[0, 0, 0])
    assert [part.shape for part in lazy] == [(8, 10)] * 6
    assert (lazy.size, lazy.nbytes, len(lazy), lazy.T.shape) == (480, 960, 6, (10, 8, 6))
    np.testing.assert_array_equal(dask.compute(lazy, lazy + 1)[1], VALUES + 1)
    assert dask.base.tokenize(lazy) == dask.base.tokenize(lazy.dask_array())


def test_copies_are_ordinary_dask_arrays(lazy: Any) -> None:
    for other in (copy.copy(lazy), copy.deepcopy(lazy), pickle.loads(pickle.dumps(lazy)), lazy.persist()):
        assert type(other) is da.Array
        same(other, VALUES)


def test_what_is_assigned_is_what_is_read(lazy: Any) -> None:
    """Then it is no longer what is stored, and no part of it is taken from there."""
    plane = lazy[2]
    lazy[lazy > 7] = -1
    changed = np.where(VALUES > 7, -1, VALUES)
    assert source_of(lazy) is None
    for found, expected in ((lazy, changed), (lazy[0], changed[0]), (lazy.T, changed.T)):
        same(found, expected)
        np.testing.assert_array_equal(np.asarray(found), expected)
    same(plane, VALUES[2])


def test_what_was_read_is_handed_over_once_and_to_who_asks_for_it(lazy: Any) -> None:
    """Whether the part is taken at once or step by step, with the very array, of which nothing is copied."""
    read = np.full((8, 10), 77, "int16")
    hand_over(lazy[2], read)
    np.testing.assert_array_equal(np.asarray(lazy[1]), VALUES[1])
    np.testing.assert_array_equal(np.asarray(lazy[2].T), VALUES[2].T)
    assert np.asarray(lazy[:, :, :][2]) is read
    np.testing.assert_array_equal(np.asarray(lazy[2]), VALUES[2])
    hand_over(lazy[2], read)
    hand_over(lazy[2], None)
    np.testing.assert_array_equal(np.asarray(lazy[2]), VALUES[2])


def test_its_class_stays(lazy: Any) -> None:
    with pytest.raises(TypeError, match="cannot be changed"):
        lazy.__class__ = da.Array
    assert type(lazy) is SourceArray


WITHOUT = "assert 'dask.array' not in sys.modules, 'dask.array'\n"
OPENED = """
import sys
import numpy as np
from napari_ome_ngff import DaskArrayWrapper, open_ome_ngff
level = open_ome_ngff(sys.argv[1], array_wrapper=DaskArrayWrapper())
level = next(iter(level.arrays.values())).variable._data
"""


def test_what_viewers_ask_needs_no_dask_array(tmp_path: Path) -> None:
    save_ome_ngff(tmp_path / "a.zarr", VALUES, axes="zyx")
    code = OPENED + "import dask; part = level[2, 1:].T; assert dask.is_dask_collection(part)\n"
    code += "assert dask.is_dask_collection(level), 'known as one'; assert not hasattr(part, '_private')\n"
    code += "print(np.asarray(part).sum(), part.shape, part.dtype, part.ndim, part.size, part.chunks)\n"
    found = run(code + WITHOUT, tmp_path / "a.zarr")
    assert found == f"{VALUES[2, 1:].sum()} (10, 7) int16 2 70 ((10,), (7,))"


@pytest.mark.parametrize(
    "expression",
    [
        "dask.compute(level)[0]",
        "level.compute()",
        "(level + 0).compute()",
        "level.__dask_graph__() and dask.get(dict(level.__dask_graph__()), list(level.__dask_graph__())[0])",
    ],
)
def test_dask_is_there_when_it_is_asked_first(tmp_path: Path, expression: str) -> None:
    """Also where nobody has imported dask.array before."""
    save_ome_ngff(tmp_path / "a.zarr", VALUES, axes="zyx")
    code = f"{OPENED}{WITHOUT}import dask\nprint(np.asarray({expression}).sum())"
    assert run(code, tmp_path / "a.zarr") == str(VALUES.sum())


def test_opening_imports_neither_dask_array_nor_distributed(tmp_path: Path) -> None:
    """Half a second of a script, whatever levels are wrapped in."""
    save_ome_ngff(tmp_path / "a.zarr", VALUES, axes="zyx", units={"z": "micrometer"})
    code = "import sys; from napari_ome_ngff import open_ome_ngff; image = open_ome_ngff(sys.argv[1])\n"
    code += "assert 'distributed' not in sys.modules; image.arrays\n" + WITHOUT
    run(code, tmp_path / "a.zarr")
