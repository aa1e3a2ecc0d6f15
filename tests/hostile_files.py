"""Stores that declare much in few bytes: one family for each thing that a file can declare."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Store = dict[str, Any]
"""Key of each document to its content: JSON, or bytes as they are."""

SPACE = [{"name": "y", "type": "space"}, {"name": "x", "type": "space"}]


def scale(*numbers: float) -> list[dict[str, Any]]:
    return [{"type": "scale", "scale": list(numbers)}]


LEVEL = {"path": "0", "coordinateTransformations": scale(1, 1)}
ENTRY = {"axes": SPACE, "datasets": [LEVEL]}


def array(
    shape: tuple[int, ...] = (8, 8), chunks: tuple[int, ...] | None = None, **more: Any
) -> dict[str, Any]:
    document = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": shape,
        "data_type": "uint8",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunks or shape}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0,
        "codecs": [{"name": "bytes"}],
        "attributes": {},
    }
    return document | more


def group(ome: Any = None, **more: Any) -> dict[str, Any]:
    attributes = {} if ome is None else {"ome": {"version": "0.5", **ome} if isinstance(ome, dict) else ome}
    return {
        "zarr_format": 3,
        "node_type": "group",
        "attributes": attributes | more.pop("attributes", {}),
        **more,
    }


def image(
    levels: dict[str, Any] | None = None, *, version: str = "0.5", entry: Any = None, **ome: Any
) -> Store:
    """An image of one level, or with an entry of its own."""
    root = group({"version": version, "multiscales": [entry or ENTRY], **ome})
    return {"zarr.json": root, **{f"{p}/zarr.json": d for p, d in (levels or {"0": array()}).items()}}


def nested(depth: int) -> Any:
    value: Any = 1
    for i in range(depth):
        value = [value] if i % 2 else {"a": value}
    return value


def nested_text(depth: int) -> str:
    return '{"a":[' * (depth // 2) + "1" + "]}" * (depth // 2)


def nd(*names: str) -> dict[str, Any]:
    kinds = {"c": "channel", "t": "time"}
    return {
        "axes": [{"name": n, "type": kinds.get(n, "space")} for n in names],
        "datasets": [{"path": "0", "coordinateTransformations": scale(*[1] * len(names))}],
    }


def system(name: str) -> dict[str, Any]:
    return {"name": name, "axes": SPACE}


def v06(systems: list[Any], links: list[Any], datasets: list[Any] | None = None) -> dict[str, Any]:
    one = {"type": "scale", "scale": [1, 1], "input": {"path": "0"}, "output": {"name": "s0"}}
    return {
        "coordinateSystems": systems,
        "datasets": datasets or [{"path": "0", "coordinateTransformations": [one]}],
        "coordinateTransformations": links,
        "napari-ome-ngff": {"shown": "s1"},
    }


def link(a: str, b: str, **more: Any) -> dict[str, Any]:
    return {"type": "identity", "input": {"name": a}, "output": {"name": b}, **more}


def plate(**more: Any) -> dict[str, Any]:
    return {
        "plate": {
            "rows": [{"name": "A"}],
            "columns": [{"name": "1"}],
            "wells": [{"path": "A/1", "rowIndex": 0, "columnIndex": 0}],
            **more,
        }
    }


def plate_store(root: Any, well: Any | None = None) -> Store:
    return {
        "zarr.json": group(root),
        "A/zarr.json": group(),
        "A/1/zarr.json": group(well or {"well": {"images": [{"path": "0"}]}}),
        "A/1/0/zarr.json": group({"multiscales": [ENTRY]}),
        "A/1/0/0/zarr.json": array(),
    }


def labels(names: list[Any], label: Any, *, there: int = 1) -> Store:
    store = image()
    store["labels/zarr.json"] = group({"labels": names})
    for name in names[:there]:
        store[f"labels/{name}/zarr.json"] = group({"multiscales": [ENTRY], "image-label": label})
        store[f"labels/{name}/0/zarr.json"] = array()
    return store


FAMILIES: dict[str, Callable[[int], Store]] = {}
"""What is declared -> a store that declares as much of it as fits into so many bytes."""


def of(name: str, make: Callable[[int], Store]) -> None:
    FAMILIES[name] = make


def text(n: int) -> str:
    return "x" * n


of("numbers as images", lambda n: {**image(), "zarr.json": group({"multiscales": [1] * (n // 3)})})
of("empty images", lambda n: {**image(), "zarr.json": group({"multiscales": [{}] * (n // 4)})})
of("images", lambda n: {**image(), "zarr.json": group({"multiscales": [ENTRY] * (n // 180)})})
of(
    "named images",
    lambda n: {**image(), "zarr.json": group({"multiscales": [{**ENTRY, "name": "a"}] * (n // 200)})},
)
of(
    "images of many levels",
    lambda n: {
        "zarr.json": group(
            {
                "multiscales": [
                    {"axes": SPACE, "datasets": [{"path": f"{i}/{j}"} for j in range(64)]}
                    for i in range(n // 1400)
                ]
            }
        )
    },
)
of(
    "images with transforms",
    lambda n: {
        **image(),
        "zarr.json": group(
            {"multiscales": [{**ENTRY, "coordinateTransformations": scale(1, 1) * 99}] * (n // 4500)}
        ),
    },
)
of(
    "levels",
    lambda n: image(entry={"axes": SPACE, "datasets": [{**LEVEL, "path": str(i)} for i in range(n // 90)]}),
)
of("equal levels", lambda n: image(entry={"axes": SPACE, "datasets": [LEVEL] * (n // 90)}))
of(
    "levels without transform",
    lambda n: image(entry={"axes": SPACE, "datasets": [{"path": str(i)} for i in range(n // 18)]}),
)
of("numbers as levels", lambda n: image(entry={"axes": SPACE, "datasets": list(range(n // 8))}))
of(
    "path of many parts",
    lambda n: image(entry={"axes": SPACE, "datasets": [LEVEL, {**LEVEL, "path": "a/" * (n // 2) + "b"}]}),
)
of(
    "path of 4000 parts",
    lambda n: image(
        entry={
            "axes": SPACE,
            "datasets": [LEVEL, *({**LEVEL, "path": f"{i}/" + "a/" * 2000 + "b"} for i in range(n // 4100))],
        }
    ),
)
of(
    "paths of 10 parts",
    lambda n: image(
        entry={
            "axes": SPACE,
            "datasets": [LEVEL, *({**LEVEL, "path": f"{i}/" + "a/" * 10 + "b"} for i in range(n // 120))],
        }
    ),
)
of(
    "paths of many images",
    lambda n: {
        **image(),
        "zarr.json": group(
            {
                "multiscales": [
                    {"axes": SPACE, "datasets": [{"path": f"{i}/" + "a/" * 500 + str(j)} for j in range(9)]}
                    for i in range(n // 9200)
                ]
            }
        ),
    },
)
of(
    "path of empty parts",
    lambda n: image(
        entry={
            "axes": SPACE,
            "datasets": [LEVEL, {**LEVEL, "path": "/" * n}, {**LEVEL, "path": "0" + "/" * n}],
        }
    ),
)
of(
    "path with dots",
    lambda n: image(entry={"axes": SPACE, "datasets": [LEVEL, {**LEVEL, "path": "../" * (n // 3)}]}),
)
of("axes", lambda n: image(entry={"axes": [{"name": str(i)} for i in range(n // 17)], "datasets": [LEVEL]}))
of("axes of one name", lambda n: image(entry={"axes": [{"name": "y"}] * (n // 17), "datasets": [LEVEL]}))
of(
    "axes and scales",
    lambda n: image(
        entry={
            "axes": [{"name": str(i)} for i in range(n // 25)],
            "datasets": [{"path": "0", "coordinateTransformations": scale(*[1] * (n // 25))}],
        }
    ),
)
of("long axis name", lambda n: image(entry={"axes": [{"name": "y" * n}, {"name": "x"}], "datasets": [LEVEL]}))
of("long name", lambda n: image(entry={**ENTRY, "name": text(n)}))
of("long unit", lambda n: image(entry={**ENTRY, "axes": [{**SPACE[0], "unit": "mic" * (n // 3)}, SPACE[1]]}))
of("transforms", lambda n: image(entry={**ENTRY, "coordinateTransformations": scale(1, 1) * (n // 40)}))
of(
    "long scale",
    lambda n: image(
        entry={
            "axes": SPACE,
            "datasets": [{"path": "0", "coordinateTransformations": scale(*[1] * (n // 3))}],
        }
    ),
)
of("unknown keys", lambda n: image(entry={**ENTRY, **{f"@{i}": i for i in range(n // 18)}}))
of(
    "foreign attributes",
    lambda n: {
        **image(),
        "zarr.json": group(
            {"multiscales": [ENTRY]}, attributes={f"k{i}": {"a": [i]} for i in range(n // 24)}
        ),
    },
)
of("metadata", lambda n: image(entry={**ENTRY, "metadata": {f"k{i}": {"a": [i]} for i in range(n // 24)}}))
of(
    "channels",
    lambda n: image(
        omero={
            "channels": [
                {"color": "FF0000", "window": {"start": 0, "end": 1, "min": 0, "max": 1}, "label": str(i)}
                for i in range(n // 100)
            ]
        }
    ),
)
of(
    "channels of an axis",
    lambda n: image(
        {"0": array((n // 100, 8, 8))},
        entry=nd("c", "y", "x"),
        omero={"channels": [{"color": "FF0000", "label": str(i)} for i in range(n // 50)]},
    ),
)
of(
    "channels of nothing",
    lambda n: image({"0": array((9, 8, 8))}, entry=nd("c", "y", "x"), omero={"channels": [None] * (n // 6)}),
)
of("long channel axis", lambda n: image({"0": array((10**6, 8, 8), (1, 8, 8))}, entry=nd("c", "y", "x")))
of(
    "longest channel axis",
    lambda n: image(
        {"0": array((2**27, 8, 8), (1, 8, 8))}, entry=nd("c", "y", "x"), omero={"channels": [{"label": "a"}]}
    ),
)
of("rdefs", lambda n: image(omero={"channels": [], "rdefs": {str(i): i for i in range(n // 16)}}))
of("labels", lambda n: labels([str(i) for i in range(n // 10)], {}))
of("odd labels", lambda n: labels([str(0), *([None] * (n // 6))], {}))
of("labels that are there", lambda n: labels([str(i) for i in range(n // 600)], {}, there=n // 600))
of("labels of deep paths", lambda n: labels(["a/" * 2000 + str(i) for i in range(n // 4010)], {}, there=0))
of(
    "colors",
    lambda n: labels(["a"], {"colors": [{"label-value": i, "rgba": [1, 2, 3, 4]} for i in range(n // 48)]}),
)
of(
    "equal colors",
    lambda n: labels(["a"], {"colors": [{"label-value": 1, "rgba": [1, 2, 3, 4]}] * (n // 48)}),
)
of(
    "odd colors",
    lambda n: labels(["a"], {"colors": [{"label-value": i, "rgba": "red"} for i in range(n // 40)]}),
)
of(
    "properties",
    lambda n: labels(["a"], {"properties": [{"label-value": i, "area": i} for i in range(n // 40)]}),
)
of(
    "properties of many names",
    lambda n: labels(["a"], {"properties": [{"label-value": 1, **{f"p{i}": i for i in range(n // 16)}}]}),
)
of(
    "properties of names of their own",
    lambda n: labels(["a"], {"properties": [{"label-value": i, f"p{i}": i} for i in range(n // 40)]}),
)
of(
    "well list",
    lambda n: plate_store(plate(wells=[{"path": "A/1", "rowIndex": 0, "columnIndex": 0}] * (n // 55))),
)
of(
    "wells",
    lambda n: plate_store(
        plate(
            rows=[{"name": "A"}],
            columns=[{"name": str(i + 1)} for i in range(n // 80)],
            wells=[{"path": f"A/{i + 1}", "rowIndex": 0, "columnIndex": i} for i in range(n // 80)],
        )
    ),
)
of(
    "wells of a matrix",
    lambda n: plate_store(
        plate(
            rows=[{"name": f"A{i}"} for i in range(int((n / 60) ** 0.5))],
            columns=[{"name": str(i + 1)} for i in range(int((n / 60) ** 0.5))],
            wells=[
                {"path": f"A{i}/{j + 1}", "rowIndex": i, "columnIndex": j}
                for i in range(int((n / 60) ** 0.5))
                for j in range(int((n / 60) ** 0.5))
            ],
        )
    ),
)
of("rows", lambda n: plate_store(plate(rows=[{"name": f"A{i}" if i else "A"} for i in range(n // 18)])))
of(
    "rows and columns",
    lambda n: plate_store(
        plate(
            rows=[{"name": f"A{i}" if i else "A"} for i in range(n // 36)],
            columns=[{"name": str(i + 1)} for i in range(n // 36)],
        )
    ),
)
of(
    "far well",
    lambda n: plate_store(
        plate(
            rows=[{"name": f"A{i}" if i else "A"} for i in range(n // 36)],
            columns=[{"name": str(i + 1)} for i in range(n // 36)],
            wells=[
                {"path": "A/1", "rowIndex": 0, "columnIndex": 0},
                {"path": "A0/9", "rowIndex": n // 36 - 1, "columnIndex": n // 36 - 1},
            ],
        )
    ),
)
of("acquisitions", lambda n: plate_store(plate(acquisitions=[{"id": i} for i in range(n // 12)])))
of(
    "wells of long paths",
    lambda n: plate_store(
        plate(wells=[{"path": "A/" + text(n)}, {"path": "A/1", "rowIndex": 0, "columnIndex": 0}])
    ),
)
of("fields", lambda n: plate_store(plate(), {"well": {"images": [{"path": str(i)} for i in range(n // 17)]}}))
of("equal fields", lambda n: plate_store(plate(), {"well": {"images": [{"path": "0"}] * (n // 15)}}))
of(
    "well alone",
    lambda n: {
        k[4:]: v
        for k, v in plate_store(
            plate(), {"well": {"images": [{"path": str(i)} for i in range(n // 17)]}}
        ).items()
        if k.startswith("A/1/")
    },
)
of(
    "well of equal fields",
    lambda n: {
        k[4:]: v
        for k, v in plate_store(plate(), {"well": {"images": [{"path": "0"}] * (n // 15)}}).items()
        if k.startswith("A/1/")
    },
)
of(
    "series",
    lambda n: {
        "zarr.json": group({"bioformats2raw.layout": 3}),
        "OME/zarr.json": group({"series": [str(i) for i in range(n // 9)]}),
        "0/zarr.json": group({"multiscales": [ENTRY]}),
        "0/0/zarr.json": array(),
    },
)
of(
    "equal series",
    lambda n: {
        "zarr.json": group({"bioformats2raw.layout": 3}),
        "OME/zarr.json": group({"series": ["0"] * (n // 5)}),
        "0/zarr.json": group({"multiscales": [ENTRY]}),
        "0/0/zarr.json": array(),
    },
)
of(
    "images in XML",
    lambda n: {
        "zarr.json": group({"bioformats2raw.layout": 3}),
        "OME/METADATA.ome.xml": b"<OME>" + b'<Image Name="a"/>' * (n // 17) + b"</OME>",
        "0/zarr.json": group({"multiscales": [ENTRY]}),
        "0/0/zarr.json": array(),
    },
)
of(
    "nested XML",
    lambda n: {
        "zarr.json": group({"bioformats2raw.layout": 3}),
        "OME/METADATA.ome.xml": b"<OME>" * (n // 11) + b"</OME>" * (n // 11),
        "0/zarr.json": group({"multiscales": [ENTRY]}),
        "0/0/zarr.json": array(),
    },
)
of(
    "entities in XML",
    lambda n: {
        "zarr.json": group({"bioformats2raw.layout": 3}),
        "OME/METADATA.ome.xml": b'<!DOCTYPE OME [<!ENTITY a0 "'
        + b"x" * 1000
        + b'">'
        + b"".join(b'<!ENTITY a%d "%s">' % (i, b"&a%d;" % (i - 1) * 10) for i in range(1, 9))
        + b']><OME><Image Name="&a8;"/></OME>',
        "0/zarr.json": group({"multiscales": [ENTRY]}),
        "0/0/zarr.json": array(),
    },
)
of("systems", lambda n: image(version="0.6", entry=v06([system(f"s{i}") for i in range(n // 90)], [])))
of(
    "chain of systems",
    lambda n: image(
        version="0.6",
        entry=v06(
            [system(f"s{i}") for i in range(n // 200)],
            [link(f"s{i}", f"s{i + 1}") for i in range(n // 200 - 1)],
        ),
    ),
)
of(
    "links",
    lambda n: image(version="0.6", entry=v06([system("s0"), system("s1")], [link("s0", "s1")] * (n // 80))),
)
of(
    "links of all to all",
    lambda n: image(
        version="0.6",
        entry=v06(
            [system(f"s{i}") for i in range(100)],
            [link(f"s{i}", f"s{j}") for i in range(100) for j in range(n // 9000) if i != j],
        ),
    ),
)
of(
    "sequence",
    lambda n: image(
        version="0.6",
        entry=v06(
            [system("s0"), system("s1")],
            [link("s0", "s1", type="sequence", transformations=scale(1, 1) * (n // 40))],
        ),
    ),
)
of(
    "sequence of affines",
    lambda n: image(
        version="0.6",
        entry=v06(
            [system("s0"), system("s1")],
            [
                link(
                    "s0",
                    "s1",
                    type="sequence",
                    transformations=[{"type": "affine", "affine": [[1, 0, 0], [0, 1, 0]]}] * (n // 60),
                )
            ],
        ),
    ),
)
of(
    "large affine",
    lambda n: image(
        version="0.6",
        entry=v06(
            [system("s0"), system("s1")], [link("s0", "s1", type="affine", affine=[[1] * 500] * (n // 1500))]
        ),
    ),
)
of(
    "affine of many axes",
    lambda n: image(
        version="0.6",
        entry=v06(
            [
                {"name": "s0", "axes": [{"name": f"a{i}"} for i in range(int((n / 4) ** 0.5))]},
                {"name": "s1", "axes": [{"name": f"a{i}"} for i in range(int((n / 4) ** 0.5))]},
            ],
            [link("s0", "s1", type="affine", affine=[[1] * (int((n / 4) ** 0.5) + 1)] * int((n / 4) ** 0.5))],
        ),
    ),
)
of(
    "by dimension",
    lambda n: image(
        version="0.6",
        entry=v06(
            [system("s0"), system("s1")],
            [
                link(
                    "s0",
                    "s1",
                    type="byDimension",
                    transformations=[
                        {"type": "scale", "scale": [1], "input_axes": ["x"], "output_axes": ["x"]}
                    ]
                    * (n // 90),
                )
            ],
        ),
    ),
)
of(
    "nested sequence",
    lambda n: image(
        version="0.6",
        entry=v06(
            [system("s0"), system("s1")],
            [link("s0", "s1", type="sequence", transformations=deep_sequence(440))],
        ),
    ),
)
of(
    "nested bijection",
    lambda n: image(
        version="0.6",
        entry=v06(
            [system("s0"), system("s1")],
            [link("s0", "s1", type="sequence", transformations=[deep_bijection(2)] * (n // 700))],
        ),
    ),
)
of(
    "doubled sequence",
    lambda n: image(
        version="0.6", entry=v06([system("s0"), system("s1")], [link("s0", "s1", **deep_bijection(12))])
    ),
)
of(
    "scene",
    lambda n: {
        "zarr.json": group(
            {
                "version": "0.6",
                "scene": {
                    "coordinateSystems": [system(f"s{i}") for i in range(n // 250)],
                    "coordinateTransformations": [
                        {
                            "type": "identity",
                            "input": {"path": "0", "name": "s0"},
                            "output": {"name": f"s{i}"},
                        }
                        for i in range(n // 250)
                    ],
                },
            }
        ),
        "0/zarr.json": group({"version": "0.6", "multiscales": [v06([system("s0")], [])]}),
        "0/0/zarr.json": array(),
    },
)
of(
    "scene of many images",
    lambda n: {
        "zarr.json": group(
            {
                "version": "0.6",
                "scene": {
                    "coordinateSystems": [system("w")],
                    "coordinateTransformations": [
                        {"type": "identity", "input": {"path": str(i), "name": "s0"}, "output": {"name": "w"}}
                        for i in range(n // 100)
                    ],
                },
            }
        ),
        "0/zarr.json": group({"version": "0.6", "multiscales": [v06([system("s0")], [])]}),
        "0/0/zarr.json": array(),
    },
)
of(
    "parameters in arrays",
    lambda n: image(
        entry={
            "axes": SPACE,
            "datasets": [
                {"path": "0", "coordinateTransformations": [{"type": "scale", "path": str(i)}]}
                for i in range(n // 70)
            ],
        }
    ),
)
for depth in (90, 900):
    of(
        f"attributes nested {depth}",
        lambda n, depth=depth: (  # type: ignore[misc]
            {**image(), "zarr.json": group({"multiscales": [ENTRY]}, attributes={"a": nested(depth)})}
        ),
    )
    of(
        f"metadata nested {depth}",
        lambda n, depth=depth: (  # type: ignore[misc]
            image(
                entry={
                    **ENTRY,
                    "metadata": nested(depth),
                    "extra": nested(depth),
                    "coordinateTransformations": None,
                    "name": nested(depth),
                }
            )
        ),
    )
    of(
        f"omero nested {depth}",
        lambda n, depth=depth: (  # type: ignore[misc]
            image(omero={"channels": [{"a": nested(depth), "window": nested(depth)}], "rdefs": nested(depth)})
        ),
    )
    of(
        f"array nested {depth}",
        lambda n, depth=depth: (  # type: ignore[misc]
            image({"0": array(attributes={"a": nested(depth)}, fill_value=0)})
        ),
    )
    of(
        f"codecs nested {depth}",
        lambda n, depth=depth: (  # type: ignore[misc]
            image({"0": array(codecs=[{"name": "bytes", "configuration": nested(depth)}])})
        ),
    )
    of(
        f"label nested {depth}",
        lambda n, depth=depth: (  # type: ignore[misc]
            labels(
                ["a"],
                {
                    "source": nested(depth),
                    "properties": [{"label-value": 1, "a": nested(depth)}],
                    "x": nested(depth),
                },
            )
        ),
    )
of(
    "nested attributes",
    lambda n: {
        **image(),
        "zarr.json": json.dumps(group({"multiscales": [ENTRY]}, attributes={"a": "@"}))
        .replace('"@"', nested_text(n // 4))
        .encode(),
    },
)
of("tiny chunks", lambda n: image({"0": array((4000, 4000), (1, 1))}))
of("tiny chunks of a long plane", lambda n: image({"0": array((10**8, 8), (1, 1))}))
of(
    "tiny chunks of a stack",
    lambda n: image({"0": array((100, 100, 1000, 1000), (1, 1, 1, 1))}, entry=nd("t", "z", "y", "x")),
)
of(
    "tiny chunks of channels",
    lambda n: image({"0": array((200, 1000, 1000), (1, 1, 1))}, entry=nd("c", "y", "x")),
)
of("chunks of a row", lambda n: image({"0": array((10**5, 10**5), (1, 10**5))}))
of("chunks of a column", lambda n: image({"0": array((10**5, 10**5), (10**5, 1))}))
of("deep chunks", lambda n: image({"0": array((10**5, 1000, 1000), (10**5, 1, 1))}, entry=nd("z", "y", "x")))
of("huge chunk", lambda n: image({"0": array((10**5, 10**5), (10**5, 10**5))}))
of("huge chunk of a small array", lambda n: image({"0": array((8, 8), (10**8, 10**8))}))
of("huge shape", lambda n: image({"0": array((10**8, 10**8), (512, 512))}))
of("shard of tiny chunks", lambda n: image({"0": sharded((4096, 4096), (4096, 4096), (1, 1))}))
of("shards of tiny chunks", lambda n: image({"0": sharded((2**16, 2**16), (2**16, 2**16), (1, 1))}))
of(
    "stored shard of tiny chunks",
    lambda n: {**image({"0": sharded((4096, 4096), (4096, 4096), (1, 1))}), "0/c/0/0": b"\0" * n},
)
of("short shards", lambda n: image({"0": sharded((2**14, 2**14), (512, 512), (1, 1))}))
of("axis of 10^8", lambda n: image({"0": array((4, 10**8), (4, 10**6))}))
of(
    "five axes of 10^6",
    lambda n: image(
        {"0": array((3, 4, 5, 10**6, 10**7), (1, 1, 1, 512, 512))}, entry=nd("t", "c", "z", "y", "x")
    ),
)
of(
    "levels of 10^7",
    lambda n: image(
        {str(i): array((10**7, 10**7), (512, 512)) for i in range(64)},
        entry={
            "axes": SPACE,
            "datasets": [{"path": str(i), "coordinateTransformations": scale(1, 1)} for i in range(64)],
        },
    ),
)
of(
    "levels with tiny chunks",
    lambda n: image(
        {str(i): array((2000 - i, 2000 - i), (1, 1)) for i in range(64)},
        entry={
            "axes": SPACE,
            "datasets": [{"path": str(i), "coordinateTransformations": scale(1, 1)} for i in range(64)],
        },
    ),
)
of("codecs", lambda n: image({"0": array(codecs=[{"name": "bytes"}] * (n // 18))}))
of(
    "compressors",
    lambda n: image(
        {
            "0": array(
                codecs=[{"name": "bytes"}, *[{"name": "gzip", "configuration": {"level": 1}}] * (n // 50)]
            )
        }
    ),
)
of("crc codecs", lambda n: image({"0": array(codecs=[{"name": "bytes"}, *[{"name": "crc32c"}] * (n // 18)])}))
of(
    "transposes",
    lambda n: image(
        {
            "0": array(
                codecs=[
                    *[{"name": "transpose", "configuration": {"order": [1, 0]}}] * (n // 60),
                    {"name": "bytes"},
                ]
            )
        }
    ),
)
of("nested shards", lambda n: image({"0": array(codecs=shard_codecs(60))}))
of("dimension names", lambda n: image({"0": array(dimension_names=["a"] * (n // 5))}))
of("long fill value", lambda n: image({"0": array(fill_value="1" * n)}))
of("shape of many axes", lambda n: image({"0": array((1,) * (n // 6))}))
of("array attributes", lambda n: image({"0": array(attributes={f"k{i}": i for i in range(n // 18)})}))
of(
    "structured type",
    lambda n: image(
        {
            "0": array(
                data_type={
                    "name": "structured",
                    "configuration": {"fields": [[f"f{i}", "uint8"] for i in range(n // 22)]},
                },
                fill_value="",
            )
        }
    ),
)
of(
    "rectangular grid",
    lambda n: image(
        {
            "0": array(
                (n // 4, 8),
                chunk_grid={
                    "name": "rectilinear",
                    "configuration": {"kind": "inline", "chunk_shapes": [[1] * (n // 4), [8]]},
                },
            )
        }
    ),
)
of("storage transformers", lambda n: image({"0": array(storage_transformers=[{"name": "x"}] * (n // 14))}))
of(
    "consolidated",
    lambda n: {
        **image(),
        "zarr.json": group(
            {"multiscales": [ENTRY]},
            consolidated_metadata={
                "kind": "inline",
                "must_understand": False,
                "metadata": {f"k{i}": group() for i in range(n // 70)},
            },
        ),
    },
)
of(
    "consolidated arrays",
    lambda n: {
        **image(),
        "zarr.json": group(
            {"multiscales": [ENTRY]},
            consolidated_metadata={
                "kind": "inline",
                "must_understand": False,
                "metadata": {f"k{i}": array() for i in range(n // 340)},
            },
        ),
    },
)
of(
    "consolidated deep paths",
    lambda n: {
        **image(),
        "zarr.json": group(
            {"multiscales": [ENTRY]},
            consolidated_metadata={
                "kind": "inline",
                "must_understand": False,
                "metadata": {"a/" * 1000 + f"k{i}": group() for i in range(n // 2100)},
            },
        ),
    },
)
of(
    "consolidated one deep path",
    lambda n: {
        **image(),
        "zarr.json": group(
            {"multiscales": [ENTRY]},
            consolidated_metadata={
                "kind": "inline",
                "must_understand": False,
                "metadata": {"a/" * (n // 2): group()},
            },
        ),
    },
)
of(
    "consolidated in consolidated",
    lambda n: {
        **image(),
        "zarr.json": group({"multiscales": [ENTRY]}, consolidated_metadata=consolidated_in(200)),
    },
)
of(
    "many groups",
    lambda n: {
        "zarr.json": group({"bioformats2raw.layout": 3}),
        **{f"{i}/zarr.json": group({"multiscales": [ENTRY]}) for i in range(n // 250)},
        **{f"{i}/0/zarr.json": array() for i in range(n // 250)},
    },
)
of("not JSON", lambda n: {"zarr.json": b'{"a": ' + b"[" * n})
of("digits", lambda n: {"zarr.json": b'{"a": ' + b"1" * n + b"}"})
of("long key", lambda n: {**image(), "zarr.json": group({"multiscales": [ENTRY], text(n): 1})})


def deep_sequence(depth: int) -> list[Any]:
    inner: list[Any] = scale(2, 2)
    for _ in range(depth):
        inner = [{"type": "sequence", "transformations": inner}]
    return inner


def deep_bijection(depth: int) -> dict[str, Any]:
    inner: dict[str, Any] = {"type": "scale", "scale": [1, 1]}
    for _ in range(depth):
        inner = {"type": "bijection", "forward": inner, "inverse": inner}
    return inner


def shard_codecs(depth: int) -> list[Any]:
    codecs: list[Any] = [{"name": "bytes"}]
    for _ in range(depth):
        codecs = [
            {
                "name": "sharding_indexed",
                "configuration": {
                    "chunk_shape": [8, 8],
                    "codecs": codecs,
                    "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
                },
            }
        ]
    return codecs


def sharded(shape: tuple[int, ...], shards: tuple[int, ...], chunks: tuple[int, ...]) -> dict[str, Any]:
    index = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}]
    config = {
        "chunk_shape": chunks,
        "codecs": [{"name": "bytes"}],
        "index_codecs": index,
        "index_location": "end",
    }
    return array(shape, shards, codecs=[{"name": "sharding_indexed", "configuration": config}])


def consolidated_in(depth: int) -> dict[str, Any]:
    inner: dict[str, Any] = {"kind": "inline", "must_understand": False, "metadata": {}}
    for _ in range(depth):
        inner = {
            "kind": "inline",
            "must_understand": False,
            "metadata": {"a": group(consolidated_metadata=inner)},
        }
    return inner


def write(store: Store, folder: Path) -> None:
    for key, content in store.items():
        path = folder / key
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        except RecursionError:  # of JSON, in Python 3.11
            path.write_bytes(b'{"a": ' + b"[" * 5000)
