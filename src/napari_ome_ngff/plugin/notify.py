"""Tell the user something: in napari's window where there is one, else by Python's own means."""

from __future__ import annotations

import logging
import sys
import warnings

from napari_ome_ngff.errors import OmeNgffWarning

_log = logging.getLogger("napari_ome_ngff")


def has_window() -> bool:
    """Tell whether a napari window is open, without importing napari."""
    if "napari.viewer" not in sys.modules:
        return False
    from napari.viewer import current_viewer

    return current_viewer() is not None


def warn(message: str) -> None:
    """Show a warning.

    napari drops Python warnings that are raised while it saves, and shows them only in part while it opens.
    """
    if has_window():
        from napari.utils.notifications import show_warning

        show_warning(message)
    else:
        warnings.warn(message, OmeNgffWarning, stacklevel=2)


def inform(message: str) -> None:
    """Say that something went well."""
    if has_window():
        from napari.utils.notifications import show_info

        show_info(message)
    else:
        _log.info(message)
