"""Replacing: all or nothing, whatever ends the save, and nothing is lost that is not ours to replace."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.core.sync import sync
from zarr.storage import LocalStore, MemoryStore, ZipStore

from napari_ome_ngff.errors import StorageError, TargetError
from napari_ome_ngff.storage.pixels.source import ChunkedSource
from napari_ome_ngff.storage.places import folders
from napari_ome_ngff.storage.places.save_note import NOTE
from napari_ome_ngff.writing.commit import local_swap
from napari_ome_ngff.writing.commit.checks import check_target
from napari_ome_ngff.writing.commit.staging import Staged, open_existing, staged

ON_LINUX = sys.platform == "linux"


def write(
    stage: Staged, value: int, *, levels: int = 2, labels: tuple[str, ...] = (), zarr_format: Any = 3
) -> None:
    """Write an image the way a save does: arrays first, the root's attributes last."""
    for level in range(levels):
        name = f"{stage.path}/{level}".strip("/")
        array = zarr.create_array(
            stage.store, name=name, shape=(4, 4), chunks=(2, 2), dtype="uint8", zarr_format=zarr_format
        )
        array[...] = value
    for label in labels:
        name = f"{stage.path}/labels/{label}/0".strip("/")
        zarr.create_array(stage.store, name=name, shape=(2,), dtype="uint8", zarr_format=zarr_format)[...] = (
            value
        )
    finish(stage, value, zarr_format)


def finish(stage: Staged, value: int, zarr_format: Any) -> None:
    group = zarr.open_group(stage.store, path=stage.path, mode="a", zarr_format=zarr_format)
    group.attrs["value"] = value


def save(store: Any, value: int = 1, path: str = "", *, overwrite: bool = False, **options: Any) -> None:
    obsolete = options.pop("obsolete", ("0", "1", "2", "3"))
    with staged(store, path, overwrite=overwrite, obsolete=obsolete) as stage:
        write(stage, value, **options)


def read(store: Any, path: str = "") -> int:
    """The value of a complete image; an image in which anything disagrees is an error."""
    group = zarr.open_group(store, path=path, mode="r")
    value = group.attrs["value"]
    assert "0" in group
    assert all((group[level][...] == value).all() for level in "0123" if level in group)
    return int(value)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones included."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


# --- the ordinary course

ODD_NAME = "a#b.zarr" if sys.platform == "win32" else "a#b?.zarr"


@pytest.mark.parametrize("as_store", [str, Path, LocalStore, lambda p: f"{p}/"])
@pytest.mark.parametrize("name", ["a.zarr", "with space.zarr", ODD_NAME, "größe.zarr", "n" * 250, "µ" * 125])
def test_a_new_image_appears_complete(name: str, as_store: Callable[[Path], Any], tmp_path: Path) -> None:
    with staged(as_store(tmp_path / name)) as stage:
        write(stage, 7)
        assert not (tmp_path / name).exists()
        assert stage.final == str(tmp_path / name)
    assert read(tmp_path / name) == 7
    assert os.listdir(tmp_path) == [name]
    assert zarr.open_group(stage.final_store, path=stage.final_path, mode="r").attrs["value"] == 7


def test_an_image_in_the_making_is_hidden_and_recognisable(tmp_path: Path) -> None:
    with staged(tmp_path / "a.zarr"):
        names = sorted(os.listdir(tmp_path))
    assert len(names) == 2
    assert all(name.startswith(".a.zarr.") for name in names)
    assert [name.rpartition(".")[2] for name in sorted(names, key=len)] == ["ngff-lock", "ngff-part"]


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "a.zarr").mkdir()
    save(tmp_path / "a.zarr", 3)
    assert read(tmp_path / "a.zarr") == 3


@pytest.mark.parametrize("exchange", [True, False])
def test_an_image_is_replaced_and_can_be_read_until_then(
    exchange: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not exchange:
        monkeypatch.setattr(local_swap, "exchange", lambda *_: False)
    target = tmp_path / "a.zarr"
    save(target, 1, levels=4)
    source = ChunkedSource(zarr.open_array(target, path="0", mode="r"))
    with staged(target, overwrite=True, obsolete=("0", "1", "2", "3")) as stage:
        write(stage, int(source[0, 0]) + 1)
        assert read(target) == 1
    assert read(target) == 2
    assert sorted(zarr.open_group(target, mode="r").array_keys()) == ["0", "1"]
    assert source[0, 0] == 2, "the cache sees that the file is another one"
    assert os.listdir(tmp_path) == ["a.zarr"]


@pytest.mark.skipif(not ON_LINUX, reason="only Linux can swap two folders in one step")
def test_on_linux_there_is_no_moment_without_an_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").write_text("2")
    if not folders.exchange(tmp_path / "one", tmp_path / "two"):
        pytest.skip("this file system cannot swap")
    assert (tmp_path / "two").is_dir()
    with pytest.raises(FileNotFoundError):
        folders.exchange(tmp_path / "one", tmp_path / "three")


def test_relative_paths_and_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "disk").mkdir()
    monkeypatch.chdir(tmp_path)
    save("disk/a.zarr", 1)
    (tmp_path / "link.zarr").symlink_to("disk/a.zarr")
    save("link.zarr", 2, overwrite=True)
    assert (tmp_path / "link.zarr").is_symlink(), "what the link points to was replaced, not the link"
    assert read(tmp_path / "disk" / "a.zarr") == 2
    (tmp_path / "new.zarr").symlink_to("disk/new.zarr")
    save("./new.zarr/", 3)
    assert read(tmp_path / "disk" / "new.zarr") == 3
    assert sorted(os.listdir(tmp_path / "disk")) == ["a.zarr", "new.zarr"]


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_group_deep_in_a_store(zarr_format: Any, tmp_path: Path) -> None:
    with staged(LocalStore(tmp_path / "all.zarr"), "x/y/image", zarr_format=zarr_format) as stage:
        write(stage, 5, zarr_format=zarr_format)
    assert read(tmp_path / "all.zarr", "x/y/image") == 5
    group = zarr.open_group(tmp_path / "all.zarr", mode="r")
    assert group.metadata.zarr_format == zarr_format
    assert group["x/y"].attrs.asdict() == {}
    assert (stage.final, stage.final_path) == (str(tmp_path / "all.zarr" / "x" / "y" / "image"), "x/y/image")


# --- what is not ours is kept


@pytest.mark.parametrize("store_kind", ["local", "memory"])
def test_members_that_are_not_replaced_are_kept(store_kind: str, tmp_path: Path) -> None:
    store: Any = tmp_path / "a.zarr" if store_kind == "local" else MemoryStore()
    save(store, 1, levels=4, labels=("cells", "nuclei"))
    group = zarr.open_group(store, mode="r+")
    group.create_group("tables/stats", attributes={"rows": 3})
    group.create_array("tables/column", shape=(3,), dtype="float32")[...] = 1.5
    zarr.create_array(store, name="labels/cells/1", shape=(1,), dtype="uint8")
    save(
        store, 2, levels=2, labels=("cells",), overwrite=True, obsolete=("0", "1", "2", "3", "labels/cells/1")
    )
    group = zarr.open_group(store, mode="r")
    assert read(store) == 2
    assert group["tables/stats"].attrs["rows"] == 3
    assert group["tables/column"][1] == 1.5
    assert group["labels/nuclei/0"][0] == 1
    assert group["labels/cells/0"][0] == 2
    assert "2" not in group
    assert "labels/cells/1" not in group


def test_foreign_files_and_links_are_kept_and_metadata_of_the_other_format_are_not(tmp_path: Path) -> None:
    target = tmp_path / "a.zarr"
    save(target, 1, zarr_format=2)
    (target / "README.md").write_text("mine")
    (target / "OME").mkdir()
    (target / "OME" / "METADATA.ome.xml").write_text("<OME/>")
    (target / "link").symlink_to("OME/METADATA.ome.xml")
    target.chmod(0o750)
    save(target, 2, overwrite=True)
    assert (target / "README.md").read_text() == "mine"
    assert (target / "link").is_symlink()
    assert (target / "link").read_text() == "<OME/>"
    assert target.stat().st_mode & 0o777 == 0o750
    assert not list(target.rglob(".z*"))
    assert read(target) == 2


def test_where_there_are_no_hard_links_members_are_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "a.zarr", 1)
    (tmp_path / "a.zarr" / "notes.txt").write_text("mine")

    def refuse(*_: Any) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(folders, "os", SimpleNamespace(**{**vars(os), "link": refuse}))  # zarr links too
    save(tmp_path / "a.zarr", 2, overwrite=True)
    assert (tmp_path / "a.zarr" / "notes.txt").read_text() == "mine"


# --- refused


@pytest.mark.parametrize(
    ("prepare", "overwrite", "error", "sentence"),
    [
        (lambda p: save(p / "x"), False, TargetError, "something already"),
        (
            lambda p: zarr.create_array(p / "x", shape=(2,), dtype="uint8"),
            False,
            TargetError,
            "something already",
        ),
        (lambda p: _file(p / "x" / "notes.txt"), False, TargetError, "not a Zarr hierarchy"),
        (lambda p: _file(p / "x" / "notes.txt"), True, TargetError, "not a Zarr hierarchy"),
        (lambda p: save(p / "x" / "inner.zarr"), True, TargetError, "not a Zarr hierarchy"),
        (lambda p: _file(p / "x"), True, TargetError, "file is not a Zarr"),
        (lambda p: _file(p / "x", "PK\x03\x04"), True, TargetError, "zip file is not replaced"),
        (lambda p: zarr.create_group(p), True, TargetError, "inside another Zarr"),
        (lambda p: zarr.create_group(p, zarr_format=2), False, TargetError, "inside another Zarr"),
        (lambda p: (p / "x").symlink_to("x"), True, TargetError, "file is not a Zarr"),
    ],
)
def test_what_could_be_lost_is_not_replaced(
    prepare: Callable[[Path], Any], overwrite: bool, error: type, sentence: str, tmp_path: Path
) -> None:
    if prepare.__code__.co_names[:1] == ("save",):
        (tmp_path / "x").mkdir(exist_ok=True)
    prepare(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(error, match=sentence):
        check_target(tmp_path / "x", overwrite=overwrite)
    with pytest.raises(error, match=sentence), staged(tmp_path / "x", overwrite=overwrite):
        pytest.fail("the block must not be entered")
    assert contents(tmp_path) == before


def _file(path: Path, text: str = "mine") -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def test_homes_and_roots_are_never_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home" / "me"
    zarr.create_group(home)
    zarr.create_group(home.parent)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    for place in (home, home.parent, "/", "~"):
        with pytest.raises(TargetError):
            check_target(place, overwrite=True)


def test_inside_an_array_and_out_of_the_store(tmp_path: Path) -> None:
    save(tmp_path / "a.zarr")
    with pytest.raises(TargetError, match="inside a Zarr array"):
        check_target(LocalStore(tmp_path / "a.zarr"), "0/image")
    for path in ("../b", "x/../../b", "./x"):
        with pytest.raises(TargetError, match="leave"):
            check_target(LocalStore(tmp_path / "a.zarr"), path)


@pytest.mark.parametrize("place", ["file/a.zarr", "file/deeper/a.zarr"])
def test_no_folder_to_write_into(place: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="is a file"):
        check_target(tmp_path / place)
    with pytest.raises(StorageError), staged(tmp_path / place):
        pytest.fail("the block must not be entered")
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.skipif(not ON_LINUX, reason="needs a folder in which even root cannot write")
def test_a_folder_that_cannot_be_written_to() -> None:
    with pytest.raises(StorageError, match="written"), staged("/proc/a.zarr"):
        pytest.fail("the block must not be entered")


def test_a_folder_that_may_not_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    with pytest.raises(StorageError, match="permission"):
        check_target(tmp_path / "a.zarr")


def test_read_only_stores_and_addresses(tmp_path: Path) -> None:
    for store in (LocalStore(tmp_path / "a.zarr", read_only=True), MemoryStore(read_only=True)):
        with pytest.raises(StorageError, match="read-only"):
            check_target(store)
    with pytest.raises(StorageError, match="written to a web server"):
        check_target("https://h/a.zarr")


def test_what_would_be_replaced(tmp_path: Path) -> None:
    memory = MemoryStore()
    for store in (tmp_path / "a.zarr", memory):
        assert open_existing(store) is None
        save(store, 4)
        found = open_existing(store)
        assert found is not None
        assert found.attrs["value"] == 4
    (tmp_path / "a.zarr" / "zarr.json").write_text("{")
    with pytest.raises(TargetError, match="cannot be read, so it is not replaced"):
        open_existing(tmp_path / "a.zarr")


# --- ended early


class Stop(BaseException):
    """Neither an Exception nor anything that the code could know of."""


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, Stop])
@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("path", ["", "deep/down"])
def test_an_exception_leaves_everything_as_it_was(
    error: type[BaseException], there: bool, path: str, tmp_path: Path
) -> None:
    if there:
        save(tmp_path / "a.zarr", 1, path)
    before = contents(tmp_path)
    with pytest.raises(error), staged(tmp_path / "a.zarr", path, overwrite=True) as stage:  # noqa: PT012
        write(stage, 2)
        raise error
    assert contents(tmp_path) == before
    assert sorted(os.listdir(tmp_path)) == (["a.zarr"] if there else [])


@pytest.mark.parametrize("store_kind", ["local", "memory"])
def test_a_generator_that_is_closed_leaves_everything_as_it_was(store_kind: str, tmp_path: Path) -> None:
    store: Any = tmp_path / "a.zarr" if store_kind == "local" else MemoryStore()
    save(store, 1)

    def saving() -> Any:
        with staged(store, overwrite=True) as stage:
            write(stage, 2)
            yield

    steps = saving()
    next(steps)
    steps.close()
    assert read(store) == 1
    if store_kind == "local":
        assert os.listdir(tmp_path) == ["a.zarr"]
    else:
        assert not [key for key in store._store_dict if "part" in key]


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="disk is full"), staged(tmp_path / "a.zarr"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert os.listdir(tmp_path) == []


def test_if_the_last_rename_fails_the_old_one_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "a.zarr", 1)
    monkeypatch.setattr(local_swap, "exchange", lambda *_: False)
    rename, calls = os.rename, []

    def failing(source: Any, target: Any) -> None:
        calls.append(target)
        if len(calls) == 2:
            raise OSError(errno.EIO, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(os, "rename", failing)
    with pytest.raises(StorageError, match="cannot be written"):
        save(tmp_path / "a.zarr", 2, overwrite=True)
    assert read(tmp_path / "a.zarr") == 1
    assert os.listdir(tmp_path) == ["a.zarr"]


# --- two at once


def test_two_saves_to_one_place(tmp_path: Path) -> None:
    with staged(tmp_path / "a.zarr") as stage:
        write(stage, 1)
        with pytest.raises(TargetError, match="Another save"):
            save(tmp_path / "a.zarr", 2)
        save(tmp_path / "b.zarr", 3)
    assert read(tmp_path / "a.zarr") == 1
    assert sorted(os.listdir(tmp_path)) == ["a.zarr", "b.zarr"]


def test_what_appeared_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="something already"), staged(tmp_path / "a.zarr") as stage:  # noqa: PT012
        write(stage, 1)
        _file(tmp_path / "a.zarr" / "theirs.txt")
    assert contents(tmp_path) == {"a.zarr/theirs.txt": b"mine"}


def test_many_threads_one_place(tmp_path: Path) -> None:
    start, refused = threading.Barrier(6), []

    def run(value: int) -> None:
        start.wait()
        for _ in range(5):
            try:
                save(tmp_path / "a.zarr", value, overwrite=True)
            except TargetError as error:
                refused.append(error.summary)

    threads = [threading.Thread(target=run, args=(value,)) for value in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read(tmp_path / "a.zarr") in range(6)
    assert os.listdir(tmp_path) == ["a.zarr"]
    assert all("Another save" in summary for summary in refused)


# --- killed

NURSERY = """
    import os, signal, sys, tempfile
    sys.path.insert(0, sys.argv[1])
    import tests.writing.test_staging as module
    from napari_ome_ngff.writing.commit import local_swap, staging

    def die(*_):
        os.kill(os.getpid(), signal.SIGKILL)

    def prepare(moment):
        if moment == "while writing":
            module.finish = die
        elif moment == "before the disk is flushed":
            staging.flush = die
        elif moment == "before the swap":
            local_swap.publish = die
        elif moment == "between the two renames":
            local_swap.exchange = lambda *_: False
            rename = os.rename
            os.rename = lambda a, b: (rename(a, b), die()) if str(b).endswith("old") else rename(a, b)
        elif moment == "after the swap":
            local_swap.flush_folder = die
        elif moment == "after the fallback's swap":
            local_swap.exchange = lambda *_: False
            local_swap.flush_folder = die
        elif moment == "while the old one is deleted":
            local_swap.remove = lambda path: (os.unlink(path / "zarr.json"), die())

    with tempfile.TemporaryDirectory() as folder:  # imports whatever a save needs
        module.save(f"{folder}/a.zarr", 1)

    for line in sys.stdin:
        moment, target = line.rstrip("\\n").split("|")
        child = os.fork()
        if child == 0:
            prepare(moment)
            module.save(target, 2, overwrite=True)
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def save_and_be_killed() -> Iterator[Callable[[str, Path], int]]:
    """Save in another process that is killed at a given moment; returns how it ended.

    One process imports everything and forks for each: imports take longer than all the rest.
    """
    nursery = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(NURSERY), str(Path(__file__).parents[2])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert nursery.stdin is not None
    assert nursery.stdout is not None

    def run(moment: str, target: Path) -> int:
        print(f"{moment}|{target}", file=nursery.stdin, flush=True)
        return int(nursery.stdout.readline())

    with nursery:
        yield run
        nursery.stdin.close()


@pytest.mark.skipif(sys.platform == "win32", reason="there is neither fork nor kill -9")
@pytest.mark.parametrize("there", [False, True], ids=["new", "replaced"])
@pytest.mark.parametrize(
    "moment",
    [
        "while writing",
        "before the disk is flushed",
        "before the swap",
        "between the two renames",
        "after the swap",
        "after the fallback's swap",
        "while the old one is deleted",
    ],
)
def test_killed_at_any_moment(
    moment: str, there: bool, tmp_path: Path, save_and_be_killed: Callable[[str, Path], int]
) -> None:
    """The target is then absent, the old image, or the new one; the next save cleans up."""
    if not there and moment in ("between the two renames", "while the old one is deleted"):
        return  # these moments do not exist when there is nothing to replace
    target = tmp_path / "a.zarr"
    if there:
        save(target, 1)
        _file(target / "notes.txt")
    before = contents(target)
    assert save_and_be_killed(moment, target) == -signal.SIGKILL
    published = moment in ("after the swap", "after the fallback's swap", "while the old one is deleted")
    if moment == "between the two renames":
        assert not target.exists()
        with pytest.raises(TargetError, match="something already"):
            check_target(target)  # the old one counts
        local_swap.restore(target)
        assert contents(target) == before
    if published:
        assert read(target) == 2
    else:
        assert contents(target) == before
        assert target.exists() is there
    assert all(name == "a.zarr" or name.startswith(".a.zarr.") for name in os.listdir(tmp_path))
    save(target, 3, overwrite=True)
    assert read(target) == 3
    assert os.listdir(tmp_path) == ["a.zarr"]
    if there:
        assert (target / "notes.txt").read_text() == "mine"


@pytest.mark.skipif(sys.platform == "win32", reason="there is neither fork nor kill -9")
def test_an_old_image_is_kept_even_if_something_else_took_its_place(
    tmp_path: Path, save_and_be_killed: Callable[[str, Path], int]
) -> None:
    target = tmp_path / "a.zarr"
    save(target, 1)
    save_and_be_killed("between the two renames", target)
    zarr.create_group(target, attributes={"theirs": True})
    save(target, 3, overwrite=True)
    assert read(target) == 3
    rescued, _ = sorted(os.listdir(tmp_path), reverse=True)
    assert rescued.startswith("rescued-")
    assert read(tmp_path / rescued) == 1


def test_left_overs_of_other_places_are_not_touched(tmp_path: Path) -> None:
    others = [
        ".a.zarr.1234abcd.ngff-part",
        ".a.12345678.ngff-part",
        ".a.zarr.zarr.12345678.ngff-part",
        ".a.zarr.x",
    ]
    for name in others:
        (tmp_path / name).mkdir()
    save(tmp_path / "a.zarr")
    assert sorted(os.listdir(tmp_path)) == sorted([*others[1:], "a.zarr"])


# --- stores that are no local folder


def test_a_new_image_in_another_store(tmp_path: Path) -> None:
    memory = MemoryStore()
    with staged(memory, "x/image") as stage:
        write(stage, 4)
    assert read(memory, "x/image") == 4
    assert (stage.final_store, stage.final_path) == (memory, "x/image")
    with ZipStore(tmp_path / "a.zip", mode="w") as archive:
        with staged(archive) as stage:  # nothing can be written twice into a zip file
            group = zarr.create_group(stage.store, attributes={"value": 5})
            group.create_array("0", shape=(2,), dtype="uint8")[...] = 5
        with pytest.raises(TargetError, match="something already"):
            check_target(archive)
        with pytest.raises(TargetError, match="cannot replace"):
            check_target(archive, overwrite=True)
    with ZipStore(tmp_path / "a.zip", mode="r") as archive:
        assert read(archive) == 5


@pytest.mark.parametrize("path", ["", "x/image"])
@pytest.mark.parametrize("there", [False, True])
def test_in_another_store_a_failure_leaves_no_key(path: str, there: bool) -> None:
    memory = MemoryStore()
    if there:
        save(memory, 1, path)
    before = {key: value.to_bytes() for key, value in memory._store_dict.items()}
    with pytest.raises(Stop), staged(memory, path, overwrite=True) as stage:  # noqa: PT012
        write(stage, 2)
        raise Stop
    assert {key: value.to_bytes() for key, value in memory._store_dict.items()} == before


def test_in_another_store_the_roots_metadata_come_last(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = MemoryStore()
    save(memory, 1, "image")
    set_, order = MemoryStore.set, []

    async def noting(self: Any, key: str, *args: Any, **kwargs: Any) -> None:
        order.append(key) if not key.endswith(NOTE) else None
        await set_(self, key, *args, **kwargs)

    with staged(memory, "image", overwrite=True, obsolete=("0", "1")) as stage:
        write(stage, 2)
        monkeypatch.setattr(MemoryStore, "set", noting)
    assert order[-1] == "image/zarr.json"
    assert order.count("image/zarr.json") == 1
    assert read(memory, "image") == 2


def test_what_is_refused_in_another_store() -> None:
    memory = MemoryStore()
    save(memory, 1, "image")
    for path, overwrite, sentence in (
        ("image", False, "already"),
        ("image/0/x", True, "inside a Zarr array"),
    ):
        with pytest.raises(TargetError, match=sentence):
            check_target(memory, path, overwrite=overwrite)
    other = MemoryStore()
    zarr.create_array(other, name="image/0", shape=(1,), dtype="uint8")
    sync(other.delete("image/zarr.json"))
    with pytest.raises(TargetError, match="not a Zarr hierarchy"):
        check_target(other, "image", overwrite=True)


@given(data=st.data())
@settings(max_examples=12, deadline=None)
def test_both_kinds_of_stores_keep_the_same_members(data: st.DataObject, tmp_path_factory: Any) -> None:
    """The rule of what is kept is one, whether folders are renamed or keys copied."""
    names = st.sets(st.sampled_from(["cells", "nuclei", "a/b"]))
    old, new = (tuple(sorted(data.draw(names))) for _ in range(2))
    obsolete = tuple(data.draw(st.sets(st.sampled_from(["0", "1", "2", "labels", "labels/cells"]))))
    kept = []
    folder = tmp_path_factory.mktemp("same") / "a.zarr"
    memory = MemoryStore()
    for store in (folder, memory):
        save(store, 1, levels=3, labels=old)
        save(store, 2, levels=1, labels=new, overwrite=True, obsolete=obsolete)
        group = zarr.open_group(store, mode="r")
        arrays = dict(group.members(max_depth=None))
        kept.append({name: node[...].max() for name, node in arrays.items() if isinstance(node, zarr.Array)})
    assert kept[0] == kept[1]
