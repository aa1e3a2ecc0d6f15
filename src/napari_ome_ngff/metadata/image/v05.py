"""OME-NGFF 0.5: the entries of 0.4, moved into the attribute ``ome`` that carries the one version."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from napari_ome_ngff.metadata.image.v04 import decode_images, encode_display, encode_entry
from napari_ome_ngff.metadata.json_checks import as_mapping, plain_json, root
from napari_ome_ngff.metadata.nouns import Json, Multiscale


def decode(
    attributes: Mapping[str, Json], *, where: str, parameters: Mapping[str, Json] = MappingProxyType({})
) -> tuple[Multiscale, ...]:
    """Return the images that a group's attributes describe.

    Parameters
    ----------
    attributes
        Attributes of the group (``attributes`` in ``zarr.json``).
    where
        Path or URL of the group, for errors and warnings.
    parameters
        Path to content of the arrays that transforms keep their numbers in.

    Returns
    -------
    tuple of Multiscale
        One per entry of ``ome.multiscales``, in order. Unknown keys are kept, not copied.

    Warns
    -----
    OmeNgffWarning
        Once, if the metadata break rules but say where the voxels lie.

    Raises
    ------
    MetadataError
        If it is not clear where the voxels lie.
    UnsupportedError
        If a level is placed by something else than scale and translation.

    Examples
    --------
    >>> axes = [{"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
    >>> place = [{"type": "scale", "scale": [0.5, 0.5]}]
    >>> entry = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": place}]}
    >>> decode({"ome": {"version": "0.5", "multiscales": [entry]}}, where="a.zarr")[0].dims
    ('y', 'x')
    """
    # "the OME-Zarr Metadata is stored ... under the key ome"
    own = as_mapping(attributes.get("ome"), where=f"{root(where)}ome", what="an object with OME metadata")
    return decode_images(own, version="0.5", where=where, container="ome", parameters=parameters)


def encode(multiscale: Multiscale) -> dict[str, Json]:
    """Return the complete attributes of an image group, all under ``ome``.

    Parameters
    ----------
    multiscale
        The image, read from or made for any version. Coordinate systems of 0.6 besides the one that the
        levels are placed in cannot be said here and are left out.

    Returns
    -------
    dict
        Plain JSON; ``ome`` holds ``version``, ``multiscales`` and, if there is something to say, ``omero``
        and ``image-label``.

    Raises
    ------
    MetadataError
        If the specification forbids something; the message names the rule.

    Examples
    --------
    >>> from napari_ome_ngff.metadata.nouns import Axis, Level
    >>> from napari_ome_ngff.metadata.transforms import identity
    >>> axes = (Axis(name="y", type="space"), Axis(name="x", type="space"))
    >>> image = Multiscale(version="0.5", axes=axes, levels=(Level(path="0", transform=identity(2)),))
    >>> sorted(encode(image)["ome"])
    ['multiscales', 'version']
    """
    own = {
        "version": "0.5",
        "multiscales": [encode_entry(multiscale, where="ome.multiscales[0]")],
        **encode_display(multiscale, version=None, prefix="ome."),
    }
    return dict(plain_json({"ome": own}, where="ome"))
