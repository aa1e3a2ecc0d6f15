"""Whole files with faults are pictures or errors of ours: a short form of `tests.campaigns.mutations`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.campaigns.mutations import GOOD, originals, run

FIRST, COUNT, SEED = 0, 16, 20261127


def test_a_file_with_faults_is_a_picture_or_an_error_of_ours(tmp_path: Path) -> None:
    files = originals(tmp_path / "originals")
    results: Counter[str] = Counter()
    for number, title, result in run(files, range(FIRST, FIRST + COUNT), SEED, tmp_path):
        assert result in GOOD, f"{number} {title}: {result}"
        results[result] += 1
    assert min(results[kind] for kind in GOOD) > COUNT / 20
