"""What may be opened: folders, files, lists of them, and how they may be spelt."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_ome_ngff import OmeNgffError

from .build import array, group, image, ramp, zipped
from .labels import IDS, labelled
from .nouns import Case, Shown

YX = ramp((8, 6))
PLACES = {(0, 0): (10.0, 20.0), (7, 5): (13.5, 21.25)}


_PLACED: Any = {"levels": 2, "scale": (0.5, 0.25), "translation": (10, 20)}


def cells(folder: Path, version: str = "0.4", name: str = "cells.ome.zarr", **more: Any) -> Path:
    return image(folder / name, version=version, **(_PLACED | {"name": None} | more))


def opened_as(spell: Any, version: str = "0.4", **more: Any) -> Any:
    return lambda folder: spell(cells(folder, version, **more))


def shown(name: str = "cells", **more: Any) -> list[Shown]:
    return [Shown(**({"name": name, "pixels": YX, "levels": 2, "places": PLACES} | more))]


def inside_zip(version: str, suffix: str, **more: Any) -> Any:
    return lambda folder: zipped(cells(folder, version), folder / f"cells{suffix}", **more)


def level(path: str, version: str = "0.4") -> Any:
    return lambda folder: cells(folder, version) / path


def label_level(folder: Path) -> Path:
    return labelled({"nuclei": {"levels": 2}})(folder) / "labels/nuclei/1"


def plain_array(zarr: int) -> Any:
    return lambda folder: array(folder / "plain.zarr", YX, zarr=zarr)


def plain_group(zarr: int) -> Any:
    def make(folder: Path) -> Path:
        store = group(folder / "plain.zarr", {"author": "me"}, zarr=zarr)
        array(store / "a", YX, zarr=zarr)
        return store

    return make


def two(*names: str) -> Any:
    def make(folder: Path) -> Sequence[Path]:
        return [cells(folder, name=name) for name in names]

    return make


def cases() -> list[Case]:
    found: list[Case] = []

    def add(name: str, what: str, result: str, make: Any, layers: Any = None, **more: Any) -> None:
        found.append(
            Case(
                group="Paths and files",
                name=name,
                what=what,
                result=result,
                make=make,
                layers=shown() if layers is None else layers,
                **more,
            )
        )

    for version in ("0.4", "0.5"):
        add(f"folder_{version}", "a folder", "opens", opened_as(lambda p: p, version))
        add(f"text_{version}", "a folder", "opens", opened_as(str, version))
        add(f"slash_{version}", "a slash at the end", "opens", opened_as(lambda p: f"{p}/", version))
    add("zattrs", "its `zarr.json` or `.zattrs`", "opens", opened_as(lambda p: p / ".zattrs"))
    add("zarr_json", "its `zarr.json` or `.zattrs`", "opens", opened_as(lambda p: p / "zarr.json", "0.5"))
    add("zgroup", "its `zarr.json` or `.zattrs`", "opens", opened_as(lambda p: p / ".zgroup"))
    for key, name, title in (
        ("space", "my cells.zarr", "my cells"),
        ("hash", "cells #1.zarr", "cells #1"),
        ("percent", "100%25.zarr", "100%25"),
        ("question", "what?.zarr", "what?"),
        ("umlaut", "Zellkörper.zarr", "Zellkörper"),
        ("japanese", "細胞.ome.zarr", "細胞"),
        ("no_suffix", "cells", "cells"),
        ("other_suffix", "cells.v1.2", "cells.v1.2"),
        ("capitals", "CELLS.ZARR", "CELLS"),
    ):
        add(
            key,
            "spaces, `#`, `%`, letters of any script, any suffix or none",
            "opens",
            opened_as(lambda p: p, name=name),
            shown(title),
        )
    add("relative", "a relative path", "opens", _relative)
    add("link", "a symbolic link", "opens", _link, shown("link"))
    add("dots", "a path with `..` that the user wrote", "opens", opened_as(lambda p: p / ".." / p.name))
    add(
        "list",
        "a list of paths",
        "one after the other",
        two("a.zarr", "b.zarr"),
        [*shown("a"), *shown("b")],
    )
    for version, suffix in (("0.5", ".ozx"), ("0.5", ".zarr.zip"), ("0.4", ".zarr.zip"), ("0.4", ".ozx")):
        add(
            f"zip_{version}{suffix}",
            "`.ozx` and `.zarr.zip`",
            "opens, without unpacking it",
            inside_zip(version, suffix),
        )
        add(
            f"zip_folder_{version}{suffix}",
            "one folder in a zip file",
            "opens that folder",
            inside_zip(version, suffix, inside="cells.ome.zarr"),
        )
    for key, inside, opens in (
        ("deep", "data/first one/cells.zarr", shown()),
        ("beside", "cells.zarr", shown()),
    ):
        add(
            f"zip_{key}",
            "an image in a folder of a zip file",
            "opens",
            lambda folder, inside=inside: _with_more(
                zipped(cells(folder, "0.5"), folder / "cells.zip", inside=inside)
            ),
            opens,
        )
    for above in (None, "2", "3"):
        add(
            f"zip_of_several_{above}",
            "several images in a zip file",
            "all of them open",
            lambda folder, above=above: _several_in_zip(folder, above),
            [*shown("a"), *shown("b/c", visible=False)],
        )
    add(
        "zip_deflated",
        "`.ozx` and `.zarr.zip`",
        "opens, without unpacking it",
        inside_zip("0.5", ".ozx", method=zipfile.ZIP_DEFLATED),
    )
    add(
        "zip_labels",
        "`.ozx` and `.zarr.zip`",
        "opens, without unpacking it",
        lambda folder: zipped(labelled({"nuclei": {}}, version="0.5")(folder), folder / "a.ozx"),
        [Shown(name="cells", pixels=YX), Shown(name="nuclei", kind="labels", pixels=IDS)],
    )
    add(
        "zip_empty",
        "a zip file without an image, or that is none",
        "refused",
        _empty_zip,
        (),
        error=OmeNgffError,
    )
    add(
        "zip_text",
        "a zip file without an image, or that is none",
        "refused",
        _no_zip,
        (),
        error=OmeNgffError,
    )
    add(
        "zip_cut",
        "a zip file without an image, or that is none",
        "refused",
        _cut_zip,
        (),
        error=OmeNgffError,
    )
    for version in ("0.4", "0.5"):
        add(
            f"level_0_{version}",
            "one level of an image (its array)",
            "that level, in its place",
            level("0", version),
            [Shown(pixels=YX, places=PLACES, axes=("y", "x"), units=("micrometer",) * 2)],
        )
        add(
            f"level_1_{version}",
            "one level of an image (its array)",
            "that level, in its place",
            level("1", version),
            [Shown(pixels=YX[::2, ::2], places={(0, 0): (10, 20), (3, 2): (13, 21)}, axes=("y", "x"))],
        )
    add(
        "level_file",
        "one level of an image (its array)",
        "that level, in its place",
        level("1/zarr.json", "0.5"),
        [Shown(pixels=YX[::2, ::2], places={(3, 2): (13, 21)}, axes=("y", "x"))],
    )
    add(
        "level_of_channels",
        "one level of an image (its array)",
        "that level, in its place",
        _channel_level,
        [
            Shown(pixels=ramp((2, 8, 6))[c, ::2, ::2], axes=("y", "x"), color=color)
            for c, color in enumerate(("magenta", "green"))
        ],
    )
    add(
        "level_of_labels",
        "one level of a label image",
        "labels, in their place",
        label_level,
        [Shown(kind="labels", pixels=IDS[::2, ::2], places={(3, 2): (3, 2)})],
    )
    for zarr in (2, 3):
        for name, make, title in (("array", plain_array, "plain"), ("group", plain_group, "a")):
            add(
                f"plain_{name}_{zarr}",
                "a plain Zarr array, or a group of them",
                "its pixels, with names of dimensions",
                make(zarr),
                [Shown(name=title, pixels=YX, axes=("-2", "-1"))],
            )
    add(
        "plain_named",
        "a plain Zarr array, or a group of them",
        "its pixels, with names of dimensions",
        lambda folder: array(folder / "plain.zarr", YX, zarr=3, names=("row", "x")),
        [Shown(name="plain", pixels=YX, axes=("row", "x"))],
    )
    add(
        "xarray",
        "a dataset of xarray",
        "its arrays of numbers; scale and units from coordinates of equal steps",
        _dataset,
        [
            Shown(name="mask", pixels=YX.astype("uint8"), axes=("y", "x")),
            Shown(
                name="raw",
                pixels=YX,
                axes=("y", "x"),
                units=("pixel", "micrometer"),
                places={(0, 1): (0, 2.5)},
                visible=False,
            ),
        ],
    )
    add(
        "no_folder",
        "something else",
        "left to other readers",
        lambda folder: folder / "no.zarr",
        (),
        left=True,
    )
    add("empty_folder", "something else", "left to other readers", lambda folder: folder, (), left=True)
    add("picture", "something else", "left to other readers", _picture, (), left=True)
    add("list_mixed", "something else", "left to other readers", _mixed, (), left=True)
    return found


def _dataset(folder: Path) -> Path:
    store = group(folder / "data.zarr", {}, zarr=3)
    array(store / "raw", YX, zarr=3, names=("y", "x"))
    array(store / "mask", YX.astype("uint8"), zarr=3, names=("y", "x"))
    array(store / "y", np.array([0.0, 1, 2, 3, 4, 5, 6, 9]), zarr=3, names=("y",))
    array(store / "x", np.arange(6) * 0.5 + 2, zarr=3, names=("x",), attributes={"units": "um"})
    return store


def _relative(folder: Path) -> str:
    return os.path.relpath(cells(folder))


def _link(folder: Path) -> Path:
    link = folder / "link.zarr"
    link.symlink_to(cells(folder), target_is_directory=True)
    return link


def _channel_level(folder: Path) -> Path:
    store = image(folder / "a.zarr", axes="cyx", shape=(2, 8, 6), levels=2)
    return store / "1"


def _with_more(archive: Path) -> Path:
    """A zip file with things beside the image that have nothing to do with it."""
    with zipfile.ZipFile(archive, "a") as opened:
        for name in ("readme.txt", "data/photos/1.png", "__MACOSX/cells.zarr/zarr.json"):
            opened.writestr(name, "{}")
    return archive


def _several_in_zip(folder: Path, above: str | None) -> Path:
    """Images of both Zarr formats, one of them named, in a zip file; `above` is the format of a group."""
    inside = folder / "all"
    inside.mkdir()
    if above is not None:
        group(inside, {}, zarr=int(above))
    image(inside / "one.zarr", version="0.4", name="a", **_PLACED)
    image(inside / "b" / "c.ome.zarr", version="0.5", name=None, **_PLACED)
    return zipped(inside, folder / "several.zip")


def _empty_zip(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "empty.ozx", "w") as archive:
        archive.writestr("readme.txt", "no image")
    return folder / "empty.ozx"


def _no_zip(folder: Path) -> Path:
    (folder / "text.ozx").write_text("no zip")
    return folder / "text.ozx"


def _cut_zip(folder: Path) -> Path:
    whole = zipped(cells(folder, "0.5"), folder / "whole.ozx")
    cut = folder / "cut.ozx"
    shutil.copy(whole, cut)
    os.truncate(cut, whole.stat().st_size // 2)
    return cut


def _picture(folder: Path) -> Path:
    (folder / "cells.tif").write_bytes(b"II*\0")
    return folder / "cells.tif"


def _mixed(folder: Path) -> list[Path]:
    return [cells(folder), _picture(folder)]
