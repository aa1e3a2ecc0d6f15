"""Values that anyone may have written: said shortly, refused with their place."""

from __future__ import annotations

import itertools
import json
import math
import warnings
from typing import Any

import pytest
from hypothesis import given, settings

from napari_ome_ngff.errors import MetadataError, OmeNgffWarning, UnsupportedError
from napari_ome_ngff.metadata.context import Context
from napari_ome_ngff.metadata.json_checks import (
    as_integer,
    as_list,
    as_mapping,
    as_number,
    as_path,
    as_text,
    as_vector,
    describe,
    plain_json,
)
from tests.metadata_tools import json_values


def nested(depth: int) -> list[Any]:
    """A list in a list in a list, deeper than Python can follow by recursion."""
    inner: list[Any] = []
    for _ in range(depth):
        inner = [inner]
    return inner


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (1, "1"),
        (1.5, "1.5"),
        (math.nan, "nan"),
        ("a", "'a'"),
        ([1, 2], "[1, 2]"),
        ([], "[]"),
        ([1] * 9, "a list of 9"),
        ({}, "an empty object"),
        ({"a": 1, "b": 2}, "an object with a, b"),
        (10**5000, "a very large integer"),
        (object, "a type"),
    ],
    ids=itertools.count(),
)
def test_a_value_is_described_in_a_few_words(value: Any, text: str) -> None:
    assert describe(value) == text


@given(json_values)
@settings(deadline=None)
def test_every_description_is_short(value: Any) -> None:
    assert 0 < len(describe(value)) < 500


@pytest.mark.parametrize(
    "value",
    ["x" * 10**6, ["y" * 10**6] * 6, nested(10_000), list(range(10**5)), {"k" * 10**6: 1}, {1: nested(9999)}],
    ids=["text", "texts", "deep", "long", "key", "deep object"],
)
def test_the_description_of_something_huge_is_short_too(value: Any) -> None:
    assert len(describe(value)) < 500


@pytest.mark.parametrize("value", [None, 1, "text", [], nested(10_000)], ids=describe)
def test_only_an_object_is_an_object(value: Any) -> None:
    with pytest.raises(MetadataError) as caught:
        as_mapping(value, Context.of("a.zarr").below("ome"), "an axis")
    assert caught.value.where == "a.zarr: ome"
    assert "an axis" in caught.value.summary


@pytest.mark.parametrize("value", [None, 1, "text", {}])
def test_only_a_list_is_a_list(value: Any) -> None:
    with pytest.raises(MetadataError, match="a list of axes"):
        as_list(value, Context(keys=("axes",)), "a list of axes")


@pytest.mark.parametrize("value", [None, 1, "", []])
def test_only_text_is_text(value: Any) -> None:
    with pytest.raises(MetadataError, match="the name"):
        as_text(value, Context(keys=("name",)), "the name")


@pytest.mark.parametrize(
    "value", [None, True, "1", math.nan, math.inf, -math.inf, 10**400, [], {}], ids=describe
)
def test_only_a_finite_number_is_a_number(value: Any) -> None:
    assert as_number(value) is None


@pytest.mark.parametrize("value", [None, True, "1", 1.5, math.nan, math.inf, [], {}])
def test_only_a_whole_number_is_an_integer(value: Any) -> None:
    assert as_integer(value) is None


def test_a_vector_has_one_number_per_axis() -> None:
    assert as_vector([1, 2.5], Context(), ndim=2, what="scale") == (1.0, 2.5)
    with pytest.raises(MetadataError, match="one number per axis"):
        as_vector([1], Context(keys=("scale",)), ndim=2, what="scale")


@pytest.mark.parametrize("path", ["0", "scale0/image", "a b", "s0/", "..a", "ü"])
def test_a_path_leads_below_its_group(path: str) -> None:
    assert as_path(path, Context()) == path.removesuffix("/")


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/etc",
        "..",
        "../0",
        "a/" * 3000 + "b",
        "a/../../0",
        ".",
        "./0",
        "a//b",
        "C:/x",
        "c:x",
        "..\\0",
        "a\0",
        None,
        0,
        [],
    ],
)
def test_a_path_that_could_lead_elsewhere_is_refused(path: Any) -> None:
    with pytest.raises(MetadataError, match="below its group"):
        as_path(path, Context(keys=("datasets[0].path",)))


@given(json_values)
@settings(deadline=None)
def test_json_stays_what_it_is(value: Any) -> None:
    copy = plain_json(value, Context())
    assert copy == value
    assert json.dumps(copy) == json.dumps(value)


def test_what_json_has_no_word_for_becomes_null() -> None:
    value = {"a": [math.nan, math.inf, (1, 2)], "b": -math.inf}
    assert plain_json(value, Context()) == {"a": [None, None, [1, 2]], "b": None}


@pytest.mark.parametrize("value", [object(), {1, 2}, {(1, 2): 3}, nested(100_000), b"bytes"], ids=type)
def test_what_is_no_json_is_refused(value: Any) -> None:
    with pytest.raises(MetadataError) as caught:
        plain_json({"metadata": value}, Context(keys=("multiscales",)))
    assert caught.value.where == "multiscales"


def test_nothing_noted_is_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Context.of("a.zarr").warn()


def test_all_notes_make_one_warning_that_stays_short() -> None:
    context = Context.of("a.zarr")
    for index in range(10_000):
        context.below("axes", index).note("odd")
    with pytest.warns(OmeNgffWarning) as caught:
        context.warn()
    (text,) = [str(warning.message) for warning in caught]
    assert (
        text.splitlines()[0]
        == "The OME-Zarr metadata of a.zarr break rules; they were read as well as possible."
    )
    assert "- axes[0]: odd" in text
    assert text.endswith("- and 9992 more")


def test_places_start_with_the_location() -> None:
    context = Context.of("a.zarr")
    assert context.where == "a.zarr"
    assert context.below("ome", "axes", 2, "name").where == "a.zarr: ome.axes[2].name"
    assert context.below("", "axes").where == "a.zarr: axes"
    assert Context().below("ome").below("axes").below(2).where == "ome.axes[2]"
    assert Context().where == ""


def test_an_error_names_its_place_and_kind() -> None:
    error = Context.of("a.zarr").below("axes").error("Odd.", found="3", kind=UnsupportedError)
    assert isinstance(error, UnsupportedError)
    assert (error.where, error.found) == ("a.zarr: axes", "3")


def test_contexts_below_keep_the_parameters() -> None:
    assert Context.of(parameters={"m": [1]}).below("axes", 0).parameters == {"m": [1]}
