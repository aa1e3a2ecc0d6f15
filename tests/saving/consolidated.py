"""Consolidated metadata, of which zarr-python warns in v3."""

from __future__ import annotations

import warnings
from pathlib import Path

import zarr


def consolidate(place: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        zarr.consolidate_metadata(place)
