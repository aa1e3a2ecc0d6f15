"""From a model to a staged group: its empty arrays first, the attributes of its root last."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any

from napari_ome_ngff.storage.places import keys
from napari_ome_ngff.writing.commit.staging import Staged
from napari_ome_ngff.writing.commit.system_names import check_paths
from napari_ome_ngff.writing.plan.group_documents import arrays_of, groups_of, join_paths
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


def create_arrays(part: Staged, model: GroupSpec) -> dict[str, zarr.Array[Any]]:
    """Create the empty arrays of a model, by their paths in it; groups have no attributes yet."""
    return {
        path: array.to_zarr(part.store, join_paths(part.path, path))
        for path, array in arrays_of(model).items()
    }


def write_documents(part: Staged, documents: Mapping[str, bytes]) -> None:
    """Write the documents of groups in their order: until the last is there, it cannot be taken for an image.

    One by one: zarr-python would write those of the groups above them as well.
    """
    for key, content in documents.items():
        keys.put(part.store, join_paths(part.path, key), content)
