"""Stores without renames, stopped at every change: what opens is the old image, the new one, or none.

A save is recorded once: what the store held after each of its changes is what it holds for ever if the
process, or the line to it, ends there. Each of these states is opened and saved to. "None" is allowed only
where nothing was, and while two are exchanged: then the new one is complete beside it, and the error says so.
"""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np
import pytest
import xarray
import zarr
from zarr.core.buffer import Buffer
from zarr.storage import MemoryStore

from napari_ome_ngff import MultiscaleSource, open_ome_ngff, write_labels, write_multiscale_group
from napari_ome_ngff.errors import OmeNgffError, StorageError, TargetError
from napari_ome_ngff.storage.places import keys
from napari_ome_ngff.storage.places.save_note import NOTE, decode_note
from napari_ome_ngff.writing.commit.temporary import PART

Held = dict[str, Buffer]
Content = dict[str, int]
"""Which value the image (at "") and its label images consist of."""

FORMS: dict[str, dict[str, Any]] = {
    "v2": {"ngff_version": "0.4", "chunks": (8, 16)},
    "v3": {"ngff_version": "0.5", "chunks": (8, 16)},
    "sharded": {"ngff_version": "0.5", "chunks": (8, 8), "shards": (16, 16)},
}
KINDS = ["new", "replace", "labels added", "labels replaced"]


class Recorder(MemoryStore):
    """Keeps what it held after each change, or after `lives` of them fails whatever is asked."""

    def __init__(self, store_dict: Any = None, *, read_only: bool = False) -> None:
        super().__init__(store_dict, read_only=read_only)
        self.lives = self.fails = float("inf")
        self.states: list[Held] = [dict(self._store_dict)]

    def _count(self) -> None:
        changes = len(self.states) - 1
        if changes >= self.lives:
            raise ConnectionResetError("the line is dead")
        self.states.append(dict(self._store_dict))
        if changes == self.fails:
            raise ConnectionResetError("it fails once")

    async def set(self, key: str, value: Buffer, byte_range: Any = None) -> None:
        self._count()
        await super().set(key, value, byte_range)
        self.states[-1] = dict(self._store_dict)

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        self._count()
        await super().set_if_not_exists(key, value)
        self.states[-1] = dict(self._store_dict)

    async def delete(self, key: str) -> None:
        self._count()
        await super().delete(key)
        self.states[-1] = dict(self._store_dict)


def of(value: int) -> xarray.DataArray:
    return xarray.DataArray(np.full((16, 16), value, "uint8"), dims=("y", "x"))


def labels(**values: int) -> dict[str, MultiscaleSource]:
    return {name: MultiscaleSource(image=of(value), levels=1) for name, value in values.items()}


def save(kind: str, form: str, store: Any, value: int, *, overwrite: bool) -> None:
    options = FORMS[form]
    if kind.startswith("labels"):
        plain = {key: item for key, item in options.items() if key != "ngff_version"}
        named = labels(cells=value, nuclei=value)
        write_labels(store=store, labels=named, overwrite=overwrite, **plain).run()
    else:
        named = labels(cells=value)
        write_multiscale_group(
            store=store, image=of(value), labels=named, levels=2, overwrite=overwrite, **options
        ).run()


def before(kind: str, form: str) -> Held:
    """An image with more levels than what replaces it has, label images of which some stay, and a file."""
    store = MemoryStore()
    if kind != "new":
        named = labels(other=9) if kind == "labels added" else labels(cells=1, other=9)
        write_multiscale_group(store=store, image=of(1), labels=named, levels=3, **FORMS[form]).run()
        keys.put(store, "tables/notes.txt", b"mine")
    return dict(store._store_dict)


def opened(store: Any) -> tuple[Content | None, str]:
    """What opens, and what is said about what does not."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            image: Any = open_ome_ngff(store)
        except OmeNgffError as error:
            return None, str(error)
    content = {}
    for name, one in {"": image, **image.labels}.items():
        values = {int(v) for level in one.arrays.values() for v in np.unique(level.values)}
        assert len(values) == 1, f"{name!r} is a mixture of {values}"
        content[name] = values.pop()
    return content, "\n".join(str(one.message) for one in caught)


def expected(kind: str, value: int) -> Content:
    cells = {"cells": value}
    if kind == "new":
        return {"": value, **cells}
    if kind == "replace":
        return {"": value, **cells, "other": 9}
    return {"": 1, **cells, "nuclei": value, "other": 9}


def check_look(kind: str, held: Held, old: Content | None, new: tuple[int, ...] = (2,)) -> str:
    """Open what a store holds; tells what opened: "old", which of the `new`, or "none"."""
    store = MemoryStore(dict(held))
    content, text = opened(store)
    assert store._store_dict == held, "a look changes nothing"
    if content == old:
        return "old"
    wholes = {str(value): expected(kind, value) for value in new}
    if content in wholes.values():
        return next(name for name, whole in wholes.items() if whole == content)
    # Of an image nothing, or of the label images all but those that are exchanged.
    if kind in ("new", "replace"):
        assert content is None, (content, text)
    else:
        assert content is not None
        assert {"", "other"} <= set(content), (content, text)
        assert any(content.items() <= one.items() for one in (old or {}, *wholes.values())), (content, text)
    assert "complete, in" in text, text
    assert "overwrite=True" in text
    note = decode_note(held[NOTE if content is None else f"labels/{NOTE}"].to_bytes())
    assert note is not None
    part = zarr.open_group(store, path=note.part if content is None else f"{note.part}/cells", mode="r")
    values = set((opened(part)[0] or {}).values())
    assert values in [{value} for value in new], "the new one, complete, is beside it"
    return "none"


def check_refusal(kind: str, form: str, held: Held, what: str) -> None:
    store = MemoryStore(dict(held))
    try:
        save(kind, form, store, 3, overwrite=False)
    except TargetError:
        assert store._store_dict == held, "a refused save changes nothing"
        note = held.get(f"labels/{NOTE}")
        complete = note is not None and b'"copying"' in note.to_bytes()
        assert what != "old" or kind not in ("new", "labels added") or complete, "nothing is in the way"
    else:
        assert what == "old"
        assert kind in ("new", "labels added")
        check_saved(kind, store)


def check_replacing(kind: str, form: str, held: Held) -> None:
    store = MemoryStore(dict(held))
    save(kind, form, store, 3, overwrite=True)
    check_saved(kind, store)


def check_saved(kind: str, store: MemoryStore) -> None:
    assert opened(store)[0] == expected(kind, 3)
    assert not any(".ngff" in key for key in store._store_dict)
    assert kind == "new" or store._store_dict["tables/notes.txt"].to_bytes() == b"mine"


def visible(held: Held) -> Held:
    """What a look can see: all but the parts beside."""
    return {key: value for key, value in held.items() if f"{PART}/" not in key}


def check_all(kind: str, form: str, states: list[Held], *, every: int = 1) -> list[str]:
    """Check the law for all states: what opens for all of them, what is saved onto them for some."""
    old, seen = opened(MemoryStore(states[0]))[0], []
    for number, held in enumerate(states):
        turns = len(list(itertools.groupby(seen)))
        if not number or visible(held) != visible(states[number - 1]):
            seen.append(check_look(kind, held, old))
        if number % every == every - 1 or turns < len(list(itertools.groupby(seen))):
            check_refusal(kind, form, held, seen[-1])
            check_replacing(kind, form, held)
    return [name for name, _ in itertools.groupby(seen)]


@pytest.mark.parametrize(
    ("kind", "form"), [(kind, "v3") for kind in KINDS] + [("replace", "v2"), ("replace", "sharded")]
)
def test_stopped_at_every_change(kind: str, form: str) -> None:
    store = Recorder(before(kind, form))
    save(kind, form, store, 2, overwrite=True)
    every = 15 if form == "v3" else len(store.states)
    assert check_all(kind, form, store.states, every=every) in (["old", "2"], ["old", "none", "2"])
    assert opened(store) == (expected(kind, 2), "")
    assert not any(".ngff" in key for key in store._store_dict)


def after_an_error(kind: str, form: str, number: int) -> list[Held]:
    """What a store holds from its n-th change on, which fails, while the save deletes what it wrote."""
    store = Recorder(before(kind, form))
    store.fails = number
    with pytest.raises(StorageError):
        save(kind, form, store, 2, overwrite=True)
    return store.states[number + 1 :]


@pytest.mark.parametrize(
    ("kind", "form", "number"),
    [("new", "v2", 7), ("replace", "v3", 3)],
)
def test_stopped_after_an_error(kind: str, form: str, number: int) -> None:
    states = [before(kind, form), *after_an_error(kind, form, number)]
    assert check_all(kind, form, states, every=9) == ["old"]
    assert states[-1] == states[0]


def stopped_twice(kind: str, form: str, held: Held, old: Content | None) -> list[str]:
    """What opens after each change of the save that follows an interrupted one."""
    store, seen = Recorder(dict(held)), []
    save(kind, form, store, 3, overwrite=True)
    for number, state in enumerate(store.states):
        if not number or visible(state) != visible(store.states[number - 1]):
            seen.append(check_look(kind, state, old, (2, 3)))
    check_saved(kind, store)
    return [name for name, _ in itertools.groupby(seen)]


@pytest.mark.parametrize(("kind", "phase"), [("replace", "copying"), ("labels replaced", "copying")])
def test_the_next_save_is_stopped_as_well(kind: str, phase: str) -> None:
    store = Recorder(before(kind, "v3"))
    save(kind, "v3", store, 2, overwrite=True)
    note = f'"phase": "{phase}"'.encode()
    states = [
        held
        for held in store.states
        if any(note in held[key].to_bytes() for key in held if key.endswith(NOTE))
    ]
    seen = stopped_twice(kind, "v3", states[len(states) // 2], opened(MemoryStore(store.states[0]))[0])
    assert seen[-2:] == ["none", "3"]
    assert "2" in seen
