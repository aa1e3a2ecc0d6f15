"""Every version, its drafts, and what containers and codecs there are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import zarr

from .build import array, axes_of, change, group, image, multiscales, ramp, wrapped, write_json
from .nouns import Case, Shown

YX = ramp((8, 6))
HALF = {(0, 0): (10.0, 20.0), (7, 5): (13.5, 21.25)}
"""Positions of voxels at scale (0.5, 0.25) and translation (10, 20)."""


def plain(version: str, zarr: int | None = None) -> Any:
    def make(folder: Path) -> Path:
        return image(
            folder / "a.zarr", version=version, levels=2, scale=(0.5, 0.25), translation=(10, 20), zarr=zarr
        )

    return make


def cells(**more: Any) -> tuple[Shown, ...]:
    known: dict[str, Any] = {"pixels": YX, "levels": 2, "axes": ("y", "x"), "places": HALF}
    return (Shown(name="cells", units=("micrometer", "micrometer"), **(known | more)),)


def old(version: str) -> Any:
    """0.1 and 0.2 know only five axes without units, 0.3 names them."""

    def make(folder: Path) -> Path:
        return image(folder / "a.zarr", version=version, axes="tczyx", shape=(2, 2, 3, 8, 6), levels=2)

    return make


def old_layers() -> tuple[Shown, ...]:
    values = ramp((2, 2, 3, 8, 6))
    places = {(0, 0, 0, 0): (0.0, 0.0, 0.0, 0.0), (1, 2, 7, 5): (1.0, 2.0, 7.0, 5.0)}
    return tuple(
        Shown(
            name=f"cells channel {c}",
            pixels=values[:, c],
            levels=2,
            axes=("t", "z", "y", "x"),
            units=("pixel",) * 4,
            places=places,
        )
        for c in range(2)
    )


def renamed(version: str, tag: Any) -> Any:
    """A file of a version under another tag; None: without one."""

    def make(folder: Path) -> Path:
        store = plain(version)(folder)

        def edit(ome: dict[str, Any]) -> None:
            place = ome if "version" in ome else ome["multiscales"][0]
            place.pop("version")
            if tag is not None:
                place["version"] = tag

        return change(store, edit)

    return make


def draft_affine(folder: Path) -> Path:
    matrix = [[4, 0, 0, 32], [0, 3, 1, 21], [0, 0, 2, 10]]
    transform = {"type": "affine", "input": "0", "output": "physical", "affine": matrix}
    level = {"path": "0", "more": {"coordinateTransformations": [transform]}}
    array(folder / "a.zarr/0", ramp((3, 4, 5)), zarr=3)
    entry = multiscales("0.6.dev1", "zyx", [level])
    return group(folder / "a.zarr", wrapped("0.6.dev1", {"multiscales": [entry]}), zarr=3)


def dev4(folder: Path) -> Path:
    """The last draft: as 0.6, but byDimension names its axes in ``input_axes``."""
    store = plain("0.6.dev4")(folder)

    def edit(ome: dict[str, Any]) -> None:
        entry = ome["multiscales"][0]
        entry["coordinateSystems"].append({"name": "world", "axes": axes_of("yx")})
        parts = [
            {"transformation": {"type": "scale", "scale": [k + 2]}, "input_axes": [k], "output_axes": [k]}
            for k in (0, 1)
        ]
        entry["coordinateTransformations"] = [
            {
                "type": "byDimension",
                "input": {"name": "physical"},
                "output": {"name": "world"},
                "transformations": parts,
            }
        ]

    return change(store, edit)


def rfc3(folder: Path) -> Path:
    """0.9.dev1: axes in any order; written like 0.5."""
    array(folder / "a.zarr/0", ramp((6, 2, 8)), zarr=3)
    level = {"path": "0", "scale": (0.25, 1, 0.5)}
    entry = multiscales("0.9.dev1", "xcy", [level])
    return group(folder / "a.zarr", wrapped("0.9.dev1", {"multiscales": [entry]}), zarr=3)


def rfc3_systems(folder: Path) -> Path:
    store = plain("0.6")(folder)
    return change(store, lambda ome: ome.update(version="0.9.dev1"))


def consolidated(version: str) -> Any:
    """All metadata in one document; those of the levels are taken away, so that it must be used."""

    def make(folder: Path) -> Path:
        store = plain(version)(folder)
        if version == "0.4":
            names = (".zattrs", ".zgroup", "0/.zarray", "1/.zarray")
            known = {name: json.loads((store / name).read_text()) for name in names}
            write_json(store / ".zmetadata", {"zarr_consolidated_format": 1, "metadata": known})
        else:
            document = json.loads((store / "zarr.json").read_text())
            known = {name: json.loads((store / name / "zarr.json").read_text()) for name in "01"}
            document["consolidated_metadata"] = {
                "kind": "inline",
                "must_understand": False,
                "metadata": known,
            }
            write_json(store / "zarr.json", document)
        return store

    return make


def named(names: Any) -> Any:
    def make(folder: Path) -> Path:
        return image(folder / "a.zarr", version="0.5", scale=(0.5, 0.25), translation=(10, 20), names=names)

    return make


def separated(version: str, **options: Any) -> Any:
    def make(folder: Path) -> Path:
        return image(
            folder / "a.zarr",
            version=version,
            scale=(0.5, 0.25),
            translation=(10, 20),
            chunks=(3, 4),
            **options,
        )

    return make


def coded(version: str, **options: Any) -> Any:
    """The level as zarr-python writes it."""

    def make(folder: Path) -> Path:
        store = separated(version)(folder)
        level = zarr.create_array(
            store / "0",
            shape=YX.shape,
            dtype=YX.dtype,
            zarr_format=2 if version == "0.4" else 3,
            overwrite=True,
            **({"chunks": (4, 3)} | options),
        )
        level[...] = YX
        return store

    return make


def both(folder: Path) -> Path:
    """0.4 and 0.5 in one folder, over the same place: the 0.5 side says (10, 20), the other (0, 0)."""
    store = plain("0.5")(folder)
    entry = multiscales("0.4", "yx", [{"path": "0", "scale": (1, 1)}], name="old")
    return group(store, {"multiscales": [entry]}, zarr=2)


def cases() -> list[Case]:
    found: list[Case] = []

    def add(name: str, what: str, result: str, make: Any, layers: Any = None, **more: Any) -> None:
        found.append(
            Case(
                group="Versions",
                name=name,
                what=what,
                result=result,
                make=make,
                layers=cells() if layers is None else layers,
                **more,
            )
        )

    for version in ("0.1", "0.2"):
        add(
            f"v{version}",
            "0.1, 0.2: no axes, no places",
            "the axes are t, c, z, y, x; levels lie over each other by their sizes, in pixels",
            old(version),
            old_layers(),
        )
    add("v0.3", "0.3: names of axes, no places", "in the same way", old("0.3"), old_layers())
    for version in ("0.4", "0.5", "0.6"):
        add(f"v{version}", f"{version}", "placed, with units", plain(version))
    add("v0.6rc0", "0.6rc0, the candidate of 0.6", "as 0.6", plain("0.6rc0"))
    for version in ("0.6.dev1", "0.6.dev2", "0.6.dev3"):
        add(
            f"v{version}",
            "drafts of 0.6 (0.6.dev1 to 0.6.dev4)",
            "as 0.6",
            plain(version),
            may_warn=True,
        )
    add(
        "v0.6.dev4",
        "drafts of 0.6 (0.6.dev1 to 0.6.dev4)",
        "as 0.6",
        dev4,
        cells(places={(0, 0): (20.0, 60.0), (7, 5): (27.0, 63.75)}),
        system="world",
        may_warn=True,
    )
    add(
        "draft_affine",
        "a draft of 0.6 with an affine transform in a level",
        "placed by the whole matrix",
        draft_affine,
        (
            Shown(
                name="cells",
                pixels=ramp((3, 4, 5)),
                axes=("z", "y", "x"),
                places={(0, 0, 0): (32, 21, 10), (1, 2, 3): (36, 30, 16), (2, 3, 4): (40, 34, 18)},
            ),
        ),
        may_warn=True,
    )
    values = ramp((6, 2, 8))
    add(
        "v0.9.dev1",
        "0.9.dev1, the draft of 1.0 (any order of axes)",
        "placed, with units; y and x are displayed",
        rfc3,
        tuple(
            Shown(
                name=f"cells channel {c}",
                pixels=values[:, c].T,
                axes=("y", "x"),
                places={(0, 0): (0, 0), (7, 5): (3.5, 1.25)},
            )
            for c in range(2)
        ),
        may_warn=True,
    )
    add(
        "v0.9.dev1_systems",
        "0.9.dev1, the draft of 1.0 (any order of axes)",
        "placed, with units; y and x are displayed",
        rfc3_systems,
        may_warn=True,
    )
    for version in ("0.4", "0.5", "0.6"):
        add(
            f"no_version_{version}",
            "no version",
            "the version is known from how the file is written",
            renamed(version, None),
            may_warn=True,
        )
    for name, version, tag in (
        ("spatialdata_0.4", "0.4", "0.4-dev-spatialdata"),
        ("spatialdata_0.5", "0.5", "0.5-dev-spatialdata"),
    ):
        add(
            name,
            "tags of other programs, such as `0.4-dev-spatialdata`",
            "as that version",
            renamed(version, tag),
        )
    for name, version, tag in (
        ("unknown_0.7", "0.6", "0.7"),
        ("unknown_banana", "0.4", "banana"),
        ("unknown_99_v2", "0.4", "99"),
    ):
        add(
            name,
            "a version that nobody knows",
            "read as the nearest one, with a warning",
            renamed(version, tag),
            warns=(tag,),
            may_warn=True,
        )
    add("patch", "a patch of a version, such as `0.5.9`", "as that version", renamed("0.5", "0.5.9"))
    add("number", "the version as a number", "as that version", renamed("0.4", 0.4), may_warn=True)
    add(
        "v0.5_in_zarr_v2",
        "the metadata of one version inside the container of another",
        "opens as what the metadata say",
        plain("0.5", zarr=2),
        may_warn=True,
    )
    add(
        "v0.4_in_zarr_v3",
        "the metadata of one version inside the container of another",
        "opens as what the metadata say",
        plain("0.4", zarr=3),
        may_warn=True,
    )
    add("both", "0.4 and 0.5 in one folder", "the newer one", both, may_warn=True)
    for version in ("0.4", "0.5"):
        add(f"consolidated_{version}", "consolidated metadata", "used", consolidated(version))
    wide = cells(levels=1)
    for name, names in (("none", None), ("right", ("y", "x")), ("wrong", ("x", "y")), ("null", (None, "x"))):
        add(
            f"dimension_names_{name}",
            "`dimension_names` present, missing or different",
            "the axes of the image count",
            named(names),
            wide,
            may_warn=name in ("wrong", "null"),
        )
    for name, make in {
        "0.4_dot": separated("0.4", separator="."),
        "0.4_slash": separated("0.4"),
        "0.5_dot": separated("0.5", separator="."),
        "0.5_slash": separated("0.5"),
        "0.5_v2_keys": separated(
            "0.5", chunk_key_encoding={"name": "v2", "configuration": {"separator": "/"}}
        ),
    }.items():
        add(f"separator_{name}", "chunks named with `.` or `/`, in either form", "opens", make, wide)
    for name, (version, options) in CODECS.items():
        add(
            f"codec_{name}",
            "any compression that zarr-python reads, sharded or not, in C or Fortran order",
            "opens",
            coded(version, **options),
            wide,
        )
    return found


def _codecs() -> dict[str, tuple[str, dict[str, Any]]]:
    import numcodecs
    from zarr.codecs import BloscCodec, GzipCodec, TransposeCodec, ZstdCodec

    return {
        "v2_none": ("0.4", {"compressors": None}),
        "v2_zlib": ("0.4", {"compressors": numcodecs.Zlib(1)}),
        "v2_zstd": ("0.4", {"compressors": numcodecs.Zstd(1)}),
        "v2_lz4": ("0.4", {"compressors": numcodecs.LZ4()}),
        "v2_bz2": ("0.4", {"compressors": numcodecs.BZ2()}),
        "v2_blosc": ("0.4", {"compressors": numcodecs.Blosc("lz4", 5, numcodecs.Blosc.BITSHUFFLE)}),
        "v2_delta": ("0.4", {"filters": [numcodecs.Delta("<u2")], "compressors": numcodecs.Zlib(1)}),
        "v2_fortran": ("0.4", {"order": "F", "compressors": None}),
        "v3_none": ("0.5", {"compressors": None}),
        "v3_gzip": ("0.5", {"compressors": [GzipCodec()]}),
        "v3_zstd": ("0.5", {"compressors": [ZstdCodec()]}),
        "v3_blosc": ("0.5", {"compressors": [BloscCodec()]}),
        "v3_transpose": ("0.5", {"filters": [TransposeCodec(order=(1, 0))], "compressors": None}),
        "v3_sharded": ("0.5", {"chunks": (2, 3), "shards": (4, 6), "compressors": [ZstdCodec()]}),
        "v3_sharded_plain": ("0.5", {"chunks": (2, 3), "shards": (8, 6), "compressors": None}),
    }


CODECS = _codecs()
