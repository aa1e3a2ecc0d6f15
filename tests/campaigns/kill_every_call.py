"""Kill saves to folders and files at every call that changes a disk.

Run it with ``python -m tests.campaigns.kill_every_call [EVERY] [WORDS]``; with words, only the saves that are
called so. Each save is killed (SIGKILL of its process) before its first call, its second, and so on, or only
before every n-th, beginning at another one for each kind of save. After each kill
a look shows the old image or the new one, whole, and moves nothing; a save that may not replace it is refused
and moves nothing, unless nothing is in its way; a save that may succeeds, and loses nothing of others.
"""

from __future__ import annotations

import collections
import itertools
import os
import shutil
import signal
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from napari_ome_ngff import create_multiscale_group, write_multiscale_group
from napari_ome_ngff.errors import OmeNgffError, TargetError
from napari_ome_ngff.storage.places.leftovers import beside
from napari_ome_ngff.writing.commit import local_swap
from tests.writing import test_every_change as laws
from tests.writing.test_recovery import everything

CALLS = ("open", "mkdir", "rename", "replace", "link", "symlink", "unlink", "rmdir", "fsync", "chmod")


@dataclass(frozen=True)
class Way:
    """One kind of save: by what, of what, how it is stored and where."""

    by: str
    kind: str
    form: str
    place: str

    def __str__(self) -> str:
        return f"{self.by}, {self.kind}, {self.form}, {self.place}"

    def target(self, folder: Path) -> Path:
        return folder / ("a.ozx" if self.place == "file" else "a.ome.zarr")

    def prepare(self, folder: Path) -> None:
        """An image with more levels than what replaces it has, label images, and a file of others."""
        target = self.target(folder)
        if self.kind == "new":
            return
        named = laws.labels(other=9) if self.kind == "labels added" else laws.labels(cells=1, other=9)
        options = laws.FORMS[self.form]
        write_multiscale_group(store=target, image=laws.of(1), labels=named, levels=3, **options).run()
        if self.place == "file":
            with zipfile.ZipFile(target, "a") as archive:
                archive.writestr("tables/notes.txt", "mine")
        else:
            (target / "tables").mkdir()
            (target / "tables" / "notes.txt").write_text("mine")

    def has_others(self, folder: Path) -> bool:
        """Whether the file of others is there."""
        target = beside(self.target(folder))
        if self.place == "file":
            with zipfile.ZipFile(target) as archive:
                return archive.read("tables/notes.txt") == b"mine"
        return (target / "tables" / "notes.txt").read_text() == "mine"

    def save(self, folder: Path, value: int, *, overwrite: bool) -> None:
        target = self.target(folder)
        if self.by == "write":
            laws.save(self.kind, self.form, target, value, overwrite=overwrite)
        elif self.by == "create":
            options = laws.FORMS[self.form]
            levels = {"0": laws.of(value), "1": laws.of(value)[::2, ::2]}
            create_multiscale_group(
                store=target, arrays=levels, fill_value=value, overwrite=overwrite, **options
            )
        else:
            save_layers(self.kind, target, value, overwrite=overwrite)

    def expected(self, value: int) -> laws.Content:
        if self.by != "create":
            return laws.expected(self.kind, value)
        return {"": value} if self.kind == "new" else {"": value, "cells": 1, "other": 9}


def save_layers(kind: str, target: Path, value: int, *, overwrite: bool) -> None:
    """Save as the writer and the dock widget do."""
    from napari_ome_ngff.plugin.save.form import Form
    from napari_ome_ngff.plugin.save.request import preview, write

    pixels, layers = laws.of(value).values, list[Any]()
    if not kind.startswith("labels"):
        layers.append((pixels, {"name": "a"}, "image"))
    names = ("cells", "nuclei") if kind.startswith("labels") else ("cells",)
    layers += [(pixels.astype("int32"), {"name": name}, "labels") for name in names]
    planned = preview(Form(target=str(target), overwrite=overwrite), layers)
    if planned.request is None:
        raise planned.problem or AssertionError
    steps = write(planned.request, planned.places, Event())
    while True:
        try:
            next(steps)
        except StopIteration as end:
            if end.value.error is not None:
                raise end.value.error from None
            return


def ways() -> Iterator[Way]:
    yield from (Way("write", *how, "folder") for how in itertools.product(laws.KINDS, laws.FORMS))
    yield from (Way("write", kind, "v3", "folder, no exchange") for kind in laws.KINDS[1:])
    yield from (Way("write", kind, form, "file") for kind in laws.KINDS[:2] for form in ("v3", "sharded"))
    yield from (Way("create", kind, form, "folder") for kind in laws.KINDS[:2] for form in ("v2", "v3"))
    yield Way("create", "replace", "v3", "folder, no exchange")
    yield from (Way("napari", kind, "v3", "folder") for kind in laws.KINDS)
    yield from (Way("napari", kind, "v3", "folder, no exchange") for kind in laws.KINDS[1:])
    yield from (Way("napari", kind, "v3", "file") for kind in laws.KINDS[:2])


def killed_at(moment: int, way: Way, folder: Path) -> bool:
    """Save in another process that is killed before a call; whether the save came that far."""
    child = os.fork()
    if child == 0:
        count = 0

        def counting(real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*args: Any, **kwargs: Any) -> Any:
                nonlocal count
                count += 1
                if count == moment:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*args, **kwargs)

            return call

        for name in CALLS:
            setattr(os, name, counting(getattr(os, name)))
        local_swap.exchange = counting(local_swap.exchange)  # type: ignore[assignment]
        if "no exchange" in way.place:
            local_swap.exchange = lambda *_: False  # type: ignore[assignment]
        code = 1
        try:
            way.save(folder, 2, overwrite=True)
            code = 0
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGKILL), f"{way}, call {moment}: the save failed"
    return code != 0


def check(way: Way, folder: Path, old: laws.Content | None) -> str:
    """The law after a kill; tells what was there."""
    before, new = everything(folder), way.expected(2)
    content, text = laws.opened(way.target(folder))
    assert content in (old, new), content
    seen = "the new one" if content == new else "the old one" if old else "nothing, as before"
    seen += ", beside its place" if "was interrupted" in text else ""
    assert old is None or way.has_others(folder)
    try:
        way.save(folder, 3, overwrite=False)
    except TargetError:
        assert content != old or way.kind not in ("new", "labels added"), "nothing is in the way"
        assert everything(folder) == before, "a look changes nothing"
    else:
        assert content == old
        assert way.kind in ("new", "labels added")
    way.save(folder, 4, overwrite=True)
    assert laws.opened(way.target(folder)) == (way.expected(4), "")
    assert old is None or way.has_others(folder)
    assert not list(folder.rglob("*.ngff-*"))
    return seen


def campaign(way: Way, first: int = 1, every: int = 1) -> collections.Counter[str]:
    """Kill saves of one kind at one call after the other."""
    seen = collections.Counter[str]()
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = Path(scratch, "start")
        start.mkdir()
        way.prepare(start)
        old = laws.opened(way.target(start))[0]
        for moment in itertools.count(first, every):
            folder = Path(scratch, str(moment))
            shutil.copytree(start, folder)
            if not killed_at(moment, way, folder):
                break
            try:
                seen[check(way, folder, old)] += 1
            except (AssertionError, OmeNgffError) as error:
                raise AssertionError(f"{way}, call {moment}: {error}") from error
            shutil.rmtree(folder)
    return seen


if __name__ == "__main__":
    words = sys.argv[1:]
    step = int(words.pop(0)) if words and words[0].isdigit() else 1
    together = collections.Counter[str]()
    for number, each in enumerate(ways()):
        if all(word in str(each) for word in words):
            kills = campaign(each, 1 + number % step, step)
            together += kills
            print(f"{each}: {kills.total()} kills: {dict(kills)}", flush=True)
    print(f"{together.total()} kills: {dict(together)}")
