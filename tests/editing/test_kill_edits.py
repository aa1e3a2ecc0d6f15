"""Edits that are killed at calls which change the disk: the old state, or the new one, of all levels.

`tests.campaigns.kill_edits` kills at every call, of every form.
"""

from __future__ import annotations

import os

import pytest

from tests.campaigns.kill_edits import Edit, campaign


@pytest.mark.skipif(not hasattr(os, "fork"), reason="another process is killed")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("of", "form", "every"), [("pixels", "sharded", 67), ("metadata", "v3", 9)])
def test_whoever_is_killed_leaves_the_old_or_the_new_state(of: str, form: str, every: int) -> None:
    kills = campaign(Edit(of, form), first=2, every=every)
    assert kills.total() > 1
    assert kills["old"]
