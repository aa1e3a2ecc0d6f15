"""Several images in one group: what is written about it (``bioformats2raw.layout``). Alike in all versions.

OME-NGFF has no other way to say which images a group holds, up to and including 0.6.
"""

from __future__ import annotations

from collections.abc import Iterable

from napari_ome_ngff.errors import MetadataError
from napari_ome_ngff.metadata.json_checks import as_path, describe
from napari_ome_ngff.metadata.looks import Json
from napari_ome_ngff.metadata.versions import check_version

LAYOUT = 3
"""0.4, "bioformats2raw.layout": the only value that is in use."""


def encode_series(paths: Iterable[str], version: str) -> dict[str, dict[str, Json]]:
    """Return the complete attributes of the groups that say which images there are.

    Parameters
    ----------
    paths
        Of the images, relative to the group that holds them.
    version
        ``"0.4"``, ``"0.5"`` or ``"0.6"``.

    Returns
    -------
    dict
        Path of a group to its attributes: ``""`` for the one that holds the images, and ``"OME"``.

    Raises
    ------
    MetadataError
        If there is no path, one occurs twice, or one leads out of the group.
    OptionError
        If there is no such version.

    Examples
    --------
    >>> encode_series(["0", "1"], "0.4")
    {'': {'bioformats2raw.layout': 3}, 'OME': {'series': ['0', '1']}}
    """
    found = check_version(version)
    listed = [as_path(path, where="series", what="image") for path in paths]
    if not listed or len(set(listed)) < len(listed):
        raise MetadataError(
            "A collection must list at least one image, and each only once.",
            where="series",
            found=describe(listed),
        )
    own: dict[str, dict[str, Json]] = {"": {"bioformats2raw.layout": LAYOUT}, "OME": {"series": listed}}
    if not found.container:
        return own
    return {path: {found.container: {"version": found.name, **content}} for path, content in own.items()}
