"""Small stores made by hand, each with what is expected of it: the acceptance of the reader.

Nothing here uses the package under test: JSON is written as text, chunks as bytes (or by zarr-python where
codecs are the point), and what is expected was worked out by hand.
"""
