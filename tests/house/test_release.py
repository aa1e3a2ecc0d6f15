"""What surrounds the package agrees with it: citation, recipe, workflows, forms and links."""

from __future__ import annotations

import re
import runpy
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[0-9]*.yml"))
PYTHONS = [c.rpartition(" ")[2] for c in PROJECT["classifiers"] if re.search(r"Python :: 3\.\d+$", c)]


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def test_the_version_is_the_same_everywhere() -> None:
    citation = load(ROOT / "CITATION.cff")
    assert citation["version"] == PROJECT["version"]
    assert load(ROOT / "conda" / "recipe.yaml")["context"]["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    released = re.search(
        rf"^## {re.escape(PROJECT['version'])} \S+ (\S+)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M
    )
    dated = citation.get("date-released")
    assert (released[1] if released else None) == (str(dated) if dated else None)


def test_the_recipe_asks_for_what_the_package_asks_for() -> None:
    requirements = load(ROOT / "conda" / "recipe.yaml")["requirements"]
    named = [re.sub(r"^dask\[array\]", "dask-core", one) for one in PROJECT["dependencies"]]
    ours = {one.replace(">=", " >=") for one in named}
    assert set(requirements["run"]) - {"python >=${{ python_min }}"} == ours


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_each_step_of_a_workflow_does_one_thing_and_may_only_what_it_must(path: Path) -> None:
    workflow = load(path)
    assert workflow["permissions"] == {"contents": "read"}
    for name, job in workflow["jobs"].items():
        assert job["runs-on"], name
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step), (name, step)
            assert "secrets." not in str(step), "publishing is by trust, without a password"


def test_every_python_that_is_promised_is_tested_on_every_system() -> None:
    matrix = load(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]["test"]["strategy"]["matrix"]
    assert matrix["python"] == PYTHONS
    assert {name.partition("-")[0] for name in matrix["os"]} == {"ubuntu", "windows", "macos"}
    assert PROJECT["requires-python"] == f">={PYTHONS[0]}"


def test_every_environment_of_the_workflows_is_one_of_tox() -> None:
    ci = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    tox = (ROOT / "tox.ini").read_text(encoding="utf-8")
    sections = set(re.findall(r"^\[testenv:([\w{},]+)\]", tox, re.MULTILINE))
    names = {name for section in sections for name in section.strip("{}").split(",")}
    qts = yaml.safe_load(ci)["jobs"]["qt"]["strategy"]["matrix"]["qt"]
    assert {*re.findall(r"tox run -e (\w+)", ci), *qts} <= names


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_a_form_asks_each_question_once(path: Path) -> None:
    form = load(path)
    assert form["name"]
    assert form["description"]
    ids = [question["id"] for question in form["body"]]
    assert len(set(ids)) == len(ids) > 0
    assert all(question["attributes"]["label"] for question in form["body"])


def test_the_project_has_one_address() -> None:
    """Links to it differ nowhere from those of pyproject.toml, so that it can move."""
    source, site = PROJECT["urls"]["Source"], PROJECT["urls"]["Homepage"]
    hidden = [ROOT / ".github", ROOT / ".napari-hub", ROOT / "conda"]
    paths = [*ROOT.glob("*.*"), *(ROOT / "docs").rglob("*.md"), *(p for f in hidden for p in f.rglob("*.*"))]
    links = {
        link
        for path in paths
        if path.suffix in {".md", ".cff", ".yml", ".yaml", ".toml"}
        for link in re.findall(r"https://[\w./-]*napari-ome-ngff[\w./-]*", path.read_text("utf-8"))
    }
    own = (source, site, source.replace("github.com", "raw.githubusercontent.com"))
    assert [one for one in sorted(links) if not one.startswith((*own, "https://pypi.org/"))] == []


def test_the_table_that_compares_programs_is_that_of_the_features() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    script = runpy.run_path(str(ROOT / "docs" / "comparison.py"))
    assert script["updated"](readme) == readme, "run: python docs/comparison.py"
    content = tomllib.loads((ROOT / "docs" / "comparison.toml").read_text("utf-8"))
    assert {len(cells) for cells in content["features"].values()} == {len(content["programs"])}


def test_on_the_package_index_every_link_of_the_readme_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    hook = SimpleNamespace(MetadataHookInterface=object)
    monkeypatch.setitem(sys.modules, "hatchling.metadata.plugin.interface", hook)
    site, source = PROJECT["urls"]["Homepage"], PROJECT["urls"]["Source"]
    absolute_links = runpy.run_path(str(ROOT / "hatch_build.py"))["absolute_links"]
    text = absolute_links((ROOT / "README.md").read_text("utf-8"), source, site)
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    assert [link for link in links if not link.startswith("https://")] == []
    pages = [link.removeprefix(site).partition("#")[0] for link in links if link.startswith(site)]
    assert len(pages) > 10
    assert [
        page for page in pages if not (ROOT / "docs" / f"{page.strip('/') or 'index'}.md").is_file()
    ] == []
