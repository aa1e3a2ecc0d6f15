"""How large a module, a function and a folder may grow."""

from __future__ import annotations

import ast
from collections import Counter

from tests.house.source import MODULES, Function, none_of

MAX_MODULE_LINES = 250
MAX_FUNCTION_LINES = 60
MAX_FILES = 15


def function_lines(node: Function) -> int:
    """Lines of a function without its docstring, which may be as long as it is useful."""
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    if ast.get_docstring(node) is None:
        return lines
    words = node.body[0]
    return lines - ((words.end_lineno or words.lineno) - words.lineno + 1)


def test_a_module_is_short() -> None:
    """Docstrings, comments and blank lines are not counted: a limit on them would cut modules, not words."""
    none_of(
        f"{name}: {module.code_lines} lines of code"
        for name, module in MODULES.items()
        if module.code_lines > MAX_MODULE_LINES
    )


def test_a_function_is_short() -> None:
    none_of(
        f"{name}.{node.name}: {function_lines(node)} lines"
        for name, module in MODULES.items()
        for node in module.functions()
        if function_lines(node) > MAX_FUNCTION_LINES
    )


def test_a_folder_is_seen_at_a_glance() -> None:
    files = Counter(module.folder for module in MODULES.values())
    none_of(f"{folder}: {count} files" for folder, count in files.items() if count > MAX_FILES)
