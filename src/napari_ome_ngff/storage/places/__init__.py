"""Paths, URLs, zip files and buckets as Zarr stores."""
