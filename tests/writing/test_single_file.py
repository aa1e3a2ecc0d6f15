"""One file (.ozx): as RFC-9 recommends, readable by others, and all or nothing as well."""

from __future__ import annotations

import errno
import io
import itertools
import json
import os
import shutil
import sys
import time
import warnings
import zipfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
import xarray
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_ome_ngff import (
    MultiscaleSource,
    create_multiscale_group,
    open_ome_ngff,
    write_labels,
    write_multiscale_group,
)
from napari_ome_ngff.errors import StorageError, TargetError
from napari_ome_ngff.writing.commit import single_file
from napari_ome_ngff.writing.commit.checks import check_target
from napari_ome_ngff.writing.commit.single_file import pack
from napari_ome_ngff.writing.commit.staging import staged
from napari_ome_ngff.writing.target import is_archive
from napari_ome_ngff.writing.write import plan_hierarchy
from tests.late_imports import when_used

ngff_zarr = when_used("ngff_zarr")


def image(seed: int = 0) -> xarray.DataArray:
    values = np.random.default_rng(seed).integers(1, 200, (8, 64, 64)).astype("uint16")
    coords = {
        dim: (dim, 0.5 * np.arange(n), {"units": "micrometer"})
        for dim, n in zip("zyx", values.shape, strict=True)
    }
    return xarray.DataArray(values, dims=("z", "y", "x"), coords=coords, name="cells")


def write(target: Any, seed: int = 0, **options: Any) -> None:
    given: dict[str, Any] = {} if "arrays" in options else {"levels": 2, "chunks": (4, 16, 16)}
    for _ in write_multiscale_group(store=target, **{"image": image(seed), **given, **options}):
        pass


def value_of(target: Path) -> int:
    """The seed that an image was made with; a file in which anything is damaged is an error."""
    with zipfile.ZipFile(target) as archive:
        assert archive.testzip() is None
    opened = open_ome_ngff(target)
    return next(
        seed
        for seed in range(9)
        if (opened.arrays["0"].values == image(seed).values).all() and "1" in opened.arrays
    )


def entries(target: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(target) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


# --- the file


@pytest.mark.parametrize("version", ["0.5", "0.6"])
def test_it_is_laid_out_as_rfc_9_recommends(version: str, tmp_path: Path, corpus: Path) -> None:
    target = tmp_path / "cells.ozx"
    write(target, 1, ngff_version=version, labels={"nuclei": MultiscaleSource(image=image(2))})
    assert os.listdir(tmp_path) == ["cells.ozx"]
    with (
        zipfile.ZipFile(target) as archive,
        zipfile.ZipFile(corpus / "generated/ozx-tck/valid/valid.ozx") as valid,
    ):
        found, wanted = archive.infolist(), valid.infolist()
        comment = json.loads(archive.comment)
    assert comment == {"ome": {"version": version, "zipFile": {"centralDirectory": {"jsonFirst": True}}}}
    assert {entry.compress_type for entry in found} == {zipfile.ZIP_STORED}
    assert {entry.extract_version for entry in found} == {entry.extract_version for entry in wanted}, "ZIP64"
    names = [entry.filename for entry in found]
    documents = [name for name in names if name.endswith("zarr.json")]
    assert names[: len(documents)] == documents
    assert documents[0] == "zarr.json"
    depths = [name.count("/") for name in documents]
    assert depths == sorted(depths), "breadth first"
    assert [entry.header_offset for entry in found] == sorted(entry.header_offset for entry in found)
    with zarr.storage.ZipStore(target, mode="r") as store:
        assert zarr.open_array(store, path="0", mode="r").shards is not None


@pytest.mark.parametrize("version", ["0.5", "0.6"])
def test_it_holds_what_a_folder_would(version: str, tmp_path: Path) -> None:
    cells = {"nuclei": MultiscaleSource(image=image(2))}
    for name in ("a.ozx", "a.ome.zarr"):
        write(tmp_path / name, 1, ngff_version=version, labels=cells, shards=(8, 32, 32), verify=True)
    folder = tmp_path / "a.ome.zarr"
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    assert entries(tmp_path / "a.ozx") == {name: path.read_bytes() for name, path in files.items()}
    assert value_of(tmp_path / "a.ozx") == 1
    assert list(open_ome_ngff(tmp_path / "a.ozx").labels) == ["nuclei"]


def test_others_read_it(tmp_path: Path) -> None:
    target = tmp_path / "cells.ozx"
    write(target, 3)
    found = ngff_zarr.from_ngff_zarr(str(target))
    np.testing.assert_array_equal(np.asarray(found.images[0].data), image(3))
    assert found.images[0].scale == {"z": 0.5, "y": 0.5, "x": 0.5}
    assert ngff_zarr.read_ozx_version(target) == "0.5"
    assert ngff_zarr.read_ozx_json_first(target)


@pytest.mark.parametrize("name", ["A.OZX", "größe µ.ozx", "n" * 200 + ".ozx"])
def test_names(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(name, 1)
    assert value_of(tmp_path / name) == 1
    write((tmp_path / name).as_uri(), 2, overwrite=True)
    assert value_of(tmp_path / name) == 2
    (tmp_path / "link.ozx").symlink_to(name)
    write("./link.ozx", 3, overwrite=True)
    assert (tmp_path / "link.ozx").is_symlink()
    assert value_of(tmp_path / name) == 3


@pytest.mark.parametrize("shards", [None, (8, 32, 32)])
def test_levels_of_another_image_get_shards_or_keep_theirs(shards: Any, tmp_path: Path) -> None:
    """RFC-9: shards are required of a file whose comment says that it is as recommended."""
    write(tmp_path / "a.ome.zarr", 1, shards=shards)
    write(tmp_path / "a.ozx", image=None, arrays=open_ome_ngff(tmp_path / "a.ome.zarr").arrays)
    assert value_of(tmp_path / "a.ozx") == 1
    with zarr.storage.ZipStore(tmp_path / "a.ozx", mode="r") as store:
        found = [zarr.open_array(store, path=level, mode="r").shards for level in "01"]
    assert None not in found
    assert found[0] == (shards or found[0])


def test_the_plan_knows_that_it_is_one_file(tmp_path: Path) -> None:
    plan = partial(plan_hierarchy, sources={"": MultiscaleSource(image=image())}, chunks=(4, 16, 16))
    assert plan(store=tmp_path / "a.ozx").multiscales[0].levels[0].shards is not None
    assert plan(store=tmp_path / "a.ome.zarr").multiscales[0].levels[0].shards is None
    with pytest.raises(TargetError, match=r"0\.4 cannot be in a single file"):
        plan(store=tmp_path / "a.ozx", ngff_version="0.4")


def test_a_local_path_that_ends_with_ozx_is_one_file() -> None:
    assert is_archive("/data/cells.ozx")
    assert is_archive(Path("cells.OZX"))
    assert is_archive("file:///data/cells.ozx")
    assert not is_archive("/data/cells.ome.zarr")
    assert not is_archive("s3://bucket/cells.ozx")
    assert not is_archive(zarr.storage.MemoryStore())


# --- all or nothing


def test_members_of_others_are_kept(tmp_path: Path) -> None:
    target = tmp_path / "cells.ozx"
    write(target, 1, levels=3, labels={"nuclei": MultiscaleSource(image=image(2))})
    with zipfile.ZipFile(target, "a") as archive:
        archive.writestr("tables/notes.txt", "mine")
        archive.writestr("0/c/7/7/7", "of the old level")
    target.chmod(0o640)
    before = entries(target)
    write(target, 3, overwrite=True)
    after = entries(target)
    assert value_of(target) == 3
    kept = {name for name in before if name.startswith(("labels", "tables"))}
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert list(open_ome_ngff(target).labels) == ["nuclei"]
    assert not any(name.startswith(("2/", "0/c/7")) for name in after)
    assert target.stat().st_mode & 0o777 == 0o640


ODD = st.one_of(
    st.sampled_from(
        ["./{}", "../{}", "/{}", "//{}", "a/../{}", "a//{}", "C:/{}", "{}\0.txt", "..\\{}", "{}/x"]
    ),
    st.text(st.sampled_from("./\\a{}"), min_size=1, max_size=6).filter(lambda form: form != "{}"),
)
"""Names in a zip file, of which some become that of another member when they are unpacked."""


@given(forms=st.lists(ODD, min_size=1, max_size=4), data=st.data())
@settings(max_examples=8, deadline=None)
def test_odd_names_of_old_members_never_reach_the_new_image(
    forms: list[str], data: st.DataObject, tmp_path_factory: Any
) -> None:
    folder = tmp_path_factory.mktemp("odd")
    write(folder / "fresh.ozx", 3)
    fresh, target = entries(folder / "fresh.ozx"), folder / "cells.ozx"
    shutil.copy(folder / "fresh.ozx", target)
    before = set(fresh)
    with warnings.catch_warnings(), zipfile.ZipFile(target, "a") as archive:
        warnings.simplefilter("ignore")  # of names that are there twice
        for form in forms:
            name = form.replace("{}", data.draw(st.sampled_from(["zarr.json", "0/zarr.json", "0/c/0/0/0"])))
            info = zipfile.ZipInfo("x")
            info.filename = name  # made with it, it would end at a NUL
            archive.writestr(info, "old")
        archive.writestr("tables/notes.txt", "mine")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        write(target, 3, overwrite=True, verify=True)
    after = entries(target)
    assert {name: after[name] for name in fresh} == fresh
    assert after["tables/notes.txt"] == b"mine"
    with zipfile.ZipFile(target) as archive:
        names = [info.orig_filename for info in archive.infolist()]
    assert len(names) == len(set(names))
    for name in set(names) - before:
        assert name == str(PurePosixPath(name)) and "\\" not in name and "\0" not in name  # noqa: PT018
        assert not name.startswith(("/", "../"))
    unpacked = folder / "unpacked"
    zipfile.ZipFile(target).extractall(unpacked)
    assert {name: (unpacked / name).read_bytes() for name in fresh} == fresh
    told = [str(one.message) for one in caught if "odd names" in str(one.message)]
    assert len(told) <= 1
    lost = [form for form in forms if form in ("./{}", "../{}", "/{}", "{}\0.txt", "..\\{}")]
    assert told or not lost


def test_the_packed_file_is_what_is_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add = single_file._add

    def damaging(archive: Any, source: Any, name: str) -> None:
        content = source.read()
        add(archive, io.BytesIO(bytes(len(content)) if name == "0/c/0/0/0" else content), name)

    write(tmp_path / "cells.ozx", 1)
    before = (tmp_path / "cells.ozx").read_bytes()
    monkeypatch.setattr(single_file, "_add", damaging)
    with pytest.raises(StorageError, match=r"differs|Reading back"):
        write(tmp_path / "cells.ozx", 2, overwrite=True, verify=True)
    assert (tmp_path / "cells.ozx").read_bytes() == before
    assert os.listdir(tmp_path) == ["cells.ozx"]


def test_a_source_in_the_file_itself(tmp_path: Path) -> None:
    target = tmp_path / "cells.ozx"
    write(target, 1)
    opened = open_ome_ngff(target).arrays["0"]
    turned = opened[::-1].drop_vars("z")
    for _ in write_multiscale_group(store=target, image=turned, levels=1, overwrite=True):
        pass
    np.testing.assert_array_equal(open_ome_ngff(target).arrays["0"], image(1)[::-1])
    if sys.platform != "win32":
        np.testing.assert_array_equal(opened, image(1), "who has it open sees the old one")


@pytest.mark.parametrize("there", [False, True])
def test_cancelled_after_any_step(there: bool, tmp_path: Path) -> None:
    target = tmp_path / "cells.ozx"
    if there:
        write(target, 1)
    before = target.read_bytes() if there else b""
    messages: list[str] = []
    for steps in itertools.count():
        save = write_multiscale_group(
            store=target, image=image(2), levels=2, chunks=(8, 32, 32), overwrite=there
        )
        done = list(itertools.islice(save, steps))
        if done and done[-1].blocks_done == done[-1].blocks_total:
            break
        save.close()
        messages += [progress.message for progress in done[-1:]]
        assert os.listdir(tmp_path) == (["cells.ozx"] if there else [])
        assert not there or target.read_bytes() == before
    assert "Packing" in messages
    assert value_of(target) == 2


def test_what_appeared_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    target = tmp_path / "cells.ozx"
    save = write_multiscale_group(store=target, image=image())
    next(save)
    target.write_text("theirs")
    with pytest.raises(TargetError, match="not replaced"):
        list(save)
    assert target.read_text() == "theirs"
    assert os.listdir(tmp_path) == ["cells.ozx"]


def test_two_at_once(tmp_path: Path) -> None:
    save = write_multiscale_group(store=tmp_path / "cells.ozx", image=image(1), levels=2)
    next(save)
    with pytest.raises(TargetError, match="Another save"):
        write(tmp_path / "cells.ozx", 2)
    list(save)
    assert value_of(tmp_path / "cells.ozx") == 1


def test_packing_needs_no_second_disk(tmp_path: Path) -> None:
    """Each file is deleted once it is in the file, so that hardly more than the larger of both is needed."""
    with staged(tmp_path / "a.zarr") as stage:
        folder = Path(str(stage.store.root))  # type: ignore[attr-defined]
        document = {"zarr_format": 3, "node_type": "group", "attributes": {"ome": {"version": "0.5"}}}
        (folder / "zarr.json").write_text(json.dumps(document))
        for n in range(10):
            (folder / f"{n}").write_bytes(bytes(100_000))
        sizes = []
        for _ in pack(folder, tmp_path / "packed", replaced=None, obsolete=()):
            sizes.append(sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()))
    assert max(sizes) < 1_150_000


@pytest.mark.parametrize("seconds", [0, 4418064000], ids=["1970", "2110"])
def test_any_clock_will_do(seconds: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = time.gmtime(seconds)
    monkeypatch.setattr(single_file.time, "localtime", lambda *_: moment)
    write(tmp_path / "cells.ozx", 1)
    assert value_of(tmp_path / "cells.ozx") == 1


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("call", ["unlink", "chmod", "link"])
def test_a_complete_file_is_never_said_not_to_be_written(
    call: str, there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever only tidies up may fail; the next save deletes what stays."""
    target = tmp_path / "cells.ozx"
    if there:
        write(target, 1)

    def refuse(path: Any, *_: Any, **__: Any) -> None:
        if ".ngff-" in str(path) or call == "link":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(path)

    real = getattr(os, call)
    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        write(target, 2, overwrite=True)
    assert value_of(target) == 2
    write(target, 3, overwrite=True)
    assert os.listdir(tmp_path) == ["cells.ozx"]


# --- refused


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"mine", "no OME-Zarr image in one file"),
        (b"PK\x03\x04 damaged", "no OME-Zarr image in one file"),
        ("a zip file of something else", "no OME-Zarr image in one file"),
        ("a folder", "There is a folder of this name"),
        ("an image", "something already"),
    ],
)
def test_what_is_there_is_kept(content: bytes | str, sentence: str, tmp_path: Path) -> None:
    target = tmp_path / "cells.ozx"
    if isinstance(content, bytes):
        target.write_bytes(content)
    elif content == "a folder":
        target.mkdir()
        zarr.create_group(target)
    elif content == "an image":
        write(target)
    else:
        with zipfile.ZipFile(target, "w") as archive:
            archive.writestr("word/document.xml", "<document/>")
    before = target.read_bytes() if target.is_file() else sorted(target.iterdir())
    overwrite = content != "an image"
    for attempt in (check_target, write):
        with pytest.raises(TargetError, match=sentence):
            attempt(target, overwrite=overwrite)
    assert (target.read_bytes() if target.is_file() else sorted(target.iterdir())) == before
    assert os.listdir(tmp_path) == ["cells.ozx"]


def test_what_a_file_cannot_be(tmp_path: Path) -> None:
    target = tmp_path / "cells.ozx"
    with pytest.raises(TargetError, match=r"0\.4 cannot be in a single file"):
        write(target, ngff_version="0.4")
    with pytest.raises(TargetError, match="written as a whole"):
        write(target, path="inner")
    with pytest.raises(TargetError, match="cannot be filled afterwards"):
        create_multiscale_group(store=target, arrays={"0": image()}, ngff_version="0.5")
    write(target, 1)
    with pytest.raises(TargetError, match="written as a whole"):
        write_labels(store=target, labels={"nuclei": MultiscaleSource(image=image())})
    assert value_of(target) == 1
    zarr.create_group(tmp_path / "outer.zarr")
    with pytest.raises(TargetError, match="inside another Zarr"):  # RFC-9: none in another hierarchy
        write(tmp_path / "outer.zarr" / "cells.ozx")


def test_many_threads_read_one_file_at_once(tmp_path: Path) -> None:
    """Python's ZipFile takes members that are read by turns for overlapping ones."""
    values = np.arange(64 * 64, dtype="uint16").reshape(64, 64)
    image = xarray.DataArray(values, dims=("y", "x"))
    write_multiscale_group(store=tmp_path / "a.ozx", image=image, chunks=(4, 4), shards=(4, 4)).run()
    corners = list(itertools.product(range(0, 64, 4), repeat=2))
    with ThreadPoolExecutor(16) as pool:
        for _ in range(8):
            level = open_ome_ngff(tmp_path / "a.ozx").arrays["0"]
            parts = pool.map(
                lambda at, level=level: level[at[0] : at[0] + 4, at[1] : at[1] + 4].values, corners
            )
            for (y, x), part in zip(corners, parts, strict=True):
                np.testing.assert_array_equal(part, values[y : y + 4, x : x + 4])
