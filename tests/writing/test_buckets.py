"""Buckets as targets: the same image as in a folder, all or nothing, and every trouble said in a sentence."""

from __future__ import annotations

import itertools
import os
import platform
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray
import zarr
from zarr.storage import MemoryStore

from napari_ome_ngff import (
    MultiscaleSource,
    create_multiscale_group,
    open_ome_ngff,
    write_labels,
    write_multiscale_group,
)
from napari_ome_ngff.errors import OmeNgffError, StorageError, TargetError
from napari_ome_ngff.storage.places import keys
from napari_ome_ngff.storage.places.location import join
from napari_ome_ngff.storage.places.save_note import Note
from napari_ome_ngff.writing.commit import bucket_commit
from napari_ome_ngff.writing.commit.checks import check_target
from napari_ome_ngff.writing.target import as_store
from tests.servers import Answer, Fault, Relay, Request, s3_server

if find_spec("obstore") is None:
    pytest.skip("obstore is not installed", allow_module_level=True)

numbers = itertools.count()
OWNER = {"AWS_ACCESS_KEY_ID": "owner", "AWS_SECRET_ACCESS_KEY": "secret"}
SMALL: dict[str, Any] = {"levels": 1, "chunks": (8, 32, 32)}
NEW_IMAGE: dict[str, Any] = {"levels": 2, "chunks": (8, 16, 32)}


def image(seed: int = 0) -> xarray.DataArray:
    values = np.random.default_rng(seed).integers(1, 200, (8, 32, 64)).astype("uint16")
    return xarray.DataArray(values, dims=("z", "y", "x"), name="cells")


def large(seed: int) -> xarray.DataArray:
    """An image of several blocks."""
    values = np.random.default_rng(seed).integers(0, 4, (32, 256, 256)).astype("uint16")
    return xarray.DataArray(values, dims=("z", "y", "x"))


def write(store: Any, seed: int = 0, **options: Any) -> None:
    for _ in write_multiscale_group(store=store, image=image(seed), **{**NEW_IMAGE, **options}):
        pass


def equal(store: Any, seed: int) -> bool:
    opened = open_ome_ngff(store)
    return bool((opened.arrays["0"].values == image(seed).values).all())


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    with s3_server() as client:
        client.create_bucket(Bucket="mine")
        yield client


@pytest.fixture
def url(s3: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """A place in a bucket where nothing is."""
    for name in ("AWS_ENDPOINT_URL", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3.meta.endpoint_url)
    for name, value in OWNER.items():
        monkeypatch.setenv(name, value)
    return f"s3://mine/deep er/{next(numbers)}.ome.zarr"


@pytest.fixture
def held(s3: Any, url: str) -> Callable[[], dict[str, bytes]]:
    """What the bucket holds at the place."""
    prefix = url.removeprefix("s3://mine/") + "/"

    def look() -> dict[str, bytes]:
        listed = s3.list_objects_v2(Bucket="mine", Prefix=prefix).get("Contents", [])
        found = {item["Key"]: s3.get_object(Bucket="mine", Key=item["Key"])["Body"] for item in listed}
        return {key.removeprefix(prefix): body.read() for key, body in found.items()}

    return look


# --- what is written


@pytest.mark.parametrize(("version", "shards"), [("0.4", None), ("0.5", (8, 32, 64)), ("0.6", None)])
def test_it_is_the_image_that_a_folder_would_hold(
    version: str, shards: Any, url: str, tmp_path: Path, held: Callable[[], dict[str, bytes]]
) -> None:
    cells = {"cells": MultiscaleSource(image=image(1))}
    for store in (tmp_path / "a.ome.zarr", url):
        write(store, ngff_version=version, shards=shards, labels=cells, verify=True)
    files = [path for path in (tmp_path / "a.ome.zarr").rglob("*") if path.is_file()]
    assert set(held()) == {path.relative_to(tmp_path / "a.ome.zarr").as_posix() for path in files}
    here, there = open_ome_ngff(tmp_path / "a.ome.zarr"), open_ome_ngff(url)
    assert here.multiscale == there.multiscale
    assert list(here.arrays) == list(there.arrays)
    for one, other in ((here, there), (here.labels["cells"], there.labels["cells"])):
        for level in one.arrays:
            xarray.testing.assert_identical(one.arrays[level].load(), other.arrays[level].load())


def test_replacing_keeps_what_is_not_ours(url: str, held: Callable[[], dict[str, bytes]]) -> None:
    write(url, 1, labels={"cells": MultiscaleSource(image=image(1))}, levels=3)
    whole = zarr.open_group(as_store(url), mode="r+")
    whole.attrs["mine"] = [1, 2]
    keys.put(whole.store, "tables/notes.txt", b"mine")
    before = held()
    with pytest.raises(TargetError, match="something already"):
        write(url, 2)
    write(url, 2, overwrite=True)
    assert equal(url, 2)
    after = held()
    kept = [key for key in before if key.startswith(("labels", "tables"))]
    assert {key: after[key] for key in kept} == {key: before[key] for key in kept}
    assert not any(key.startswith("2/") or ".ngff" in key for key in after)
    assert zarr.open_group(as_store(url), mode="r").attrs["mine"] == [1, 2]


def test_an_empty_image_to_be_filled(url: str) -> None:
    group = create_multiscale_group(store=url, arrays={"s0": image()}, ngff_version="0.5")
    group["s0"][...] = image(3).values
    np.testing.assert_array_equal(open_ome_ngff(url).arrays["s0"], image(3))


def test_inside_another_image_it_is_refused(url: str) -> None:
    write(url, levels=1)
    for inside in (f"{url}/other.ome.zarr", f"{url}/0/other.ome.zarr"):
        with pytest.raises(TargetError, match="inside another Zarr hierarchy"):
            write(inside)
    # But label images are for any image, wherever it lies: the hierarchy is written to as a whole.
    write(as_store(url), path="1/inner")
    for _ in write_labels(store=f"{url}/1/inner", labels={"cells": MultiscaleSource(image=image(2))}):
        pass
    assert list(open_ome_ngff(f"{url}/1/inner").labels) == ["cells"]


def test_label_images_onto_it(url: str, held: Callable[[], dict[str, bytes]]) -> None:
    write(url, 1)
    before = held()
    for seed, name in ((2, "first"), (3, "second"), (4, "first")):
        labels = {name: MultiscaleSource(image=image(seed))}
        for _ in write_labels(store=url, labels=labels, overwrite=seed == 4):
            pass
    opened = open_ome_ngff(url)
    np.testing.assert_array_equal(opened.labels["first"].arrays["0"], image(4))
    np.testing.assert_array_equal(opened.labels["second"].arrays["0"], image(3))
    after = held()
    assert {key: after[key] for key in before} == before


def test_an_object_store_of_ones_own(url: str) -> None:
    from obstore.store import S3Store
    from zarr.storage import ObjectStore

    write(ObjectStore(S3Store.from_url(url, client_options={"allow_http": True})), 5)
    assert equal(url, 5)


def test_chunks_are_uploaded_side_by_side(url: str, s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with Relay(s3.meta.endpoint_url, latency=0.05) as relay:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", relay.url)
        write(url, chunks=(2, 16, 16))
        assert relay.busiest >= 8
        assert equal(url, 0)


# --- all or nothing


def test_cancelled_after_any_step(url: str, held: Callable[[], dict[str, bytes]]) -> None:
    write(url, 1)
    before = held()
    for steps in itertools.count():
        save = write_multiscale_group(
            store=url, image=large(2), overwrite=True, levels=1, chunks=(8, 256, 256)
        )
        done = list(itertools.islice(save, steps))
        if done and done[-1].blocks_done == done[-1].blocks_total:
            break
        save.close()
        assert held() == before
    assert steps > 3
    np.testing.assert_array_equal(open_ome_ngff(url).arrays["0"], large(2))


def broken(sign: Callable[[Request], bool], answer: Answer) -> Fault:
    return lambda request, _: answer if sign(request) else None


def is_chunk(request: Request) -> bool:
    return request.method == "PUT" and "/c/" in request.path


def is_copy(request: Request) -> bool:
    return "x-amz-copy-source" in {name.lower() for name in request.headers}


@pytest.mark.parametrize(
    ("there", "answer", "sentence"),
    [
        (True, Answer(403, b"<Error><Code>AccessDenied</Code></Error>"), "refuses access"),
        (False, Answer(507, b"<Error/>"), "answers 507"),
        (True, Answer(reset=True), "connection to|does not answer"),
    ],
)
def test_each_trouble_is_one_clear_sentence(
    there: bool,
    answer: Answer,
    sentence: str,
    url: str,
    s3: Any,
    held: Callable[[], dict[str, bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if there:
        write(url, 1)
    before = held()
    with Relay(s3.meta.endpoint_url, fault=broken(is_chunk, answer)) as relay:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", relay.url)
        begun = time.monotonic()
        with pytest.raises(StorageError, match=sentence) as caught:
            write(url, 2, overwrite=True)
        assert time.monotonic() - begun < 20
    assert len(caught.value.summary) < 100
    assert held() == before


def test_a_listing_that_is_refused(
    url: str, s3: Any, held: Callable[[], dict[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(url, 1, levels=1, labels={"cells": MultiscaleSource(image=image(1), levels=1)})
    before = held()
    fault = broken(lambda request: "list-type" in request.query, Answer(403))
    with Relay(s3.meta.endpoint_url, fault=fault) as relay:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", relay.url)
        with pytest.raises(StorageError, match="answers 403"):
            write(url, 2, overwrite=True)
        assert relay.requests
    assert held() == before


def test_a_server_that_goes_away_in_the_middle(
    url: str, s3: Any, held: Callable[[], dict[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left of the save is recognised, and deleted by the next one."""
    gone: list[bool] = []
    fault = broken(lambda request: bool(gone), Answer(reset=True))
    with Relay(s3.meta.endpoint_url, fault=fault) as relay:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", relay.url)
        save = write_multiscale_group(store=url, image=large(2), levels=1, chunks=(8, 256, 256))
        list(itertools.islice(save, 3))
        gone.append(True)
        begun = time.monotonic()
        with pytest.raises(StorageError):
            list(save)
        assert time.monotonic() - begun < 30
        assert bucket_commit.NOTE in held()
        gone.clear()
        write(url, 3)
        assert equal(url, 3)
    assert not any(".ngff" in key for key in held())


def test_an_exchange_that_is_interrupted_is_finished_by_the_next_save(
    url: str, s3: Any, held: Callable[[], dict[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(url, 1, labels={"cells": MultiscaleSource(image=image(1))})
    copies: list[str] = []

    def fault(request: Request, _: int) -> Answer | None:
        if is_copy(request):
            copies.append(request.path)
        return Answer(403) if len(copies) > 3 else None

    with Relay(s3.meta.endpoint_url, fault=fault) as relay:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", relay.url)
        with pytest.raises(StorageError, match="complete, but could not be put in its place yet") as caught:
            write(url, 2, overwrite=True)
        assert "refuses access" in caught.value.found
    left = held()
    assert "zarr.json" not in left, "rather no image than half of one"
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3.meta.endpoint_url)
    for look in (lambda: open_ome_ngff(url), lambda: check_target(url), lambda: write(url, 3)):
        with pytest.raises(StorageError, match="complete, in") as refused:
            look()
        assert "overwrite=True" in refused.value.hint
        assert held() == left, "a look changes nothing"
    write(url, 3, overwrite=True)
    assert equal(url, 3)
    assert list(open_ome_ngff(url).labels) == ["cells"]
    assert not any(".ngff" in key for key in held())


@pytest.mark.parametrize("answered", [True, False])
def test_an_upload_that_arrives_late_blocks_nothing(
    answered: bool, url: str, s3: Any, held: Callable[[], dict[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A save that fails waits for what is under way; what is never answered may arrive after its clean-up."""
    chunks: list[str] = []

    def fault(request: Request, _: int) -> Answer | None:
        if not is_chunk(request):
            return None
        chunks.append(request.path)
        if not answered:
            return Answer(reset=True)
        if len(chunks) == 1:
            return Answer(403)
        time.sleep(0.3)
        return None

    with Relay(s3.meta.endpoint_url, fault=fault) as relay:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", relay.url)
        with pytest.raises(StorageError):
            write(url, 2, chunks=(2, 16, 16))
        assert answered is not bool(held())
        assert len(chunks) > 1
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3.meta.endpoint_url)
    if not answered:
        for late in ("0/c/0/0/0", "1/c/0/0/0", "0/zarr.json"):
            s3.put_object(Bucket="mine", Key=f"{url.removeprefix('s3://mine/')}/{late}", Body=b"{}")
        with pytest.raises(OmeNgffError):
            open_ome_ngff(url)
    write(url, 3)
    assert equal(url, 3)
    assert not any(".ngff" in key for key in held())


# --- two at once, and the dead


def note(store: Any, path: str = "", **changes: Any) -> None:
    """Leave the note of a save of another process."""
    about = {"save": "x", "host": platform.node(), "process": os.getppid(), **changes}
    bucket_commit._write(store, path, Note(**about))


def dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.parametrize("there", [False, True])
def test_two_at_once(there: bool) -> None:
    store = MemoryStore()
    if there:
        write(store, 1)
    first = write_multiscale_group(store=store, image=image(2), overwrite=there, **NEW_IMAGE)
    second = write_multiscale_group(store=store, image=image(3), overwrite=there, **NEW_IMAGE)
    next(first)
    with pytest.raises(TargetError, match="Another save to this place is running"):
        next(second)
    with pytest.raises(TargetError, match="Another save to this place is running"):
        write(store, 3, overwrite=True)
    for _ in first:
        pass
    assert equal(store, 2)
    assert not any(".ngff" in key for key in store._store_dict)


def test_a_save_of_a_living_process_is_not_disturbed() -> None:
    store = MemoryStore()
    note(store)
    with pytest.raises(TargetError, match="is running"):
        write(store, overwrite=True)
    assert list(store._store_dict) == [bucket_commit.NOTE]


@pytest.mark.parametrize("where", ["here", "elsewhere", "damaged"])
@pytest.mark.parametrize("path", ["", "x/image"])
def test_what_the_dead_left_is_removed(where: str, path: str) -> None:
    store = MemoryStore()
    save = write_multiscale_group(store=store, path=path, image=image(1), **NEW_IMAGE)
    list(itertools.islice(save, 2))
    left = dict(store._store_dict)
    save.close()
    store._store_dict.update(left)
    keys.put(store, join(path, "notes.txt"), b"of others")
    note(store, path, process=dead_process(), host=platform.node() if where == "here" else "elsewhere")
    if where == "damaged":
        keys.put(store, join(path, bucket_commit.NOTE), b"{")
    if where != "here":
        with pytest.raises(TargetError, match="was interrupted, or is running on another computer"):
            write(store, path=path)
    # What others put there meanwhile is theirs, and no hierarchy is written over it.
    held = dict(store._store_dict)
    with pytest.raises(TargetError, match="not a Zarr hierarchy"):
        write(store, path=path, overwrite=True)
    assert store._store_dict == held
    keys.delete(store, [join(path, "notes.txt")])
    write(store, 2, path=path, overwrite=where != "here")
    assert not any(".ngff" in key for key in store._store_dict)
    assert equal(zarr.open_group(store, path=path, mode="r"), 2)


def test_whoever_was_taken_for_dead_and_lives_stops() -> None:
    """Another computer took the place over: the slower save says so, and disturbs nothing."""
    store = MemoryStore()
    write(store, 1)
    slow = write_multiscale_group(store=store, image=image(2), overwrite=True, **NEW_IMAGE)
    list(itertools.islice(slow, 2))
    note(store, host="elsewhere")
    write(store, 3, overwrite=True)
    with pytest.raises(TargetError, match="took this place over"):
        list(slow)
    assert equal(store, 3)
    assert not any(".ngff" in key for key in store._store_dict)


NURSERY = """
    import os, sys
    sys.path.insert(0, sys.argv[1])
    import obstore
    import napari_ome_ngff.storage.places.upload_store
    import tests.writing.test_buckets as module

    module.write(module.MemoryStore(), **module.SMALL)  # imports whatever a save needs

    for line in sys.stdin:
        how, url, endpoint = line.rstrip("\\n").split("|")
        child = os.fork()
        if child == 0:
            os.environ["AWS_ENDPOINT_URL_S3"] = endpoint
            module.write(url, 2, overwrite=how == "replace", **module.SMALL)
            os._exit(0)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Killer:
    """Kills a process when it sends its n-th request."""

    def __init__(self) -> None:
        self.at = 0
        self.count = 0
        self.process = 0
        self.known = threading.Event()

    def __call__(self, request: Request, _: int) -> Answer | None:
        self.count += 1
        if self.count == self.at:
            self.known.wait()
            os.kill(self.process, signal.SIGKILL)
            return Answer(503)
        return None


@pytest.fixture(scope="module")
def nursery() -> Iterator[subprocess.Popen[str]]:
    """A process that imports everything once, and forks for each save."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(NURSERY), str(Path(__file__).parents[2])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | OWNER,
    )
    with process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


@pytest.mark.skipif(sys.platform == "win32", reason="there is neither fork nor kill -9")
@pytest.mark.parametrize("how", ["new", "replace"])
def test_killed_at_any_request(how: str, url: str, s3: Any, nursery: subprocess.Popen[str]) -> None:
    """`kill -9`: what opens is the old image, the new one, or none with the complete one beside it."""
    assert nursery.stdout is not None
    killer, seen = Killer(), []
    cells = {"cells": MultiscaleSource(image=image(4), levels=1)}
    with Relay(s3.meta.endpoint_url, fault=killer) as relay:

        def run(place: str, at: int) -> int:
            killer.known.clear()
            killer.at, killer.count = at, 0
            print(how, place, relay.url, sep="|", file=nursery.stdin, flush=True)
            killer.process = int(nursery.stdout.readline())
            killer.known.set()
            status = int(nursery.stdout.readline())
            while relay.requests_under_way:
                time.sleep(0.01)
            return status

        def prepare(place: str) -> None:
            if how == "replace":
                write(place, 1, labels=cells, **SMALL)

        prepare(f"{url}/first")
        assert run(f"{url}/first", 0) == 0
        moments = sorted({killer.count // 4, killer.count - 1})
        for moment in moments:
            place = f"{url}/{moment}"
            prepare(place)
            assert run(place, moment) == -signal.SIGKILL
            try:
                values = open_ome_ngff(place).arrays["0"].values
            except OmeNgffError as error:
                values = None if how == "new" or "complete, in" in error.found else error
            value = next((seed for seed in (1, 2) if np.array_equal(values, image(seed))), None)
            assert (value is None) == (values is None)
            seen.append(value)
            write(place, 3, overwrite=how == "replace" or value is not None, **SMALL)
            assert not any(".ngff" in key for key in keys.under(as_store(place), ""))
            opened = open_ome_ngff(place)
            assert (opened.arrays["0"] == image(3)).all()
            assert list(opened.labels) == (["cells"] if how == "replace" else [])
    assert len(set(seen)) == 2, "none was early enough, or none late enough"


# --- refused


@pytest.mark.parametrize(
    ("place", "environment", "sentence"),
    [
        ("s3://no-such-bucket/a.zarr", {}, "no such bucket"),
        ("s3://mine/a.zarr", {"AWS_SECRET_ACCESS_KEY": ""}, "credentials are not complete"),
        ("s3://mine/a.zarr", {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}, "does not answer"),
        ("s3://", {}, "names no bucket"),
        ("https://h/a.zarr", {}, "to a web server"),
        ("ftp://h/a.zarr", {}, "not known"),
        ("s3://mine/a.ozx", {}, "not written to servers"),
        ("az://box/a.zarr", {"AZURE_STORAGE_ACCOUNT_NAME": ""}, "account is not known"),
    ],
)
def test_what_is_refused(
    place: str, environment: dict[str, str], sentence: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, raising=False)
    begun = time.monotonic()
    with pytest.raises(StorageError, match=sentence) as caught:
        write(place)
    assert time.monotonic() - begun < 5
    assert len(caught.value.summary) < 100
    assert caught.value.where.rstrip("/") == place.rstrip("/")


@pytest.mark.parametrize(
    ("place", "environment"),
    [
        ("s3://mine/a.zarr", {"AWS_ENDPOINT_URL_S3": "{}"}),
        ("gs://mine/a.zarr", {"STORAGE_EMULATOR_HOST": "{}"}),
        ("az://mine/a.zarr", {"AZURE_STORAGE_ACCOUNT_NAME": "me", "AZURE_STORAGE_ENDPOINT": "{}"}),
    ],
)
def test_without_credentials(
    place: str, environment: dict[str, str], url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is signed, and nobody waits for a metadata service: the server's refusal is said at once."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with Relay("http://127.0.0.1:9", fault=broken(lambda _: True, Answer(403))) as server:
        for name, value in environment.items():
            monkeypatch.setenv(name, value.format(server.url))
        begun = time.monotonic()
        with pytest.raises(StorageError, match="refuses access") as caught:
            write(place)
        assert time.monotonic() - begun < 5
        assert "AWS_ACCESS_KEY_ID" in caught.value.hint
        assert all("mine" in request.path for request in server.requests)


def test_label_images_alone_never_take_the_place_of_an_image(
    url: str, held: Callable[[], dict[str, bytes]]
) -> None:
    """In napari too, where a server is not asked what is there before writing starts."""
    from napari_ome_ngff.plugin.save.destinations import destinations
    from napari_ome_ngff.plugin.save.from_layers import from_layers
    from napari_ome_ngff.plugin.save.request import start_writing
    from napari_ome_ngff.writing.plan.options import StorageOptions

    write(url, 1)
    before = held()
    bundles, _ = from_layers([(np.full((8, 32, 64), 7, "int32"), {"name": "cells"}, "labels")])
    (place,) = destinations(bundles, url)
    options = StorageOptions(version="0.4")
    start_writing(place, options, overwrite=True).run()
    assert {key: content for key, content in held().items() if key in before} == before
    opened = open_ome_ngff(url)
    assert (opened.labels["cells"].arrays["0"].values == 7).all()
    assert len(opened.labels["cells"].arrays) == len(opened.arrays)
    with pytest.raises(TargetError, match="has a label image 'cells' already"):
        start_writing(place, options)
