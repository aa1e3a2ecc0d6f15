"""Coordinate systems and transforms of OME-NGFF 0.6."""
