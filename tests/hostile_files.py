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
        **{f"{i}/zarr.json": group({"multiscales": [ENTRY]}) for i in range(n // 570)},
        **{f"{i}/0/zarr.json": array() for i in range(n // 570)},
    },
)
of("not JSON", lambda n: {"zarr.json": b'{"a": ' + b"[" * n})
of("digits", lambda n: {"zarr.json": b'{"a": ' + b"1" * n + b"}"})
of("long key", lambda n: {**image(), "zarr.json": group({"multiscales": [ENTRY], text(n): 1})})


OLD_GROUP = {"zarr_format": 2}


def old(ome: Any, *, more: Store | None = None, **changes: Any) -> Store:
    """An image in Zarr v2; `changes` are of its array, `more` are further documents."""
    document = {"zarr_format": 2, "shape": [8, 8], "chunks": [8, 8], "dtype": "|u1", "order": "C"}
    document |= {"compressor": None, "filters": None, "fill_value": 0, "dimension_separator": "/", **changes}
    return {".zgroup": OLD_GROUP, ".zattrs": ome, "0/.zarray": document} | (more or {})


def old_image(**ome: Any) -> dict[str, Any]:
    return {"multiscales": [{**ENTRY, "version": "0.4"}], **ome}


def old_labels(**label: Any) -> Store:
    """A label image in Zarr v2."""
    inside = old(old_image(**{"image-label": label}))
    below = {f"labels/a/{key}": document for key, document in inside.items()}
    listed = {"labels/.zgroup": OLD_GROUP, "labels/.zattrs": {"labels": ["a"]}}
    return old(old_image(), more=listed | below)


def old_plate(**plate: Any) -> Store:
    well = {"well": {"images": [{"path": "0"}]}}
    below = {f"A/1/0/{key}": document for key, document in old(old_image()).items()}
    start = {".zgroup": OLD_GROUP, "A/.zgroup": OLD_GROUP, "A/1/.zgroup": OLD_GROUP}
    one = {"rows": [{"name": "A"}], "columns": [{"name": "1"}], "wells": [{"path": "A/1"}]}
    return {**start, ".zattrs": {"plate": one | plate}, "A/1/.zattrs": well, **below}


def many(item: Any, n: int) -> list[Any]:
    """As many of something as fit; those that are made of a number are made of numbers from 0 on."""
    make = item if callable(item) else lambda _: item
    return [make(i) for i in range(n // (len(json.dumps(make(n // 20))) + 2))]


# Lists and mappings of 0.4, in Zarr v2.
OLD: dict[str, Callable[[int], Store]] = {
    "images": lambda n: old({"multiscales": many({**ENTRY, "version": "0.4"}, n)}),
    "levels": lambda n: old(
        {"multiscales": [{"axes": SPACE, "datasets": many(lambda i: {**LEVEL, "path": f"{i}"}, n)}]}
    ),
    "channels": lambda n: old(old_image(omero={"channels": many(lambda i: {"label": f"{i}"}, n)})),
    "channels with windows": lambda n: old(
        old_image(omero={"channels": many({"window": {"start": 0, "end": 9}, "color": "00FF00"}, n)})
    ),
    "wells": lambda n: old_plate(wells=many(lambda i: {"path": f"A/{i}"}, n)),
    "wells far apart": lambda n: old_plate(
        wells=many(lambda i: {"path": "A/1", "rowIndex": i * 1000, "columnIndex": i * 1000}, n)
    ),
    "rows": lambda n: old_plate(rows=many(lambda i: {"name": f"A{i}"}, n)),
    "columns": lambda n: old_plate(columns=many(lambda i: {"name": f"{i + 1}"}, n)),
    "equal columns": lambda n: old_plate(columns=many({"name": "1"}, n)),
    "acquisitions": lambda n: old_plate(acquisitions=many(lambda i: {"id": i, "name": f"{i}"}, n)),
    "fields": lambda n: (
        old_plate() | {"A/1/.zattrs": {"well": {"images": many(lambda i: {"path": f"{i}"}, n)}}}
    ),
    "fields of acquisitions": lambda n: (
        old_plate(acquisitions=[{"id": 1}])
        | {"A/1/.zattrs": {"well": {"images": many(lambda i: {"path": f"{i}", "acquisition": i}, n)}}}
    ),
    "labels": lambda n: old(
        old_image(),
        more={"labels/.zgroup": OLD_GROUP, "labels/.zattrs": {"labels": many(lambda i: f"{i}", n)}},
    ),
    "colors": lambda n: old_labels(colors=many(lambda i: {"label-value": i, "rgba": [1, 2, 3, 4]}, n)),
    "colors of huge values": lambda n: old_labels(
        colors=many(lambda i: {"label-value": 2**64 + i, "rgba": [1, 2, 3, 4]}, n)
    ),
    "properties": lambda n: old_labels(properties=many(lambda i: {"label-value": i, "area": i}, n)),
    "properties of many kinds": lambda n: old_labels(
        properties=many(lambda i: {"label-value": i, "a": (1, "x", None, [1], {"b": 1})[i % 5]}, n)
    ),
    "properties with texts": lambda n: old_labels(
        properties=many(lambda i: {"label-value": i, "a": text(500)}, n)
    ),
    "series": lambda n: (
        old({"bioformats2raw.layout": 3})
        | {"OME/.zgroup": OLD_GROUP, "OME/.zattrs": {"series": many(lambda i: f"{i}", n)}}
    ),
    "filters": lambda n: old(old_image(), filters=many({"id": "delta", "dtype": "|u1"}, n)),
    "filters of nothing": lambda n: old(old_image(), filters=many({"id": "no such filter"}, n)),
    "compressor": lambda n: old(
        old_image(), compressor={"id": "zlib", **{f"k{i}": i for i in range(n // 14)}}
    ),
    "long compressor": lambda n: old(old_image(), compressor={"id": text(n)}),
    "compressor nested": lambda n: old(old_image(), compressor={"id": "zlib", "level": nested(400)}),
    "fields of a type": lambda n: old(
        old_image(), dtype=many(lambda i: [f"f{i}", "|u1"], n), fill_value=None
    ),
    "types in types": lambda n: old(old_image(), dtype=deep_type(400)),
    "long type": lambda n: old(old_image(), dtype="|u" + "1" * n),
    "texts of 10^8": lambda n: old(old_image(), dtype="<U100000000", fill_value="a"),
    "fill value": lambda n: old(old_image(), fill_value=text(n)),
    "fill value of bytes": lambda n: old(old_image(), dtype=f"|S{n}", fill_value="QUFB" * (n // 5)),
    "shape": lambda n: old(old_image(), shape=many(1, n // 2), chunks=many(1, n // 2)),
    "separator": lambda n: old(old_image(), dimension_separator="/" * n),
    "order": lambda n: old(old_image(), order="F" * n),
    "tiny chunks": lambda n: old(old_image(), shape=[10**6, 10**6], chunks=[1, 1]),
    "tiny chunks without separator": lambda n: old(
        old_image(), shape=[10**6, 10**6], chunks=[1, 1], dimension_separator=None
    ),
    "consolidated": lambda n: old(
        old_image(),
        more={
            ".zmetadata": {
                "zarr_consolidated_format": 1,
                "metadata": {f"k{i}/.zgroup": OLD_GROUP for i in range(n // 36)},
            }
        },
    ),
    "dimensions of arrays": lambda n: old(
        {"multiscales": [{"datasets": [LEVEL]}]}, more={"0/.zattrs": {"_ARRAY_DIMENSIONS": many("y", n)}}
    ),
    "attributes of arrays": lambda n: old(
        old_image(), more={"0/.zattrs": {f"k{i}": {"a": [i]} for i in range(n // 24)}}
    ),
    "attributes of the labels": lambda n: (
        old_labels() | {"labels/.zattrs": {"labels": ["a"], **{f"k{i}": [i] for i in range(n // 16)}}}
    ),
}
for _name, _make in OLD.items():
    of(f"0.4: {_name}", _make)


def deep_type(depth: int) -> list[Any]:
    inner: Any = [["a", "|u1"]]
    for _ in range(depth):
        inner = [["a", inner]]
    return inner  # type: ignore[no-any-return]


def axes06(n: int, **axis: Any) -> list[dict[str, Any]]:
    return [{**SPACE[0], **axis}, SPACE[1]]


def one_link(**more: Any) -> Store:
    """An image of 0.6 with a transform between its two systems."""
    return image(version="0.6", entry=v06([system("s0"), system("s1")], [link("s0", "s1", **more)]))


SCALE06 = {"type": "scale", "scale": [1, 1], "input": {"path": "0"}, "output": {"name": "s0"}}

# Transforms and systems of 0.6.
NEW: dict[str, Callable[[int], Store]] = {
    "equal systems": lambda n: image(version="0.6", entry=v06(many(system("s1"), n), [link("s0", "s1")])),
    "axes of a system": lambda n: image(
        version="0.6",
        entry=v06([{"name": "s0", "axes": many(lambda i: {"name": f"a{i}"}, n)}], []),
    ),
    "long name of an axis": lambda n: image(
        version="0.6", entry=v06([{"name": "s0", "axes": axes06(n, longName=text(n))}], [])
    ),
    "keys of an axis": lambda n: image(
        version="0.6",
        entry=v06([{"name": "s0", "axes": axes06(n, **{f"k{i}": i for i in range(n // 14)})}], []),
    ),
    "long name of a system": lambda n: image(version="0.6", entry=v06([system(text(n))], [])),
    "links to long names": lambda n: image(
        version="0.6", entry=v06([system("s0")], [link("s0", text(n // 10))] * 10)
    ),
    "ring of systems": lambda n: image(
        version="0.6",
        entry=v06(
            [system(f"s{i}") for i in range(n // 200)],
            [link(f"s{i}", f"s{(i + 1) % (n // 200)}") for i in range(n // 200)],
        ),
    ),
    "star of systems": lambda n: image(
        version="0.6",
        entry=v06([system(f"s{i}") for i in range(n // 200)], [link("s0", f"s{i}") for i in range(n // 200)]),
    ),
    "mapped axes": lambda n: one_link(type="mapAxis", mapAxis=many(lambda i: i, n)),
    "rotation": lambda n: one_link(
        type="rotation", rotation=[[1] * int((n / 3) ** 0.5)] * int((n / 3) ** 0.5)
    ),
    "long translation": lambda n: one_link(type="translation", translation=many(1.5, n)),
    "long row of an affine": lambda n: one_link(type="affine", affine=[many(1, n // 2), many(1, n // 2)]),
    "scale in an array": lambda n: one_link(type="scale", path="a/" * (n // 2) + "b"),
    "displacements": lambda n: one_link(type="displacements", path=text(n), interpolation=text(9)),
    "sequences of sequences": lambda n: one_link(
        type="sequence",
        transformations=many({"type": "sequence", "transformations": [{"type": "identity"}] * 9}, n),
    ),
    "bijections": lambda n: one_link(
        type="sequence",
        transformations=many(
            {"type": "bijection", "forward": {"type": "identity"}, "inverse": {"type": "identity"}}, n
        ),
    ),
    "axes of a part": lambda n: one_link(
        type="byDimension",
        transformations=[
            {"type": "identity", "input_axes": many(lambda i: f"a{i}", n), "output_axes": many("y", 99)}
        ],
    ),
    "transforms without place": lambda n: one_link(
        type="sequence",
        transformations=many({"type": "inverseOf", "transformation": {"type": "identity"}}, n),
    ),
    "unknown transforms": lambda n: image(
        version="0.6", entry=v06([system("s0")], many(lambda i: link("s0", f"s{i}", type=f"t{i}"), n))
    ),
    "levels": lambda n: image(
        version="0.6",
        entry=v06(
            [system("s0")],
            [],
            many(
                lambda i: {
                    "path": str(i),
                    "coordinateTransformations": [{**SCALE06, "input": {"path": str(i)}}],
                },
                n,
            ),
        ),
    ),
    "transforms of a level": lambda n: image(
        version="0.6",
        entry=v06(
            [system("s0")],
            [],
            [
                {
                    "path": "0",
                    "coordinateTransformations": many(SCALE06, n),
                }
            ],
        ),
    ),
    "scene of one image many times": lambda n: scene06(
        many({"type": "identity", "input": {"path": "0", "name": "s0"}, "output": {"name": "w"}}, n)
    ),
    "scene of deep paths": lambda n: scene06(
        many({"type": "identity", "input": {"path": "0/" * 500, "name": "s0"}, "output": {"name": "w"}}, n)
    ),
    "scene of sequences": lambda n: scene06(
        [
            {
                "type": "sequence",
                "input": {"path": "0", "name": "s0"},
                "output": {"name": "w"},
                "transformations": many({"type": "scale", "scale": [1, 1]}, n),
            }
        ]
    ),
    "scene of links between systems": lambda n: scene06(
        many(lambda i: {"type": "identity", "input": {"name": f"s{i}"}, "output": {"name": f"s{i + 1}"}}, n)
    ),
}


def scene06(links: list[Any]) -> Store:
    scene = {"coordinateSystems": [system("w")], "coordinateTransformations": links}
    return {
        "zarr.json": group({"version": "0.6", "scene": scene}),
        "0/zarr.json": group({"version": "0.6", "multiscales": [v06([system("s0")], [])]}),
        "0/0/zarr.json": array(),
    }


for _name, _make in NEW.items():
    of(f"0.6: {_name}", _make)

# One text, wherever a text may be: of letters that are folded, composed, escaped, counted or matched.
TEXTS = {
    "letters with marks": "a\u0301\u0323",
    "unseen letters": "\u200b\u202e",
    "letters of four bytes": "\U0001f52c",
    "digits": "1234567890",
    "hex digits": "F",
    "dots": "0.",
    "slashes": "a/",
    "percent signs": "%2541",
    "quotes": "\"'<&",
    "spaces": " \t\n",
}


def of_text(unit: str, n: int) -> Store:
    """A text of `n` / 16 bytes in each of 16 places."""
    long = unit * (n // 16 // (len(json.dumps(unit)) - 2) + 1)
    store = labels(["a"], {"version": long, "properties": [{"label-value": 1, "a": long, long: 1}]})
    channel = {"label": long, "color": long, "family": long, "window": {"start": long}}
    levels = [LEVEL, {"path": long}]
    axes = [{"name": "y", "type": long, "unit": long}, {"name": "x", "type": "space", "unit": long}]
    entry = {"name": long, "version": long, "type": long, "axes": axes, "datasets": levels}
    store["zarr.json"] = group(
        {"multiscales": [entry], "omero": {"channels": [channel], "name": long, "rdefs": {"model": long}}}
    )
    store["labels/zarr.json"] = group({"labels": ["a", long]})
    return store


def of_plate_text(unit: str, n: int) -> Store:
    long = unit * (n // 8 // (len(json.dumps(unit)) - 2) + 1)
    wells = [{"path": "A/1", "rowIndex": 0, "columnIndex": 0}, {"path": f"{long}/1"}]
    rows, columns = [{"name": "A"}, {"name": long}], [{"name": "1"}, {"name": long}]
    acquisitions = [{"id": 0, "name": long, "description": long}]
    return plate_store(plate(wells=wells, rows=rows, columns=columns, name=long, acquisitions=acquisitions))


for _name, _unit in TEXTS.items():
    of(f"texts of {_name}", lambda n, unit=_unit: of_text(unit, n))  # type: ignore[misc]
    of(f"plate of {_name}", lambda n, unit=_unit: of_plate_text(unit, n))  # type: ignore[misc]
    of(f"version of {_name}", lambda n, unit=_unit: image(version=unit * (n // (len(json.dumps(unit)) - 2))))  # type: ignore[misc]


def as_text(document: Any, value: str) -> bytes:
    """A document in which "@" is what no JSON library would write."""
    return json.dumps(document).replace('"@"', value).encode()


# What JSON itself can hold much of.
SPELLED: dict[str, Callable[[int], str]] = {
    "spaces": lambda n: " " * n + "1",
    "digits behind a point": lambda n: "0." + "1" * n,
    "zeros behind a point": lambda n: "0." + "0" * n + "1",
    "digits of an exponent": lambda n: "1e" + "9" * n,
    "digits of a negative exponent": lambda n: "1e-" + "9" * n,
    "numbers of 4000 digits": lambda n: "[" + ", ".join(["1" * 4000] * (n // 4002)) + "]",
    "numbers": lambda n: "[" + "1," * (n // 2) + "1]",
    "empty lists": lambda n: "[" + "[]," * (n // 3) + "1]",
    "empty mappings": lambda n: "[" + "{}," * (n // 3) + "1]",
    "escapes": lambda n: '"' + "\\u0000" * (n // 6) + '"',
    "half characters": lambda n: '"' + "\\ud800" * (n // 6) + '"',
    "one key many times": lambda n: "{" + '"a": 1, ' * (n // 8) + '"a": 2}',
    "keys that are numbers": lambda n: "{" + ", ".join(f'"{i}": 1' for i in range(n // 12)) + "}",
}
for _name, _spell in SPELLED.items():
    of(
        f"scale of {_name}",
        lambda n, spell=_spell: {  # type: ignore[misc]
            **image(),
            "zarr.json": as_text(
                group(
                    {
                        "multiscales": [
                            {
                                "axes": SPACE,
                                "datasets": [
                                    {
                                        "path": "0",
                                        "coordinateTransformations": [{"type": "scale", "scale": ["@", 1]}],
                                    }
                                ],
                            }
                        ]
                    }
                ),
                spell(n),
            ),
        },
    )
    of(
        f"attribute of {_name}",
        lambda n, spell=_spell: {  # type: ignore[misc]
            **image(),
            "zarr.json": as_text(group({"multiscales": [ENTRY]}, attributes={"a": "@"}), spell(n)),
        },
    )
    of(
        f"array of {_name}",
        lambda n, spell=_spell: image() | {"0/zarr.json": as_text(array(fill_value="@"), spell(n))},  # type: ignore[misc]
    )

# Arrays of Zarr v3, and label images with tables.
of("long dimension names", lambda n: image({"0": array(dimension_names=[text(n // 2), text(n // 2)])}))
of("unknown codecs", lambda n: image({"0": array(codecs=many(lambda i: {"name": f"c{i}"}, n))}))
of("long codec name", lambda n: image({"0": array(codecs=[{"name": text(n)}])}))
of("long data type", lambda n: image({"0": array(data_type=text(n))}))
of("data type of many keys", lambda n: image({"0": array(data_type={f"k{i}": i for i in range(n // 14)})}))
of("raw type", lambda n: image({"0": array(data_type="r" + "8" * n)}))
of("keys of an array", lambda n: image({"0": array(**{f"k{i}": i for i in range(n // 14)})}))
of("chunk shape", lambda n: image({"0": array((8, 8), tuple(many(1, n)))}))
of("fill value of numbers", lambda n: image({"0": array(fill_value=many(0, n))}))
of(
    "codec configuration",
    lambda n: image(
        {"0": array(codecs=[{"name": "bytes", "configuration": {f"k{i}": i for i in range(n // 14)}}])}
    ),
)
of(
    "permutation",
    lambda n: image(
        {
            "0": array(
                codecs=[
                    {"name": "transpose", "configuration": {"order": many(lambda i: i, n)}},
                    {"name": "bytes"},
                ]
            )
        }
    ),
)
of(
    "columns of a table",
    lambda n: (
        labels(["a"], {"napari_ome_ngff_tables": ["properties"]})
        | {
            "labels/a/napari_ome_ngff_tables/properties/zarr.json": group(
                attributes={
                    "version": 1,
                    "rows": 3,
                    "columns": many(lambda i: {"name": f"{i}", "kind": "number"}, n),
                }
            )
        }
    ),
)
of(
    "rows of a table",
    lambda n: (
        labels(["a"], {"napari_ome_ngff_tables": ["properties"]})
        | {
            "labels/a/napari_ome_ngff_tables/properties/zarr.json": group(
                attributes={"version": 1, "rows": 10**12, "columns": [{"name": "area", "kind": "number"}]}
            ),
            "labels/a/napari_ome_ngff_tables/properties/0-values/zarr.json": array((10**12,), (10**6,)),
        }
    ),
)
of(
    "attributes in XML",
    lambda n: series_of(b"<OME><Image " + b" ".join(b'a%d="1"' % i for i in range(n // 10)) + b"/></OME>"),
)
of("long name in XML", lambda n: series_of(b'<OME><Image Name="' + b"a" * n + b'"/></OME>'))
of("comments in XML", lambda n: series_of(b"<OME>" + b"<!---->" * (n // 7) + b"</OME>"))
of("text in XML", lambda n: series_of(b"<OME>" + b"&lt;" * (n // 4) + b"</OME>"))
of(
    "namespaces in XML",
    lambda n: series_of(b"<OME " + b" ".join(b'xmlns:a%d="b"' % i for i in range(n // 14)) + b"/>"),
)


def series_of(xml: bytes) -> Store:
    return {
        "zarr.json": group({"bioformats2raw.layout": 3}),
        "OME/METADATA.ome.xml": xml,
        "0/zarr.json": group({"multiscales": [ENTRY]}),
        "0/0/zarr.json": array(),
    }


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
