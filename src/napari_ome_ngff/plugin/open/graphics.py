"""What this computer can draw in 3D, as napari's window sees it."""

from __future__ import annotations

from typing import Any

from napari_ome_ngff.plugin.open.volume import LONGEST

GL_RENDERER = 0x1F01

SOFTWARE = ("llvmpipe", "softpipe", "swiftshader", "gdi generic", "basic render", "software")


def longest_texture(viewer: Any) -> int:
    """Voxels along an axis of a 3D texture; without a window what most cards take."""
    if getattr(viewer, "window", None) is None:
        return LONGEST
    try:
        from napari._vispy.utils.gl import get_max_texture_sizes
    except ImportError:
        return LONGEST
    return get_max_texture_sizes()[1] or LONGEST


def draws_on_processor(viewer: Any) -> bool:
    """Whether there is no graphics card: each picture takes seconds then, the longer the finer the level."""
    if getattr(viewer, "window", None) is None:
        return False
    from vispy.gloo import gl
    from vispy.gloo.context import get_current_canvas

    name = "" if get_current_canvas() is None else str(gl.glGetParameter(GL_RENDERER) or "")
    return any(word in name.lower() for word in SOFTWARE)
