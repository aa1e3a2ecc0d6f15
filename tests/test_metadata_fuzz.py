"""Broken and hostile metadata: an error of ours or a reading, never anything else, and no waiting."""

from __future__ import annotations

import copy
import json
import math
import random
import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from napari_ome_ngff.errors import OmeNgffError, OmeNgffWarning, OptionError
from napari_ome_ngff.metadata.transforms import level_transform
from napari_ome_ngff.metadata.versions import (
    VERSIONS,
    decode,
    decode_labels,
    encode,
    foreign_attributes,
    is_ome_ngff,
    merge_attributes,
)

from .metadata_tools import heard
from .test_metadata_checks import nested

MUTATIONS = 3000


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
    lambda _: -1,
    lambda _: 10**400,
    lambda _: 1e308,
    lambda _: 5e-324,
    lambda _: math.nan,
    lambda _: math.inf,
    lambda _: "",
    lambda _: "../..",
    lambda _: "x" * 1000,
    lambda _: "\ud800",
    lambda _: [],
    lambda _: {},
    lambda _: [[]],
    lambda _: [None],
    lambda _: [{}],
    lambda _: {"": None},
    lambda _: nested(3000),
    lambda rng: rng.choice(["scale", "sequence", "identity", "affine", "space", "time", "0.4", "0.6", "0.3"]),
    lambda rng: [rng.uniform(-9, 9) for _ in range(rng.randrange(7))],
    lambda rng: {"type": "sequence", "transformations": [{"type": "scale", "scale": [rng.random()] * 3}] * 2},
)


def slots(value: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """Every container in a document with each of its keys."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            found.append((value, key))
            slots(value[key], found)
    return found


def mutate(document: Any, rng: random.Random) -> Any:
    """A copy of the document with one to three things in it replaced, removed, doubled or exchanged."""
    document = copy.deepcopy(document)
    for _ in range(rng.choice([1, 1, 2, 3])):
        places = slots(document, [])
        if not places:
            return document
        (place, key), (other, its) = rng.choice(places), rng.choice(places)
        action = rng.randrange(6)
        if action == 0:
            del place[key]
            return document  # other places may be gone with it
        if action == 1 and isinstance(place, list):
            place.append(copy.deepcopy(place[key]))
        elif action == 2:
            place[key] = copy.deepcopy(other[its])
            return document
        elif action == 3 and isinstance(place, dict):
            place[rng.choice(["type", "path", "name", "ome", "labels", "version"])] = place.pop(key)
            return document
        else:
            place[key] = rng.choice(STRANGE)(rng)
            return document
    return document


def use(attributes: Any) -> None:
    """Do all that a reader and a writer do with a group's attributes."""
    is_ome_ngff(attributes)
    decode_labels(attributes)
    for image in decode(attributes, where="a.zarr"):
        for index in range(len(image.levels)):
            transform = level_transform(image, index)
            assert all(map(math.isfinite, (*transform.scale, *transform.translation)))
            assert 0.0 not in transform.scale
            assert len(transform.scale) == len(transform.translation) == len(image.axes)
        assert len(set(image.dims)) == len(image.dims) > 0
        for version in VERSIONS:
            try:
                written = encode(image, version)
            except OmeNgffError:
                continue
            json.dumps(written, allow_nan=False)
            with warnings.catch_warnings():
                warnings.simplefilter("error", OmeNgffWarning)  # what is written breaks no rule
                assert len(decode(merge_attributes(attributes, written), where="")) == 1
    foreign_attributes(attributes)


def outcome(do: Callable[[Any], object], attributes: Any) -> OmeNgffError | None:
    """The error of ours that was raised, if one was; any other error is a failure of the test."""
    try:
        do(attributes)
    except OmeNgffError as error:
        return error
    return None


def test_every_mutation_is_read_or_refused(corpus: Path) -> None:
    rng = random.Random(20261122)
    originals = list(documents(corpus))
    assert len(originals) > 50
    refused = 0
    for _ in range(MUTATIONS):
        attributes = mutate(rng.choice(originals), rng)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OmeNgffWarning)
            refusal = outcome(use, attributes)
        if refusal is not None:
            assert not isinstance(refusal, OptionError)
            assert len(str(refusal)) < 2000
            refused += 1
    assert 0 < refused < MUTATIONS


LEVEL = {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1, 1]}]}
AXES = [{"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
MANY = 10_000


def image(**more: Any) -> dict[str, Any]:
    return {"multiscales": [{"axes": AXES, "datasets": [LEVEL], **more}]}


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
        refusal = outcome(lambda attributes: decode(attributes, where="a.zarr"), HUGE[name])
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
            if outcome(lambda found: decode(found, where="a.zarr"), attributes) is None:
                outcome(lambda found: encode(decode(found, where="a.zarr")[0], "0.4"), attributes)
