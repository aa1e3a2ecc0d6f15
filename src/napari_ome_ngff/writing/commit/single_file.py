"""One file (``.ozx``): a hierarchy in a zip file, laid out as RFC-9 recommends.

RFC-9: nothing is compressed a second time, entries are ZIP64, the root's ``zarr.json`` comes first and the
other ``zarr.json`` follow breadth-first, and a comment says so.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import re
import shutil
import sys
import time
import zipfile
from collections.abc import Collection, Generator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

from napari_ome_ngff.errors import TargetError, give_warning
from napari_ome_ngff.storage.places.folders import node_kind, remove, rename, replace
from napari_ome_ngff.storage.places.keys import documents_only
from napari_ome_ngff.storage.places.location import folder_of
from napari_ome_ngff.writing.commit.bucket_commit import is_document, keys_to_keep
from napari_ome_ngff.writing.commit.temporary import new_part, undone_by
from napari_ome_ngff.writing.refusals import target_exists

if TYPE_CHECKING:
    from zarr.abc.store import Store

_PIECE = 2**20  # bytes that are copied at once

_MAX_NAMED = 5  # members that a warning names

_ODD = re.compile(r"(^|/)\.{0,2}(/|$)|[\\\x00-\x1f]|^[A-Za-z]:")
"""Names that become others on unpacking: with empty parts, dots, backslashes, NUL, a drive."""


def check_archive(target: Path, path: str, *, overwrite: bool) -> None:
    """Refuse to write a file where something could be lost; `path` is that of the hierarchy in it."""
    if path.strip("/"):
        # RFC-9: "The root of the ZIP archive MUST correspond to the root of the OME-Zarr hierarchy."
        raise TargetError(
            "An .ozx file is written as a whole: nothing can be put into it.",
            where=str(target),
            found=f"the path {path!r} in it",
            hint="Save the image and its label images together, or into a folder that ends with .ome.zarr.",
        )
    if not os.path.lexists(target):
        return
    if target.is_dir():
        raise TargetError(
            "There is a folder of this name, and it is not replaced by a file.", where=str(target)
        )
    if "zarr.json" not in _names(target):
        raise TargetError(
            "The file is no OME-Zarr image in one file, so it is not replaced.",
            where=str(target),
            expected="a zip file with a zarr.json",
            hint="Choose a name that is not taken.",
        )
    if not overwrite:
        raise target_exists(str(target))


def documents_in(target: Path) -> Store | None:
    """Return the metadata documents of an ``.ozx`` file, which is closed; None if there is no such file."""
    if not any(map(is_document, _names(target))):
        return None
    with zipfile.ZipFile(target) as archive:
        members, _ = _members(archive)
        contents = {name: archive.read(info) for name, info in members.items() if is_document(name)}
        return documents_only(str(target), contents)


def pack(
    folder: Path, file: Path, *, replaced: Path | None, obsolete: Collection[str]
) -> Generator[None, None, None]:
    """Pack a finished hierarchy into a new file and sync it; yields after each file, which is deleted.

    Of an ``.ozx`` file that is replaced all other members are packed as well, unless they are obsolete.
    """
    with ExitStack() as stack:
        names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        kept: dict[str, zipfile.ZipInfo] = {}
        if replaced is not None:
            old = stack.enter_context(zipfile.ZipFile(replaced))
            kept = _kept(old, names, folder, obsolete)
        about = json.loads((folder / "zarr.json").read_bytes())["attributes"].get("ome", {})
        target = stack.enter_context(open(file, "xb"))
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
            for name in sorted({*names, *kept}, key=_order):
                with old.open(kept[name]) if name in kept else (folder / name).open("rb") as source:
                    _add(archive, source, name)
                if name not in kept:
                    remove(folder / name)  # the disk need not hold everything twice
                yield
            archive.comment = json.dumps(
                {"ome": {"version": about["version"], "zipFile": {"centralDirectory": {"jsonFirst": True}}}}
            ).encode()
        target.flush()
        os.fsync(target.fileno())


def _order(name: str) -> tuple[bool, int, str]:
    return not name.endswith("zarr.json"), name.count("/"), name


def _add(archive: zipfile.ZipFile, source: IO[bytes], name: str) -> None:
    now = time.localtime()[:6]
    # The years that a zip file can say, whatever the clock does.
    entry = zipfile.ZipInfo(name, min(max(now, (1980, 1, 1, 0, 0, 0)), (2107, 12, 31, 23, 59, 58)))
    entry.external_attr = 0o100644 << 16
    with archive.open(entry, "w", force_zip64=True) as target:
        shutil.copyfileobj(source, target, _PIECE)


def _kept(
    old: zipfile.ZipFile, new: Collection[str], folder: Path, obsolete: Collection[str]
) -> dict[str, zipfile.ZipInfo]:
    """Members of an old file that stay beside the `new` names of the hierarchy in a folder.

    What could be taken for another member on unpacking, or would be a file where the other has a folder, is
    left out with a warning.
    """
    members, odd = _members(old)
    arrays = {
        folder_of(name)
        for name in new
        if name.endswith("zarr.json") and node_kind((folder / name).parent) == "array"
    }
    kept = keys_to_keep(set(members), new, arrays, obsolete)
    folders = set().union(*map(_above, new))
    clash = {name for name in kept if name in folders or not _above(name).isdisjoint(new)}
    if left_out := sorted({*odd, *clash}):
        named = ", ".join(map(repr, left_out[:_MAX_NAMED])) + (" ..." if len(left_out) > _MAX_NAMED else "")
        message = f"{len(left_out)} members of the replaced file have odd names and are not kept: {named}"
        give_warning(f"{message} ({old.filename})", stacklevel=2)
    return {name: members[name] for name in kept - clash}


def _above(name: str) -> set[str]:
    return {name[: match.start()] for match in re.finditer("/", name)}


def _members(archive: zipfile.ZipFile) -> tuple[dict[str, zipfile.ZipInfo], list[str]]:
    """Files in an archive by name (the last one of those of the same name), and names that are no keys."""
    members, odd = {}, []
    for info in archive.infolist():
        name = info.orig_filename  # `filename` ends at a NUL
        if name.endswith("/"):
            continue
        if _ODD.search(name):
            odd.append(name)
        else:
            members[name] = info
    return members, odd


def _names(path: Path) -> Collection[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return _members(archive)[0]
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return ()


def close_readers(target: Path) -> None:
    """Close the stores of this process that read a file; they open it again when they are read from.

    Without this, Windows would let no image be saved over the file that napari shows it from.
    """
    from zarr.storage import ZipStore

    gc.collect()
    for store in [one for one in gc.get_objects() if type(one) is ZipStore]:
        if store._is_open and store.path and os.path.realpath(store.path) == str(target):
            store.close()


def publish_file(part: Path, target: Path, *, replaces: bool) -> Path | None:
    """Give a finished, synced file its name in one step; if that fails, nothing changed.

    Returns where the replaced one is now, to be deleted; None if there was none, or it has no second name.
    Raises FileExistsError if it replaces none and a file of that name appeared meanwhile.
    """
    old = None
    if replaces:
        with contextlib.suppress(OSError):
            part.chmod(target.stat().st_mode & 0o7777)
        with contextlib.suppress(OSError):  # no hard links here
            os.link(target, aside := target.with_name(new_part(target.name)))
            old = aside
        with undone_by(partial(remove, old or part)):
            if sys.platform == "win32":
                close_readers(target)
            replace(part, target)
        return old
    try:
        os.link(part, target)
    except FileExistsError:
        raise
    except OSError:  # no hard links here
        rename(part, target)
    else:
        remove(part)  # what stays of it goes with the next save
    return None
