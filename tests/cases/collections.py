"""Several images in one group: bioformats2raw, and several multiscales."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari_ome_ngff import OmeNgffError

from .build import V3, array, group, image, multiscales, ramp, wrapped
from .nouns import Case, Opened, Shown

YX = ramp((8, 6))
XML = """<?xml version="1.0" encoding="UTF-8"?>
<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">
{images}
</OME>
"""


def series(
    paths: Sequence[str],
    *,
    version: str = "0.4",
    listed: Sequence[Any] | None = None,
    xml: Sequence[str] | str | None = None,
    layout: Any = 3,
    bare_ome: bool = False,
    names: Sequence[str | None] | None = None,
    missing: Sequence[str] = (),
) -> Any:
    """A bioformats2raw collection; `xml`: the names of its images, or the text of the file."""

    def make(folder: Path) -> Path:
        store = folder / "many.zarr"
        zarr = 3 if version.startswith(V3) else 2
        group(store, wrapped(version, {"bioformats2raw.layout": layout}), zarr=zarr)
        for i, path in enumerate(paths):
            if path not in missing:
                name = names[i] if names else None
                image(store / path, version=version, scale=(0.5, 0.5), values=YX + i, name=name)
        if listed is not None:
            group(store / "OME", wrapped(version, {"series": list(listed)}), zarr=zarr)
        elif xml is not None and not bare_ome:
            group(store / "OME", zarr=zarr)
        if xml is not None:
            (store / "OME").mkdir(parents=True, exist_ok=True)
            text = xml
            if not isinstance(xml, str):
                images = "\n".join(f'<Image ID="Image:{i}" Name="{n}"/>' for i, n in enumerate(xml))
                text = XML.format(images=images)
            (store / "OME/METADATA.ome.xml").write_text(str(text), encoding="utf-8")
        return store

    return make


def layers_of(names: Sequence[str | None]) -> list[Shown]:
    return [
        Shown(name=name, pixels=YX + i, places={(7, 5): (3.5, 2.5)}, visible=i == 0)
        for i, name in enumerate(names)
    ]


def several(folder: Path) -> Path:
    """Two multiscales in one group: not the same picture at other sizes, but two pictures."""
    store = folder / "a.zarr"
    entries = []
    for i, name in enumerate(("raw", "denoised")):
        array(store / name / "0", YX + i)
        entries.append(multiscales("0.4", "yx", [{"path": f"{name}/0", "scale": (0.5, 0.5)}], name=name))
    return group(store, {"multiscales": entries})


def several_unnamed(folder: Path) -> Path:
    store = folder / "a.zarr"
    entries = []
    for i in range(2):
        array(store / str(i), YX + i)
        entries.append(multiscales("0.5", "yx", [{"path": str(i), "scale": (0.5, 0.5)}], name=None))
    for i in range(2):
        array(store / str(i), YX + i, zarr=3)
    return group(store, wrapped("0.5", {"multiscales": entries}), zarr=3)


def cases() -> list[Case]:
    found: list[Case] = []

    def add(name: str, what: str, result: str, make: Any, layers: Any, **more: Any) -> None:
        found.append(
            Case(group="Collections", name=name, what=what, result=result, make=make, layers=layers, **more)
        )

    for version in ("0.4", "0.5", "0.6"):
        add(
            f"xml_{version}",
            "several images written by bioformats2raw, with `OME/METADATA.ome.xml`",
            "all of them, with the names in it; the first is visible, since they have no place in common",
            series(["0", "1", "2"], version=version, listed=["0", "1", "2"], xml=["nuclei", "gel", "nuclei"]),
            layers_of(["nuclei", "gel", None]),
        )
    add(
        "xml_only",
        "no `series`",
        "the images `0`, `1`, ...",
        series(["0", "1"], xml=["nuclei", "gel"]),
        layers_of(["nuclei", "gel"]),
    )
    add(
        "bare_ome",
        "no `series`",
        "the images `0`, `1`, ...",
        series(["0", "1"], xml=["nuclei", "gel"], bare_ome=True, version="0.5"),
        layers_of(["nuclei", "gel"]),
    )
    add(
        "nothing",
        "no `OME` folder at all",
        "the images `0`, `1`, ...",
        series(["0", "1"]),
        layers_of(["0", "1"]),
    )
    add(
        "names",
        "images of any names and in folders",
        "found by `series`, in its order",
        series(["overview", "scans/b", "scans/a"], listed=["overview", "scans/b", "scans/a"]),
        layers_of(["overview", "scans/b", "scans/a"]),
    )
    add(
        "own_names",
        "images that have names themselves",
        "those names",
        series(["0", "1"], names=["one", "two"]),
        layers_of(["one", "two"]),
    )
    add(
        "no_zeros",
        "images of any names without `series` (where folders can be listed)",
        "found",
        series(["first", "second"]),
        layers_of(["first", "second"]),
        may_warn=True,
    )
    add(
        "gap",
        "images that are listed but not there",
        "left out, with a warning",
        series(["0", "1"], listed=["0", "1"], missing=["1"]),
        layers_of(["many"]),
        warns=("1",),
    )
    add(
        "all_gone",
        "no image that is there",
        "refused",
        series(["0", "1"], listed=["0", "1"], missing=["0", "1"]),
        (),
        error=OmeNgffError,
        may_warn=True,
    )
    add("empty", "no image that is there", "refused", series([]), (), error=OmeNgffError, may_warn=True)
    for layout in (1, "3"):
        add(
            f"layout_{layout}",
            "other numbers of the layout",
            "as 3",
            series(["0", "1"], layout=layout),
            layers_of(["0", "1"]),
            may_warn=True,
        )
    for name, text in (
        ("broken", "<OME><Image"),
        ("bomb", _bomb()),
        ("empty", ""),
        ("other", "<html></html>"),
    ):
        add(
            f"xml_{name}",
            "a damaged `METADATA.ome.xml`",
            "as without one",
            series(["0", "1"], xml=text),
            layers_of(["0", "1"]),
            may_warn=True,
        )
    add(
        "one",
        "a single image in a collection",
        "that image, with the name of the collection",
        series(["0"], xml=["only"]),
        layers_of(["only"]),
    )
    add(
        "member",
        "one image of a collection, opened directly",
        "that image",
        lambda folder: series(["0", "1"])(folder) / "1",
        [Shown(name="1", pixels=YX + 1)],
    )
    add(
        "multiscales",
        "several `multiscales` in one group",
        "all of them; one of them by number or name in scripts",
        several,
        layers_of(["raw", "denoised"]),
    )
    add(
        "multiscales_unnamed",
        "several `multiscales` in one group",
        "all of them; one of them by number or name in scripts",
        several_unnamed,
        layers_of([None, None]),
        check=_different_names,
    )
    add(
        "itself",
        "a collection that lists itself",
        "the other images, with a warning",
        series(["0"], listed=[".", "", "..", "0", "../many.zarr"]),
        layers_of(["many"]),
        may_warn=True,
    )
    return found


def _bomb() -> str:
    """A small file that wants to become a billion characters."""
    entities = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10 if i else "ha" * 10}">' for i in range(9))
    return f'<?xml version="1.0"?><!DOCTYPE OME [{entities}]><OME><Image Name="&a8;"/></OME>'


def _different_names(layers: Opened) -> None:
    names = [meta["name"] for _, meta, _ in layers]
    assert len(set(names)) == 2, names
