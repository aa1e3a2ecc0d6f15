"""One window for all tests of a module: making one takes longer than most of what is seen in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.window.shared import SharedWindow


@pytest.fixture(scope="module")
def shared_window(qapp: Any) -> Iterator[SharedWindow]:
    from tests.window.shared import SharedWindow  # where there is no Qt, this file is read all the same

    window = SharedWindow()
    yield window
    window.close()


@pytest.fixture
def viewer(shared_window: SharedWindow, qtbot: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A real napari window, shown, always of the same size, with nothing in it."""
    yield shared_window.viewer()
    request.node.funcargs.clear()  # a widget that a fixture made would keep the window alive
    shared_window.clean()


@pytest.fixture
def no_window(shared_window: SharedWindow) -> None:
    """For a test that makes its own."""
    shared_window.close()
