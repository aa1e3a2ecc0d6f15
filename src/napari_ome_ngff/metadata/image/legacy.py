"""OME-NGFF 0.1 to 0.3: axes without types and units, levels without places.

0.1 and 0.2 have no axes: arrays are t, c, z, y, x. 0.3 has their names. None has transforms, so that levels
are placed by the sizes of their arrays, see :func:`~napari_ome_ngff.metadata.image.shapes.placed_by_shapes`.
"""

from __future__ import annotations

from collections.abc import Mapping

from napari_ome_ngff.metadata.image.datasets import MOST_IMAGES
from napari_ome_ngff.metadata.image.shapes import ASSUMED_AXES
from napari_ome_ngff.metadata.image.v04 import decode_images
from napari_ome_ngff.metadata.looks import Json
from napari_ome_ngff.metadata.nouns import Multiscale
from napari_ome_ngff.metadata.units import axis_type


def decode(
    attributes: Mapping[str, Json], *, version: str, where: str, container: str = ""
) -> tuple[Multiscale, ...]:
    """Return the images that a group's attributes describe.

    Parameters
    ----------
    attributes
        Attributes of the group (content of ``.zattrs``), or what is under ``ome`` in them.
    version
        ``"0.1"``, ``"0.2"`` or ``"0.3"``.
    where
        Path or URL of the group, for errors and warnings.
    container
        ``"ome"`` if `attributes` are those under ``ome``.

    Returns
    -------
    tuple of Multiscale
        One per entry of ``multiscales``, in order; all levels of it are `unplaced`, unless the file has
        transforms nevertheless.

    Warns
    -----
    OmeNgffWarning
        Once, if the metadata break rules.

    Raises
    ------
    MetadataError
        If it is not clear which arrays the image is made of.

    Examples
    --------
    >>> image = decode({"multiscales": [{"datasets": [{"path": "0"}]}]}, version="0.1", where="a.zarr")[0]
    >>> image.dims, image.unplaced
    (('t', 'c', 'z', 'y', 'x'), ('0',))
    """
    entries = attributes.get("multiscales")
    if isinstance(entries, list | tuple):
        entries = [_with_axes(entry, version) for entry in entries[:MOST_IMAGES]]
    own = {**attributes, "multiscales": entries}
    return decode_images(own, version=version, where=where, container=container, placed=False)


def _with_axes(entry: Json, version: str) -> Json:
    """Return an entry with its axes said as in 0.4."""
    if not isinstance(entry, Mapping):
        return entry
    axes = entry.get("axes")
    if axes is None and version != "0.3":
        return {**entry, "axes": [{"name": axis.name, "type": axis.type} for axis in ASSUMED_AXES]}
    # 0.3: '"axes": ["t", "c", "z", "y", "x"]'
    if isinstance(axes, list | tuple) and all(isinstance(name, str) for name in axes):
        return {**entry, "axes": [{"name": name, "type": axis_type(name, None)} for name in axes]}
    return entry
