"""All cases, and the table of the documentation that is made of them."""

from __future__ import annotations

from collections.abc import Sequence

from . import (
    axes,
    channels,
    collections,
    damaged,
    dtypes,
    labels,
    paths,
    plates,
    scenes,
    spellings,
    transforms,
    versions,
)
from .nouns import GROUPS, Case

HEAD = """\
<!-- Made by the tests: python -m tests.cases > docs/reference/what-opens.md -->

# What opens, and what is refused

Each line of these tables is tested with files that were made for it by hand, {count} in all. What is refused
is refused with one clear sentence. Nothing is shown in a wrong place because a part of its description was
left out: what cannot be applied is named in a warning.
"""

INTRODUCTIONS = {
    "Versions": "0.1 to 0.6 are read; 0.4, 0.5 and 0.6 are written.",
    "Scenes": "Several images in one coordinate system (0.6).",
    "Channels": "The `omero` part of the metadata, of any completeness.",
    "Plates": "High-content screening. The well and field under the mouse are shown in the status bar.",
    "Collections": "Several images in one folder.",
    "Other programs": "Metadata as others write them.",
    "Damaged": "Files that are incomplete, wrong, or made to do harm. Nothing outside of them is read.",
}

TAIL = """
## Remote places

| place | how |
| --- | --- |
| `http://`, `https://` | URL, with the extra `remote` |
| `s3://`, `gs://`, `az://` | URL, with the extra `remote`; first without a password, then with your own |
| any Zarr store or group | in scripts |

## What the writer accepts

Image and Labels layers; in scripts, any number type that Zarr stores. Refused, with the rule: fewer than two
or more than five axes, axes in an order that the version forbids, units that are not in the specification's
list, coordinates that are not evenly spaced, levels that grow or differ in type. Points, shapes, tracks,
vectors and surfaces have no place in OME-Zarr images: they are named to you and not saved.
"""


def all_cases() -> list[Case]:
    """Every case, in the order of the table."""
    modules = (
        versions,
        axes,
        transforms,
        scenes,
        channels,
        labels,
        plates,
        collections,
        paths,
        dtypes,
        spellings,
        damaged,
    )
    return [case for module in modules for case in module.cases()]


def rows(cases: Sequence[Case], group: str) -> dict[str, str]:
    """What is in a file, and what happens; each once."""
    return {case.what: case.result for case in cases if case.group == group}


def render(cases: Sequence[Case]) -> str:
    """Return the page for users, in Markdown."""
    lines = [HEAD.format(count=len(cases))]
    for group in GROUPS:
        lines.append(f"## {group}\n")
        if group in INTRODUCTIONS:
            lines.append(f"{INTRODUCTIONS[group]}\n")
        lines += ["| in the file | what happens |", "| --- | --- |"]
        lines += [f"| {what} | {result} |" for what, result in rows(cases, group).items()]
        lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n" + TAIL
