"""The glossary of the architecture page names every class of the package, and the module that it is in."""

from __future__ import annotations

import re

from tests.house.source import ARCHITECTURE, MODULES


def test_the_glossary_names_every_class_and_its_module() -> None:
    glossary = ARCHITECTURE.split("<!-- glossary -->")[1].split("<!-- end of glossary -->")[0]
    rows = re.findall(r"^\| `(\w+)` \| `([\w.]+)` \| \S.* \|$", glossary, re.MULTILINE)
    classes = {
        (node.name, name)
        for name, module in MODULES.items()
        for node in module.classes()
        if not node.name.startswith("_")
    }
    assert set(rows) == classes
    assert len(rows) == len(classes), "a class is explained once"
