"""Every case of `tests/cases` opens as expected: what the plugin gives to napari is compared with the case.

napari itself shows one case of each kind: its layers cost more than all the rest, and see no more of a
file than these tuples do.
"""

from __future__ import annotations

import importlib.util
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_ome_ngff import DaskArrayWrapper, OmeNgffError, OmeNgffWarning, open_ome_ngff
from napari_ome_ngff.plugin.names import image_name
from napari_ome_ngff.plugin.open.contrast import estimate_limits
from napari_ome_ngff.plugin.open.to_layers import to_layers
from napari_ome_ngff.plugin.reader import get_reader, read_layers
from napari_ome_ngff.reading.opened import Collection, Image, images_of
from tests.cases.build import image
from tests.cases.judge import compare, levels_of
from tests.cases.nouns import GROUPS, Case, Opened
from tests.cases.table import all_cases, render

CASES = all_cases()
SECONDS = 4.0
"""Processor time that opening may take: a second is promised, and test machines are slow and shared."""

REFERENCE = 0.05
"""Processor time of `_reference` on such a machine: one that takes more may take more for all else."""

PATIENCE = 30.0
"""Seconds by the clock after which something hangs: test machines are busy, too."""


def case_id(case: Case) -> str:
    return f"{case.group}-{case.name}"


def shown_by_napari(cases: Sequence[Case]) -> list[Case]:
    """Every data type, and in each group the first case of each mix of layers and number of dimensions."""
    kinds: dict[Any, Case] = {}
    for case in cases:
        if case.slices and case.layers:
            apart = case.name if case.group == "Data types" else ""
            layers = frozenset((shown.kind, len(shown.axes or ())) for shown in case.layers)
            kinds.setdefault((case.group, layers, apart), case)
    return list(kinds.values())


HAS_NAPARI = importlib.util.find_spec("napari") is not None
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "what-opens.md"


@pytest.fixture(scope="module", autouse=True)
def _warm(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Import what opening imports, so that the first case is not charged for it."""
    read_layers(str(image(tmp_path_factory.mktemp("warm") / "a.zarr")))


@pytest.fixture
def peak() -> Iterator[Any]:
    """Tell how far the memory of this process grew at most since the test began, in bytes (Linux)."""
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


@pytest.mark.parametrize("case", CASES, ids=case_id)
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


def _reference() -> float:
    """Processor time of a piece of Python that is always the same, the shortest of three."""
    times = []
    for _ in range(3):
        started = time.process_time()
        sum(i & 3 for i in range(500_000))
        times.append(time.process_time() - started)
    return min(times)


class _Clock:
    """Started when it is made."""

    def __init__(self) -> None:
        self.processor, self.wall = time.process_time(), time.perf_counter()

    def stop(self) -> None:
        took = time.process_time() - self.processor
        assert took < SECONDS or took < SECONDS * _reference() / REFERENCE
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
    return {name: estimate_limits(one)[""] for name, one in images_of(opened).items()}


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
    if case.slices:
        for data, meta, _ in layers:
            _slice(data, meta)


def _slice(data: Any, meta: dict[str, Any]) -> None:
    """Read the first plane of every level, as napari does for what it shows."""
    levels = levels_of(data, meta)
    shape = levels[0].shape
    colours = int(bool(meta.get("rgb")))
    for level in levels:
        index = (0,) * max(level.ndim - 2 - colours, 0)
        plane = np.asarray(level[index])
        assert plane.shape == level.shape[len(index) :]
        assert plane.dtype == level.dtype
        assert level.ndim == len(shape)


@pytest.mark.skipif(not HAS_NAPARI, reason="napari is not installed")
@pytest.mark.parametrize("case", shown_by_napari(CASES), ids=case_id)
@pytest.mark.filterwarnings("ignore::napari_ome_ngff.errors.OmeNgffWarning")
def test_napari_shows_it_where_it_lies(case: Case, tmp_path: Path) -> None:
    """Let napari make its layers, slice them, and say where voxels are."""
    from napari.components import ViewerModel
    from napari.layers import Layer

    viewer = ViewerModel()
    for data, meta, kind in _open(case, case.make(tmp_path)):
        viewer.add_layer(Layer.create(data, dict(meta), kind))
    viewer.dims.set_current_step(0, 1)
    for layer, shown in zip(viewer.layers, case.layers, strict=False):
        for index, place in shown.places.items():
            assert list(layer.data_to_world(index)) == pytest.approx(list(place), rel=1e-6, abs=1e-6)
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
