"""Names that exist once, names that say something, and docstrings without ceremony."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

import napari_ome_ngff
from tests.house.source import HALLS, MODULES, Documented, Function, none_of

MAX_DOCSTRING_LINES = 6_000

PLACEHOLDERS = frozenset({"found", "own", "said", "known", "its", "there"})
"""Words that say nothing of what a variable holds: good for a line or two, where that is seen."""

MAX_LIFE = 3
"""Lines from where a variable with such a name is bound to where it is read last."""

ERROR_WORDS = frozenset({"found"})
"""What every error of ours is given and keeps (`errors`): allowed as a parameter and an attribute."""

SECTIONS = re.compile(r"^ *(Parameters|Returns|Yields|Raises)\n *-{3,}$", re.MULTILINE)


def more_than_once(places: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Names that occur at several places, from (name, place)."""
    by_name = defaultdict(list)
    for name, place in places:
        by_name[name].append(place)
    return (f"{name}: {', '.join(several)}" for name, several in by_name.items() if len(several) > 1)


def test_the_name_of_a_module_exists_once() -> None:
    none_of(more_than_once((module.base, name) for name, module in MODULES.items()))


def test_the_name_of_a_public_class_exists_once() -> None:
    classes = [(node.name, name) for name, module in MODULES.items() for node in module.classes()]
    none_of(more_than_once((name, place) for name, place in classes if not name.startswith("_")))


def documented(node: ast.AST, *, public: bool, above: str) -> Iterator[tuple[str, Documented, bool]]:
    """Everything that can have a docstring, its full name, and whether it is public."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, Function | ast.ClassDef):
            yield from documented(child, public=public, above=above)
            continue
        if any(isinstance(each, ast.Name) and each.id == "overload" for each in child.decorator_list):
            continue
        exported = isinstance(node, ast.Module) and child.name in napari_ome_ngff.__all__
        inside = public and isinstance(node, ast.ClassDef) and not child.name.startswith("_")
        name = f"{above}.{child.name}"
        yield name, child, exported or inside
        yield from documented(child, public=exported or inside, above=name)


def test_docstrings_of_internal_code_have_no_ceremony() -> None:
    """The signature says what goes in and comes out; a sentence says what it cannot."""
    none_of(
        f"{name}: {section[1]}"
        for module in MODULES.values()
        for name, node, public in documented(module.tree, public=False, above=module.name)
        if not public
        for section in SECTIONS.finditer(ast.get_docstring(node) or "")
    )


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


def test_words_do_not_grow() -> None:
    modules = [*MODULES.values(), *HALLS]
    words = sum(len(module.docstring_lines) for module in modules)
    code = sum(module.code_lines for module in modules)
    assert words <= MAX_DOCSTRING_LINES, f"{words} lines of docstrings on {code} lines of code"


COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class Lives(ast.NodeVisitor):
    """First and last line of every variable that has a name from the placeholders.

    A variable lives from where it is bound first to where it is read last, in its scope and those inside it;
    a parameter lives as long as its function.
    """

    def __init__(self, tree: ast.Module) -> None:
        self.lives: list[tuple[str, int, int]] = []
        self._scopes: list[dict[str, tuple[int, int]]] = [{}]
        self.generic_visit(tree)
        self._leave()

    def _leave(self) -> None:
        self.lives += [(name, *lines) for name, lines in self._scopes.pop().items()]

    def visit(self, node: ast.AST) -> None:
        if isinstance(node, Function | ast.Lambda):
            self._scopes.append({})
            for argument in ast.walk(node.args):
                if isinstance(argument, ast.arg) and argument.arg in PLACEHOLDERS:
                    end = node.end_lineno or node.lineno
                    start = end if argument.arg in ERROR_WORDS else argument.lineno
                    self._scopes[-1][argument.arg] = (start, end)
            self.generic_visit(node)
            self._leave()
        elif isinstance(node, COMPREHENSIONS):
            self._scopes.append({})
            for child in sorted(
                ast.iter_child_nodes(node), key=lambda one: not isinstance(one, ast.comprehension)
            ):
                self.visit(child)
            self._leave()
        elif isinstance(node, ast.Name) and node.id in PLACEHOLDERS:
            bound = isinstance(node.ctx, ast.Store)
            scopes = self._scopes[-1:] if bound else [one for one in reversed(self._scopes) if node.id in one]
            for scope in scopes[:1]:
                first, last = scope.get(node.id, (node.lineno, node.lineno))
                scope[node.id] = (first, max(last, node.lineno))
        else:
            self.generic_visit(node)


def attributes(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Fields, attributes and functions that have a name from the placeholders: they live everywhere."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr, node.lineno
        elif isinstance(node, Function | ast.ClassDef):
            yield node.name, node.lineno
        if isinstance(node, ast.ClassDef):
            fields = (one.target for one in node.body if isinstance(one, ast.AnnAssign))
            yield from ((field.id, field.lineno) for field in fields if isinstance(field, ast.Name))


def test_a_variable_that_lives_has_a_name_that_says_what_it_is() -> None:
    none_of(
        f"{name}:{first}: {word} lives {last - first} lines"
        for name, module in MODULES.items()
        for word, first, last in Lives(module.tree).lives
        if last - first > MAX_LIFE
    )


def test_an_attribute_has_a_name_that_says_what_it_is() -> None:
    none_of(
        f"{name}:{line}: {word}"
        for name, module in MODULES.items()
        for word, line in attributes(module.tree)
        if word.lstrip("_") in PLACEHOLDERS - ERROR_WORDS
    )
