"""Whatever a judge refuses, ``check`` names: documents of the suites with one to three faults each.

``python -m tests.campaigns.judged CORPUS [COUNT [SEED]]`` asks the official schemas, ome-zarr-models and
yaozarrs of each document, and prints those that one of them refuses and `check_attributes` does not, and how
often it is the other way round.
"""

from __future__ import annotations

import json
import random
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import ngff_zarr
import yaozarrs

from napari_ome_ngff.checking.group_rules import check_attributes
from napari_ome_ngff.errors import OmeNgffError
from napari_ome_ngff.storage.documents.json_documents import check_nesting
from tests.metadata.test_hostile_json import mutate
from tests.whole.test_spec_suites import VERSIONS, as_image, suite

KINDS = ("image", "label", "plate", "well", "scene", "transforms")

Document = dict[str, Any]

MODELS = {
    "image": ("image", "ImageAttrs"),
    "transforms": ("image", "ImageAttrs"),
    "label": ("image_label", "ImageLabelAttrs"),
    "plate": ("hcs", "HCSAttrs"),
    "well": ("well", "WellAttrs"),
    "scene": ("scene", "SceneAttrs"),
}


def by_schema(attributes: Document, version: str, kind: str) -> None:
    if kind == "label" and "image-label" in attributes.get("ome", attributes):
        ngff_zarr.validate(attributes, version=version, model="label")
    model = "image" if kind in ("transforms", "label") else kind
    ngff_zarr.validate(attributes, version=version, model=model)


def by_models(attributes: Document, version: str, kind: str) -> None:
    if kind == "scene" and version != "0.6":
        return
    module, name = MODELS[kind]
    found = getattr(import_module(f"ome_zarr_models.v{version.replace('.', '')}.{module}"), name)
    found.model_validate(attributes if version == "0.4" else attributes["ome"])


def by_yaozarrs(attributes: Document, version: str, kind: str) -> None:
    if version != "0.6":
        form = yaozarrs.v04.OMEZarrGroupJSON if version == "0.4" else yaozarrs.v05.OMEAttributes
        yaozarrs.validate_ome_object(attributes, form)


JUDGES: tuple[Callable[[Document, str, str], None], ...] = (by_schema, by_models, by_yaozarrs)


def refusals(attributes: Document, version: str, kind: str) -> dict[str, str]:
    """What the judges say, by their names."""
    said = {}
    for judge in JUDGES:
        try:
            judge(attributes, version, kind)
        except (NotImplementedError, RuntimeError):
            continue  # not a word about the document
        except Exception as error:  # noqa: BLE001 - each has errors of its own
            said[judge.__name__] = " ".join(str(error).split())
    return said


def documents(corpus: Path) -> Iterator[tuple[str, str, Document]]:
    """Version, kind and attributes of what the suites call valid."""
    for version in VERSIONS:
        for kind in KINDS:
            for _, attributes, valid in suite(corpus, version, kind):
                if valid:
                    if "ome" in attributes:
                        attributes["ome"]["version"] = version  # one judge does not know "0.6rc0"
                    yield version, kind, as_image(attributes, version) if kind == "label" else attributes


def main(corpus: Path, count: int = 2000, seed: int = 1) -> None:
    warnings.simplefilter("ignore")
    originals = list(documents(corpus))
    rng = random.Random(seed)
    numbers: Counter[str] = Counter()
    for _ in range(count):
        version, kind, document = rng.choice(originals)
        other = rng.choice(originals)[2]
        for _ in range(rng.randint(0, 3)):
            with suppress(ValueError):  # too deep to be copied; no such document is read
                document = mutate(document, other, rng)
        try:
            check_nesting(document, where="")
        except OmeNgffError:
            continue
        if not isinstance(document, dict):
            continue
        found = [
            each
            for each in check_attributes(document, where="")
            if not each.advice or "ome-zarr-models" in each.rule
        ]
        said = refusals(document, version, kind)
        numbers[f"judges {'refuse' if said else 'accept'}, check {'refuses' if found else 'accepts'}"] += 1
        if said and not found:
            print(version, kind, json.dumps(document)[:600])
            print("   ", *(f"{judge}: {words[:300]}" for judge, words in said.items()), sep="\n    ")
    print(*(f"{count:6} {what}" for what, count in sorted(numbers.items())), sep="\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
