"""Types of numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_ome_ngff import UnsupportedError

from .build import array, change, image, ramp
from .nouns import Case, Shown

INTEGERS = ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64")
FLOATS = ("float16", "float32", "float64")


def typed(dtype: str, version: str = "0.4") -> Any:
    values = ramp((8, 6)).astype(dtype)
    return lambda folder: image(folder / "a.zarr", version=version, values=values)


def other(data_type: Any, zarr: int = 2) -> Any:
    """An image whose array claims to be of a type that shows nothing."""

    def make(folder: Path) -> Path:
        store = image(folder / "a.zarr", version="0.4" if zarr == 2 else "0.5")
        known: dict[str, Any] = {"dtype": data_type} if zarr == 2 else {"data_type": data_type}
        array(store / "0", ramp((8, 6)), zarr=zarr, **(known | {"fill_value": None if zarr == 2 else 0}))
        return store

    return make


def mixed(folder: Path) -> Path:
    store = image(folder / "a.zarr", levels=2)
    array(store / "1", ramp((8, 6), "uint16")[::2, ::2].astype("float32"))
    return change(store, lambda ome: None)


def cases() -> list[Case]:
    found: list[Case] = []

    def add(name: str, what: str, result: str, make: Any, layers: Any = (), **more: Any) -> None:
        found.append(
            Case(group="Data types", name=name, what=what, result=result, make=make, layers=layers, **more)
        )

    for dtype in (*INTEGERS, *FLOATS, "bool"):
        for version in ("0.4", "0.5"):
            values = ramp((8, 6)).astype(dtype)
            add(
                f"{dtype}_{version}",
                "all integers, bool, floating point (2, 4, 8 bytes)",
                "opens",
                typed(dtype, version),
                [Shown(name="cells", pixels=values)],
            )
    for dtype in (">u2", ">i4", ">f4", ">f8", ">u8"):
        for version in ("0.4", "0.5"):
            add(
                f"{dtype}_{version}",
                "big-endian",
                "opens",
                typed(dtype, version),
                [Shown(name="cells", pixels=ramp((8, 6)))],
            )
    for dtype in ("complex64", "complex128"):
        for version in ("0.4", "0.5"):
            add(
                f"{dtype}_{version}",
                "complex",
                "its magnitude, with a warning",
                _complex(dtype, version),
                [Shown(name="cells", pixels=ramp((8, 6)) * 5.0)],
                warns=("complex",),
            )
    for name, data_type in (("text", "<U4"), ("date", "<M8[s]"), ("record", [["a", "<u2"], ["b", "<u2"]])):
        add(
            name,
            "text, dates, records",
            "refused",
            other(data_type),
            error=UnsupportedError,
            may_warn=True,
        )
    add(
        "mixed",
        "levels of different types",
        "shown with the type of the finest, or with a warning",
        mixed,
        [Shown(name="cells", pixels=ramp((8, 6)), levels=2)],
        may_warn=True,
    )
    return found


def _complex(dtype: str, version: str) -> Any:
    values = (ramp((8, 6)) * (3 + 4j)).astype(dtype)
    fill: Any = None if version == "0.4" else [0.0, 0.0]
    return lambda folder: image(folder / "a.zarr", version=version, values=values, fill_value=fill)
