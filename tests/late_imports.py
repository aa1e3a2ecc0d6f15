"""Libraries of others that take a second to import, imported by the workers that use them."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType
from typing import Any


def when_used(name: str) -> Any:
    """A module that is executed when something of it is asked for."""
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.find_spec(name)
    assert spec is not None, f"{name} is not installed"
    assert spec.loader is not None
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module: ModuleType = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
