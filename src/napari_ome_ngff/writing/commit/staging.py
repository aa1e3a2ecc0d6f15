"""All or nothing: a new hierarchy is made beside the old one, and takes its place when it is complete."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from napari_ome_ngff.errors import StorageError, TargetError
from napari_ome_ngff.storage.places.folders import flush, is_empty, node_kind, remove
from napari_ome_ngff.storage.places.location import store_location
from napari_ome_ngff.writing.commit import local_swap
from napari_ome_ngff.writing.commit.bucket_commit import committed, settle
from napari_ome_ngff.writing.commit.checks import check_surroundings, check_target, find_again
from napari_ome_ngff.writing.commit.single_file import check_archive, documents_in, pack, publish_file
from napari_ome_ngff.writing.refusals import cannot_write, is_taken
from napari_ome_ngff.writing.target import as_store, is_archive, local_root, target_folder

if TYPE_CHECKING:
    import zarr
    from zarr.abc.store import Store

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Staged:
    """Where to write a hierarchy that is not published yet, and where it will be.

    Parameters
    ----------
    store
        A writable Zarr store.
    path
        Path of the hierarchy's root in `store`.
    final
        Path or URL at which it will be.
    final_store, final_path
        The same as a store and a path in it.
    packing
        For a single file, what is left to do when everything is written, in steps. Steps that nobody asks for
        are done when the block ends.
    """

    store: Store
    path: str
    final: str
    final_store: Store
    final_path: str
    packing: Iterator[None] = field(default_factory=lambda: iter(()))


@contextlib.contextmanager
def staged(
    store: Store | str | os.PathLike[str],
    path: str = "",
    *,
    overwrite: bool = False,
    obsolete: Collection[str] = (),
    zarr_format: int = 3,
) -> Iterator[Staged]:
    """Write a hierarchy so that it is either there as a whole or not at all.

    In a local folder the hierarchy is made beside its target and renamed when the block ends; a source that
    lives in the target can be read until then. In other stores nothing can be renamed: a new hierarchy is
    written in place, and one that replaces another is written beside it and copied, its root's metadata last.
    A path that ends with ``.ozx`` is a single file: the hierarchy is made in a folder beside it and packed.
    Write the root's attributes last in any case: until then it cannot be mistaken for an image.

    Parameters
    ----------
    store
        A path, or a Zarr store.
    path
        Path of the hierarchy in `store`.
    overwrite
        Whether to replace a Zarr hierarchy that is there. Members of it that the new one lacks are kept.
    obsolete
        Members of the replaced hierarchy that are not kept (paths relative to its root): its level arrays.
    zarr_format
        2 or 3: folders that have to be made above the hierarchy become groups of this format.

    Yields
    ------
    Staged
        Where to write. If the block is left by any exception, what was written is deleted.

    Raises
    ------
    TargetError
        If writing there is refused; see `check_target`. Also if another save to the same place is running.
    StorageError
        If the place cannot be written to, or the disk is full: whatever the system refuses.

    Examples
    --------
    >>> import tempfile, zarr
    >>> folder = Path(tempfile.mkdtemp())
    >>> with staged(folder / "a.zarr") as stage:
    ...     group = zarr.create_group(stage.store, path=stage.path)
    ...     (folder / "a.zarr").exists()
    False
    >>> (folder / "a.zarr" / "zarr.json").exists()
    True
    """
    root = local_root(store)
    if root is None:
        place = as_store(store)
        check_target(place, path, overwrite=overwrite)
        with _staged_in_store(place, path.strip("/"), obsolete) as stage:
            yield stage
        return
    target = target_folder(root, path)
    check_surroundings(root, target)
    with contextlib.ExitStack() as stack:
        made = stack.enter_context(_parents_made(target))
        _lock(target, stack)
        check_target(store, path, overwrite=overwrite)
        try:
            if is_archive(store):
                making = _staged_file(target, overwrite=overwrite, obsolete=obsolete)
            else:
                making = _staged_beside(store, target, root, overwrite=overwrite, obsolete=obsolete)
            with making as stage:
                yield stage
        except OSError as error:
            raise cannot_write(target, error) from error
        for folder in made:
            _make_group(folder, zarr_format)


def open_existing(store: Store | str | os.PathLike[str], path: str = "") -> zarr.Group | None:
    """Open the group that a save would replace.

    Parameters
    ----------
    store
        A path, or a Zarr store.
    path
        Path of the hierarchy in `store`.

    Returns
    -------
    zarr.Group or None
        Read-only; None if there is no group that can be opened.

    Raises
    ------
    StorageError, TargetError
        If `store` cannot be written to, `path` leads out of it, or there is a group that cannot be read:
        what it holds of others would be lost.

    Examples
    --------
    >>> open_existing("/no/such/image.zarr") is None
    True
    """
    import zarr
    from zarr.errors import ContainsArrayError
    from zarr.storage import LocalStore

    root = local_root(store)
    place: Store
    if root is None:
        place, inner = as_store(store), path.strip("/")
        settle(place, inner, overwrite=True)
    else:
        target = target_folder(root, path)
        find_again(target)
        place, inner = LocalStore(target, read_only=True), ""
        if is_archive(store):
            documents = documents_in(target)
            if documents is None:
                return None
            place = documents
        elif node_kind(target) != "group":
            _check_readable(target)
            return None
    try:
        # Not what was consolidated: others may have added to it since.
        return zarr.open_group(place, path=inner, mode="r", use_consolidated=False)
    except (FileNotFoundError, ContainsArrayError):
        return None
    except Exception as error:  # whatever damaged metadata make zarr raise
        raise TargetError(
            "The metadata of what is there cannot be read, so it is not replaced.",
            where=store_location(place),
            found=f"{type(error).__name__}: {error}",
            hint="Choose another name, or delete it yourself.",
        ) from error


def _check_readable(target: Path) -> None:
    try:
        (target / "zarr.json").stat()
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise StorageError("What is there cannot be read.", where=str(target), found=str(error)) from error


@contextlib.contextmanager
def _parents_made(target: Path) -> Iterator[list[Path]]:
    """Make the folders that are missing above a target, and delete them again if it fails; deepest first."""
    made: list[Path] = []
    try:
        for folder in reversed([folder for folder in target.parents if not os.path.exists(folder)]):
            try:
                folder.mkdir()
            except OSError as error:
                raise cannot_write(target, error) from error
            made.insert(0, folder)
        yield made
    except BaseException:
        for folder in made:
            with contextlib.suppress(OSError):  # somebody else uses it by now
                folder.rmdir()
        raise


def _lock(target: Path, stack: contextlib.ExitStack) -> None:
    try:
        if stack.enter_context(local_swap.exclusive(target)):
            local_swap.recover(target)
    except BlockingIOError as error:
        raise TargetError(
            "Another save to this place is running.", where=str(target), hint="Wait until it has ended."
        ) from error
    except OSError as error:
        raise cannot_write(target, error) from error


@contextlib.contextmanager
def _staged_beside(
    store: Store | str | os.PathLike[str],
    target: Path,
    root: Path,
    *,
    overwrite: bool,
    obsolete: Collection[str],
) -> Iterator[Staged]:
    from zarr.storage import LocalStore

    final_store = LocalStore(root) if isinstance(store, str | os.PathLike) else store
    part = local_swap.new_part(target)
    with local_swap.made(part) as is_ours:
        try:
            yield Staged(
                store=LocalStore(part),
                path="",
                final=str(target),
                final_store=final_store,
                final_path=target.relative_to(root).as_posix().removeprefix("."),
            )
            if not is_ours():  # what was written first went with the folder
                raise TargetError(
                    "Another save replaced the image meanwhile; this one has to be done again.",
                    where=str(target),
                )
            if os.path.lexists(target) and not is_empty(target):
                if not overwrite or node_kind(target) is None:
                    raise is_taken(str(target))
                local_swap.carry_over(target, part, {target.joinpath(*path.split("/")) for path in obsolete})
                part.chmod(target.stat().st_mode & 0o7777)
            flush(part)
            old = _publish(part, target)
        except BaseException:
            remove(part)
            raise
    local_swap.conclude(target, old)


@contextlib.contextmanager
def _staged_file(target: Path, *, overwrite: bool, obsolete: Collection[str]) -> Iterator[Staged]:
    """A folder beside the file, which is packed when it is complete."""
    from zarr.storage import LocalStore, ZipStore

    part, packed, replaces = local_swap.new_part(target), local_swap.new_part(target), os.path.lexists(target)
    packing = pack(part, packed, replaced=target if replaces else None, obsolete=obsolete)
    try:
        part.mkdir()
    except OSError as error:
        raise cannot_write(target, error) from error
    try:
        yield Staged(
            store=LocalStore(part),
            path="",
            final=str(target),
            final_store=ZipStore(target, mode="r"),
            final_path="",
            packing=packing,
        )
        for _ in packing:
            pass
        check_archive(target, "", overwrite=overwrite)
        try:
            publish_file(packed, target, replaces=replaces)
        except FileExistsError as error:
            raise is_taken(str(target)) from error
        except OSError as error:
            raise cannot_write(target, error) from error
    except BaseException:
        packing.close()
        remove(packed)
        raise
    finally:
        remove(part)
    local_swap.conclude(target, None)


def _publish(part: Path, target: Path) -> Path | None:
    try:
        return local_swap.publish(part, target)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise is_taken(str(target)) from error
        raise cannot_write(target, error) from error


def _make_group(folder: Path, zarr_format: int) -> None:
    if zarr_format == 2:
        (folder / ".zgroup").write_text(json.dumps({"zarr_format": 2}), encoding="utf-8")
    else:
        document = {"zarr_format": 3, "node_type": "group", "attributes": {}}
        (folder / "zarr.json").write_text(json.dumps(document), encoding="utf-8")


@contextlib.contextmanager
def _staged_in_store(store: Store, path: str, obsolete: Collection[str]) -> Iterator[Staged]:
    final = f"{store_location(store)}/{path}" if path else store_location(store)
    with committed(store, path, obsolete) as part:
        yield Staged(store=store, path=part, final=final, final_store=store, final_path=path)
