"""Every case of `tests/cases` opens as expected through what the plugin gives to napari, and napari shows it.

Where napari is not installed, what it would be given is compared all the same.
"""

from __future__ import annotations

import gc
import importlib.util
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from napari_ome_ngff import DaskArrayWrapper, OmeNgffError, OmeNgffWarning, open_ome_ngff
from napari_ome_ngff.plugin.names import image_name
from napari_ome_ngff.plugin.open.contrast import estimate_limits
from napari_ome_ngff.plugin.open.to_layers import to_layers
from napari_ome_ngff.plugin.reader import get_reader, read_layers
from napari_ome_ngff.reading.opened import Collection, Image
from tests.cases.build import image
from tests.cases.judge import compare
from tests.cases.nouns import GROUPS, Case, Opened
from tests.cases.table import all_cases, render

CASES = all_cases()
SECONDS = 3.0
"""Processor time that opening may take: a second is promised, and test machines are slow."""

PATIENCE = 30.0
"""Seconds by the clock after which something hangs: test machines are busy, too."""

HAS_NAPARI = importlib.util.find_spec("napari") is not None
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "what-opens.md"

everything = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.group}-{case.name}")


@pytest.fixture(scope="module", autouse=True)
def _warm(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Import what opening imports, so that the first case is not charged for it."""
    read_layers(str(image(tmp_path_factory.mktemp("warm") / "a.zarr")))


@pytest.fixture
def peak() -> Iterator[Any]:
    """Tell how far the memory of this process grew at most since the test began, in bytes (Linux)."""
    gc.collect()
    try:
        Path("/proc/self/clear_refs").write_text("5")  # forgets the highest mark so far
    except OSError:
        yield lambda: 0
        return
    before = _memory("VmRSS")
    yield lambda: _memory("VmHWM") - before


def _memory(key: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    return 0


@everything
def test_case(case: Case, tmp_path: Path, peak: Any) -> None:
    path = case.make(tmp_path)
    if case.left:
        assert get_reader(_as_given(path)) is None
        return
    started = _Clock()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            layers = _open(case, path)
        except OmeNgffError as error:
            started.stop()
            _refused(case, error)
            return
        started.stop()
        grown = peak()
        assert case.error is None, f"opened as {[meta['name'] for _, meta, _ in layers]}"
        _judge(case, layers)
    _warned(case, caught)
    assert grown < case.memory, f"{grown / 2**20:.0f} MB"


class _Clock:
    """Started when it is made."""

    def __init__(self) -> None:
        self.processor, self.wall = time.process_time(), time.perf_counter()

    def stop(self) -> None:
        assert time.process_time() - self.processor < SECONDS
        assert time.perf_counter() - self.wall < PATIENCE


def _as_given(path: Any) -> Any:
    """As napari passes paths on: text, or a list of it."""
    return (
        [str(one) for one in path] if isinstance(path, Sequence) and not isinstance(path, str) else str(path)
    )


def _open(case: Case, path: Any) -> Opened:
    path = _as_given(path)
    if case.system is not None:
        wrapper = DaskArrayWrapper(missing="fill")
        opened = open_ome_ngff(path, array_wrapper=wrapper, coordinate_system=case.system)
        return list(to_layers(opened, image_name(path), limits=_limits(opened)))
    read = get_reader(path)
    assert read is not None, "left to other readers"
    return list(read(path))


def _limits(opened: Image | Collection) -> Any:
    if isinstance(opened, Image):
        return estimate_limits(opened)
    return {name: estimate_limits(one) for name, one in opened.images.items()}


def _refused(case: Case, error: OmeNgffError) -> None:
    first = str(error).splitlines()[0]
    expected = case.error or (OmeNgffError if case.check and not case.layers else None)
    assert expected is not None, f"refused: {error}"
    assert isinstance(error, expected), repr(error)
    assert len(first) <= 160, first
    assert first.endswith("."), first
    for word in case.says:
        assert word.lower() in str(error).lower(), str(error)


def _judge(case: Case, layers: Opened) -> None:
    assert layers or case.layers, "nothing was opened"
    if case.layers:
        compare(layers, case.layers)
    if case.check is not None:
        case.check(layers)
    if HAS_NAPARI and case.slices:
        _show(case, layers)


def _show(case: Case, layers: Opened) -> None:
    """Let napari make its layers, slice them, and say where voxels are."""
    from napari.components import ViewerModel
    from napari.layers import Layer

    viewer = ViewerModel()
    for data, meta, kind in layers:
        viewer.add_layer(Layer.create(data, dict(meta), kind))
    viewer.dims.set_current_step(0, 1)
    for layer, shown in zip(viewer.layers, case.layers, strict=False):
        for index, place in shown.places.items():
            found = layer.data_to_world(index)
            assert list(found) == pytest.approx(list(place), rel=1e-6, abs=1e-6)
    viewer.layers.clear()


def _warned(case: Case, caught: Sequence[warnings.WarningMessage]) -> None:
    others = [w for w in caught if not issubclass(w.category, OmeNgffWarning)]
    assert not others, [str(w.message) for w in others]
    said = [str(w.message) for w in caught]
    for word in case.warns:
        assert any(word.lower() in text.lower() for text in said), f"no warning of {word!r} in {said}"
    promised = "with a warning" in case.result and not any(x in case.result for x in (" or ", "refused", ";"))
    assert said or not promised, "the page promises a warning"
    assert said == [] or case.warns or case.may_warn, said


def test_names_of_cases_are_unique_and_groups_known() -> None:
    names = [(case.group, case.name) for case in CASES]
    assert len(set(names)) == len(names)
    assert {case.group for case in CASES} == set(GROUPS)


def test_a_row_of_the_table_says_one_thing() -> None:
    results: dict[tuple[str, str], str] = {}
    for case in CASES:
        assert results.setdefault((case.group, case.what), case.result) == case.result, case.name


def test_the_page_in_the_docs_is_the_one_that_the_cases_make() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(CASES), (
        "python -m tests.cases > docs/reference/what-opens.md"
    )
