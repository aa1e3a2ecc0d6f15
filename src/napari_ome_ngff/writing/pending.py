"""A save that was checked and is still to be done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from os import PathLike

from napari_ome_ngff.errors import CancelledError, StorageError, give_warning
from napari_ome_ngff.storage.places.location import store_location
from napari_ome_ngff.writing.plan.group_documents import join_paths
from napari_ome_ngff.writing.save import Progress, Save, run_save


class Writing(Iterator[Progress]):
    """A save that was checked and is still to be done: loop over it, or :meth:`run` it.

    It yields :class:`Progress`, and writes only while it is asked for more. Of one that ends early, by an
    error, :meth:`cancel` or :meth:`close`, nothing is left. One that is thrown away before it was begun
    warns: nothing has been written then.

    Examples
    --------
    >>> import numpy, xarray, zarr
    >>> from napari_ome_ngff import write_multiscale_group
    >>> image = xarray.DataArray(numpy.ones((1024, 1024), "uint8"), dims=("y", "x"))
    >>> writing = write_multiscale_group(store=zarr.storage.MemoryStore(), image=image)
    >>> writing.run().message
    'Written'
    """

    def __init__(
        self, steps: Generator[Progress, None, None], where: str, *, save: Save | None = None
    ) -> None:
        self.save = save  # what was checked, if it is a whole save
        self._begun = False
        self._last: Progress | None = None
        self._steps = steps
        self._step = threading.Lock()  # held while a step is taken
        self._cancelled = threading.Event()
        self._where = where

    def __next__(self) -> Progress:
        with self._step:
            self._begun = True
            if not self._cancelled.is_set() or self._is_complete:
                progress = self._last = next(self._steps)
                if not self._cancelled.is_set() or self._is_complete:
                    return progress
            self._steps.close()
            raise CancelledError("Saving was cancelled. Nothing was left behind.", where=self._where)

    def run(self, *, progress: bool = False) -> Progress:
        """Write to the end.

        Parameters
        ----------
        progress
            Show a bar, on standard error or below the cell of a notebook.

        Returns
        -------
        Progress
            The last step.

        Raises
        ------
        StorageError
            If reading the source or writing fails; also if it has ended early before.
        CancelledError
            If it was cancelled.
        KeyboardInterrupt
            After Ctrl-C, once nothing is left of what is not complete; at once if it is pressed twice.
        """
        with self._interrupts_wait():
            for _ in _with_bar(self) if progress else self:
                pass
        if self._last is None or not self._is_complete:
            raise StorageError(
                "This save ended before it was complete.", where=self._where, hint="Start another one."
            )
        return self._last

    def cancel(self) -> None:
        """Stop at the next step, and leave nothing; from any thread. Too late if everything is written."""
        self._begun = True
        self._cancelled.set()
        if self._step.acquire(blocking=False):  # else the thread that takes the step ends it
            try:
                self._steps.close()
            finally:
                self._step.release()

    def close(self) -> None:
        """Stop, and leave nothing of what is not complete. Nothing is yielded any more."""
        self._begun = True
        with self._step:
            self._steps.close()

    @contextmanager
    def _interrupts_wait(self) -> Iterator[None]:
        """Let Ctrl-C end the save between two steps: anywhere else, threads would go on writing."""
        in_main = threading.current_thread() is threading.main_thread()
        if not in_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            yield
            return
        interrupted = False

        def stop(*_: object) -> None:
            nonlocal interrupted
            interrupted = True
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self.cancel()

        signal.signal(signal.SIGINT, stop)
        try:
            yield
        except CancelledError:
            if not interrupted:
                raise
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if interrupted:
            raise KeyboardInterrupt

    @property
    def _is_complete(self) -> bool:
        return self._last is not None and self._last.blocks_done == self._last.blocks_total

    def __del__(self) -> None:
        if not getattr(self, "_begun", True):
            summary = f"Nothing was written to {self._where}."
            hint = "Call run() of what the function returned, or loop over it."
            give_warning(f"{summary}\nWhat to do: {hint}", stacklevel=2)

    def __repr__(self) -> str:
        if self._last is None:
            return f"<Writing to {self._where}: nothing yet; loop over it, or run() it>"
        return f"<Writing to {self._where}: {self._last.blocks_done} of {self._last.blocks_total} blocks>"


def writing_of(save: Save) -> Writing:
    """The save of a whole image, or of label images."""
    place = save.store if isinstance(save.store, str | PathLike) else store_location(save.store)
    return Writing(run_save(save), join_paths(str(place), save.path), save=save)


def _with_bar(steps: Iterable[Progress]) -> Iterator[Progress]:
    from tqdm import tqdm  # as text: its widget warns in notebooks without ipywidgets

    with tqdm(unit=" blocks") as bar:
        for step in steps:
            bar.total = step.blocks_total
            bar.set_description_str(step.message, refresh=False)
            bar.update(step.blocks_done - bar.n)
            yield step
