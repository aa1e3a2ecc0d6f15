"""Run the tests and kill campaigns of saving, editing and appending by the rules of Windows.

Run it with ``python -m tests.campaigns.windows``, followed by what pytest is to be told; or with
``kills [EVERY [FIRST]]`` for the kill campaigns, at every call or at every n-th. The rules are in
`tests.windows_rules`.
"""

from __future__ import annotations

import collections
import contextlib
import itertools
import logging
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.windows_rules import windows_rules

SUITES = ("tests/writing", "tests/saving", "tests/editing", "tests/whole/test_unchanged.py", "tests/cli")

OF_POSIX = {
    "the calls of Linux, and their order": (
        "test_an_error_of_the_whole_file_system_is_raised",
        "test_data_are_synced_before_the_rename_and_the_folder_after_it",
        "test_the_old_image_is_kept_if_the_disk_fails_after_the_exchange",
    ),
    "users, and modes of files and folders": (
        "test_a_folder_that_one_may_not_write_to",
        "test_an_empty_folder_keeps_mode_and_group_and_stays_the_working_directory",
        "test_members_of_others_are_kept",
        "test_what_is_write_protected_is_not_replaced[a.ome.zarr-]",
    ),
    "symbolic links": (
        "test_a_folder_with_other_things_in_it",
        "test_a_journal_of_anyone_touches_nothing_outside_and_opening_says_so[linked",
        "test_foreign_files_and_links_are_kept_and_metadata_of_the_other_format_are_not",
        "test_labels_may_be_a_link_elsewhere",
        "test_levels_that_lie_elsewhere_are_not_edited",
        "test_names[",
        "test_relative_paths_and_links",
        "test_the_commands_of_the_how_to_run",
        "test_what_could_be_lost_is_not_replaced[<lambda>-True-TargetError-file is not a Zarr1]",
        "test_what_is_planted_in_place_of_the_lock_is_not_followed[link",
    ),
    "pipes": (
        "test_a_file_that_cannot_be_read_is_named",
        "test_a_pipe_in_place_of_a_document_is_refused",
        "test_what_is_planted_in_place_of_the_lock_is_not_followed[pipe",
    ),
    "names that Windows does not take": ("test_a_new_image_appears_complete[a#b?",),
    "who has a file open, or mapped, keeps the image from being replaced": (
        "test_a_source_that_lives_in_the_target[numpy",
        "test_label_images_onto_an_image_that_is_replaced_meanwhile",
    ),
    "xarray, without engine=, opens a folder as a file to guess what it is": (
        "test_a_dataset_is_an_image",
        "test_channels_that_are_left_keep_their_looks",
    ),
    "who has a single file open reads the new one on": ("test_a_source_in_the_file_itself",),
}
"""What Windows does not have, and how names of tests begin that need it: they may fail, and no others."""

LEFT_OUT = {"tests/writing/test_cluster.py": "workers of a cluster are other processes, of Linux"}


def pytest_configure() -> None:
    """Import what chooses at its import how it locks files."""
    with contextlib.suppress(ImportError):
        import distributed  # noqa: F401


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Expect the failures that are listed, and leave out what can only hang."""
    left = [item for item in items if item.nodeid.startswith(tuple(LEFT_OUT))]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in left]
    for item in items:
        for reason, starts in OF_POSIX.items():
            if item.name.startswith(starts):
                item.add_marker(pytest.mark.xfail(reason=reason))


@pytest.fixture(autouse=True)
def _by_the_rules_of_windows(_no_file_left_open: None, tmp_path: Path) -> Iterator[None]:
    with windows_rules():
        yield


def campaigns(every: int, first: int) -> Iterator[tuple[str, Callable[[], collections.Counter[str]]]]:
    """What is killed, and how."""
    from tests.campaigns import kill_additions, kill_edits, kill_every_call, kill_plates

    for number, way in enumerate(kill_every_call.ways()):
        if "no exchange" not in way.place:  # there is none anyway
            yield str(way), partial(kill_every_call.campaign, way, 1 + (number + first - 1) % every, every)
    for edit in kill_edits.EDITS:
        yield str(edit), partial(kill_edits.campaign, edit, first=first, every=every)
    for each in itertools.product(kill_additions.KINDS, kill_additions.FORMS):
        yield ", ".join(each), partial(kill_additions.campaign, *each, first, every)
    yield "plates", partial(kill_plates.campaign, first, every)


def kill(every: int = 1, first: int = 1) -> None:
    """Kill at every n-th call; whoever is killed, and whoever looks at what is left, lives by the rules."""
    together, begun = collections.Counter[str](), time.monotonic()
    logging.getLogger("napari_ome_ngff").setLevel(logging.ERROR)  # each edit that is finished is logged
    with windows_rules():
        for name, campaign in campaigns(every, first):
            kills = campaign()
            together += kills
            print(f"{name}: {kills.total()} kills: {dict(kills)}", flush=True)
    print(f"{together.total()} kills in {time.monotonic() - begun:.0f} s: {dict(together)}")


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments[:1] == ["kills"]:
        kill(*map(int, arguments[1:]))
    else:
        sys.exit(pytest.main(["-p", "tests.campaigns.windows", *(arguments or SUITES)]))
