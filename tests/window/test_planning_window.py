"""Plans of the dock that saves are made in a thread while the window lives; the newest counts."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from qtpy.QtCore import QEventLoop, QTimer

from napari_ome_ngff.plugin import save_widget
from napari_ome_ngff.plugin.save.form import SHAPES, Form
from napari_ome_ngff.plugin.save.request import preview
from napari_ome_ngff.plugin.save_widget import CreateWidget
from tests.window_tools import PLUGIN, add_cells, pump, wait_until


@pytest.fixture
def widget(viewer: Any, tmp_path: Path) -> CreateWidget:
    """The dock widget as the menu opens it, with a target in this test's folder."""
    _, widget = viewer.window.add_plugin_dock_widget(PLUGIN)
    assert isinstance(widget, CreateWidget)
    add_cells(viewer)
    widget.fields["target"].value = tmp_path / "cells.ome.zarr"
    return widget


@pytest.fixture
def raised(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[BaseException]]:
    """What nobody has caught in the window's thread."""
    errors: list[BaseException] = []
    monkeypatch.setattr(sys, "excepthook", lambda _, error, __: errors.append(error))
    yield errors
    errors.clear()  # they would keep the window alive


class Slow:
    """Planning that waits until it may; `begun` has the targets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun: list[str] = []
        self.may = threading.Event()
        self.on = False  # from the first event loop of the test on
        real = preview

        def slow(form: Form, *others: Any) -> Any:
            if not self.on:
                return real(form, *others)
            self.begun.append(Path(form.target).name)
            assert self.may.wait(20), "the window waits for the plan"
            return real(form, *others)

        monkeypatch.setattr(save_widget, "preview", slow)


@pytest.fixture
def slow(widget: CreateWidget, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    wait_until(lambda: not widget._later.isActive(), why="the layers are planned")
    pump(0.1)
    wait_until(lambda: not widget._later.isActive(), why="the layers are planned")
    planning = Slow(monkeypatch)
    yield planning
    planning.may.set()


def live(*actions: Callable[[], object], until: Callable[[], object], slow: Slow | None = None) -> None:
    """Do one thing after the other in an event loop, until something is the case."""
    loop, left = QEventLoop(), list(actions)
    if slow is not None:
        slow.on = True

    def step() -> None:
        if left:
            left.pop(0)()
        elif until():
            loop.quit()

    timer, end = QTimer(), QTimer()
    timer.timeout.connect(step)
    end.timeout.connect(loop.quit)
    timer.start(5)
    end.start(10_000)
    loop.exec()
    for each in (timer, end):
        each.stop()
    if slow is not None:
        slow.on = False
    assert until(), "not within 10 s"


def test_a_part_that_cannot_be_is_not_overtaken_by_an_older_plan(
    viewer: Any, widget: CreateWidget, slow: Slow, tmp_path: Path
) -> None:
    def no_shapes() -> None:
        widget.fields["part"].value = SHAPES

    live(
        lambda: setattr(widget.fields["target"], "value", tmp_path / "a"),
        no_shapes,
        slow.may.set,
        until=lambda: widget._planner._running is None,
        slow=slow,
    )
    assert "Shapes" in widget.status.value
    assert not widget.create.enabled


def test_create_waits_for_the_newest_plan(
    viewer: Any, widget: CreateWidget, slow: Slow, tmp_path: Path
) -> None:
    """Also for what is no field: the look of the layers when it was pressed."""
    seen: list[Any] = []

    def change() -> None:
        viewer.layers["red"].contrast_limits = (3, 700)
        widget.fields["target"].value = tmp_path / "newest"
        widget.create.native.click()
        widget.create.native.click()  # the second one is none

    def look() -> None:
        seen.append((widget.busy, widget.create.enabled, widget.fields["target"].enabled))

    live(
        lambda: setattr(widget.fields["target"], "value", tmp_path / "older"),
        change,
        look,
        lambda: setattr(widget.fields["target"], "value", tmp_path / "too late, by a script"),
        slow.may.set,
        until=lambda: not widget.busy,
        slow=slow,
    )
    assert seen == [(True, False, False)], "nothing can be changed between Create and its plan"
    assert [path.name for path in tmp_path.iterdir()] == ["newest.ome.zarr"]
    stored = json.loads((tmp_path / "newest.ome.zarr" / "zarr.json").read_text())
    window = stored["attributes"]["ome"]["omero"]["channels"][0]["window"]
    assert (window["start"], window["end"]) == (3, 700)
    assert widget.open_result.enabled


def cancel_while_it_is_planned(widget: CreateWidget, slow: Slow) -> None:
    live(
        widget.create.native.click,
        widget.cancel.native.click,
        slow.may.set,
        until=lambda: not widget.busy and widget._planner._running is None,
        slow=slow,
    )


def test_cancel_while_it_is_planned_leaves_nothing(widget: CreateWidget, slow: Slow, tmp_path: Path) -> None:
    cancel_while_it_is_planned(widget, slow)
    assert widget.status.value == "Cancelled. Nothing was written."
    assert list(tmp_path.iterdir()) == []
    assert widget.create.enabled


def test_who_cancelled_while_it_was_planned_is_asked_nothing(
    widget: CreateWidget, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(save_widget, "metadata_or_copy", lambda *_: asked.append(_))
    cancel_while_it_is_planned(widget, slow)
    assert asked == []
    assert widget.status.value == "Cancelled. Nothing was written."


@pytest.mark.parametrize("part", ["tuples_in_view", "metadata_or_copy"])  # before it is planned, and after
def test_a_defect_does_not_lock_the_panel(
    widget: CreateWidget, slow: Slow, part: str, raised: list[BaseException], tmp_path: Path
) -> None:
    def fails(*_: Any) -> Any:
        raise RuntimeError("a defect")

    slow.may.set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(save_widget, part, fails)
        live(widget.create.native.click, until=lambda: raised and not widget.busy, slow=slow)
    assert ["a defect" in str(error) for error in raised] == [True]
    live(widget.create.native.click, until=lambda: not widget.busy, slow=slow)
    assert [path.name for path in tmp_path.iterdir()] == ["cells.ome.zarr"]


def test_a_dock_that_is_closed_meanwhile_is_shown_no_plan_and_writes_nothing(
    viewer: Any, widget: CreateWidget, slow: Slow, tmp_path: Path, raised: list[BaseException]
) -> None:
    ended = threading.Event()
    widget.native.destroyed.connect(ended.set)

    live(
        widget.create.native.click,
        lambda: viewer.window.remove_dock_widget("all"),
        until=ended.is_set,
        slow=slow,
    )
    slow.may.set()
    live(until=lambda: not any(thread.name.startswith("ome-ngff-plan") for thread in threading.enumerate()))
    assert slow.begun == ["cells.ome.zarr"]
    assert list(tmp_path.iterdir()) == []
    assert raised == []


def test_a_window_that_is_closed_meanwhile_closes(
    viewer: Any, widget: CreateWidget, slow: Slow, tmp_path: Path, raised: list[BaseException]
) -> None:
    live(widget.create.native.click, viewer.close, until=lambda: slow.begun, slow=slow)
    slow.may.set()
    live(until=lambda: not any(thread.name.startswith("ome-ngff-plan") for thread in threading.enumerate()))
    assert list(tmp_path.iterdir()) == []
    assert raised == []
