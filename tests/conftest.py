"""What every test can rely on: the corpus of real files, a display for windows, and no file left open.

Three environment variables steer the suite:

- ``NAPARI_OME_NGFF_CORPUS``: folder of the corpus, by default ``../shared/corpus`` beside the repository.
  Without one the tests that need it are skipped, or fail where ``CI`` is set.
- ``NAPARI_OME_NGFF_TESTS=full``: napari must be installed. Otherwise test modules that import napari or Qt at
  their top are left out where napari is missing, so that the library can be tested alone.
- ``DISPLAY``: used if set. On Linux without one, an Xvfb is started for the session and stopped after it;
  without Xvfb the window tests are skipped, or fail where ``CI`` is set.

``PYTHONDONTWRITEBYTECODE`` is ignored: each of the workers would compile all tests anew in each run, and each
process that a test starts the package.
"""

from __future__ import annotations

import ast
import gc
import importlib.util
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

HERE = Path(__file__).parent
CORPUS = Path(os.environ.get("NAPARI_OME_NGFF_CORPUS") or HERE.parent.parent / "shared" / "corpus")
IN_CI = bool(os.environ.get("CI"))
NEED_NAPARI = frozenset({"napari", "npe2", "magicgui", "qtpy", "superqt", "pytestqt", "tests.window_tools"})
"""Whoever imports one of these at the top of a test module needs a complete napari."""

HAS_NAPARI = all(importlib.util.find_spec(name) for name in ("napari", "qtpy", "pytestqt"))
LEFT_OUT = pytest.StashKey[list[str]]()
"""Where the names of test modules that were not collected are kept for the summary."""


OF_A_WINDOW = 4
"""A test that looks at a window is ordered as so many others.

Not the last of all, as it takes seconds, nor the first, as what napari leaves behind slows down all after it.
"""


WORKER = ("WORKER", "WORKER_COUNT")
"""Ends of the variables by which a worker knows its number, and how many there are."""


DEFERRED_DELETE = 52
"""Qt's number of the events that delete widgets later."""


COUNT_FROZEN = gc.get_freeze_count

# A busy machine is slow, which is no fault of the code. Every run draws anew; the weekly one draws more.
EXAMPLES = int(os.environ.get("NAPARI_OME_NGFF_EXAMPLES", "25"))
settings.register_profile("of the suite", deadline=None, max_examples=EXAMPLES)
settings.load_profile("of the suite")


def pytest_configure(config: pytest.Config) -> None:
    """Keep the user's napari settings and caches out of the tests, and the tests out of them."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    _know_entry_points(config)
    if os.environ.get("NAPARI_OME_NGFF_TESTS") == "full" and not HAS_NAPARI:
        raise pytest.UsageError("NAPARI_OME_NGFF_TESTS=full, but napari, Qt or pytest-qt is not installed")
    _trust_one_certificate(config)
    if not HAS_NAPARI:
        return
    # napari reads this when its settings are first imported, so a fixture would come too late.
    scratch = tempfile.mkdtemp(prefix="napari-ome-ngff-tests-")
    config.add_cleanup(lambda: shutil.rmtree(scratch, ignore_errors=True))
    os.environ["NAPARI_CONFIG"] = str(Path(scratch) / "settings.yaml")
    if sys.platform == "linux":
        os.environ.setdefault("QT_QPA_PLATFORM", "xcb")
        os.environ.setdefault("LIBGL_ALWAYS_SOFTWARE", "1")
        if "XDG_RUNTIME_DIR" not in os.environ:
            os.environ["XDG_RUNTIME_DIR"] = scratch  # mkdtemp made it 0700, as Qt demands


def _trust_one_certificate(config: pytest.Config) -> None:
    """Let obstore read one certificate for each of its stores, not all of the system: that takes 5 ms."""
    if not (certificates := ssl.create_default_context().get_ca_certs(binary_form=True)):
        return
    folder = tempfile.mkdtemp(prefix="napari-ome-ngff-certificates-")
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    file = Path(folder, "one.pem")
    file.write_text(ssl.DER_cert_to_PEM_cert(certificates[0]), "utf-8")
    os.environ |= {"SSL_CERT_FILE": str(file), "SSL_CERT_DIR": folder}


def _know_entry_points(config: pytest.Config) -> None:
    """Let an installation of the sources that is older than an entry point know it, as a new one would."""
    declared = tomllib.loads((HERE.parent / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"]
    text = ""
    for group, values in declared.items():
        installed = entry_points(group=group).names
        lines = [f"{name} = {value}" for name, value in values.items() if name not in installed]
        text += "\n".join([f"[{group}]", *lines, ""]) if lines else ""
    if not text:
        return
    folder = tempfile.mkdtemp(prefix="napari-ome-ngff-entry-points-")
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    about = Path(folder, "napari_ome_ngff_tests-0.dist-info")
    about.mkdir()
    (about / "entry_points.txt").write_text(text, "utf-8")
    sys.path.append(folder)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), folder]))


@pytest.hookimpl(wrapper=True)
def pytest_collect_file() -> Iterator[None]:
    """Look for no doctests in tests: there are none, and each of three workers would take a second for it."""
    collectors: Any = yield
    return [one for one in collectors if type(one).__name__ != "DoctestModule"]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Half as many workers again as processors: windows and servers are waited for a sixth of the time."""
    processors = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return processors + processors // 2


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """One worker for each file: what its tests share, a window or a server, is made once."""
    from xdist.scheduler import LoadFileScheduling

    config.option.loadscopereorder = False  # see pytest_collection_modifyitems
    return LoadFileScheduling(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    """Let each worker begin with other folders: where nothing is compiled yet, it compiles a part for all."""
    report: Any = yield
    if isinstance(collector, pytest.Directory) and collector.path == HERE and report.result:
        number, count = (int(os.environ.get(f"PYTEST_XDIST_{name}", "1").strip("gw")) for name in WORKER)
        first = len(report.result) * (number % count) // count
        report.result = report.result[first:] + report.result[:first]
    return report


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files of many tests, so that all workers end together; the order is the same in all."""
    work: dict[Path, int] = {}
    for item in items:
        work[item.path] = work.get(item.path, 0) + (OF_A_WINDOW if item.path.parent.name == "window" else 1)
    items.sort(key=lambda item: (-work[item.path], item.path))


def pytest_collection_finish() -> None:
    """Take what is imported by now out of every later collection of garbage: a tenth of a second each."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)  # by default ten times as often
    gc.get_freeze_count = lambda: 1  # what each save from napari asks: Python takes 10 ms to count them


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out modules that need napari where it is not installed."""
    if HAS_NAPARI or collection_path.suffix != ".py":
        return None
    if not _top_level_imports(collection_path) & NEED_NAPARI:
        return None
    config.stash.setdefault(LEFT_OUT, []).append(collection_path.name)
    return True


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what was not collected, so that a short run is not mistaken for a whole one."""
    if names := config.stash.get(LEFT_OUT, []):
        unique = ", ".join(sorted(set(names)))  # the doctest collector asks a second time
        terminalreporter.write_line(f"napari is not installed, not collected: {unique}")


def _top_level_imports(module: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.parse(module.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module.split(".")[0], node.module}
    return names


def _skip_or_fail(reason: str) -> None:
    if IN_CI:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture
def frozen_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Python count what is kept from the collector of garbage."""
    monkeypatch.setattr(gc, "get_freeze_count", COUNT_FROZEN)


@pytest.fixture(scope="session")
def corpus() -> Path:
    """Folder of real OME-Zarr files; its ``INDEX.md`` says what each one holds."""
    if not (CORPUS / "INDEX.md").is_file():
        _skip_or_fail(f"no corpus at {CORPUS} (set NAPARI_OME_NGFF_CORPUS to its folder)")
    return CORPUS


@pytest.fixture(scope="session")
def display(pytestconfig: pytest.Config) -> str:
    """Make sure that windows can be opened, and return the name of the display (empty outside Linux)."""
    if sys.platform != "linux":
        return ""
    if "DISPLAY" not in os.environ:
        if shutil.which("Xvfb") is None:
            _skip_or_fail("no DISPLAY and no Xvfb (install the package xvfb)")
        os.environ["DISPLAY"], stop = _start_xvfb()
        # Qt ends the process when its display goes away while events are processed: not before the very end.
        pytestconfig.add_cleanup(stop)
    return os.environ["DISPLAY"]


def _start_xvfb() -> tuple[str, Callable[[], None]]:
    """Start an Xvfb on the first free display; return the display's name and what stops it."""
    ours, its = os.pipe()
    command = ["Xvfb", "-displayfd", str(its), "-screen", "0", "1600x1000x24", "-noreset", "-nolisten", "tcp"]
    process = subprocess.Popen(
        [*command, "+extension", "GLX", "+render"],
        pass_fds=[its],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(its)
    with os.fdopen(ours) as pipe:
        number = pipe.readline().strip()  # written once the server accepts connections
    if not number:
        process.wait()
        pytest.fail(f"Xvfb ended with {process.returncode} before it had a display", pytrace=False)

    def stop() -> None:
        os.environ.pop("DISPLAY", None)
        process.terminate()
        process.wait(timeout=10)

    return f":{number}", stop


@pytest.fixture(scope="session")
def qapp_args(display: str) -> list[str]:
    """Give pytest-qt a display before it makes the application: every Qt test passes through here."""
    return ["napari-ome-ngff-tests"]


@pytest.fixture
def viewer(make_napari_viewer: Callable[..., Any]) -> Any:
    """A real napari window, shown, always of the same size."""
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1100, 800)
    return viewer


@pytest.fixture(autouse=True)
def _process_as_new() -> Iterator[None]:
    """Let no test start with what another one left in the process: caches, failures, choices, messages."""
    yield
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):  # it would tell the next test of failures of this one
            thread.cancel()
    if process_state := sys.modules.get("napari_ome_ngff.storage.pixels.process_state"):
        process_state.reset()
    if remembered := sys.modules.get("napari_ome_ngff.plugin.save.remembered"):
        remembered.remember(remembered.Form(target=""))
    if notifications := sys.modules.get("napari.utils.notifications"):
        notifications.notification_manager.records.clear()
    if (widgets := sys.modules.get("qtpy.QtWidgets")) and (app := widgets.QApplication.instance()):
        app.sendPostedEvents(None, DEFERRED_DELETE)


@pytest.fixture(autouse=True)
def _no_file_left_open() -> Iterator[None]:
    """Fail a test that opens a file and does not close it."""
    before = _open_files()
    yield
    for attempt in range(20):
        left = sorted(path for _, path in _open_files() - before if not os.path.isdir(path))
        if not left:
            return
        # An object in a reference cycle closes its file when it is collected. Most are young, and to look at
        # all others takes a tenth of a second. A thread of a pool lets go of its last task a moment later.
        gc.collect(min(attempt // 2, 2))
        time.sleep(0.02 if attempt % 2 else 0)
    assert not left, f"left open: {left}"


def _open_files() -> frozenset[tuple[str, str]]:
    """Descriptor and path of each open file or folder that is no part of the system or of Python."""
    folder = "/proc/self/fd"
    if not os.path.isdir(folder):
        return frozenset()
    found = set()
    for name in os.listdir(folder):
        try:
            path = os.readlink(f"{folder}/{name}")
        except OSError:  # the descriptor of this very listing
            continue
        if path.startswith("/") and not path.startswith(("/memfd:", "/dev/", "/proc/", "/usr/", sys.prefix)):
            found.add((name, path))
    return frozenset(found)
