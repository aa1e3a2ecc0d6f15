"""Documents of arrays in spellings that zarr-python does not take: the same pixels as in the usual one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_ome_ngff import open_ome_ngff
from napari_ome_ngff.storage.documents.spellings import usual
from tests.cases.build import image, ramp, write_json

GONE: Any = ...
BYTES = {"name": "bytes", "configuration": {"endian": "little"}}


def in_v2() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Type of the values, and keys of a .zarray that mean the same as the usual ones."""
    for kind in ("uint8", "int8", "bool"):
        code = np.dtype(kind).str[1:]
        for text in (f">{code}", f"<{code}", f"={code}", code, kind, kind.upper()):
            yield f"{kind} as {text}", kind, {"dtype": text}
    for kind in ("uint16", "int32", "float32", "float64"):
        code = np.dtype(kind).str[1:]
        for text in (f"={code}", f"|{code}", code, kind, kind.title()):
            yield f"{kind} as {text}", kind, {"dtype": text}
    for fill in (None, GONE, "", "0", "NaN", [], 0.0):
        yield f"fill value {fill!r}", "uint16", {"fill_value": fill}
    for fill in (None, GONE, "", []):
        yield f"fill value {fill!r} of floats", "float32", {"fill_value": fill}
    for order in (GONE, None, "c", "A"):
        yield f"order {order!r}", "uint16", {"order": order}
    for none in (GONE, [], {}):
        yield f"filters {none!r}", "uint16", {"filters": none}
    for none in (GONE, "none", {}, {"id": None}):
        yield f"compressor {none!r}", "uint16", {"compressor": none}
    yield "no zarr_format", "uint16", {"zarr_format": GONE}


def in_v3() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The same for a zarr.json."""
    for text in ("<u2", "u2", "|u2", "UInt16", {"name": "uint16"}):
        yield f"data type {text}", "uint16", {"data_type": text}
    for text in (">u1", "|u1", "u1"):
        yield f"data type {text}", "uint8", {"data_type": text}
    for fill in (None, GONE, "", "NaN"):
        yield f"fill value {fill!r}", "uint16", {"fill_value": fill}
    grid = {"chunk_shape": [2, 4, 3]}
    for value in ({"name": "regular", **grid}, {"type": "regular", **grid, "separator": "/"}):
        yield f"chunk grid {list(value)}", "uint16", {"chunk_grid": value}
    for value in (GONE, "default", {"name": "default"}, {"type": "default", "separator": "/"}):
        yield f"chunk key encoding {value!r}", "uint16", {"chunk_key_encoding": value}
    for name, codecs in {
        "none": GONE,
        "an empty list": [],
        "an object": BYTES,
        "a name": ["bytes"],
        "no endian": [{"name": "bytes"}],
        "endian": [{"name": "endian", "configuration": {"endian": "little"}}],
        "order C": [{"name": "transpose", "configuration": {"order": "C"}}, BYTES],
    }.items():
        yield f"codecs: {name}", "uint16", {"codecs": codecs}
    for names in ([], ["y"], "zyx"):
        yield f"dimension names {names!r}", "uint16", {"dimension_names": names}
    for key, value in {"chunk_memory_layout": "C", "extensions": [], "consolidated_metadata": None}.items():
        yield f"also {key}", "uint16", {key: value}
    yield "no node_type", "uint16", {"node_type": GONE}


def respell(folder: Path, keys: Mapping[str, Any]) -> None:
    for document in [*folder.glob("0/.zarray"), *folder.glob("0/zarr.json")]:
        content = json.loads(document.read_text()) | dict(keys)
        write_json(document, {key: value for key, value in content.items() if value is not GONE})


@pytest.mark.parametrize(
    ("version", "dtype", "keys"),
    [
        pytest.param(version, dtype, keys, id=f"{version} {name}")
        for version, spellings in (("0.4", in_v2()), ("0.5", in_v3()))
        for name, dtype, keys in spellings
    ],
)
def test_the_pixels_are_those_of_theusual_spelling(
    version: str, dtype: str, keys: Mapping[str, Any], tmp_path: Path
) -> None:
    compressed = {"compressor", "codecs"}.isdisjoint(keys)
    values = (ramp((4, 8, 6), "int64") % 100).astype(dtype)
    folder = image(
        tmp_path / "a.zarr",
        version=version,
        axes="zyx",
        values=values,
        chunks=(2, 4, 3),
        compressed=compressed,
    )
    chunk = next(path for path in sorted(folder.glob("0/**/*")) if path.is_file() and path.name == "1")
    chunk.unlink()
    expected = open_ome_ngff(folder).arrays["0"].values
    respell(folder, keys)
    level = open_ome_ngff(folder).arrays["0"]
    assert level.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(level.values, expected)


@pytest.mark.parametrize(
    "keys",
    [
        {"codecs": [{"name": "transpose", "configuration": {"order": "F"}}, BYTES]},
        {"codecs": [{"name": "transpose", "configuration": {"order": [2, 1, 0]}}, BYTES]},
    ],
)
def test_what_has_a_meaning_keeps_it(keys: Mapping[str, Any], tmp_path: Path) -> None:
    folder = image(tmp_path / "a.zarr", version="0.5", axes="zyx", shape=(2, 8, 6))
    respell(folder, keys)
    backwards = ramp((2, 8, 6)).reshape((6, 8, 2)).transpose()
    np.testing.assert_array_equal(open_ome_ngff(folder).arrays["0"].values, backwards)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_theusual_spelling_stays_as_it_is(version: str, tmp_path: Path) -> None:
    folder = image(tmp_path / "a.zarr", version=version, compressed=True)
    (document,) = [*folder.glob("0/.zarray"), *folder.glob("0/zarr.json")]
    content = json.loads(document.read_text())
    assert {key: value for key, value in usual(content).items() if key in content and value} == {
        key: value for key, value in content.items() if value
    }
