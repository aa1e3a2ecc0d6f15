"""From a model to a staged group: its empty arrays first, the attributes of its root last."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from napari_ome_ngff.storage.places import keys
from napari_ome_ngff.writing.commit.staging import Staged
from napari_ome_ngff.writing.plan.group_documents import arrays_of, join_paths

if TYPE_CHECKING:
    import zarr

    from napari_ome_ngff.writing.plan.group_documents import GroupSpec


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
