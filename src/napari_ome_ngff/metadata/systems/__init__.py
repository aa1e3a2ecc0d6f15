"""Coordinate systems and transforms of OME-Zarr 0.6."""
