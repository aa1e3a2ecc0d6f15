"""Run the tests and kill campaigns of saving, editing and appending by the rules of Windows.

Run it with ``python -m tests.campaigns.windows``, followed by what pytest is to be told; or with ``kills
[EVERY]`` for the kill campaigns, at every call or at every n-th. The rules are in `tests.windows_rules`.
"""

from __future__ import annotations

import collections
import itertools
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.windows_rules import windows_rules

SUITES = ("tests/writing", "tests/saving", "tests/editing", "tests/whole/test_unchanged.py", "tests/cli")

OF_POSIX = (
    "test_a_file_that_cannot_be_read_is_named",  # a pipe
    "test_a_journal_of_anyone",  # links
    "test_a_new_image_appears_complete[a#b?",
    "test_a_source_in_the_file_itself",  # who has a file open reads on
    "test_foreign_files_and_links",
    "test_levels_that_lie_elsewhere",
    "test_members_of_others_are_kept",  # the mode of a file
    "test_names",  # links
    "test_relative_paths_and_links",
)
"""How names of tests begin that say what Windows does not have."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what Windows does not have."""
    left = [item for item in items if item.name.startswith(OF_POSIX)]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in left]


@pytest.fixture(autouse=True)
def _by_the_rules_of_windows(_no_file_left_open: None, tmp_path: Path) -> Iterator[None]:
    with windows_rules():
        yield


def campaigns(every: int) -> Iterator[tuple[str, Callable[[], collections.Counter[str]]]]:
    """What is killed, and how."""
    from tests.campaigns import kill_additions, kill_edits, kill_every_call, kill_plates

    for number, way in enumerate(kill_every_call.ways()):
        if "no exchange" not in way.place:  # there is none anyway
            yield str(way), partial(kill_every_call.campaign, way, 1 + number % every, every)
    for edit in kill_edits.EDITS:
        yield str(edit), partial(kill_edits.campaign, edit, every=every)
    for each in itertools.product(kill_additions.KINDS, kill_additions.FORMS):
        yield ", ".join(each), partial(kill_additions.campaign, *each, every=every)
    yield "plates", partial(kill_plates.campaign, every=every)


def kill(every: int) -> None:
    """Kill at every n-th call; whoever is killed, and whoever looks at what is left, lives by the rules."""
    together = collections.Counter[str]()
    with windows_rules():
        for name, campaign in campaigns(every):
            kills = campaign()
            together += kills
            print(f"{name}: {kills.total()} kills: {dict(kills)}", flush=True)
    print(f"{together.total()} kills: {dict(together)}")


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments[:1] == ["kills"]:
        kill(int(arguments[1]) if arguments[1:] else 1)
    else:
        sys.exit(pytest.main(["-p", "tests.campaigns.windows", *(arguments or SUITES)]))
