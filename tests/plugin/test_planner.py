"""The plan in the panel: made in a thread while the window lives, never older than what is in the fields."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from qtpy.QtCore import QEventLoop, QObject, QTimer

from napari_ome_ngff.plugin.save.request import Preview
from napari_ome_ngff.plugin.save_panel import planner as module
from napari_ome_ngff.plugin.save_panel.planner import Planner


@pytest.fixture
def in_loop(
    qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[], Callable[[], bool]]], None]:
    """Runs something inside an event loop, as napari's window does, until what it returns is true."""
    monkeypatch.setattr(module, "event_loop_runs", lambda: True)

    def run(action: Callable[[], Callable[[], bool]]) -> None:
        loop, end = QEventLoop(), time.monotonic() + 20
        over = action()
        timer = QTimer()
        timer.timeout.connect(lambda: loop.quit() if over() or time.monotonic() > end else None)
        timer.start(5)
        loop.exec()
        timer.stop()
        assert over()

    return run


def named(name: str) -> Preview:
    return Preview(notes=(name,))


def test_where_no_window_runs_the_plan_is_there_at_once(qtbot: Any) -> None:
    shown: list[str] = []
    Planner(QObject()).plan(lambda: named("a"), lambda plan: shown.extend(plan.notes))
    assert shown == ["a"]


def test_a_plan_is_made_in_a_thread_and_shown_in_that_of_the_window(in_loop: Any) -> None:
    panel = QObject()
    planner = Planner(panel)
    threads: list[threading.Thread] = []

    def make() -> Preview:
        threads.append(threading.current_thread())
        return named("a")

    def act() -> Callable[[], bool]:
        planner.plan(make, lambda _: threads.append(threading.current_thread()))
        return lambda: len(threads) == 2

    in_loop(act)
    assert threads[0] is not threading.current_thread() is threads[1]


def test_the_window_lives_while_a_plan_is_made(in_loop: Any) -> None:
    panel, shown, beats = QObject(), list[str](), list[float]()
    planner = Planner(panel)
    pulse = QTimer(panel)
    pulse.timeout.connect(lambda: beats.append(time.monotonic()))
    pulse.start(5)

    def make() -> Preview:
        time.sleep(0.4)
        return named("slow")

    def act() -> Callable[[], bool]:
        planner.plan(make, lambda plan: shown.extend(plan.notes))
        return lambda: bool(shown)

    in_loop(act)
    assert len(beats) > 20


def test_only_the_newest_is_shown_and_what_lies_between_is_never_made(in_loop: Any) -> None:
    """Who types makes many plans: one is made at a time, and of those that wait the last."""
    panel, gate = QObject(), threading.Event()
    planner, made, shown = Planner(panel), list[str](), list[str]()

    def ask(name: str) -> None:
        def make() -> Preview:
            made.append(name)
            gate.wait(10)
            return named(name)

        planner.plan(make, lambda plan: shown.extend(plan.notes))

    def act() -> Callable[[], bool]:
        for name in "abcd":
            ask(name)
        gate.set()
        return lambda: bool(shown)

    in_loop(act)
    assert shown == ["d"]
    assert set(made) <= {"a", "d"}


def test_a_plan_of_what_was_is_not_shown_after_one_that_was_made_at_once(
    in_loop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel, gate = QObject(), threading.Event()
    planner, shown, late = Planner(panel), list[str](), threading.Event()

    def slow() -> Preview:
        gate.wait(10)
        late.set()
        return named("old")

    def act() -> Callable[[], bool]:
        planner.plan(slow, lambda plan: shown.extend(plan.notes))
        monkeypatch.setattr(module, "event_loop_runs", lambda: False)
        planner.plan(lambda: named("new"), lambda plan: shown.extend(plan.notes))
        gate.set()
        ended = time.monotonic() + 0.2
        return lambda: late.is_set() and time.monotonic() > ended

    in_loop(act)
    assert shown == ["new"]


def test_nothing_is_shown_in_a_panel_that_is_gone(in_loop: Any) -> None:
    from qtpy.QtCore import QCoreApplication, QEvent

    panel, gate, shown = QObject(), threading.Event(), list[str]()

    def make() -> Preview:
        gate.wait(10)
        return named("a")

    def act() -> Callable[[], bool]:
        planner = Planner(panel)
        planner.plan(make, lambda plan: shown.extend(plan.notes))
        panel.deleteLater()
        QCoreApplication.sendPostedEvents(panel, QEvent.Type.DeferredDelete)
        gate.set()
        ended = time.monotonic() + 0.2
        return lambda: time.monotonic() > ended

    in_loop(act)
    assert shown == []


def test_a_defect_is_told_where_the_plan_would_be(in_loop: Any, caplog: pytest.LogCaptureFixture) -> None:
    panel, shown = QObject(), list[Preview]()
    planner = Planner(panel)

    def make() -> Preview:
        raise ZeroDivisionError("by zero")

    def act() -> Callable[[], bool]:
        planner.plan(make, shown.append)
        return lambda: bool(shown)

    in_loop(act)
    assert shown[0].problem is not None
    assert "by zero" in shown[0].problem.summary
    assert "ZeroDivisionError" in caplog.text
