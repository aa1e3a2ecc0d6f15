"""Our candidates for ../shared/bench/read: appended to its adapters.py by read.sh.

The harness itself has ``ours``, the plugin's reader called through npe2. These two are the library alone.
"""

from __future__ import annotations

from adapters import A, L


class OursLibrary(A):
    """`open_ome_ngff` with an array wrapper, in the environment of the plugin."""

    venv = "ours"
    wrapper = "zarr_array"

    def imports(self):
        from napari_ome_ngff import open_ome_ngff  # noqa: F401 (timed)

    def open(self, p):
        from napari_ome_ngff import open_ome_ngff

        return open_ome_ngff(str(p), array_wrapper={"name": self.wrapper, "config": {}})

    def layers(self, h):
        images = [("image", h), *(("labels", label) for label in h.labels.values())]
        # .variable: slicing a DataArray slices its coordinates too, which no viewer would do
        return [L(kind, [level.variable for level in image.arrays.values()]) for kind, image in images]


class OursDask(OursLibrary):
    wrapper = "dask_array"

    def layers(self, h):
        images = [("image", h), *(("labels", label) for label in h.labels.values())]
        return [L(kind, [level.data for level in image.arrays.values()]) for kind, image in images]


CANDIDATES = {"ours_lib": OursLibrary, "ours_dask": OursDask}
