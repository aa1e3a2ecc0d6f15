"""Plates, scenes and bioformats2raw: several images in one group."""
