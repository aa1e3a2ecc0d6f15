"""Images, plates and collections written again: in another version, in other chunks, or a part of them."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from os import PathLike
from typing import TYPE_CHECKING, Any

from napari_ome_ngff.editing.region import Region, part_of_image
from napari_ome_ngff.errors import OptionError, UnsupportedError, give_warning
from napari_ome_ngff.metadata.collections.plate_layout import PlateLayout, lay_out_plate
from napari_ome_ngff.metadata.collections.plates import decode_plate, decode_well
from napari_ome_ngff.metadata.group_kind import foreign_attributes
from napari_ome_ngff.metadata.nouns import Field
from napari_ome_ngff.metadata.versions import VERSIONS
from napari_ome_ngff.reading.image import open_image, prefetch_images
from napari_ome_ngff.reading.multiscale_group import read_levels
from napari_ome_ngff.reading.opened import Collection, Image, with_levels
from napari_ome_ngff.saving.as_source import sources_of
from napari_ome_ngff.saving.described_axes import Description
from napari_ome_ngff.storage.documents.hierarchy import Hierarchy, open_hierarchy
from napari_ome_ngff.storage.pixels.array_wrap import ZarrArrayWrapper
from napari_ome_ngff.writing.create import filled
from napari_ome_ngff.writing.pending import Writing
from napari_ome_ngff.writing.plan.options import StorageOptions
from napari_ome_ngff.writing.plan.write_plan import MultiscaleSource

if TYPE_CHECKING:
    from zarr.abc.store import Store

Sources = Mapping[str, MultiscaleSource]


@dataclass(frozen=True, kw_only=True)
class CopyChoice:
    """What a copy is to be otherwise than the original; None is as it was."""

    region: Region | None = None
    region_units: str = "voxel"
    from_level: int = 0
    levels: int | None = None
    method: str | None = None
    name: str | None = None

    @property
    def is_part(self) -> bool:
        """Whether it is a part of the original, or starts with a lower level."""
        return bool(self.region or self.from_level)


def copy_of(
    opened: Image | Collection,
    store: Store | str | PathLike[str],
    *,
    choice: CopyChoice,
    options: StorageOptions,
    overwrite: bool = False,
    verify: bool = False,
    path: str = "",
) -> Writing:
    """Write again what was opened, with label images, channels and what others say of it."""
    plate: PlateLayout | None = None
    if isinstance(opened, Image):
        sources = _image(opened, choice)
        if choice.name is not None:
            sources = {**sources, "": replace(sources[""], name=choice.name)}
    elif opened.kind == "plate":
        plate, sources = plate_sources(open_hierarchy(opened.location), options.version, choice)
    elif opened.kind == "collection":
        _warn(opened)
        sources = {
            f"{number}/{path}".strip("/"): source
            for number, image in enumerate(opened.images.values())
            for path, source in _image(image, choice).items()
        }
    else:
        raise UnsupportedError(
            f"These images are not copied together ({opened.kind}).",
            where=opened.location,
            found=", ".join(list(opened.images)[:10]),
            hint="Copy the plate that they are in, or the images one by one (--image on the command line).",
        )
    return filled(store, path, sources, options, None, overwrite=overwrite, verify=verify, plate=plate)


def version_of(opened: Image | Collection) -> str:
    """The version that something is in, or the first one that is written if that is older."""
    if isinstance(opened, Collection) and opened.plate is not None:
        version = opened.plate.version
    else:
        image = opened if isinstance(opened, Image) else next(iter(opened.images.values()))
        version = "" if image.multiscale is None else image.multiscale.version
    return version if version in VERSIONS else min(VERSIONS)


def _warn(opened: Collection) -> None:
    give_warning(
        "The images are numbered in their order, and get an OME-XML of their names and sizes: what else is "
        f"beside the images is not copied. ({opened.location})",
        stacklevel=2,
    )


def _image(image: Image, choice: CopyChoice) -> Sources:
    if choice.is_part:
        sources: Sources = part_of_image(
            image, region=choice.region, region_units=choice.region_units, from_level=choice.from_level
        )
    else:
        sources = sources_of(image, Description())
    if not choice.is_part and choice.levels is None and choice.method is None:
        return sources
    return {path: _made_again(path, source, choice) for path, source in sources.items()}


def _made_again(path: str, source: MultiscaleSource, choice: CopyChoice) -> MultiscaleSource:
    """A source of which the lower levels are made; labels are never averaged."""
    never = "nearest" if path and choice.method == "mean" else choice.method
    image = source.image if source.image is not None else next(iter((source.arrays or {}).values()))
    return replace(source, image=image, arrays=None, levels=choice.levels, method=never)


def plate_sources(
    hierarchy: Hierarchy, version: str, choice: CopyChoice, *, only: Container[str] | None = None
) -> tuple[PlateLayout, Sources]:
    """A plate with all its fields, as the wells say, or with `only` some, by the paths that they have there.

    What is missing is left out with a warning.
    """
    if choice.region:
        raise OptionError("Of a plate no region can be copied.", hint="Copy one of its fields.")
    attributes = hierarchy.attributes() or {}
    plate = decode_plate(attributes, where=hierarchy.location)
    hierarchy.fetch((well.path for well in plate.wells), groups=True)
    places: dict[str, tuple[tuple[str, str], Field]] = {}  # path of a field as it is -> where it goes
    extras: dict[str, Mapping[str, Any]] = {}
    others = {"": foreign_attributes(attributes)}
    for listed in plate.wells:
        well_attributes = hierarchy.attributes(listed.path)
        if well_attributes is not None:
            well = decode_well(well_attributes, where=f"{hierarchy.location}/{listed.path}")
            key = plate.rows[listed.row], plate.columns[listed.column]
            places |= {f"{listed.path}/{field.path}": (key, field) for field in well.fields}
            extras["/".join(key)], others["/".join(key)] = well.extra, foreign_attributes(well_attributes)
    wanted = [path for path in places if only is None or path in only]
    prefetch_images(hierarchy, wanted)
    missing = [path for path in wanted if hierarchy.attributes(path) is None]
    if missing:
        message = f"{len(missing)} fields are listed but not there: {', '.join(missing[:5])}."
        give_warning(f"{message} ({hierarchy.location})", stacklevel=3)
    wells: dict[tuple[str, str], list[Field]] = {}
    sources: dict[str, MultiscaleSource] = {}
    for path in wanted:
        if path not in missing:
            key, field = places[path]
            wells.setdefault(key, []).append(field)
            sources |= _field(hierarchy, path, "/".join((*key, field.path)), choice)
    layout = lay_out_plate(
        wells,
        name=plate.name if choice.name is None else choice.name,
        rows=plate.rows,
        columns=plate.columns,
        acquisitions=plate.acquisitions,
        version=version,
    )
    contents = {path: replace(well, extra=extras[path]) for path, well in layout.wells.items()}
    whole = replace(layout.plate, extra=plate.extra)
    return PlateLayout(plate=whole, wells=contents, attributes=others), sources


def _field(hierarchy: Hierarchy, path: str, target: str, choice: CopyChoice) -> Sources:
    field = with_levels(
        open_image(hierarchy.below(path)), lambda group: read_levels(group, ZarrArrayWrapper())
    )
    assert isinstance(field, Image)
    return {f"{target}/{inner}".strip("/"): source for inner, source in _image(field, choice).items()}
