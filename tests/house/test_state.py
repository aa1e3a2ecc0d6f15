"""State of the process lives in one module, which the architecture page names."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.house.source import ARCHITECTURE, MODULES, Function, Module, decorators

MEMOS = frozenset(
    {
        "plugin.notify._watch",  # one subscription for each record of failures
        "storage.places.requests.usable_cores",
        "storage.places.servers.plain_http._opener",  # made at the first request, as urllib does it
        "writing.plan.multiscale._release",  # of this package
    }
)
"""Cached functions whose results follow from their arguments alone: no state, and no need of a reset."""

CONTEXTS = frozenset({"errors._collected"})
"""Set and reset by one ``with``, for who is inside it: nothing of them is left."""

CONTAINERS = (ast.Dict, ast.List, ast.Set, ast.DictComp, ast.ListComp, ast.SetComp)
CHANGES = frozenset({"add", "append", "clear", "discard", "extend", "insert", "pop", "popitem", "remove"})
CHANGES |= {"setdefault", "update"}
MAKERS = re.compile(
    r"(dict|list|set|defaultdict|OrderedDict|Counter|deque|count|Lock|RLock|Event|Condition|local|ContextVar)"
    r"|.*(Executor|Cache|Pool|Weak\w+)"
)


def state(module: Module) -> Iterator[str]:
    """What a module keeps while the process lives, and how that is seen."""
    for node in ast.walk(module.tree):
        if isinstance(node, Function) and decorators(node) & {"cache", "lru_cache"}:
            if f"{module.name}.{node.name}" not in MEMOS:
                yield f"{node.name} is cached"
        elif isinstance(node, ast.Global):
            yield f"global {', '.join(node.names)}"
    kept = {}
    for node in module.tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            kept |= {target.id: node.value for target in targets if isinstance(target, ast.Name)}
    for name, value in kept.items():
        if isinstance(value, ast.Call) and MAKERS.fullmatch(ast.unparse(value.func).rpartition(".")[2]):
            if f"{module.name}.{name}" in CONTEXTS:
                continue
            yield f"{name} = {ast.unparse(value)}"
        elif isinstance(value, CONTAINERS) and name in changed(module.tree):
            yield f"{name} is changed"


def changed(tree: ast.Module) -> set[str]:
    """Names of containers whose items are set, deleted, added or removed anywhere in a module."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGES:
            names |= {node.func.value.id} if isinstance(node.func.value, ast.Name) else set()
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
            names |= {node.value.id} if isinstance(node.value, ast.Name) else set()
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return names


def test_state_of_the_process_is_kept_in_one_module() -> None:
    keepers = {name: list(state(module)) for name, module in MODULES.items()}
    keepers = {name: seen for name, seen in keepers.items() if seen}
    assert len(keepers) <= 1, keepers


def test_the_architecture_page_names_the_module_of_the_state() -> None:
    (keeper,) = (name for name, module in MODULES.items() if any(state(module)))
    assert f"`{keeper}`" in ARCHITECTURE or f"`{keeper.replace('.', '/')}.py`" in ARCHITECTURE
    assert any(node.name == "reset" for node in MODULES[keeper].functions()), "tests need a reset"


def test_cached_functions_that_are_no_state_exist() -> None:
    functions = {f"{name}.{node.name}" for name, module in MODULES.items() for node in module.functions()}
    assert set() == MEMOS - functions
    assert all(
        f"{each.partition('.')[2]}: ContextVar" in ast.unparse(MODULES[each.partition(".")[0]].tree)
        for each in CONTEXTS
    )
