"""The house keeps its shape: who may import whom, what an import costs, and how large a room may grow.

The order of modules is read from the picture in ``docs/explanation/architecture.md``: enter a new one there.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = "napari_ome_ngff"
SOURCE = Path(__file__).parents[2] / "src" / PACKAGE


def modules_in_the_picture() -> tuple[str, ...]:
    """Dotted names of the modules in the first block of the architecture page, top to bottom."""
    page = (SOURCE.parents[1] / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
    picture = page.split("```text\n")[1].split("```")[0]
    names: list[str] = []
    above: list[str] = []
    for line in picture.splitlines()[1:]:
        found = re.match(r"((?:  )+)(\w+)(/|\.py)(?:\s|$)", line)
        assert found is not None, line
        del above[len(found[1]) // 2 - 1 :]
        if found[3] == "/":
            above.append(found[2])
        else:
            names.append(".".join([*above, found[2]]))
    return tuple(names)


ORDER = modules_in_the_picture()
"""A total order: a module imports only from modules to its left."""

STRANGERS = ({"metadata", "storage"}, {"reading", "writing"}, {"plugin.open", "plugin.save"})
"""Pairs of rooms and folders that do not know each other, whatever their order."""

WINDOW = {"napari", "npe2", "app_model", "magicgui", "qtpy", "superqt", "PyQt6", "PySide6", "pint"}
"""Only the plugin may import these."""

MAX_MODULE_LINES = 250
MAX_FUNCTION_LINES = 60


def module_files() -> dict[str, Path]:
    """Dotted name below the package -> file, without the ``__init__`` files."""
    files = (path for path in sorted(SOURCE.rglob("*.py")) if path.name != "__init__.py")
    return {".".join(path.relative_to(SOURCE).with_suffix("").parts): path for path in files}


MODULES = module_files()


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def code_lines(path: Path) -> int:
    """Lines with code on them: neither docstrings nor comments nor blank lines."""
    words: set[int] = set()
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            assert node.end_lineno is not None
            words.update(range(node.lineno, node.end_lineno + 1))
    lines = enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    return sum(1 for i, line in lines if i not in words and line.strip() and line.strip()[0] != "#")


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def imports(node: ast.AST, *, at_import_time: bool = False) -> Iterator[str]:
    """Full names that `node` imports: everywhere, or only what runs when the module is imported."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "relative imports hide who imports whom"
            # `from package.room import module` and `from package.room.module import name` look the same
            yield from (f"{child.module}.{alias.name}" for alias in child.names)
        later = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if not (at_import_time and (later or is_type_checking(child))):
            yield from imports(child, at_import_time=at_import_time)


def own_module(name: str) -> str | None:
    """The module of ours that a full name lies in, or None if the name is someone else's."""
    if name.split(".")[0] != PACKAGE:
        return None
    inside = name.removeprefix(PACKAGE).removeprefix(".")
    found = [module for module in ORDER if inside == module or inside.startswith(module + ".")]
    return max(found, key=len, default="")


def test_every_module_has_its_place() -> None:
    assert set(MODULES) == set(ORDER)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_only_from_above_it(name: str) -> None:
    above = ORDER[: ORDER.index(name)]
    room, folder = name.split(".")[0], name.rpartition(".")[0]
    for imported in imports(parse(MODULES[name])):
        module = own_module(imported)
        if module is None:
            continue
        assert module in above, f"{name} imports {imported}"
        assert {room, module.split(".")[0]} not in STRANGERS, f"{name} imports {imported}"
        assert {folder, module.rpartition(".")[0]} not in STRANGERS, f"{name} imports {imported}"


@pytest.mark.parametrize("name", [name for name in MODULES if not name.startswith("plugin.")])
def test_only_the_plugin_knows_of_windows(name: str) -> None:
    found = {imported.split(".")[0] for imported in imports(parse(MODULES[name]))}
    assert not found & WINDOW


@pytest.mark.parametrize("name", [name for name in MODULES if name.split(".")[0] in {"errors", "metadata"}])
def test_metadata_need_nothing_but_python(name: str) -> None:
    found = {imported.split(".")[0] for imported in imports(parse(MODULES[name]))}
    assert found <= {PACKAGE, *sys.stdlib_module_names}


@pytest.mark.parametrize("name", MODULES)
def test_dask_is_imported_only_when_it_is_needed(name: str) -> None:
    found = {imported.split(".")[0] for imported in imports(parse(MODULES[name]), at_import_time=True)}
    assert not found & {"dask", "pint", "pandas"}


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*/__init__.py")), ids=lambda path: path.parent.name)
def test_rooms_have_no_hall(path: Path) -> None:
    """An ``__init__`` that re-exported its modules would load all of them for one."""
    assert not list(imports(parse(path)))


@pytest.mark.parametrize("name", MODULES)
def test_a_module_is_short(name: str) -> None:
    """Docstrings, comments and blank lines are not counted: a limit on them would cut modules, not words."""
    assert code_lines(MODULES[name]) <= MAX_MODULE_LINES


@pytest.mark.parametrize("name", MODULES)
def test_a_function_is_short(name: str) -> None:
    """Docstrings are not counted: they may be as long as they are useful."""
    long = {}
    for node in ast.walk(parse(MODULES[name])):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            lines = node.end_lineno - node.lineno + 1
            first = node.body[0]
            if ast.get_docstring(node) is not None:
                assert first.end_lineno is not None
                lines -= first.end_lineno - first.lineno + 1
            if lines > MAX_FUNCTION_LINES:
                long[node.name] = lines
    assert not long


def loaded_after(code: str) -> set[str]:
    """Names of the top-level modules that a fresh Python has loaded after running `code`."""
    script = f"import sys\n{code}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True
    )
    return set(done.stdout.split())


HEAVY = {"zarr", "numcodecs", "xarray", "pandas", "dask", "pydantic", "pydantic_zarr"}


def test_importing_the_package_costs_nothing() -> None:
    assert not loaded_after(f"import {PACKAGE}") & (WINDOW | HEAVY)


def test_metadata_can_be_understood_without_any_other_package() -> None:
    loaded = loaded_after(f"from {PACKAGE}.metadata import versions")
    assert not loaded & (WINDOW | HEAVY | {"numpy"})


def test_public_functions_need_neither_dask_nor_a_window() -> None:
    loaded = loaded_after(f"from {PACKAGE} import *")
    assert not loaded & (WINDOW | {"dask"})


def test_refusing_a_folder_that_is_not_ours_loads_nothing_heavy(tmp_path: Path) -> None:
    """napari asks every reader about every folder that is dropped on it."""
    loaded = loaded_after(
        f"from {PACKAGE}.plugin.reader import get_reader\nassert get_reader({str(tmp_path)!r}) is None"
    )
    assert not loaded & (WINDOW | HEAVY)


def test_public_names_are_there_and_no_others() -> None:
    import napari_ome_ngff as public

    assert len(public.__all__) == len(set(public.__all__))
    assert all(getattr(public, name) is not None for name in public.__all__)
    assert set(dir(public)) == set(public.__all__)
    with pytest.raises(AttributeError, match="no attribute 'pyramids'"):
        _ = public.pyramids
