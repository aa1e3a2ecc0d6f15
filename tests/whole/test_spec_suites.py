"""The suites of the specification: what it calls valid is read, and what becomes of what it calls invalid.

The suites are not the truth: spec.md section 6 of the project's knowledge lists the documents that are called
valid although they break a rule in the text. They are in the tables below, with what becomes of them.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from napari_ome_ngff.errors import (
    MetadataError,
    NotOmeNgffError,
    OmeNgffError,
    OmeNgffWarning,
    UnsupportedError,
)
from napari_ome_ngff.metadata.versions import decode, encode
from tests.metadata_tools import heard, judge_by_models, judges

VERSIONS = ("0.4", "0.5", "0.6")
NOTED = "noted"
"""Read as well as possible, with a warning."""
KEPT = "kept"
"""Read in silence: the fault is in an optional view of the image, which is kept but not interpreted."""

Outcome = str | type[OmeNgffError]

BROKEN_BUT_CALLED_VALID: dict[str, Outcome] = {
    "0.4 mismatch_axes_units": NOTED,  # 2 numbers of scale for 3 axes
    "0.6 mismatch_axes_units": NOTED,
    "0.6 byDimension": NOTED,  # its intrinsic system has axes of type "array" alone
    "0.6 multiscales_example": NOTED,  # path "1" with input "s1"
    "0.6 image_omero": NOTED,  # names a system that is not defined
}

IMAGES: dict[str, Outcome] = {
    # Where the voxels lie, and in which array, is known; or the fault is decoration.
    "missing_space_axes": NOTED,
    "one_space_axes": NOTED,
    "too_many_space_axes": NOTED,
    "too_many_axes": NOTED,
    "invalid_axis_type": NOTED,
    "invalid_path": NOTED,  # the number 0
    "missing_scale": NOTED,  # a translation alone
    "missing_transformations": NOTED,  # a single level
    "empty_transformations": NOTED,
    "duplicate_axes": NOTED,  # the second is called after its place, such as "dim_1"
    "missing_axes_name": NOTED,
    "missing_axes": NOTED,  # as many of t, c, z, y, x as the scale has numbers
    "no_axes": NOTED,
    "invalid_channels_color": NOTED,
    "invalid_channels_window": NOTED,
    # It is not known.
    "invalid_transformation_type": NOTED,  # a translation without numbers
    "invalid_axes_count": MetadataError,
    "no_datasets": MetadataError,
    "missing_datasets": MetadataError,
    "no_multiscales": MetadataError,
    "missing_path": MetadataError,
}
OLD_IMAGES: dict[str, Outcome] = {
    "duplicate_scale": NOTED,  # composed
    "invalid_multiscales_transformations": NOTED,
}
INVALID_IMAGES: dict[str, dict[str, Outcome]] = {
    "0.4": {**IMAGES, **OLD_IMAGES, "invalid_version": KEPT},  # "0.3"
    "0.5": {**IMAGES, **OLD_IMAGES},
    "0.6": {
        **{name: outcome for name, outcome in IMAGES.items() if name != "missing_axes"},
        "duplicate_scale": NOTED,  # two transforms, applied one after the other
        "invalid_multiscales_transformations": NOTED,  # an optional view
        "invalid_multiscale_transform_input": NOTED,
        "invalid_multiscale_transform_output": NOTED,
        "invalid_multiscale_transform_input_output": NOTED,
        "missing_coordinate_systems": NOTED,
        "missing_coordinate_system_axes": NOTED,
        "missing_coordinate_system_name": MetadataError,
    },
}
INVALID_TRANSFORMS: dict[str, Outcome] = {
    # With text for input and output, as in the drafts of 0.6.
    "bad_affine_no_affine": NOTED,
    "bad_affine_no_input_output": NOTED,
    "bad_byDimension_no_input_output_axes": NOTED,
    "bad_byDimension_wrong axes_type": NOTED,
    "bad_mapaxis": NOTED,
    "bad_mapaxis2": NOTED,
    "bad_mapaxis3": NOTED,
    "bad_mapaxis4": NOTED,
    "bad_mapaxis5": NOTED,
    "bad_rotation": NOTED,
    "bad_rotation2": NOTED,
    "bad_rotation3": NOTED,
    "bad_scale_path_not_allowed": NOTED,
    "bad_translate_path_not_allowed": NOTED,
    "multiscales_transform_missing_params": NOTED,
    # Parameters of a view that nobody asked to see.
    "bad_projectAxis_insert_non_unique": KEPT,
    "bad_projectAxis_insert_too_high_dim": KEPT,
    "bad_projectAxis_insert_too_many": KEPT,
    "bad_projectAxis_missing_op": KEPT,
    "bad_projectAxis_remove_non_unique": KEPT,
    "bad_projectAxis_remove_too_high_dim": KEPT,
    "bad_projectAxis_remove_too_many": KEPT,
    # A level that is placed by a rotation, an affine transform or exchanged axes, as in drafts.
    "multiscales_transform_forbidden": NOTED,
    "multiscales_transform_forbidden2": NOTED,
    "multiscales_transform_forbidden3": NOTED,
    "multiscales_transform_no_input_output": NOTED,
    "multiscales_transform_no_input_output2": NOTED,
}
INVALID_LABELS: dict[str, Outcome] = {
    "empty_colors": NOTED,
    "empty_properties": NOTED,
    "colors_no_label_value": NOTED,
    "properties_no_label_value": NOTED,
    "colors_rgba_length": NOTED,
    "colors_rgba_type": NOTED,
    "colors_duplicate": NOTED,
    "no_version": KEPT,  # a SHOULD
    "no_colors": KEPT,  # a SHOULD
}
INVALID_SCENES: dict[str, Outcome] = {
    "scene_bijection_forward_missing_params": UnsupportedError,
    "scene_bijection_inverse_missing_params": UnsupportedError,
    "scene_input_output_not_object": UnsupportedError,
    "scene_missing_transformations": UnsupportedError,
    "scene_missing_scene": NotOmeNgffError,
    "scene_missing_version": NotOmeNgffError,  # a text in place of a scene
}

MODELS_REFUSE = {
    "multiscales_transform_additional_transforms",  # RuntimeError: byDimension in a sequence
    "multiscales_transform_additional_transforms_path",  # NotImplementedError: rotation in an array
}
"""Valid, but not implemented in ome-zarr-models 1.8."""


def suite(corpus: Path, version: str, kind: str) -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Name, attributes and alleged validity of each document of a kind."""
    folder = corpus / "ngff-spec"
    if version == "0.6":
        for path in sorted((folder / "0.6rc0/tests/attributes").rglob(f"{kind}/*.json")):
            document = json.loads(path.read_text(encoding="utf-8"))
            yield path.stem, document.get("attributes", document), path.parts[-3] == "valid"
        return
    for path in sorted((folder / version / "tests").glob(f"*{kind}_suite.json")):
        for test in json.loads(path.read_text(encoding="utf-8"))["tests"]:
            yield Path(test["formerly"]).stem, test["data"], test["valid"]


def outcome(attributes: dict[str, Any]) -> Outcome:
    """What becomes of a document: the class of the error, or how it was read."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            decode(attributes, where="suite")
        except OmeNgffError as error:
            return type(error)
    assert all(warning.category is OmeNgffWarning for warning in warned), heard(warned)
    return NOTED if warned else KEPT


def invalid(corpus: Path, version: str, kind: str) -> dict[str, Outcome]:
    return {
        name: outcome(as_image(attributes, version) if kind == "label" else attributes)
        for name, attributes, valid in suite(corpus, version, kind)
        if not valid
    }


def as_image(label: dict[str, Any], version: str) -> dict[str, Any]:
    """A document about labels alone, with an image that it can be about."""
    axes = [{"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
    place: dict[str, Any] = {"type": "scale", "scale": [1, 1]}
    form: dict[str, Any] = {"axes": axes}
    if version == "0.6":
        place |= {"input": {"path": "0"}, "output": {"name": "lab"}}
        form = {"coordinateSystems": [{"name": "lab", "axes": axes}]}
    images = [{**form, "datasets": [{"path": "0", "coordinateTransformations": [place]}]}]
    if version == "0.4":
        return {**label, "multiscales": images}
    return {"ome": {**label["ome"], "multiscales": images}}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", ["image", "transforms", "label"])
def test_what_is_valid_is_read_in_silence(corpus: Path, version: str, kind: str) -> None:
    found = {
        f"{version} {name}": outcome(as_image(attributes, version) if kind == "label" else attributes)
        for name, attributes, valid in suite(corpus, version, kind)
        if valid
    }
    assert found or (kind == "transforms" and version != "0.6")
    expected = {name: BROKEN_BUT_CALLED_VALID.get(name, KEPT) for name in found}
    assert found == expected


@pytest.mark.parametrize("version", VERSIONS)
def test_what_becomes_of_invalid_images(corpus: Path, version: str) -> None:
    assert invalid(corpus, version, "image") == INVALID_IMAGES[version]


@pytest.mark.parametrize("version", VERSIONS)
def test_what_becomes_of_invalid_label_metadata(corpus: Path, version: str) -> None:
    found = invalid(corpus, version, "label")
    expected = dict(INVALID_LABELS)
    if version != "0.4":
        del expected["no_version"]
    assert found == expected


def test_what_becomes_of_invalid_transforms(corpus: Path) -> None:
    assert invalid(corpus, "0.6", "transforms") == INVALID_TRANSFORMS


def test_what_becomes_of_scenes(corpus: Path) -> None:
    assert invalid(corpus, "0.6", "scene") == INVALID_SCENES
    valid = [attributes for _, attributes, valid in suite(corpus, "0.6", "scene") if valid]
    assert {outcome(attributes) for attributes in valid} == {UnsupportedError}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", ["plate", "well"])
def test_plates_and_wells_are_named_valid_or_not(corpus: Path, version: str, kind: str) -> None:
    for name, attributes, _ in suite(corpus, version, kind):
        assert outcome(attributes) in (UnsupportedError, NotOmeNgffError), name


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("target", VERSIONS)
def test_what_was_read_and_allows_it_is_written_without_complaint(
    corpus: Path, version: str, target: str
) -> None:
    """A document that is read in silence can be written, unless it has a unit that is not in the list."""
    written = 0
    for name, attributes, valid in suite(corpus, version, "image"):
        if not valid or f"{version} {name}" in BROKEN_BUT_CALLED_VALID:
            continue
        for image in decode(attributes, where=name):
            try:
                attributes = encode(image, target)
            except MetadataError as error:
                assert "unit" in error.where, name  # noqa: PT017 - which documents it happens to is the point
                continue
            for known, judge in judges():
                if known == target and not (judge is judge_by_models and name in MODELS_REFUSE):
                    judge(attributes, target)
            written += 1
    assert written > 5


EXAMPLES: dict[str, Outcome] = {
    "0.4 multiscales_example": KEPT,
    "0.4 multiscales_transformations": KEPT,
    "0.5 multiscales_example": KEPT,
    "0.5 multiscales_transformations": KEPT,
    "0.6rc0 multiscales_example": KEPT,
    "0.6rc0 multiscales_example_relative": NOTED,  # attributes without "ome"
    "0.6rc0 multiscales_reference_to_label": KEPT,
    "0.6rc0 multiscales_transformations": KEPT,
}


@pytest.mark.parametrize("version", ["0.4", "0.5", "0.6rc0"])
def test_examples_of_the_text_are_read(corpus: Path, version: str) -> None:
    found = {}
    for path in sorted((corpus / "ngff-spec" / version / "examples/multiscales_strict").glob("*.json")):
        if path.name.startswith("."):
            continue
        text = re.sub(r"//.*", "", path.read_text(encoding="utf-8"))
        document = json.loads(text)
        found[f"{version} {path.stem}"] = outcome(document.get("attributes", document))
    assert found == {name: known for name, known in EXAMPLES.items() if name.split()[0] == version}
