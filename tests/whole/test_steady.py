"""Opening and saving again and again takes no more memory, threads or files than doing it some times."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.campaigns.steady import run


@pytest.mark.skipif(sys.platform != "linux", reason="memory and files are counted in /proc")
def test_a_process_stays_as_it_is(tmp_path: Path) -> None:
    early, *_, late = run(tmp_path, opens=24, saves=16, every=8)
    assert late.megabytes < early.megabytes + 40
    assert late.threads <= early.threads + 4  # pools grow until they are full
    assert late.files <= early.files
