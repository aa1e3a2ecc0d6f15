"""Names of folders, where a store can list them at no cost."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zarr.abc.store import Store


def folders(store: Store, path: str) -> tuple[str, ...] | None:
    """Return the names of the folders below a path.

    Parameters
    ----------
    store
        Any Zarr store.
    path
        A path in it; "" for its root.

    Returns
    -------
    tuple of str or None
        In alphabetical order; None where listing takes requests, or may be impossible.

    Examples
    --------
    >>> import zarr
    >>> store = zarr.storage.MemoryStore()
    >>> _ = zarr.create_array(store, name="a/b/0", shape=(2,), dtype="uint8")
    >>> folders(store, "a")
    ('b',)
    """
    from zarr.storage import LocalStore, MemoryStore, ZipStore

    found: Any = store
    if isinstance(store, LocalStore):
        return tuple(sorted(_in_folder(os.path.join(os.path.abspath(found.root), path))))
    if isinstance(store, ZipStore):
        names = found._zf.namelist()
    elif isinstance(store, MemoryStore):
        names = list(found._store_dict)
    else:
        return None
    prefix = f"{path}/" if path else ""
    inside = (name[len(prefix) :].partition("/") for name in names if name.startswith(prefix))
    return tuple(sorted({name for name, slash, _ in inside if slash and name}))


def _in_folder(path: str) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return [entry.name for entry in entries if _is_folder(entry)]
    except (OSError, ValueError):  # nothing there, or not to be read
        return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a loop of links
        return False
