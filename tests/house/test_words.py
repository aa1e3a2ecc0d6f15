"""Names that exist once, names that say something, and docstrings without ceremony."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

import napari_ome_ngff
from tests.house.source import MODULES, Documented, Function, none_of


def more_than_once(places: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Names that occur at several places, from (name, place)."""
    by_name = defaultdict(list)
    for name, place in places:
        by_name[name].append(place)
    return (f"{name}: {', '.join(several)}" for name, several in by_name.items() if len(several) > 1)


def test_the_name_of_a_module_exists_once() -> None:
    none_of(more_than_once((module.base, name) for name, module in MODULES.items()))


def documented(node: ast.AST, *, public: bool, above: str) -> Iterator[tuple[str, Documented, bool]]:
    """Everything that can have a docstring, its full name, and whether it is public."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, Function | ast.ClassDef):
            yield from documented(child, public=public, above=above)
            continue
        exported = isinstance(node, ast.Module) and child.name in napari_ome_ngff.__all__
        inside = public and isinstance(node, ast.ClassDef) and not child.name.startswith("_")
        name = f"{above}.{child.name}"
        yield name, child, exported or inside
        yield from documented(child, public=exported or inside, above=name)


def undocumented(node: Documented) -> Iterator[str]:
    """What the docstring of a public name does not say."""
    words = ast.get_docstring(node)
    if not words:
        yield "no docstring"
    elif isinstance(node, Function):
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        names = [one.arg for one in arguments if one.arg not in {"self", "cls"}]
        yield from (name for name in names if not re.search(rf"\b{name}\b", words))


def test_public_names_are_documented_in_full() -> None:
    none_of(
        f"{name}: {missing}"
        for module in MODULES.values()
        for name, node, public in documented(module.tree, public=False, above=module.name)
        if public
        for missing in undocumented(node)
    )
