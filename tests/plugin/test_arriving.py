"""Pictures that napari shows before all of them has arrived; whoever else reads, gets all of it."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from napari.components import ViewerModel
from qtpy.QtCore import QEventLoop, QTimer

from napari_ome_ngff import add_to_viewer, save_ome_ngff
from napari_ome_ngff.plugin.open import arrivals, arriving
from napari_ome_ngff.plugin.open.arriving import NAPARI_KEEPS, NAPARI_SLICES, Arriving, pictures_in
from napari_ome_ngff.plugin.open.read_ahead import one_further
from napari_ome_ngff.plugin.preferences import reads_ahead
from napari_ome_ngff.storage.pixels.dask_array import lazy_array, with_pictures
from napari_ome_ngff.storage.pixels.indexing import Pick, Source
from napari_ome_ngff.storage.pixels.process_state import shared_cache
from tests.servers import GATES, Web

PIXELS = np.arange(1, 65 * 9).reshape(-1, 8)[:64].astype("uint16")


class Slow(Source):
    """An array that is read when a test lets it be read, four rows at a time."""

    def __init__(self, pixels: np.ndarray[Any, Any] = PIXELS) -> None:
        self.pixels = pixels
        self.open = threading.Event()
        self.error: Exception | None = None
        self._cover(pixels.shape)

    dtype = np.dtype("uint16")
    unit = (4, 8)
    locations = frozenset(("https://slow.test/0",))

    def _read(self, picks: Sequence[Pick]) -> np.ndarray[Any, Any]:
        assert self.open.wait(20)
        if self.error is not None:
            raise self.error
        return self.pixels[np.ix_(*picks)]


def asks_as(module: str) -> Callable[[Any], np.ndarray[Any, Any]]:
    """numpy.asarray as a module of napari calls it."""
    asarray: Callable[[Any], np.ndarray[Any, Any]] = eval(
        "lambda data: np.asarray(data)", {"np": np, "__name__": module}
    )
    return asarray


napari_slices, napari_keeps = asks_as(NAPARI_SLICES), asks_as(NAPARI_KEEPS)


@pytest.fixture(autouse=True)
def one_row_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arriving, "UNITS_AT_ONCE", 1)


def lazy(source: Source, *, keep_last: bool = False) -> tuple[Any, Arriving]:
    pictures = Arriving(min(source.locations), arrivals.arrivals, keep_last=keep_last)
    whole = lazy_array(source, name="slow", blocks=None, inline_array=True, meta=None)
    return with_pictures(whole, pictures), pictures


def in_a_loop(action: Callable[[], None]) -> None:
    """Do something in the event loop of a window."""
    loop, errors = QEventLoop(), []

    def act() -> None:
        try:
            action()
        except Exception as error:  # noqa: BLE001 (Qt would print it)
            errors.append(error)
        loop.quit()

    QTimer.singleShot(0, act)
    loop.exec()
    if errors:
        raise errors[0]


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def test_napari_gets_what_there_is_and_everybody_else_all_of_it(qapp: Any) -> None:
    source = Slow()
    data, pictures = lazy(source)

    def look() -> None:
        started = time.monotonic()
        assert not napari_slices(data).any()
        assert not napari_slices(data[::2]).any()
        assert time.monotonic() - started < 5, "all layers of a turn wait for a moment together"
        assert pictures.is_late()
        source.open.set()
        np.testing.assert_array_equal(np.asarray(data), PIXELS)
        np.testing.assert_array_equal(data[3].compute(), PIXELS[3])
        until(lambda: pictures.has_news() and not pictures.is_late())
        until(lambda: all(picture.done.is_set() for picture in pictures._all()))
        np.testing.assert_array_equal(napari_slices(data), PIXELS)
        np.testing.assert_array_equal(napari_slices(data[::2]), PIXELS[::2])

    in_a_loop(look)


def test_what_has_arrived_is_right_and_the_rest_is_empty(qapp: Any) -> None:
    source = Slow()
    data, _ = lazy(source)
    source.open.set()

    def look() -> None:
        for _ in range(20):
            seen = napari_slices(data)
            assert ((seen == PIXELS) | (seen == 0)).all()

    in_a_loop(look)


def test_what_napari_keeps_is_completed_in_place(qapp: Any) -> None:
    source = Slow()
    data, pictures = lazy(source)

    def look() -> None:
        kept = napari_keeps(data)
        assert not kept.any()
        source.open.set()
        until(lambda: pictures.has_news() and not pictures.is_late())
        until(lambda: (kept == PIXELS).all())

    in_a_loop(look)


def test_without_a_running_window_all_is_read_at_once() -> None:
    source = Slow()
    data, _ = lazy(source)
    threading.Timer(0.2, source.open.set).start()
    np.testing.assert_array_equal(napari_slices(data), PIXELS)


def test_an_error_reaches_who_asked(qapp: Any) -> None:
    source = Slow()
    data, _ = lazy(source)
    source.error = OSError("gone")
    source.open.set()
    with pytest.raises(OSError, match="gone"):
        napari_slices(data)


def test_a_plane_on_a_server_begins_as_the_one_before(qapp: Any) -> None:
    source = Slow(np.stack([PIXELS, PIXELS[::-1]]))
    source.unit = (1, 4, 8)
    data, _ = lazy(source, keep_last=True)
    source.open.set()
    np.testing.assert_array_equal(napari_slices(data[0]), PIXELS)
    source.open.clear()
    in_a_loop(lambda: np.testing.assert_array_equal(napari_slices(data[1]), PIXELS))
    source.open.set()
    until(lambda: (napari_slices(data[1]) == PIXELS[::-1]).all())


def test_pictures_that_nobody_asks_for_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Slow()
    data, pictures = lazy(source)
    source.open.set()
    napari_slices(data)
    assert pictures.let_go()
    monkeypatch.setattr(arriving, "KEPT_SECONDS", -1)
    assert not pictures.let_go()


def test_what_changed_meanwhile_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Slow()
    data, _ = lazy(source)
    source.open.set()
    np.testing.assert_array_equal(napari_slices(data), PIXELS)
    source.pixels = PIXELS[::-1]
    monkeypatch.setattr(arriving, "KEPT_SECONDS", -1)
    np.testing.assert_array_equal(napari_slices(data), PIXELS[::-1])


def test_what_is_on_the_screen_and_not_complete_is_never_forgotten(
    qapp: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arriving, "MOST_BYTES", 1)
    source = Slow()
    data, pictures = lazy(source)

    def look() -> None:
        for first in range(8):
            napari_slices(data[first:])
        source.open.set()
        until(lambda: all(picture.done.is_set() for picture in pictures._all()))
        assert pictures.has_news()
        for first in range(8):
            np.testing.assert_array_equal(napari_slices(data[first:]), PIXELS[first:])

    in_a_loop(look)


def test_a_step_does_not_wait_for_what_was_stepped_over(qapp: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Slow, "locations", frozenset(("/data/plate.zarr/0",)))
    source = Slow()
    data, pictures = lazy(source)

    def look() -> None:
        napari_slices(data)  # it was begun, and is stepped over
        napari_slices(data[::2])
        (over, now) = pictures._all()
        source.open.set()
        until(lambda: over.arrived)
        assert pictures.has_news()
        napari_slices(data[::2])  # drawn anew
        pictures.drop_unseen()
        assert pictures._all() == [now]
        until(now.done.is_set)
        assert over.arrived < over.parts
        np.testing.assert_array_equal(napari_slices(data[::2]), PIXELS[::2])

    in_a_loop(look)


class AnyWindow:
    """A window that has nothing to do, and does not wait."""

    is_over = False

    def __init__(self) -> None:
        self.is_idle = threading.Event()
        self.is_idle.set()

    def time_left(self) -> float:
        return 0.0

    def watch(self, *, is_late: bool) -> None:
        """Nothing is shown here."""


def test_nothing_is_read_for_a_layer_that_is_gone() -> None:
    source = Slow()
    data, pictures = lazy(source)
    picture = pictures._begin(source, AnyWindow())
    alive = weakref.ref(pictures)
    del data, pictures
    gc.collect()
    assert alive() is None
    source.open.set()
    assert picture.done.wait(20)
    assert picture.arrived <= 1, "what had begun"


def test_a_thread_that_slices_reads_by_itself_and_who_asks_meanwhile_waits_for_it() -> None:
    source, readers, seen = Slow(), [], []
    read = source._read
    source._read = lambda picks: (readers.append(threading.get_ident()), read(picks))[1]  # type: ignore[method-assign]
    data, _ = lazy(source)
    slicing = [threading.Thread(target=lambda: seen.append(napari_slices(data))) for _ in range(2)]
    slicing[0].start()
    until(lambda: readers)
    slicing[1].start()
    source.open.set()
    for thread in slicing:
        thread.join(20)
    assert set(readers) == {slicing[0].ident}
    for picture in seen:
        np.testing.assert_array_equal(picture, PIXELS)


def test_the_next_step_is_the_one_after_in_the_same_direction() -> None:
    assert one_further((2, 5), (2, 6), (4, 9)) == (2, 7)
    assert one_further((2, 5), (2, 4), (4, 9)) == (2, 3)
    assert one_further((2, 7), (3, 8), (4, 9)) is None, "not one slider"
    assert one_further((7,), (2, 8), (4, 9)) is None, "not the same sliders"


@given(
    count=st.integers(3, 99),
    stride=st.integers(1, 49),
    start=st.integers(0, 98),
    sign=st.sampled_from([1, -1]),
)
def test_playback_that_leaves_out_steps_is_followed_round_and_round(
    count: int, stride: int, start: int, sign: int
) -> None:
    assume(2 * stride < count)
    steps = [(start + sign * stride * i) % count for i in range(3)]
    assert one_further(steps[:1], steps[1:2], [count]) == (steps[2],)


def test_stores_where_somebody_may_pay_are_not_read_ahead() -> None:
    assert [reads_ahead(f"{scheme}://bucket/a.zarr") for scheme in ("https", "s3", "gs")] == [
        True,
        False,
        False,
    ]


@pytest.fixture
def movie(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(1, 99, (4, 6, 64, 64), dtype="uint8")
    far_apart = {"z": 8, "y": 1, "x": 1}  # planes are not downsampled along z
    save_ome_ngff(tmp_path / "a.zarr", pixels, axes="czyx", chunks=(1, 1, 64, 64), levels=2, scale=far_apart)
    return tmp_path


def test_a_step_takes_two_round_trips_for_all_layers_and_the_next_one_none(movie: Path) -> None:
    """Four channels, picture and thumbnail of each: eight, one after the other, before."""

    def rounds(gate: float) -> tuple[int, int]:
        with Web(movie, gate=gate) as web:
            viewer = ViewerModel()
            layers = add_to_viewer(viewer, f"{web.url}/a.zarr")
            assert len(layers) == 4
            shared_cache().clear()  # of planes that the contrast was looked up in
            web.forget()
            viewer.dims.set_current_step(0, 3)
            first = web.rounds
            until(lambda: {path.split("/")[-3] for path in web.paths} == {"3", "4"})  # before y and x
            until(lambda: all(_is_done(p) for layer in layers for p in pictures_in(layer)))
            web.forget()
            viewer.dims.set_current_step(0, 4)
            return first, sum(path.split("/")[-3] == "4" for path in web.paths)

    # On a busy machine a gate opens too early and counts too many round trips.
    assert any(first <= 2 and again == 0 for first, again in map(rounds, GATES))


def _is_done(pictures: Arriving) -> bool:
    return all(picture.done.is_set() for picture in pictures._all())
