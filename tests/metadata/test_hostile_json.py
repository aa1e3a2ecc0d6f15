"""Broken and hostile metadata: an error of ours or a reading, never anything else, and no waiting."""

from __future__ import annotations

import json
import marshal
import math
import os
import random
import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from napari_ome_ngff.errors import OmeNgffError, OmeNgffWarning
from napari_ome_ngff.metadata.collections.bioformats2raw import decode_series
from napari_ome_ngff.metadata.collections.plates import decode_plate, decode_well
from napari_ome_ngff.metadata.collections.scene_placement import place_members
from napari_ome_ngff.metadata.collections.scenes import decode_scene, member_paths
from napari_ome_ngff.metadata.group_kind import foreign_attributes, is_ome_ngff, kind_of, merge_attributes
from napari_ome_ngff.metadata.image.datasets import placed_by_shapes
from napari_ome_ngff.metadata.image.label_images import decode_labels
from napari_ome_ngff.metadata.image.omero import is_greyscale
from napari_ome_ngff.metadata.nouns import Multiscale
from napari_ome_ngff.metadata.systems.view import parameter_paths, systems_of, view
from napari_ome_ngff.metadata.transforms import level_transform
from napari_ome_ngff.metadata.versions import VERSIONS, decode, encode
from tests.metadata.test_json_checks import nested
from tests.metadata_tools import heard

MUTATIONS = int(os.environ.get("NAPARI_OME_NGFF_MUTATIONS", "4_000"))
"""Some hundred thousand are for campaigns."""
SEED = 20261122
LONGEST_CALL = 1.0
"""Seconds of processor time that anything may take with any metadata."""


def documents(corpus: Path) -> Iterator[dict[str, Any]]:
    """Attributes of all groups of the corpus, one of each kind and form."""
    seen = set()
    for path in sorted(corpus.rglob("*")):
        if path.name not in ("zarr.json", ".zattrs") or "suite" in path.name:
            continue
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:  # some examples of the specification have comments
            continue
        attributes = document.get("attributes", {}) if path.name == "zarr.json" else document
        form = json.dumps(shape_of(attributes))
        if attributes and form not in seen:
            seen.add(form)
            yield attributes


def shape_of(value: Any) -> Any:
    """Structure of a document without its values, and with one item of each list."""
    if isinstance(value, dict):
        return {key: shape_of(inner) for key, inner in value.items()}
    return [shape_of(inner) for inner in value[:1]] if isinstance(value, list) else ""


STRANGE: tuple[Callable[[random.Random], Any], ...] = (
    lambda _: None,
    lambda _: True,
    lambda _: 0,
    lambda _: -0.0,
    lambda _: -1,
    lambda _: 10**400,
    lambda _: 2**63,
    lambda _: 1e308,
    lambda _: 5e-324,
    lambda _: math.nan,
    lambda _: math.inf,
    lambda rng: rng.choice(["NaN", "-Infinity", "1e999", "0", "1", "null", "true"]),
    lambda _: "",
    lambda rng: rng.choice(
        ["../..", "..", "/etc/passwd", "a/../../b", "C:\\x", "0/", "./0", "a//b", "file:///0"]
    ),
    lambda rng: rng.choice(["\u00b5m", "\u039c\u03bc", "\u200b", "\u202ex", "\U0001f52c", "\0", "a\nb"]),
    lambda _: "x" * 100_000,
    lambda _: "\ud800",
    lambda _: [],
    lambda _: {},
    lambda _: [[]],
    lambda _: [None],
    lambda _: [{}],
    lambda _: {"": None},
    lambda rng: nested(rng.choice([10, 3000])),
    lambda rng: deep_sequence(rng.choice([3, 3000])),
    lambda rng: rng.choice(["scale", "sequence", "identity", "affine", "rotation", "mapAxis", "byDimension"]),
    lambda rng: rng.choice(["space", "time", "channel", "array", "displacement", "micrometer", "x", "y"]),
    lambda rng: rng.choice(
        ["0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.6.dev1", "0.9.dev1", "1.0", "banana"]
    ),
    lambda rng: [rng.uniform(-9, 9) for _ in range(rng.randrange(7))],
    lambda rng: [[rng.uniform(-9, 9) for _ in range(rng.randrange(5))] for _ in range(rng.randrange(5))],
    lambda rng: ["z", "y", "x"][: rng.randrange(4)],
    lambda rng: {"type": "sequence", "transformations": [{"type": "scale", "scale": [rng.random()] * 3}] * 2},
)
MANY_TIMES = 100_000


def deep_sequence(depth: int) -> dict[str, Any]:
    """A transform in a transform in a transform."""
    inner: dict[str, Any] = {"type": "scale", "scale": [2, 2]}
    for _ in range(depth):
        inner = {"type": "sequence", "transformations": [inner]}
    return inner


def slots(document: Any) -> list[tuple[Any, Any]]:
    """Every container in a document with each of its keys."""
    found, stack = [], [document]
    while stack:
        value = stack.pop()
        if isinstance(value, dict | list):
            for key in list(value) if isinstance(value, dict) else range(min(len(value), 100)):
                found.append((value, key))
                stack.append(value[key])
    return found


Edit = Callable[[Any, Any, random.Random, Any], None]


def remove(place: Any, key: Any, rng: random.Random, other: Any) -> None:
    del place[key]


def make_strange(place: Any, key: Any, rng: random.Random, other: Any) -> None:
    place[key] = rng.choice(STRANGE)(rng)


def transplant(place: Any, key: Any, rng: random.Random, other: Any) -> None:
    """Something from another place, or from another document."""
    place[key] = other


def rename(place: Any, key: Any, rng: random.Random, other: Any) -> None:
    if isinstance(place, dict):
        names = [
            "type",
            "path",
            "name",
            "ome",
            "labels",
            "version",
            "axes",
            "datasets",
            "multiscales",
            "plate",
        ]
        place[rng.choice(names)] = place.pop(key)


def double(place: Any, key: Any, rng: random.Random, other: Any) -> None:
    if isinstance(place, list):
        place.append(place[key])


def repeat(place: Any, key: Any, rng: random.Random, other: Any) -> None:
    """One thing very many times, all of them the same object so that making it is quick."""
    if isinstance(place, list):
        place.extend([place[key]] * (MANY_TIMES if rng.random() < 0.05 else rng.randrange(9)))


def change_type(place: Any, key: Any, rng: random.Random, other: Any) -> None:
    value = place[key]
    if isinstance(value, dict):
        place[key] = rng.choice([list(value.values()), list(value), str(list(value))])
    elif isinstance(value, list):
        place[key] = rng.choice(
            [{str(i): item for i, item in enumerate(value[:9])}, value[:1], str(len(value))]
        )
    elif isinstance(value, str):
        place[key] = rng.choice([[value], {"name": value}, {"path": value}, len(value), value.upper()])
    else:
        place[key] = rng.choice([str(value), [value], {"value": value}, not value])


def wrap(place: Any, key: Any, rng: random.Random, other: Any) -> None:
    place[key] = rng.choice(
        [[place[key]], {"name": place[key]}, [place[key], place[key]], {"ome": place[key]}]
    )


def reorder(place: Any, key: Any, rng: random.Random, other: Any) -> None:
    if isinstance(place[key], list):
        rng.shuffle(place[key])


EDITS: tuple[Edit, ...] = (
    remove,
    make_strange,
    make_strange,
    make_strange,
    transplant,
    rename,
    double,
    repeat,
    change_type,
    wrap,
    reorder,
)


def mutate(document: Any, other: Any, rng: random.Random) -> Any:
    """A copy of a document with one to four things in it changed, perhaps by something of the other one."""
    document = copy_of(document)
    strangers = [place[key] for place, key in slots(other if rng.random() < 0.3 else copy_of(document))]
    for _ in range(rng.choice([1, 1, 2, 3, 4])):
        places = slots(document)
        if places and strangers:
            place, key = rng.choice(places)
            rng.choice(EDITS)(place, key, rng, copy_of(rng.choice(strangers)))
    return document


def copy_of(document: Any) -> Any:
    return marshal.loads(marshal.dumps(document))


def use(attributes: Any, rng: random.Random) -> Iterator[Callable[[], object]]:
    """All that a reader and a writer do with a group's attributes, one call after the other."""
    yield lambda: is_ome_ngff(attributes)
    yield lambda: kind_of(attributes)
    yield lambda: decode_labels(attributes)
    yield lambda: foreign_attributes(attributes)
    yield lambda: decode_plate(attributes, where="a.zarr")
    yield lambda: decode_well(attributes, where="a.zarr")
    yield lambda: decode_series(attributes, where="a.zarr")
    yield lambda: parameter_paths(attributes)
    yield lambda: use_scene(attributes)
    found: list[Multiscale] = []
    yield lambda: found.extend(decode(attributes, where="a.zarr"))
    for image in found[:3]:
        yield lambda image=image: use_image(image, rng)  # type: ignore[misc]
        for name in (None, *list(systems_of(image))[:5], "no such system"):
            yield lambda image=image, name=name: view(image, name, parameters={}, where="a.zarr")  # type: ignore[misc]
        if rng.random() < 0.2:
            yield lambda image=image: write(image, attributes)  # type: ignore[misc]


SPACE = [{"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
PLACE = {"type": "identity", "input": {"path": "0"}, "output": {"name": "physical"}}
MEMBER_ENTRY = {
    "coordinateSystems": [{"name": "physical", "axes": SPACE}],
    "datasets": [{"path": "0", "coordinateTransformations": [PLACE]}],
}
MEMBER = {"ome": {"version": "0.6", "multiscales": [MEMBER_ENTRY]}}
"""An image that a scene may have."""


def use_scene(attributes: Any) -> None:
    scene = decode_scene(attributes, where="a.zarr")
    paths = member_paths(scene)
    for path in paths:
        assert ".." not in path.split("/")
        assert not path.startswith("/")
    members = dict.fromkeys(paths[:9], decode(MEMBER, where="a.zarr/member")[0])
    place_members(scene, members, None, parameters={}, where="a.zarr")


def use_image(image: Multiscale, rng: random.Random) -> None:
    """Check that what was read makes sense, and place it by the sizes of its arrays."""
    assert len(set(image.dims)) == len(image.dims) > 1
    assert 0 < len(image.levels) <= 64
    assert set(image.unplaced) <= {level.path for level in image.levels}
    sizes = [0, 1, 7, 512, 2**40, 10**18]
    ndim = len(image.axes) if rng.random() < 0.8 else rng.randrange(1, 7)
    shapes = {
        level.path: tuple(rng.choice(sizes) for _ in range(ndim))
        for level in image.levels
        if rng.random() < 0.9
    }
    for known in (image, placed_by_shapes(image, shapes)):
        for index, level in enumerate(known.levels):
            assert not {"", ".", ".."} & set(level.path.split("/"))
            transform = level_transform(known, index)
            assert all(map(math.isfinite, (*transform.scale, *transform.translation)))
            assert 0.0 not in transform.scale
            assert len(transform.scale) == len(transform.translation) == len(known.axes)
    is_greyscale(image.omero_extra)


def write(image: Multiscale, attributes: Any) -> None:
    """Write what was read: strict where reading is lenient."""
    for version in VERSIONS:
        try:
            written = encode(image, version)
        except OmeNgffError:
            continue
        json.dumps(written, allow_nan=False)
        with warnings.catch_warnings():
            warnings.simplefilter("error", OmeNgffWarning)  # what is written breaks no rule
            assert len(decode(merge_attributes(attributes, written), where="")) == 1


def outcome(do: Callable[[], object]) -> OmeNgffError | None:
    """The error of ours that was raised, if one was; any other error is a failure of the test."""
    start = time.thread_time()
    refusal = None
    try:
        do()
    except OmeNgffError as error:
        refusal = error
    assert time.thread_time() - start < LONGEST_CALL
    assert len(str(refusal)) < 2000
    return refusal


def test_every_mutation_is_read_or_refused(corpus: Path) -> None:
    rng = random.Random(SEED)
    originals = list(documents(corpus))
    assert len(originals) > 50
    refused = read = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OmeNgffWarning)
        for number in range(MUTATIONS):
            attributes = mutate(rng.choice(originals), rng.choice(originals), rng)
            try:
                results = [outcome(do) for do in use(attributes, rng)]
            except Exception as error:
                error.add_note(f"mutation {number} of seed {SEED}")
                raise
            refused += any(results)
            read += len(results) > 10
    assert MUTATIONS / 10 < read < MUTATIONS
    assert MUTATIONS / 10 < refused


LEVEL = {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1, 1]}]}
MANY = 10_000


def image(**more: Any) -> dict[str, Any]:
    return {"multiscales": [{"axes": SPACE, "datasets": [LEVEL], **more}]}


HUGE: dict[str, dict[str, Any]] = {
    "colors": {**image(), "image-label": {"colors": [{"label-value": 1, "rgba": "red"}] * MANY}},
    "channels": {**image(), "omero": {"channels": [None] * MANY}},
    "levels": image(datasets=[LEVEL] * MANY),
    "odd levels": image(datasets=[{"path": i} for i in range(MANY)]),
    "transforms": image(coordinateTransformations=[{"type": "scale", "scale": [1, 1]}] * MANY),
    "axes": image(axes=[{"name": str(index)} for index in range(MANY)]),
    "axis": image(axes=[{"name": "y" * 10**7}, {"name": "x"}]),
    "metadata": image(metadata=["x" * 10**7]),
    "unknown keys": image(**{f"@{index}": index for index in range(MANY)}),
    "images": {"multiscales": image()["multiscales"] * MANY},
    "labels": {"labels": [None] * MANY},
}


@pytest.mark.parametrize("name", HUGE)
def test_something_huge_takes_neither_long_nor_much_memory(name: str) -> None:
    tracemalloc.start()
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        decode_labels(HUGE[name])
        refusal = None
        try:
            decode(HUGE[name], where="a.zarr")
        except OmeNgffError as error:
            refusal = error
    elapsed = time.perf_counter() - start
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert elapsed < 60  # some seconds under tracing on a busy machine; minutes if anything were quadratic
    assert peak < 100 * 2**20
    assert len(str(refusal)) < 2000
    assert len(warned) <= 2
    assert len(heard(warned)) < 4000


@pytest.mark.parametrize("depth", [10_000, 200_000])
def test_something_deep_is_not_followed(depth: int) -> None:
    deep = nested(depth)
    for attributes in (
        {"ome": deep},
        {"multiscales": deep},
        image(axes=deep),
        image(datasets=deep),
        image(coordinateTransformations=deep),
        image(name=deep, metadata={"deep": deep}),
        {**image(), "omero": {"channels": [{"color": deep, "window": {"start": deep}, "deep": deep}]}},
        {**image(), "image-label": {"colors": [{"label-value": deep, "rgba": deep}], "source": deep}},
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OmeNgffWarning)
            for do in use(attributes, random.Random(SEED)):
                outcome(do)
            outcome(lambda attributes=attributes: encode(decode(attributes, where="")[0], "0.4"))  # type: ignore[misc]
