"""Who may import whom, what an import costs, and which names are public.

The order of modules is read from the picture in ``docs/explanation/architecture.md``: enter a new one there.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.source import (
    HALLS,
    MODULES,
    PACKAGE,
    ROOT,
    Module,
    defined_names,
    modules_in_the_picture,
    none_of,
)
from tests.house.test_docs import EXAMPLES, PAGES, python_blocks

ORDER = modules_in_the_picture()
"""A total order: a module imports only from modules to its left."""

ROOMS = (
    "errors",
    "arguments",
    "metadata",
    "storage",
    "long_axes",
    "irregular_axes",
    "coordinates",
    "channels",
    "stored_attrs",
    "label_tables",
    "reading",
    "writing",
    "editing",
    "saving",
    "checking",
    "cli",
    "plugin",
)
"""From the ground up: rooms, and the modules between them."""

STRANGERS = ({"metadata", "storage"}, {"reading", "writing"}, {"plugin.open", "plugin.save"})
"""Pairs of rooms and folders that do not know each other, whatever their order."""

WINDOW = {"napari", "npe2", "app_model", "magicgui", "qtpy", "superqt", "PyQt6", "PySide6", "pint"}
"""Only the plugin may import these."""

HEAVY = {"zarr", "numcodecs", "xarray", "pandas", "dask", "pydantic", "pydantic_zarr"}


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


def packages(module: Module, *, at_import_time: bool = False) -> set[str]:
    """Names of the top-level packages that a module imports."""
    return {name.split(".")[0] for name in imports(module.tree, at_import_time=at_import_time)}


def module_of(name: str) -> str | None:
    """The module of ours that a full name lies in, or None if the name is someone else's."""
    if name.split(".")[0] != PACKAGE:
        return None
    inside = name.removeprefix(PACKAGE).removeprefix(".")
    candidates = [module for module in ORDER if inside == module or inside.startswith(module + ".")]
    return max(candidates, key=len, default="")


def imports_of_ours() -> Iterator[tuple[str, str, str]]:
    """Each import inside the house: the module that imports, the module it imports from, the full name."""
    for name, module in MODULES.items():
        for imported in imports(module.tree):
            if (source := module_of(imported)) is not None:
                yield name, source, imported


def test_every_module_has_its_place_in_the_picture() -> None:
    assert sorted(MODULES) == sorted(ORDER)


def test_rooms_stand_in_their_order_and_every_folder_in_one_piece() -> None:
    rooms = list(dict.fromkeys(name.split(".")[0] for name in ORDER))
    assert rooms == list(ROOMS)
    for folder in {MODULES[name].folder for name in ORDER} - {""}:
        places = [place for place, name in enumerate(ORDER) if name.startswith(f"{folder}.")]
        assert places == list(range(places[0], places[-1] + 1)), f"{folder} is drawn in pieces"


def test_a_module_imports_only_from_above_it() -> None:
    """A total order leaves no room for circles."""
    place = {name: number for number, name in enumerate(ORDER)}
    none_of(
        f"{name} imports {imported}"
        for name, source, imported in imports_of_ours()
        if source not in place or place[source] >= place[name]
    )


def test_rooms_that_are_strangers_do_not_know_each_other() -> None:
    def are_strangers(one: str, other: str) -> bool:
        rooms = {one.split(".")[0], other.split(".")[0]}
        folders = {one.rpartition(".")[0], other.rpartition(".")[0]}
        return rooms in STRANGERS or folders in STRANGERS

    none_of(
        f"{name} imports {imported}"
        for name, source, imported in imports_of_ours()
        if are_strangers(name, source)
    )


def test_only_the_plugin_knows_of_windows() -> None:
    none_of(
        f"{name} imports {package}"
        for name, module in MODULES.items()
        if not name.startswith("plugin.")
        for package in packages(module) & WINDOW
    )


def test_metadata_need_nothing_but_python() -> None:
    allowed = {PACKAGE, *sys.stdlib_module_names}
    none_of(
        f"{name} imports {package}"
        for name, module in MODULES.items()
        if name.split(".")[0] in {"errors", "metadata"}
        for package in packages(module) - allowed
    )


def test_dask_is_imported_only_when_it_is_needed() -> None:
    none_of(
        f"{name} imports {package}"
        for name, module in MODULES.items()
        for package in packages(module, at_import_time=True) & {"dask", "pint", "pandas"}
    )


def test_the_engine_of_xarray_is_light() -> None:
    """xarray imports every engine whenever it looks for one, for a netCDF file too."""
    needed, pending = set(), {"reading.xarray_engine"}
    while pending:
        name = pending.pop()
        needed.add(name)
        imported = set(imports(MODULES[name].tree, at_import_time=True))
        pending |= {module for each in imported if (module := module_of(each))} - needed
    none_of(
        f"{name} imports {package}"
        for name in needed
        for package in packages(MODULES[name], at_import_time=True) & (HEAVY - {"xarray"} | WINDOW)
    )


def test_rooms_have_no_hall() -> None:
    """An ``__init__`` that re-exported its modules would load all of them for one."""
    none_of(f"{hall.name} imports {name}" for hall in HALLS if hall.name for name in imports(hall.tree))


def test_public_names_are_exported_by_the_package_alone() -> None:
    none_of(name for name, module in MODULES.items() if "__all__" in defined_names(module))


def test_a_name_is_imported_from_where_it_is_defined() -> None:
    names = {name: defined_names(module) for name, module in MODULES.items()}
    none_of(
        f"{name} imports {imported}"
        for name, source, imported in imports_of_ours()
        if imported != f"{PACKAGE}.{source}"
        and imported.removeprefix(f"{PACKAGE}.{source}.") not in names.get(source, set())
    )


def test_pages_and_examples_import_public_names_only() -> None:
    code = {str(path.relative_to(ROOT)): [path.read_text(encoding="utf-8")] for path in EXAMPLES.values()}
    code |= {page: [block for _, block in python_blocks(text)] for page, text in PAGES.items()}
    none_of(
        f"{place} imports {name}"
        for place, blocks in code.items()
        for block in blocks
        for name in imports(ast.parse(block))
        if module_of(name)
    )


def test_public_names_are_there_and_no_others() -> None:
    import napari_ome_ngff as public

    assert len(public.__all__) == len(set(public.__all__))
    assert all(getattr(public, name) is not None for name in public.__all__)
    assert set(dir(public)) == set(public.__all__)
    with pytest.raises(AttributeError, match="no attribute 'pyramids'"):
        _ = public.pyramids


def loaded_after(code: str) -> set[str]:
    """Names of the top-level modules that a fresh Python has loaded after running `code`."""
    script = f"import sys\n{code}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True
    )
    return set(done.stdout.split())


def test_importing_the_package_costs_nothing() -> None:
    assert not loaded_after(f"import {PACKAGE}") & (WINDOW | HEAVY)


def test_metadata_can_be_understood_without_any_other_package() -> None:
    loaded = loaded_after(f"from {PACKAGE}.metadata import versions")
    assert not loaded & (WINDOW | HEAVY | {"numpy"})


def test_public_functions_need_neither_dask_nor_a_window() -> None:
    loaded = loaded_after(f"from {PACKAGE} import *")
    assert not loaded & (WINDOW | {"dask"})


def test_opening_an_image_loads_neither_dask_nor_units() -> None:
    """What they take is more than all the rest of opening; xarray imports both to look at an array."""
    opened = str(Path(__file__).parents[2] / "docs" / "examples" / "data" / "coins.ome.zarr")
    loaded = loaded_after(f"from {PACKAGE} import open_ome_ngff\nopen_ome_ngff({opened!r}).arrays")
    assert "xarray" in loaded
    assert not loaded & (WINDOW | {"dask", "pint", "scipy"})


def test_refusing_a_folder_that_is_not_ours_loads_nothing_heavy(tmp_path: Path) -> None:
    """napari asks every reader about every folder that is dropped on it."""
    loaded = loaded_after(
        f"from {PACKAGE}.plugin.reader import get_reader\nassert get_reader({str(tmp_path)!r}) is None"
    )
    assert not loaded & (WINDOW | HEAVY)
