"""Files that this package writes, read by ten programs: the table of `docs/reference/who-reads-it.md`.

``python -m tests.campaigns.readers FOLDER > docs/reference/who-reads-it.md`` writes the files, makes an
environment in FOLDER for each reader that is not installed here, and prints the page.
"""

from __future__ import annotations

import datetime
import importlib.util
import json
import subprocess
import sys
import venv
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from napari_ome_ngff import StorageOptions, save_ome_ngff, write_plate
from tests.campaigns.reader_scripts import PIXELS, READERS, SAME

SCRIPT = Path(__file__).with_name("reader_scripts.py")
STEPS = {"t": 1.0, "c": 1.0, "z": 2.0, "y": 0.5, "x": 0.25}
SIZES = {"t": 2, "c": 2, "z": 4, "y": 48, "x": 64}

PINNED = {
    "bioio-ome-zarr": "bioio-ome-zarr==3.8.1",
    "iohub": "iohub==0.3.11",
    "ngio": "ngio==1.1.3",
    "tensorstore": "tensorstore==0.1.86",
}

WHAT = {
    "yx": "an image of two axes",
    "zyx": "a volume",
    "tczyx": "five axes, named channels, a label image",
    "sharded": "a volume in shards",
    "plate": "a plate",
    "ozx": "one file (`.ozx`)",
}


WORDS = {SAME: "yes", PIXELS: "pixels"}
"""What the page says of an outcome; of any other one it says no."""


def write_files(
    folder: Path, *, releases: Iterable[str] = ("0.4", "0.5", "0.6"), kinds: Iterable[str] = tuple(WHAT)
) -> None:
    """Each kind of file in each version, with its pixels and voxel sizes beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    for release in releases:
        for kind in kinds:
            if release == "0.4" and kind in ("sharded", "ozx"):
                continue
            axes = kind if set(kind) <= set(STEPS) else "zyx"
            name = f"{kind} {release}" + (".ozx" if kind == "ozx" else ".ome.zarr")
            pixels = np.arange(np.prod([SIZES[a] for a in axes]), dtype="uint16")
            pixels = pixels.reshape([SIZES[a] for a in axes])
            given: dict[str, Any] = {"axes": axes, "scale": {a: STEPS[a] for a in axes if a in "zyx"}}
            if kind == "plate":
                fields = {("A", 1): [pixels], ("B", 2): [pixels + 1]}
                options = StorageOptions(version=release)
                write_plate(
                    store=folder / name, fields=fields, options=options, units="micrometer", **given
                ).run()
            else:
                if kind == "tczyx":
                    given |= {"channels": ["DAPI", "GFP"], "labels": {"cells": pixels[:, 0] // 99}}
                shards = {"chunks": (2, 24, 32), "shards": (4, 48, 64)} if kind == "sharded" else {}
                save_ome_ngff(
                    folder / name,
                    pixels,
                    ngff_version=release,
                    levels=2,
                    units="micrometer",
                    **given,
                    **shards,
                )
            np.save(folder / f"{name}.npy", pixels)
            (folder / f"{name}.json").write_text(json.dumps([STEPS[a] for a in axes]))


def python_for(name: str, folder: Path) -> str:
    """A Python that has a reader: this one, or that of an environment that is made for it."""
    distribution, read = READERS[name]
    if importlib.util.find_spec(read.__name__.removesuffix("_py").replace("zarr_python", "zarr")):
        return sys.executable
    place = folder / "venvs" / distribution
    if not (place / "bin/python").exists():
        venv.create(place, with_pip=True)
        command = [place / "bin/pip", "install", "-q", PINNED.get(distribution, distribution), "numpy"]
        subprocess.run(command, check=True)
    return str(place / "bin/python")


def asked(name: str, folder: Path, files: Path) -> dict[str, Any]:
    """What one reader makes of all files."""
    command = [python_for(name, folder), str(SCRIPT), name, str(files)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def page(answers: dict[str, dict[str, Any]], today: datetime.date) -> str:
    """The page of the documentation."""
    names = list(answers)
    lines = [
        "<!-- Made by python -m tests.campaigns.readers FOLDER > docs/reference/who-reads-it.md -->",
        "",
        "# Who reads what we write",
        "",
        f"Files that this package ({version('napari-ome-ngff')}) writes, opened by ten other programs on "
        f"{today:%d %B %Y}.",
        "*yes*: the same pixels and voxel sizes; *pixels*: the same pixels, by a program that knows nothing",
        "of voxel sizes; *no*: what it said instead is below the table, by its number.",
        "",
        "| file | version | " + " | ".join(f"{name} {answers[name]['version']}" for name in names) + " |",
        "| --- | --- |" + " --- |" * len(names),
    ]
    notes: dict[str, int] = {}
    files = list(answers[names[0]]["files"])
    for file in sorted(files, key=lambda each: (list(WHAT).index(each.split()[0]), each)):
        kind, release = file.removesuffix(".ome.zarr").removesuffix(".ozx").split()
        cells = []
        for name in names:
            result = answers[name]["files"][file]
            if result not in WORDS:
                note = f"{name}: {result.replace('|', '/').replace('`', '')}"
                number = notes.setdefault(note.split(str(file))[0][:160], len(notes) + 1)
                cells.append(f"no ({number})")
            else:
                cells.append(WORDS[result])
        lines.append(f"| {WHAT[kind]} | {release} | " + " | ".join(cells) + " |")
    lines += ["", *(f"{number}. `{note}`" for note, number in notes.items())]
    return "\n".join(lines) + "\n"


def main(folder: Path) -> None:
    files = folder / "files"
    if not files.exists():
        write_files(files)
    answers = {name: asked(name, folder, files) for name in READERS}
    sys.stdout.write(page(answers, datetime.date.today()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
