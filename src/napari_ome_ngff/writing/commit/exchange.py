"""One hierarchy takes another one's place in a store: what ends with the old one, and in which order."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from napari_ome_ngff.storage.places.folders import METADATA
from napari_ome_ngff.storage.places.keys import copy, delete, folder_of, is_array_key, join, put, read, under

if TYPE_CHECKING:
    from zarr.abc.store import Store


def move(store: Store, part: str, path: str, obsolete: Collection[str]) -> bool:
    """Put a finished hierarchy in the place of another one in the same store.

    The old root's metadata go first and the new ones come last: in between there is no image rather than
    half of one. The finished hierarchy stays where it is, so that this can be done again after an
    interruption.

    Parameters
    ----------
    store
        A store that can delete.
    part, path
        Where it is and where it shall be.
    obsolete
        Paths of members, relative to the root, that end with the old hierarchy.

    Returns
    -------
    bool
        False, and nothing done, if there is no finished hierarchy: somebody else has moved it.
    """
    new = {key.removeprefix(f"{part}/") for key in under(store, part)}
    # Kept in memory: whoever does the same at the same time deletes the part when it is done.
    roots = {key: content for key in sorted(METADATA & new) if (content := read(store, join(part, key)))}
    if not roots:
        return False
    old = {key.removeprefix(f"{path}/") if path else key for key in under(store, path)}
    old = {key for key in old if ".ngff-part" not in key}
    arrays = {folder_of(k) for k in new if is_array_key(store, join(part, k))}
    delete(store, [join(path, key) for key in old if key in METADATA])
    delete(store, [join(path, key) for key in old - new - kept(old, new, arrays, obsolete)])
    copy(store, [(join(part, key), join(path, key)) for key in sorted(new - set(roots))])
    for key, content in roots.items():
        put(store, join(path, key), content)
    return True


def kept(
    old: Collection[str], new: Collection[str], arrays: Collection[str], obsolete: Collection[str]
) -> set[str]:
    """Return the keys of an old hierarchy that stay when a new one takes its place.

    Parameters
    ----------
    old, new
        Keys, relative to the root.
    arrays
        Folders of the new arrays: nothing old stays in them.
    obsolete
        Paths of members that end with the old hierarchy.

    Returns
    -------
    set of str
        Some of `old`. Metadata of a group that the new hierarchy has as well are not among them.

    Examples
    --------
    >>> sorted(kept({"zarr.json", "0/c/9", "1/zarr.json", "t/c/0"}, {"zarr.json"}, {"0"}, {"1"}))
    ['t/c/0']
    """
    groups = {folder_of(k) for k in new if k.rpartition("/")[2] in METADATA} - set(arrays)
    ended = {*arrays, *obsolete}
    return {k for k in old if k not in new and not _within(k, ended) and not _is_metadata_of(k, groups)}


def _within(key: str, paths: Collection[str]) -> bool:
    return any(key == path or key.startswith(f"{path}/") for path in paths)


def _is_metadata_of(key: str, groups: Collection[str]) -> bool:
    return key.rpartition("/")[2] in METADATA and folder_of(key) in groups
