"""The plan of a whole save, with the model of what it stores. Nothing is read or written."""

from __future__ import annotations

from collections.abc import Mapping

from napari_ome_ngff.writing.plan.copied_levels import with_copies
from napari_ome_ngff.writing.plan.group_documents import array_specs, hierarchy_model
from napari_ome_ngff.writing.plan.options import SaveOptions
from napari_ome_ngff.writing.plan.prepare import Prepared, prepare
from napari_ome_ngff.writing.plan.write_plan import ImageShape, MultiscaleSource, WritePlan


def plan_save(
    sources: Mapping[str, MultiscaleSource], options: SaveOptions, *, onto: ImageShape | None = None
) -> tuple[WritePlan, tuple[Prepared, ...]]:
    """Plan and model everything that one save writes; `sources` and `onto` as for `prepare`."""
    prepared = prepare(sources, options, onto=onto)
    prepared, arrays = with_copies(prepared, array_specs(prepared, options), options)
    plan = WritePlan(
        version=options.version,
        multiscales=tuple(one.plan for one in prepared),
        workers=options.workers,
        memory_limit=options.memory_limit,
        model=hierarchy_model(prepared, arrays, options.version),
    )
    return plan, prepared
