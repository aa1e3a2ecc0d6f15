"""Open, show and save OME-Zarr (OME-NGFF) images: an xarray-native library, and a napari plugin on it.

The names below are all there is to know for scripts. They are loaded when first used, because napari
imports this package at its start and need not wait for Zarr, xarray and dask.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_ome_ngff.checking.check import check_ome_ngff
    from napari_ome_ngff.checking.findings import Finding
    from napari_ome_ngff.editing.build_levels import build_levels
    from napari_ome_ngff.editing.label_edit import Dirty, LabelEdit, edit_image, edit_labels
    from napari_ome_ngff.editing.metadata_edit import edit_metadata
    from napari_ome_ngff.editing.new_labels import create_labels
    from napari_ome_ngff.editing.region import write_region
    from napari_ome_ngff.errors import (
        CancelledError,
        CoordinateError,
        MetadataError,
        NotOmeNgffError,
        OmeNgffError,
        OmeNgffWarning,
        OptionError,
        StorageError,
        TargetError,
        UnsupportedError,
    )
    from napari_ome_ngff.metadata.nouns import (
        Affine,
        Axis,
        Channel,
        LabelImage,
        Level,
        Multiscale,
        ScaleTranslation,
        Window,
    )
    from napari_ome_ngff.plugin.open.add_to_viewer import add_to_viewer
    from napari_ome_ngff.reading.open import open_ome_ngff, read_multiscale_array, read_multiscale_group
    from napari_ome_ngff.reading.opened import Collection, Image, MultiscaleGroup
    from napari_ome_ngff.reading.others.roi_tables import Roi, read_roi_tables
    from napari_ome_ngff.saving.append_to_image import append_to_image
    from napari_ome_ngff.saving.plate_writer import PlateWriter
    from napari_ome_ngff.saving.save_ome_ngff import save_ome_ngff
    from napari_ome_ngff.saving.write_plate import write_plate
    from napari_ome_ngff.saving.write_scene import write_scene
    from napari_ome_ngff.storage.pixels.array_wrap import BaseArrayWrapper, DaskArrayWrapper, ZarrArrayWrapper
    from napari_ome_ngff.writing.create import create_multiscale_group, model_multiscale_group
    from napari_ome_ngff.writing.labels import write_labels
    from napari_ome_ngff.writing.pending import Writing
    from napari_ome_ngff.writing.plan.options import StorageOptions
    from napari_ome_ngff.writing.plan.write_plan import MultiscaleSource, WritePlan
    from napari_ome_ngff.writing.save import Progress
    from napari_ome_ngff.writing.write import plan_hierarchy, write_hierarchy, write_multiscale_group

_HOME = {
    "errors": (
        "CancelledError",
        "CoordinateError",
        "MetadataError",
        "NotOmeNgffError",
        "OmeNgffError",
        "OmeNgffWarning",
        "OptionError",
        "StorageError",
        "TargetError",
        "UnsupportedError",
    ),
    "metadata.nouns": (
        "Affine",
        "Channel",
        "LabelImage",
        "Window",
        "Axis",
        "Level",
        "Multiscale",
        "ScaleTranslation",
    ),
    "plugin.open.add_to_viewer": ("add_to_viewer",),
    "reading.open": (
        "open_ome_ngff",
        "read_multiscale_array",
        "read_multiscale_group",
    ),
    "reading.opened": (
        "Collection",
        "Image",
        "MultiscaleGroup",
    ),
    "reading.others.roi_tables": ("Roi", "read_roi_tables"),
    "storage.pixels.array_wrap": (
        "BaseArrayWrapper",
        "DaskArrayWrapper",
        "ZarrArrayWrapper",
    ),
    "writing.create": (
        "create_multiscale_group",
        "model_multiscale_group",
    ),
    "editing.build_levels": ("build_levels",),
    "checking.check": ("check_ome_ngff",),
    "checking.findings": ("Finding",),
    "editing.label_edit": (
        "Dirty",
        "LabelEdit",
        "edit_image",
        "edit_labels",
    ),
    "editing.metadata_edit": ("edit_metadata",),
    "editing.new_labels": ("create_labels",),
    "editing.region": ("write_region",),
    "saving.append_to_image": ("append_to_image",),
    "saving.plate_writer": ("PlateWriter",),
    "saving.save_ome_ngff": ("save_ome_ngff",),
    "saving.write_plate": ("write_plate",),
    "saving.write_scene": ("write_scene",),
    "writing.labels": ("write_labels",),
    "writing.plan.options": ("StorageOptions",),
    "writing.plan.write_plan": (
        "MultiscaleSource",
        "WritePlan",
    ),
    "writing.pending": ("Writing",),
    "writing.save": ("Progress",),
    "writing.write": (
        "plan_hierarchy",
        "write_hierarchy",
        "write_multiscale_group",
    ),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "Affine",
    "Axis",
    "BaseArrayWrapper",
    "CancelledError",
    "Channel",
    "Collection",
    "CoordinateError",
    "DaskArrayWrapper",
    "Dirty",
    "Finding",
    "Image",
    "LabelEdit",
    "LabelImage",
    "Level",
    "MetadataError",
    "Multiscale",
    "MultiscaleGroup",
    "MultiscaleSource",
    "NotOmeNgffError",
    "OmeNgffError",
    "OmeNgffWarning",
    "OptionError",
    "PlateWriter",
    "Progress",
    "Roi",
    "ScaleTranslation",
    "StorageError",
    "StorageOptions",
    "TargetError",
    "UnsupportedError",
    "Window",
    "WritePlan",
    "Writing",
    "ZarrArrayWrapper",
    "add_to_viewer",
    "append_to_image",
    "build_levels",
    "check_ome_ngff",
    "create_labels",
    "create_multiscale_group",
    "edit_image",
    "edit_labels",
    "edit_metadata",
    "model_multiscale_group",
    "open_ome_ngff",
    "plan_hierarchy",
    "read_multiscale_array",
    "read_multiscale_group",
    "read_roi_tables",
    "save_ome_ngff",
    "write_hierarchy",
    "write_labels",
    "write_multiscale_group",
    "write_plate",
    "write_region",
    "write_scene",
]


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
