"""Whether napari opens ``.zarr`` with this plugin without asking: commands, and an entry in the Preferences.

napari's own dialog remembers one folder, not ``.zarr``. Two patterns in napari's settings do, and only these
are written here, so that Preferences > Plugins shows them and can remove them.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from napari_ome_ngff.plugin import notify
from napari_ome_ngff.storage.places.location import is_url

if TYPE_CHECKING:
    from collections.abc import Mapping

PLUGIN = "napari-ome-ngff"


PATTERNS = ("*.zarr", "*.zarr/")
"""URLs and files are compared with the first; folders, with a slash appended, with the second."""


WITHOUT_ASKING = "OME-Zarr, without asking"


ASK = "ask"


AS_SET = "as set under Plugins"  # choices of the Preferences, as in the manifest; this one changes nothing


MOST_PLACES = 12


COARSEST = "the coarsest level"


AUTO_BYTES = 400 * 10**6  # what 3D takes at most by itself: the cache of decoded chunks holds it
METERED = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss")  # somebody may pay for each request

_RELEASED_MS = 500

_SHOWN_MS = 10_000  # with both cores busy, opening may take longer than half of that

PROCESSOR_BYTES = 100 * 10**6  # without a graphics card, where pictures of more take several times as long


def volume_budget(*, on_processor: bool = False) -> int:
    """Bytes that images may take in 3D: those of the Preferences, by default an eighth of the free memory."""
    from napari_ome_ngff.arguments import bytes_of  # it imports numpy

    choice = getattr(plugin_settings("opening"), "volume_memory", "auto")
    if choice == COARSEST:
        return 0
    if choice == "auto":
        return min(PROCESSOR_BYTES if on_processor else AUTO_BYTES, free_memory() // 8)
    return bytes_of(choice, "The memory for 3D")


def reads_ahead(location: str) -> bool:
    """Whether the next plane of an image is read before it is asked for, as the Preferences say."""
    choice = getattr(plugin_settings("opening"), "read_ahead", "auto")
    return choice == "always" or (choice == "auto" and location.partition("://")[0].lower() not in METERED)


def free_memory() -> int:
    """Bytes of memory that are free."""
    import psutil  # napari brings it

    return int(psutil.virtual_memory().available)


def make_default() -> None:
    """Command: open ``.zarr`` folders and URLs with this plugin from now on, without asking."""
    before = _associations()
    others = sorted({before[pattern] for pattern in PATTERNS if before.get(pattern, PLUGIN) != PLUGIN})
    _associate(with_default(before))
    _show(WITHOUT_ASKING)
    instead = f" (so far: {', '.join(others)})" if others else ""
    notify.inform(
        f"OME-Zarr opens .zarr from now on.\nnapari asks no more{instead}. "
        "To undo it: File > IO Utilities > Ask again before opening .zarr with OME-Zarr."
    )


def ask_again() -> None:
    """Command: let napari ask for the reader of ``.zarr`` again."""
    _associate(without_default(_associations()))
    _show(ASK)
    notify.inform("napari asks again for .zarr.")


def with_default(associations: Mapping[str, str]) -> dict[str, str]:
    """Return napari's associations of patterns with readers, with ours for ``.zarr``."""
    return {**associations, **dict.fromkeys(PATTERNS, PLUGIN)}


def without_default(associations: Mapping[str, str]) -> dict[str, str]:
    """Return the associations without ours for ``.zarr``; those of other readers stay."""
    ours = {pattern for pattern in PATTERNS if associations.get(pattern) == PLUGIN}
    return {pattern: plugin for pattern, plugin in associations.items() if pattern not in ours}


def follow() -> None:
    """Apply the Preferences entry, now and whenever it changes.

    Called when the plugin opens something: before that napari does not load it, so a choice made earlier
    takes effect with the first image, after one last question.
    """
    opening = plugin_settings("opening")
    if opening is not None:
        opening.events.zarr_reader.connect(_on_choice)  # connected once, however often this runs
        _apply(opening.zarr_reader)


def follow_later() -> None:
    """Follow the Preferences when the image is shown: napari reads all manifests for that, 0.2 s long."""
    if not notify.has_window():
        follow()
        return
    from qtpy.QtCore import QTimer

    QTimer.singleShot(_SHOWN_MS, _follow_between_strokes)


def _follow_between_strokes() -> None:
    """Follow the Preferences, but not while somebody paints or moves the view."""
    from qtpy.QtCore import Qt, QTimer
    from qtpy.QtWidgets import QApplication

    if QApplication.mouseButtons() == Qt.MouseButton.NoButton:
        follow()
    else:
        QTimer.singleShot(_RELEASED_MS, _follow_between_strokes)


def _on_choice(event: Any) -> None:
    _apply(event.value)


def _apply(choice: str) -> None:
    if choice == WITHOUT_ASKING:
        _associate(with_default(_associations()))
    elif choice == ASK:
        _associate(without_default(_associations()))


def _associations() -> dict[str, str]:
    from napari.settings import get_settings

    return dict(get_settings().plugins.extension2reader)


def _associate(associations: dict[str, str]) -> None:
    from napari.settings import get_settings

    plugins = get_settings().plugins
    if associations != plugins.extension2reader:
        plugins.extension2reader = associations  # saved by napari


def _show(choice: str) -> None:
    """Let the Preferences say what a command has done: an older choice would undo it at the next opening."""
    if (opening := plugin_settings("opening")) is not None:
        opening.zarr_reader = choice


def recent_places() -> list[str]:
    """Return the places that were opened or saved with our dialogs, the last first."""
    opening = plugin_settings("opening")
    try:
        places = json.loads(opening.recent) if opening is not None else []
    except ValueError:  # it can be edited, and emptied, in the Preferences
        return []
    return [place for place in places if isinstance(place, str)] if isinstance(places, list) else []


def remember_place(place: str) -> None:
    """Put a place first among those of before; an address with a key in it is not kept."""
    if is_url(place) and (urlsplit(place).query or "@" in urlsplit(place).netloc):
        return
    if (opening := plugin_settings("opening")) is not None:
        others = [other for other in recent_places() if other != place]
        opening.recent = json.dumps([place, *others][:MOST_PLACES], ensure_ascii=False)


def plugin_settings(section: str) -> Any:
    """Return a section of this plugin's Preferences, or None: napari 0.8 has none, or napari does not run."""
    if "napari" not in sys.modules:
        return None
    try:
        from napari.settings import get_plugin_settings

        return getattr(get_plugin_settings(PLUGIN), section, None)
    except (ImportError, KeyError):
        return None
