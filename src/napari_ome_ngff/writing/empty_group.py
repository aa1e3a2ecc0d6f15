"""From a model to a staged group: its empty arrays first, the attributes of its root last."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any

from zarr.core.buffer import default_buffer_prototype

from napari_ome_ngff.storage.documents.json_documents import build_array
from napari_ome_ngff.storage.places import keys
from napari_ome_ngff.storage.places.requests import fetch
from napari_ome_ngff.writing.commit.staging import Staged
from napari_ome_ngff.writing.commit.system_names import check_paths
from napari_ome_ngff.writing.plan.group_documents import arrays_of, groups_of, join_paths
from napari_ome_ngff.writing.refusals import target_exists
from napari_ome_ngff.writing.target import local_root

if TYPE_CHECKING:
    import zarr
    from zarr.abc.store import Store

    from napari_ome_ngff.writing.plan.group_documents import GroupSpec


def check_fits(
    store: Store | str | PathLike[str], path: str, model: GroupSpec, obsolete: Collection[str]
) -> None:
    """Refuse names and paths of a model that the system of a folder does not take."""
    if (root := local_root(store)) is None:
        return
    files = {}
    for key, array in arrays_of(model).items():
        grid = array.chunks if hasattr(array, "chunks") else array.chunk_grid["configuration"]["chunk_shape"]
        files[key] = [-(-n // unit) for n, unit in zip(array.shape, grid, strict=True)]
    check_paths(root, path, groups_of(model), files, obsolete)


def create_arrays(part: Staged, arrays: Mapping[str, zarr.Array[Any]]) -> dict[str, zarr.Array[Any]]:
    """Store empty arrays that are stored nowhere, by their paths in the hierarchy; groups come later."""
    # `to_zarr` of their models does the same, in five visits to Zarr's event loop for each array.
    documents = {
        join_paths(part.path, path, name): content.to_bytes()
        for path, array in arrays.items()
        for name, content in array.metadata.to_buffer_dict(default_buffer_prototype()).items()
    }
    if any(content is not None for content in fetch(part.store, documents).values()):
        raise target_exists(part.final)
    keys.put_new(part.store, documents)
    return {
        path: build_array(part.store, join_paths(part.path, path), {}, {}, where=path, twin=array)
        for path, array in arrays.items()
    }


def write_documents(part: Staged, documents: Mapping[str, bytes]) -> None:
    """Write the documents of groups in their order: until the last is there, it cannot be taken for an image.

    One by one: zarr-python would write those of the groups above them as well.
    """
    for key, content in documents.items():
        keys.put_new(part.store, {join_paths(part.path, key): content})
