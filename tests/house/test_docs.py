"""What the pages say is true: their code runs, their links lead somewhere, every public name is described.

The blocks of a page run one after the other in one namespace, in an empty folder that has the examples' data
at the path that they have in the repository.
"""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import inspect
import io
import re
import runpy
import sys
from pathlib import Path

import pytest

import napari_ome_ngff

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in [*ROOT.glob("*.md"), *sorted(DOCS.rglob("*.md"))]
}
EXAMPLES = {path.stem: path for path in sorted((DOCS / "examples").glob("*.py"))}
HAS_NAPARI = importlib.util.find_spec("napari") is not None


def python_blocks(text: str) -> list[tuple[int, str]]:
    """Number of the first line, and code, of every block that says it is Python."""
    found = re.finditer(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [(text.count("\n", 0, match.start(1)), match.group(1)) for match in found]


def runs_here(code: str) -> bool:
    """Where napari is not installed, code that needs it is not run (``tox -e core``)."""
    return HAS_NAPARI or not re.search(r"^\s*(import|from) napari\b", code, re.MULTILINE)


def runnable_pages() -> list[str]:
    blocks = {name: "".join(code for _, code in python_blocks(text)) for name, text in PAGES.items()}
    return [name for name, code in blocks.items() if code and runs_here(code)]


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to run in, with the data of the examples."""
    add_data(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def add_data(folder: Path) -> None:
    data = folder / "docs" / "examples" / "data"
    data.parent.mkdir(parents=True)
    data.symlink_to(DOCS / "examples" / "data", target_is_directory=True)


@pytest.mark.parametrize("page", runnable_pages())
def test_the_code_of_a_page_runs(page: str, workplace: Path) -> None:
    namespace: dict[str, object] = {"__name__": "__page__"}
    for line, code in python_blocks(PAGES[page]):
        tree = ast.parse(code)
        ast.increment_lineno(tree, line)  # a failure is reported at its line of the page
        exec(compile(tree, str(ROOT / page), "exec"), namespace)


def test_an_example_says_what_it_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends without an error, tells what it did, and what it says it has written can be opened.

    Each is run as a script, in a folder of its name, in this process: importing takes longest.
    """
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    for name in [n for n, path in EXAMPLES.items() if runs_here(path.read_text("utf-8"))]:
        add_data(tmp_path / name)
        monkeypatch.chdir(tmp_path / name)
        monkeypatch.setattr(sys, "argv", [str(EXAMPLES[name])])
        out, errors = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            runpy.run_path(str(EXAMPLES[name]), run_name="__main__")
        said = out.getvalue()
        assert "Warning" not in errors.getvalue(), name
        assert len(said.splitlines()) >= 2, name
        written = re.findall(r"^(?:Written|It is here): (.+)$", said, re.MULTILINE)
        assert written or name.startswith(("read", "plan")), name
        for target in written:
            opened = napari_ome_ngff.open_ome_ngff(target)
            assert getattr(opened, "arrays", None) or opened.images, name


def imported_from_the_package(code: str) -> set[str]:
    """Full names that code imports from the package."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.startswith(f"{napari_ome_ngff.__name__}.")}


def test_pages_and_examples_import_public_names_alone() -> None:
    """A reader who copies them relies on nothing that may move."""
    public = {f"{napari_ome_ngff.__name__}.{name}" for name in napari_ome_ngff.__all__}
    codes = {name: "".join(code for _, code in python_blocks(text)) for name, text in PAGES.items()}
    scripts = [*EXAMPLES.values(), *(DOCS / "images").glob("*.py")]
    codes |= {path.name: path.read_text(encoding="utf-8") for path in scripts}
    assert {
        n: inner for n, code in codes.items() if (inner := imported_from_the_package(code) - public)
    } == {}


def test_pages_that_show_both_defaults_of_the_version_say_so() -> None:
    """``create_`` and ``model_`` keep the default of their reference, and ``write_`` has another one."""
    for name, page in PAGES.items():
        if name.startswith(("docs/how-to", "docs/reference")) and "create_multiscale_group" in page:
            assert re.search(r'default version[^.]*"0\.4"', page.replace("\n", " ")), name
            assert '"0.5"' in page, name


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    here = (ROOT / page).parent
    text = re.sub(r"^```.*?^```$", "", PAGES[page], flags=re.DOTALL | re.MULTILINE)
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    assert [t for t in targets if "://" not in t and not (here / t.partition("#")[0]).exists()] == []


def test_every_public_name_is_described() -> None:
    reference = PAGES["docs/reference/library.md"] + PAGES["docs/reference/errors.md"]
    assert [name for name in napari_ome_ngff.__all__ if f"`{name}`" not in reference] == []


def test_every_option_is_described() -> None:
    """The signatures of the reference are those of the code."""
    page = PAGES["docs/reference/library.md"]
    for name in napari_ome_ngff.__all__:
        value = getattr(napari_ome_ngff, name)
        if not inspect.isfunction(value):
            continue
        section = page.split(f"### `{name}`")[1].split("\n### ")[0]
        signature = re.search(r"```text\n(.*?)```", section, re.DOTALL)
        assert signature is not None, name
        written = re.findall(r"[(,]\s*(\w+)", re.sub(r"=\s*[^,\n]+", "", signature.group(1)))
        assert written == list(inspect.signature(value).parameters), name


def test_every_page_is_in_the_table_of_contents() -> None:
    contents = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md") if "examples" not in path.parts}
    assert pages == set(re.findall(r": (\S+\.md)$", contents, re.MULTILINE))
