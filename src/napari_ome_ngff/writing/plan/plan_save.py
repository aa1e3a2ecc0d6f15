"""The plan of a whole save, with the model of what it stores. Nothing is read or written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_ome_ngff.arguments import check_mapping
from napari_ome_ngff.errors import OptionError
from napari_ome_ngff.metadata.collections.plate_layout import PlateLayout
from napari_ome_ngff.metadata.collections.scene_layout import SceneLayout
from napari_ome_ngff.writing.data_tree import is_tree
from napari_ome_ngff.writing.plan.copied_levels import with_copies
from napari_ome_ngff.writing.plan.group_documents import (
    array_specs,
    arrays_of,
    group_documents,
    groups_of,
    hierarchy_model,
    series_document,
    series_of,
)
from napari_ome_ngff.writing.plan.options import SaveOptions
from napari_ome_ngff.writing.plan.prepare import prepare
from napari_ome_ngff.writing.plan.stored_tables import DOCUMENTS_OF_AN_ARRAY, stored_size
from napari_ome_ngff.writing.plan.write_plan import (
    ImageShape,
    MultiscaleSource,
    Prepared,
    WritePlan,
    as_source,
    sources_of_tree,
)
from napari_ome_ngff.writing.reader_bounds import (
    check_documents,
    check_image,
    check_listings,
    check_nesting,
    checked_arrays,
)

if TYPE_CHECKING:
    from napari_ome_ngff.writing.plan.group_documents import GroupSpec


def checked_sources(sources: Mapping[str, MultiscaleSource]) -> Mapping[str, MultiscaleSource]:
    """Images by their paths, also those of a DataTree; OptionError if they are something else."""
    if is_tree(sources):
        return sources_of_tree(sources)
    check_mapping(sources, "The sources", 'images by their paths: {"": MultiscaleSource(...)}')
    return {path: as_source(source, "A source") for path, source in sources.items()}


def plan_save(
    sources: Mapping[str, MultiscaleSource] | WritePlan,
    options: SaveOptions,
    *,
    onto: ImageShape | None = None,
    plate: PlateLayout | SceneLayout | None = None,
    as_given: bool = False,
) -> WritePlan:
    """Plan and model everything that one save writes; a plan with the same options is taken as it is.

    `sources`, which may be a DataTree, `onto`, `plate` and `as_given` are as for `prepare`.
    """
    if isinstance(sources, WritePlan):
        if sources.options != replace(options, workers=sources.workers):
            raise OptionError(
                "The plan is for other options, or for another kind of place or executor.",
                expected="what plan_hierarchy(sources=sources, options=options, store=store) returns",
            )
        return sources
    sources = checked_sources(sources)
    for path, source in sources.items():
        for attributes in (source.attributes, *source.groups.values()):
            check_nesting(attributes, path)
    prepared = prepare(sources, options, onto=onto, plate=plate, as_given=as_given)
    prepared, arrays = with_copies(prepared, array_specs(prepared, options), options)
    model = hierarchy_model(prepared, arrays, options.version, plate)
    documents = group_documents(model) | series_document(prepared, model)
    _check_bounds(prepared, model, documents, images=0 if plate else len(series_of(prepared)))
    built = checked_arrays(arrays_of(model))
    tables = [stored_size(one.tables, model.zarr_format) for one in prepared]
    return WritePlan(
        version=options.version,
        multiscales=tuple(one.plan for one in prepared),
        workers=options.workers,
        memory_limit=options.memory_limit,
        n_documents=len(documents)
        + DOCUMENTS_OF_AN_ARRAY[model.zarr_format] * len(arrays)
        + sum(files for files, _ in tables),
        tables_nbytes=sum(nbytes for _, nbytes in tables),
        model=model,
        options=options,
        prepared=prepared,
        arrays=built,
    )


def _check_bounds(
    prepared: tuple[Prepared, ...], model: GroupSpec, documents: Mapping[str, bytes], *, images: int
) -> None:
    """Refuse what we could not open again, or not all of it."""
    groups = groups_of(model)
    check_listings(groups, images)
    for one in prepared:
        check_image(one.plan.path, one.multiscale, groups[one.plan.path])
    check_documents(documents)
