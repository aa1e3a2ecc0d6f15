"""The source of the package, parsed once, and the pages beside it: what the tests of the house read."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

PACKAGE = "napari_ome_ngff"
ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / PACKAGE
ARCHITECTURE = (ROOT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")

Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """A file of the package. `name` is dotted, below the package; that of an ``__init__`` is its folder's."""

    name: str
    path: Path

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, filename=str(self.path))

    @property
    def folder(self) -> str:
        return self.name.rpartition(".")[0]

    @property
    def base(self) -> str:
        return self.name.rpartition(".")[2]

    @cached_property
    def docstring_lines(self) -> frozenset[int]:
        """Numbers of the lines of strings that stand alone: docstrings, and sentences below a field."""
        return frozenset(
            line
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            if isinstance(node.value.value, str)
            for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
        )

    @cached_property
    def code_lines(self) -> int:
        """Number of lines with code on them: neither docstrings nor comments nor blank lines."""
        lines = enumerate(self.text.splitlines(), 1)
        return sum(
            1
            for number, line in lines
            if number not in self.docstring_lines and line.strip() and not line.strip().startswith("#")
        )

    def functions(self) -> Iterator[Function]:
        return (node for node in ast.walk(self.tree) if isinstance(node, Function))

    def classes(self) -> Iterator[ast.ClassDef]:
        return (node for node in ast.walk(self.tree) if isinstance(node, ast.ClassDef))


def _read_modules() -> tuple[dict[str, Module], tuple[Module, ...]]:
    modules, halls = {}, []
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        if path.name == "__init__.py":
            halls.append(Module(".".join(parts[:-1]), path))
        else:
            name = ".".join(parts)
            modules[name] = Module(name, path)
    return modules, tuple(halls)


MODULES, HALLS = _read_modules()
"""Every module by its dotted name below the package, and every ``__init__``."""


def modules_in_the_picture() -> tuple[str, ...]:
    """Dotted names of the modules in the first block of the architecture page, top to bottom."""
    picture = ARCHITECTURE.split("```text\n")[1].split("```")[0]
    names: list[str] = []
    above: list[str] = []
    for line in picture.splitlines()[1:]:
        entry = re.match(r"((?:  )+)(\w+)(/|\.py)(?:\s|$)", line)
        assert entry is not None, line
        del above[len(entry[1]) // 2 - 1 :]
        if entry[3] == "/":
            above.append(entry[2])
        else:
            names.append(".".join([*above, entry[2]]))
    return tuple(names)


def none_of(violations: Iterable[str]) -> None:
    """Fail with all of them, a line each."""
    lines = list(violations)
    assert not lines, "\n".join([f"{len(lines)} violations:", *lines])


def decorators(node: Function | ast.ClassDef) -> set[str]:
    """Last names of the decorators: ``functools.cache`` and ``lru_cache(maxsize=2)`` are cache, lru_cache."""
    calls = [one.func if isinstance(one, ast.Call) else one for one in node.decorator_list]
    return {ast.unparse(one).rpartition(".")[2] for one in calls}


def defined_names(module: Module) -> set[str]:
    """Names that a module itself defines: functions, classes and what is assigned at its top."""
    names: set[str] = set()
    for node in _top(module.tree.body):
        if isinstance(node, Function | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {
                name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)
            }
        elif isinstance(node, ast.TypeAlias) if hasattr(ast, "TypeAlias") else False:
            names.add(node.name.id)
    return names


def _top(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that run on import, also those below ``if`` and ``try``."""
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.Try):
            yield from _top(node.body)
            yield from _top(node.orelse)
