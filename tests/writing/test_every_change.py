"""Stores without renames, stopped at every change: what opens is the old image, the new one, or none.

A save is recorded once: what the store held after each of its changes is what it holds for ever if the
process, or the line to it, ends there. Each of these states is opened and saved to. "None" is allowed only
where nothing was, and while two are exchanged: then the new one is complete beside it, and the error says so.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import xarray
import zarr
from zarr.core.buffer import Buffer
from zarr.storage import MemoryStore

from napari_ome_ngff import MultiscaleSource, open_ome_ngff, write_labels, write_multiscale_group
from napari_ome_ngff.errors import OmeNgffError, TargetError
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
HIDDEN: dict[str, list[Content | None]] = {
    "new": [],
    "replace": [None],
    "labels added": [],
    "labels replaced": [{"": 1, "other": 9}, {"": 1, "nuclei": 2, "other": 9}],
}
"""What opens while two are exchanged."""
KINDS = list(HIDDEN)


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
        self.states.append({})
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


def check_look(kind: str, held: Held, old: Content | None) -> str:
    """Open what a store holds, and save to it without permission to replace; tells what opened."""
    store = MemoryStore(dict(held))
    content, text = opened(store)
    what = "old" if content == old else "new" if content == expected(kind, 2) else "none"
    if what == "none":
        assert content in HIDDEN[kind], (content, text)
        assert "complete, in" in text, text
        assert "overwrite=True" in text
        place = NOTE if content is None else f"labels/{NOTE}"
        note = decode_note(held[place].to_bytes())
        assert note is not None
        path = note.part if content is None else f"{note.part}/cells"
        assert set((opened(zarr.open_group(store, path=path, mode="r"))[0] or {}).values()) == {2}
    assert store._store_dict == held, "a look changes nothing"
    return what


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
    """Check the law for all states; what is saved onto them with permission, for some of them."""
    old, seen = opened(MemoryStore(states[0]))[0], []
    for number, held in enumerate(states):
        if not number or visible(held) != visible(states[number - 1]):
            seen.append(check_look(kind, held, old))
            check_refusal(kind, form, held, seen[-1])
        if number % every == 0:
            check_replacing(kind, form, held)
    return list(dict.fromkeys(seen))


@pytest.mark.parametrize("form", list(FORMS))
@pytest.mark.parametrize("kind", KINDS)
def test_stopped_at_every_change(kind: str, form: str) -> None:
    store = Recorder(before(kind, form))
    save(kind, form, store, 2, overwrite=True)
    assert check_all(kind, form, store.states, every=10) in (["old", "new"], ["old", "none", "new"])
    assert opened(store) == (expected(kind, 2), "")
    assert not any(".ngff" in key for key in store._store_dict)
