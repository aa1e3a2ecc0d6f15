"""OME-NGFF images and napari layers, both ways. Pure translation: no IO, no Qt, no napari."""

from __future__ import annotations
