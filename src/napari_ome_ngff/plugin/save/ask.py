"""Ask the user, where there is a window to ask in."""

from __future__ import annotations

from napari_ome_ngff.plugin.notify import has_window
from napari_ome_ngff.plugin.save.progress import in_gui_thread


def can_ask() -> bool:
    """Tell whether there is a window to ask in, and this is its thread.

    Examples
    --------
    >>> can_ask()
    False
    """
    return in_gui_thread() and has_window()


def confirm(question: str, details: str, action: str) -> bool:
    """Ask whether something is to be done; to be called where `can_ask` says that one can.

    Parameters
    ----------
    question
        One sentence.
    details
        What follows.
    action
        What the button says, besides Cancel, which Enter and Escape press.

    Returns
    -------
    bool
        Whether the button was pressed.
    """
    from qtpy.QtWidgets import QApplication, QMainWindow, QMessageBox

    windows = [window for window in QApplication.topLevelWidgets() if isinstance(window, QMainWindow)]
    box = QMessageBox(QApplication.activeWindow() or next(filter(QMainWindow.isVisible, windows), None))
    box.setIcon(QMessageBox.Icon.Warning)
    box.setWindowTitle("OME-NGFF")
    box.setText(question)
    box.setInformativeText(details)
    button = box.addButton(action, QMessageBox.ButtonRole.AcceptRole)
    cancel = box.addButton(QMessageBox.StandardButton.Cancel)
    box.setDefaultButton(cancel)
    box.setEscapeButton(cancel)
    box.exec()
    return box.clickedButton() is button
