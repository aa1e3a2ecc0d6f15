"""Run the tests and kill campaigns of saving, editing and appending by the rules of Windows.

Run it with ``python -m tests.campaigns.windows``; with arguments, only pytest with these, or with
``kills [EVERY]`` the kill campaigns. The rules are those of `tests.windows_rules`. Tests of what Windows does
not have (pipes, links, modes of folders, a user's rights) are named in `OF_POSIX` and left out.
"""

from __future__ import annotations

import collections
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.windows_rules import windows_rules

SUITES = ("tests/writing", "tests/saving", "tests/editing", "tests/whole/test_unchanged.py", "tests/cli")

OF_POSIX = (
    "test_names",  # of links
    "test_a_journal_of_anyone",
    "test_levels_that_lie_elsewhere",
    "test_relative_paths_and_links",
    "test_foreign_files_and_links",
    "test_a_file_that_cannot_be_read_is_named",  # a pipe
    "test_members_of_others_are_kept",  # the mode of a file
    "test_a_source_in_the_file_itself",  # who has a file open reads on
)
"""Words in names of tests."""


@pytest.fixture(autouse=True)
def _by_the_rules_of_windows(_no_file_left_open: None, tmp_path: Path) -> Iterator[None]:
    with windows_rules():
        yield


def kills(every: int) -> Iterator[str]:
    """Kill saves and edits at every n-th call, by the rules; who looks at what is left lives by them, too."""
    from tests.campaigns import kill_additions, kill_edits, kill_every_call, kill_plates

    together = collections.Counter[str]()
    with windows_rules():
        for number, way in enumerate(kill_every_call.ways()):
            if "no exchange" not in way.place:  # there is none anyway
                counted = kill_every_call.campaign(way, 1 + number % every, every)
                together += counted
                yield f"{way}: {counted.total()} kills: {dict(counted)}"
        for edit in kill_edits.EDITS:
            counted = kill_edits.campaign(edit, every=every)
            together += counted
            yield f"{edit}: {counted.total()} kills: {dict(counted)}"
    assert kill_additions
    assert kill_plates
    yield f"{together.total()} kills: {dict(together)}"


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments[:1] == ["kills"]:
        for line in kills(int(arguments[1]) if arguments[1:] else 1):
            print(line, flush=True)
    else:
        without = " and ".join(f"not {word}" for word in OF_POSIX)
        chosen = arguments or [*SUITES, *(["-k", without] if without else [])]
        sys.exit(pytest.main(["-p", "tests.campaigns.windows", *chosen]))
