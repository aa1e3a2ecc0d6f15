"""One file (``.ozx``): a hierarchy in a zip file, laid out as RFC-9 recommends.

RFC-9: nothing is compressed a second time, entries are ZIP64, the root's ``zarr.json`` comes first and the
other ``zarr.json`` follow breadth-first, and a comment says so.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import zipfile
from collections.abc import Collection, Generator
from pathlib import Path
from typing import TYPE_CHECKING

from napari_ome_ngff.errors import TargetError
from napari_ome_ngff.storage.places.folders import node_kind
from napari_ome_ngff.writing.commit.bucket_commit import is_document, keys_to_keep
from napari_ome_ngff.writing.refusals import target_exists

if TYPE_CHECKING:
    from zarr.abc.store import Store

_PIECE = 2**20  # bytes that are copied at once


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
            "The file is no OME-NGFF image in one file, so it is not replaced.",
            where=str(target),
            expected="a zip file with a zarr.json",
            hint="Choose a name that is not taken.",
        )
    if not overwrite:
        raise target_exists(str(target))


def documents_in(target: Path) -> Store | None:
    """Return the metadata documents of an ``.ozx`` file, read-only, so that the file need not stay open.

    None if there is no such file.
    """
    from zarr.core.buffer import default_buffer_prototype
    from zarr.storage import MemoryStore

    class Documents(MemoryStore):
        def __str__(self) -> str:
            return str(target)

    names = [name for name in _names(target) if is_document(name)]
    if not names:
        return None
    make = default_buffer_prototype().buffer.from_bytes
    with zipfile.ZipFile(target) as archive:
        return Documents({name: make(archive.read(name)) for name in names}, read_only=True)


def pack(
    folder: Path, file: Path, *, replaced: Path | None, obsolete: Collection[str]
) -> Generator[None, None, None]:
    """Pack a finished hierarchy into a new file and sync it; yields after each file, which is deleted.

    Of an ``.ozx`` file that is replaced all other members are packed as well, unless they are obsolete.
    """
    if replaced is not None:
        _unpack_kept(replaced, folder, obsolete)
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    about = json.loads((folder / "zarr.json").read_bytes())["attributes"].get("ome", {})
    with open(file, "xb") as target:
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
            for name in sorted(names, key=_order):
                _add(archive, folder / name, name)
                (folder / name).unlink()  # the disk need not hold everything twice
                yield
            archive.comment = json.dumps(
                {"ome": {"version": about["version"], "zipFile": {"centralDirectory": {"jsonFirst": True}}}}
            ).encode()
        target.flush()
        os.fsync(target.fileno())


def _order(name: str) -> tuple[bool, int, str]:
    return not name.endswith("zarr.json"), name.count("/"), name


def _add(archive: zipfile.ZipFile, path: Path, name: str) -> None:
    entry = zipfile.ZipInfo(name, time.localtime()[:6])
    entry.external_attr = 0o100644 << 16
    with path.open("rb") as source, archive.open(entry, "w", force_zip64=True) as target:
        shutil.copyfileobj(source, target, _PIECE)


def _unpack_kept(replaced: Path, folder: Path, obsolete: Collection[str]) -> None:
    """Put the members of an old file that a new hierarchy does not replace into that hierarchy."""
    new = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    documents = [folder / name for name in new if name.endswith("zarr.json")]
    arrays = {
        path.parent.relative_to(folder).as_posix() for path in documents if node_kind(path.parent) == "array"
    }
    with zipfile.ZipFile(replaced) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
        for name in keys_to_keep(names, new, arrays, obsolete):
            archive.extract(name, folder)


def _names(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return []


def publish_file(part: Path, target: Path, *, replaces: bool) -> None:
    """Give a finished, synced file its name in one step; if that fails, nothing changed.

    Raises FileExistsError if it replaces none and a file of that name appeared meanwhile.
    """
    if replaces:
        part.chmod(target.stat().st_mode & 0o7777)
        os.replace(part, target)
        return
    try:
        os.link(part, target)
    except FileExistsError:
        raise
    except OSError:  # no hard links here
        os.rename(part, target)
    else:
        part.unlink()
