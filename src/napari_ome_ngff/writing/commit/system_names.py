"""Names and paths that a system does not take, or takes for one another: refused before the first byte."""

from __future__ import annotations

import ctypes
import itertools
import os
import sys
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from napari_ome_ngff.errors import TargetError
from napari_ome_ngff.storage.places.location import folder_of, ignores_case, join
from napari_ome_ngff.storage.places.node_documents import DOCUMENTS
from napari_ome_ngff.writing.commit.temporary import new_part
from napari_ome_ngff.writing.target import check_names, target_folder

_LONGEST_FILE, _LONGEST_FOLDER = 259, 247  # characters of a path, on Windows as it comes


def check_paths(
    root: Path,
    path: str,
    groups: Iterable[str],
    arrays: Mapping[str, Sequence[int]],
    obsolete: Collection[str] = (),
) -> None:
    """Refuse what cannot be in a folder of this system: names, paths that are one to it, paths too long.

    `groups` are all that will be at `path` below `root`; `arrays` says how many files each has along its
    axes. What is there now stays, unless it is replaced or `obsolete`.
    """
    target = target_folder(root, path)
    paths = {one for one in (*groups, *arrays) if one}
    check_names({name for one in paths for name in one.split("/")}, str(target))
    if ignores_case(root.parent):
        documents = {join(path, group, name) for group in ("", *groups) for name in DOCUMENTS}
        above = itertools.accumulate(path.split("/"), join)
        _refuse_alike(
            root,
            {*above, *(join(path, one) for one in paths)} - {""},
            documents,
            {join(path, one) for one in obsolete},
        )
    if sys.platform == "win32" and not has_long_paths():
        keys = {join(one, "zarr.json") for one in paths}
        for one, counts in arrays.items():
            keys.add(join(one, "c", *(str(max(0, count - 1)) for count in counts)))
        _refuse_long(target, keys)


def _refuse_alike(
    root: Path, paths: Collection[str], documents: Collection[str], obsolete: Collection[str]
) -> None:
    """Refuse paths that differ by case alone, from one another or from what stays of what is there."""
    seen: dict[str, str] = {}
    stay = {join(folder, name) for folder in map(folder_of, paths) for name in _names_in(root / folder)}
    for path in sorted(paths) + sorted((stay | set(documents)) - set(obsolete)):
        other = seen.setdefault(unicodedata.normalize("NFD", path).casefold(), path)
        if other != path:
            raise TargetError(
                "Two names differ in upper and lower case only: to this file system they are one.",
                where=str(root),
                found=f"{other!r} and {path!r}",
                hint="Choose another name for one of them.",
            )


def _names_in(folder: Path) -> list[str]:
    return os.listdir(folder) if os.path.isdir(folder) else []


def _refuse_long(target: Path, keys: Iterable[str]) -> None:
    part = target.with_name(new_part(target.name))
    longest = max(keys, key=len, default="")
    length = len(str(part / longest))
    limit = _LONGEST_FILE
    if len(str(part / folder_of(longest))) > _LONGEST_FOLDER:
        limit = min(limit, _LONGEST_FOLDER + len(longest) - len(folder_of(longest)))
    if length > limit:
        raise TargetError(
            "The paths in this image would be too long for Windows.",
            where=str(target),
            found=f"up to {length} characters while it is written",
            expected=f"at most {limit}",
            hint=f"Choose a folder or a name that is {length - limit} characters shorter, save a single file"
            " (.ozx), or have long paths switched on in Windows.",
        )


def has_long_paths() -> bool:
    """Whether Windows takes paths of more than 259 characters: that is a choice of its administrator."""
    if sys.platform == "win32":
        ask = getattr(ctypes.WinDLL("ntdll"), "RtlAreLongPathsEnabled", None)
        return ask is not None and bool(ask() & 0xFF)
    return True
