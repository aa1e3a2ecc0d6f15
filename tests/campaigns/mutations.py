"""Whole files with one to three faults each: a picture, or an error of ours; never anything else.

``python -m tests.campaigns.mutations [COUNT [SEED [FIRST]]]`` opens the mutations number FIRST to FIRST +
COUNT of a seed, in two processes, in scripts' way and in napari's, and reads a plane of every level. A
mutation is the same whenever it is made: one that failed is made again with COUNT 1 and its number as FIRST.
"""

from __future__ import annotations

import faulthandler
import io
import json
import logging
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import xarray

from napari_ome_ngff import (
    Channel,
    DaskArrayWrapper,
    LabelImage,
    MultiscaleSource,
    ZarrArrayWrapper,
    label_tables,
    open_ome_ngff,
    write_multiscale_group,
)
from napari_ome_ngff.errors import OmeNgffError, OmeNgffWarning
from napari_ome_ngff.reading.opened import images_of
from napari_ome_ngff.storage.pixels import process_state
from tests.campaigns.chunks import damaged, zipped
from tests.metadata.test_hostile_json import mutate
from tests.plate_tools import write_image, write_plate

try:
    from napari_ome_ngff.plugin.reader import get_reader
except ImportError:  # without napari
    get_reader = None  # type: ignore[assignment]

Files = dict[str, bytes | None]
"""Name below the folder -> content; None for an empty folder. A file alone has the name ""."""

MOST_SECONDS, MOST_GROWTH = 2.0, 200 * 2**20
WHOLE_PLANE = 2**20
"""Voxels of a plane above which a corner of it is read."""

MOST_IMAGES = 3
"""Images of a collection whose pixels are read."""

DOCUMENTS = ("zarr.json", ".zattrs", ".zgroup", ".zarray", ".zmetadata")


def originals(folder: Path, corpus: Path | None = None) -> dict[str, Files]:
    """Small files that this package writes and, if there is one, those of the corpus, cut to a few chunks."""
    write_ours(folder)
    loaded = {path.name: load(path) for path in sorted(folder.iterdir())}
    for path in sorted(corpus.rglob("*")) if corpus else ():
        if is_root(path):
            loaded[str(path.relative_to(corpus))] = load(path)  # type: ignore[arg-type]
    return loaded


def is_root(path: Path) -> bool:
    """Whether a path of the corpus is what a user would open."""
    if path.suffix in (".ozx", ".zip"):
        return True
    groups = [(one / ".zgroup").is_file() or (one / "zarr.json").is_file() for one in (path, *path.parents)]
    return groups[0] and not any(groups[1:])


def load(path: Path, *, most_chunks: int = 6, most_files: int = 60, most_bytes: int = 2**17) -> Files:
    """What a file or folder holds: all documents, and a few chunks of each array."""
    if path.is_file():
        return {"": path.read_bytes()}
    files: Files = {}
    for at, folders, names in os.walk(path):
        folders.sort()
        chunks = 0
        for name in sorted(names):
            one, is_document = Path(at, name), name in DOCUMENTS or name.endswith(".xml")
            chunks += not is_document
            if is_document or (
                chunks <= most_chunks and len(files) < most_files and one.stat().st_size < most_bytes
            ):
                files[one.relative_to(path).as_posix()] = one.read_bytes()
    return files


def write_ours(folder: Path) -> None:
    """One file of each kind that this package writes or that `tests.plate_tools` writes."""
    folder.mkdir(parents=True, exist_ok=True)
    values = (np.arange(2 * 3 * 40 * 48, dtype="u2") % 997).reshape(2, 3, 40, 48)
    image = xarray.DataArray(values, dims=("c", "z", "y", "x"), coords={"x": np.arange(48) * 0.5}, name="a")
    columns = {"label-value": [1, 2, 3], "area": [1.5, 2.0, 4.0], "name": ["a", "b", "c"]}
    marks = LabelImage(colors={1: (255, 0, 0, 255), 3: (0, 0, 9, 255)}, table=columns)
    labels = {"cells": MultiscaleSource(image=(image[0] // 100).astype("u1"), label_image=marks, levels=2)}
    options: dict[str, dict[str, Any]] = {
        "0.4": {"ngff_version": "0.4", "chunks": (1, 20, 48)},
        "0.5": {"chunks": (3, 20, 24), "channels": (Channel(label="a", color="FF0000"), Channel(label="b"))},
        "0.5 plain": {"compressor": None, "name": "\u00fc"},
        "0.5 sharded": {"chunks": (1, 20, 24), "shards": (3, 20, 24)},
        "0.6": {"ngff_version": "0.6", "chunks": (3, 40, 24)},
        "0.6 sharded": {"ngff_version": "0.6", "chunks": (1, 20, 24), "shards": (3, 40, 48)},
        "tables": {},
    }
    large = label_tables.LARGEST_IN_JSON
    for name, more in options.items():
        label_tables.LARGEST_IN_JSON = 20 if name == "tables" else large
        for ending in (".ome.zarr", ".ozx") if more.get("ngff_version") != "0.4" else (".ome.zarr",):
            path = folder / f"{name}{ending}"
            write_multiscale_group(store=path, image=image, levels=2, labels=labels, **more).run()
    label_tables.LARGEST_IN_JSON = large
    for version in ("0.4", "0.5"):
        path = write_plate(folder / f"plate {version}", {"A/1": ["0", "1"], "B/2": ["0"]}, version=version)
        for field in ("A/1/0", "A/1/1", "B/2/0"):
            write_image(path / field, values[:, 0], "cyx", version=version)


# Faults of files: each changes `files`, names and contents of one place.
Fault = Callable[[Files, str, random.Random], None]


def remove(files: Files, name: str, rng: random.Random) -> None:
    del files[name]


def empty(files: Files, name: str, rng: random.Random) -> None:
    files[name] = b""


def folder_in_place(files: Files, name: str, rng: random.Random) -> None:
    files[name] = None


def file_in_place(files: Files, name: str, rng: random.Random) -> None:
    """A file where a folder was."""
    folder = name.rpartition("/")[0]
    if folder:
        for one in [one for one in files if one.startswith(folder + "/")]:
            del files[one]
        files[folder] = rng.choice((b"", b"{}", b"\0" * 99))


def rename(files: Files, name: str, rng: random.Random) -> None:
    folder, _, last = name.rpartition("/")
    names = (*DOCUMENTS, last.upper(), last + "~", last[:-1], "0", "c", "c/0", "\u00fc", last + "/0")
    files[f"{folder}/{rng.choice(names) or 'x'}".lstrip("/")] = files.pop(name)


def put_other(files: Files, name: str, rng: random.Random) -> None:
    """The content of another file of the same place."""
    files[name] = files[rng.choice(list(files))]


def exchange(files: Files, name: str, rng: random.Random) -> None:
    other = rng.choice(list(files))
    files[name], files[other] = files[other], files[name]


def move_folder(files: Files, name: str, rng: random.Random) -> None:
    folder = name.rpartition("/")[0]
    target = rng.choice(list(files)).rpartition("/")[0] + rng.choice(("", "/0", "/labels", "x"))
    for one in [one for one in files if folder and one.startswith(folder + "/")]:
        files[(target + one.removeprefix(folder)).lstrip("/")] = files.pop(one)


def damage(files: Files, name: str, rng: random.Random) -> None:
    files[name] = damaged(files[name] or b"\0", rng)


def edit(files: Files, name: str, rng: random.Random) -> None:
    """Change values, keys and types of a document; in a chunk, bytes."""
    document, other = (as_json(files[one]) for one in (name, rng.choice(list(files))))
    if document is None:
        return damage(files, name, rng)
    with suppress(ValueError):  # another fault has made it too deep to be copied
        document = mutate(document, other or {}, rng)
    with suppress(RecursionError):  # of JSON, in Python 3.11
        files[name] = json.dumps(document).encode(errors="surrogatepass")
    return None


def rewrite(files: Files, name: str, rng: random.Random) -> None:
    """Change a document as text: what no JSON library writes."""
    text = files[name] or b""
    if not text.lstrip().startswith((b"{", b"[")):
        return damage(files, name, rng)
    at = rng.choice([i for i, letter in enumerate(text) if letter in b':,[]{}"0123456789'])
    colon = text.find(b'"', at)
    huge = rng.choice((b"1e999", b"-1e999", b"9" * 400, b"1" * 5000, b"0x10", b"01", b"1.", b"NaN", b"-0"))
    inserted = rng.choice(
        (huge, b"\xff", b"\xed\xa0\x80", b"\0", b'"\\ud800"', b"//x\n", b",", b"[" * 3000, b"\xef\xbb\xbf")
    )
    files[name] = rng.choice(
        (
            lambda: text[:at] + inserted + text[at:],
            lambda: text[:at] + huge + text[at + 1 :],
            lambda: text[:at],
            lambda: text[at:],
            lambda: text + text,
            lambda: text[:colon] + text[colon:].replace(b'"', b"'", 2),
            lambda: text.decode("utf-8", "replace").encode(rng.choice(("utf-16", "utf-32", "utf-8-sig"))),
            lambda: doubled_keys(text, rng),
        )
    )()
    return None


def doubled_keys(text: bytes, rng: random.Random) -> bytes:
    """A key given a second time, with another value."""
    starts = [i for i, letter in enumerate(text) if letter == ord("{")]
    key = rng.choice((b'"zarr_format"', b'"shape"', b'"ome"', b'"attributes"', b'"path"', b'"scale"'))
    at = rng.choice(starts) + 1
    value = rng.choice((b"null", b"3", b"[]", b'"0"', b"{}"))
    comma = b"" if text[at:].lstrip().startswith(b"}") else b", "
    return text[:at] + key + b": " + value + comma + text[at:]


FAULTS: tuple[Fault, ...] = (
    *(edit, edit, edit, edit, rewrite, rewrite, damage, damage),
    *(remove, empty, folder_in_place, file_in_place, rename, put_other, exchange, move_folder),
)


def as_json(content: bytes | None) -> Any:
    try:
        return json.loads(content or b"")
    except (ValueError, RecursionError):
        return None


def mutation(known: dict[str, Files], rng: random.Random) -> tuple[str, Files]:
    """What was done to which file, and what it is after one to three faults."""
    groups = sorted({kind_of_file(title) for title in known})
    group = rng.choice([*groups, *["ours"] * len(groups)])
    title = rng.choice([title for title in known if kind_of_file(title) == group])
    files, faults = dict(known[title]), rng.choices(FAULTS, k=rng.choice((1, 1, 2, 3)))
    title = f"{title}: {', '.join(fault.__name__ for fault in faults)}"
    if "" not in files:
        apply(faults, files, rng)
    elif rng.random() < 0.4:
        files[""] = damaged(files[""] or b"", rng)
        title += " (of the zip file)"
    else:
        with zipfile.ZipFile(io.BytesIO(files[""] or b"")) as archive:
            members: Files = {one.filename: archive.read(one) for one in archive.infolist()}
        apply(faults, members, rng)
        files[""] = zipped({name: data or b"" for name, data in members.items()}, rng.choice((0, 0, 8)))
    return title, files


def kind_of_file(title: str) -> str:
    """Who wrote a file: the folder of the corpus that it is in. Each gets as many mutations."""
    return "/".join(title.split("/")[:2]) if "/" in title else "ours"


def apply(faults: list[Fault], files: Files, rng: random.Random) -> None:
    for fault in faults:
        documents = [name for name in files if name.rpartition("/")[2] in DOCUMENTS]
        likely = fault in (edit, rewrite) or rng.random() < 0.3
        if names := (documents if likely else list(files)) or list(files):
            fault(files, rng.choice(names), rng)


def lay_down(files: Files, place: Path) -> None:
    """Write a mutation; of names that exclude each other the first one is kept."""
    for name, content in files.items():
        path = place / name if name else place
        with suppress(OSError, ValueError):
            if content is None:
                path.mkdir(parents=True, exist_ok=True)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)


def state(place: Path) -> list[tuple[str, int, int]]:
    """Names, sizes and times of all that is at a place and beside it."""
    found = []
    for at, folders, names in os.walk(place.parent):
        for name in (*folders, *names):
            about = os.lstat(os.path.join(at, name))
            found.append((os.path.join(at, name), about.st_size, about.st_mtime_ns))
    return sorted(found)


def plane(level: Any, axes: int = 2) -> None:
    """Read a plane in the middle, or a corner of it if it is large."""
    axes = min(axes, level.ndim)
    outer = tuple(n // 2 if n else slice(None) for n in level.shape[: level.ndim - axes])
    inner = level.shape[level.ndim - axes :]
    is_large = float(np.prod([float(n) for n in inner])) > WHOLE_PLANE
    box = (*outer, *(slice(256 if is_large else None) for _ in inner))
    values = np.asarray(level[box])
    assert values.dtype == level.dtype


def by_script(place: str, rng: random.Random) -> None:
    wrapper = rng.choice((ZarrArrayWrapper(), DaskArrayWrapper()))
    for image in list(images_of(open_ome_ngff(place, array_wrapper=wrapper)).values())[:MOST_IMAGES]:
        for one in (image, *image.labels.values()):
            try:
                for level in one.arrays.values():
                    plane(level)
                marks = one.multiscale and one.multiscale.label_image
                dict((marks and marks.table) or {})
            except OmeNgffError as error:
                check(error)  # the other images are read nevertheless


def by_napari(place: str, rng: random.Random) -> None:
    read = get_reader(place) if get_reader else None
    if read is None:
        return
    with_napari = rng.random() < 0.1
    for data, meta, kind in read(place)[: 2 * MOST_IMAGES]:  # type: ignore[misc]
        for level in data if meta.get("multiscale") else [data]:  # type: ignore[union-attr]
            plane(level, 3 if meta.get("rgb") else 2)
        if with_napari:
            from napari.layers import Layer

            Layer.create(data, meta, kind)


def check(error: OmeNgffError) -> None:
    assert 0 < len(str(error)) < 5000, f"an error of {len(str(error))} letters"
    assert len(str(error).splitlines()[0]) < 300, "a long first line"
    str(error).encode()


class TooLong(BaseException):
    """Raised by an alarm: no code takes it for an error of its own."""


def ring(signum: int, frame: object) -> None:
    raise TooLong


def peak() -> int:
    """Most bytes that the process held since the last call; Linux only."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return 0
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def outcome(open_it: Callable[[str, random.Random], None], place: Path, rng: random.Random) -> str:
    """What came of opening a place: "picture", "warned" or "error"; else what must not be."""
    before, start = state(place), time.process_time()
    peak()
    held = peak()
    result = "picture"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            open_it(str(place), rng)
        except OmeNgffError as error:
            try:
                check(error)
                result = "error"
            except (AssertionError, UnicodeError) as fault:
                result = f"bad error: {fault} {str(error)[:200]!r}"
        except TooLong:
            result = "hangs: " + traceback.format_exc()
        except Exception:  # noqa: BLE001 (what the campaign looks for)
            result = traceback.format_exc()
    seconds, grown = time.process_time() - start, peak() - held
    if others := [w for w in caught if not issubclass(w.category, OmeNgffWarning | ResourceWarning)]:
        result = f"foreign warning: {others[0].category.__name__}: {others[0].message} {others[0].filename}"
    elif result == "picture" and caught:
        result = "warned"
    if seconds > MOST_SECONDS:
        result = f"{seconds:.1f} s of processor time; {result}"
    if grown > MOST_GROWTH:
        result = f"{grown / 2**20:.0f} MB more; {result}"
    if state(place) != before:
        result = f"changed on disk; {result}"
    return result


GOOD = ("picture", "warned", "error")


def run(known: dict[str, Files], numbers: range, seed: int, folder: Path) -> Iterator[tuple[int, str, str]]:
    """Yield, for each mutation, its number, what it is, and what came of opening it."""
    with tempfile.TemporaryDirectory(dir=folder) as warm:
        lay_down(known["0.5.ome.zarr"], Path(warm, "a.zarr"))
        for open_it in (by_script, by_napari):  # what is imported on the way counts for nobody
            open_it(str(Path(warm, "a.zarr")), random.Random(1))
    for number in numbers:
        rng = random.Random(f"{seed}/{number}")
        title, files = mutation(known, rng)
        home = folder / str(number)
        place = home / f"a{'.ozx' if '.ozx' in title else '.zip' if '.zip' in title else '.zarr'}"
        home.mkdir()
        lay_down(files, place)
        inner = [one for one in place.rglob("*") if one.is_dir()] if place.is_dir() else []
        target = rng.choice(inner) if inner and rng.random() < 0.15 else place
        for open_it in (by_script, by_napari):
            yield number, f"{open_it.__name__} {title}", outcome(open_it, target, rng)
        process_state.reset()
        shutil.rmtree(home)


_known: dict[str, Files] = {}


def start_worker(known: dict[str, Files]) -> None:
    logging.disable()  # that chunks could not be read
    _known.update(known)
    with suppress(ImportError):
        import napari.layers  # noqa: F401 (its import counts for nobody)
    signal.signal(signal.SIGALRM, ring)


def work(numbers: range, seed: int, folder: str) -> tuple[Counter[str], list[tuple[int, str, str]]]:
    """Open some mutations, with an alarm for those that hang; one that cannot be woken ends its process."""
    counts, bad = Counter[str](), []
    runs = run(_known, numbers, seed, Path(folder))
    while True:
        signal.alarm(120)
        faulthandler.dump_traceback_later(600, exit=True)
        try:
            number, title, result = next(runs)
        except StopIteration:
            break
        finally:
            signal.alarm(0)
            faulthandler.cancel_dump_traceback_later()
        counts[result if result in GOOD else "BAD"] += 1
        if result not in GOOD:
            bad.append((number, title, result))
    return counts, bad


def main() -> None:
    """Open as many as asked for; print what must not be as it comes, and figures at the end."""
    count, seed, first = [*map(int, sys.argv[1:4]), *(10_000, 11, 0)[len(sys.argv) - 1 :]]
    corpus = os.environ.get("NAPARI_OME_NGFF_CORPUS")
    start, counts, kinds = time.perf_counter(), Counter[str](), Counter[str]()
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        known = originals(Path(folder, "originals"), Path(corpus) if corpus else None)
        parts = [range(at, min(at + 50, first + count)) for at in range(first, first + count, 50)]
        with multiprocessing.get_context("spawn").Pool(2, start_worker, (known,)) as pool:
            jobs = [pool.apply_async(work, (part, seed, folder)) for part in parts]
            for part, job in zip(parts, jobs, strict=True):
                some, bad = job.get(1500)
                counts += some
                for number, title, result in bad:
                    kinds[kind := result.strip().splitlines()[-1][:200]] += 1
                    if kinds[kind] <= 3:
                        print(f"--- {number} {title}\n{result}", flush=True)
                if part.stop % 1000 == 0:
                    print(f"{part.stop} in {time.perf_counter() - start:.0f} s: {dict(counts)}", flush=True)
    took = time.perf_counter() - start
    print(f"{count} mutations of {len(known)} files, seed {seed}: {dict(counts)}; {took:.0f} s")
    for kind, times in kinds.most_common():
        print(f"{times:6d}  {kind}")


if __name__ == "__main__":
    main()
