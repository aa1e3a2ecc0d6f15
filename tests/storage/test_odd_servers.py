"""Servers as they are: for each kind the right pixels, or an error of ours in seconds; never others."""

from __future__ import annotations

import gzip
import logging
import pickle
import time
import traceback
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from napari_ome_ngff import DaskArrayWrapper, open_ome_ngff, write_multiscale_group
from napari_ome_ngff.errors import OmeNgffError, StorageError, without_secrets
from napari_ome_ngff.storage.pixels.process_state import reset, shared_failures
from napari_ome_ngff.storage.places.requests import fetch
from tests.cases.paths import cells
from tests.servers import PAGE, Answer, Fault, Request, Web, missing_as, on, python_http_server

if find_spec("obstore") is None:
    pytest.skip("obstore is not installed", allow_module_level=True)

from napari_ome_ngff.storage.places.bounded_reads import TooLargeError
from napari_ome_ngff.storage.places.servers import remote_store
from napari_ome_ngff.storage.places.servers.pace import CALM, FIRST, STEP, Pace
from napari_ome_ngff.storage.places.servers.received import Received
from napari_ome_ngff.storage.places.servers.remote_store import Patience

VALUES = np.random.default_rng(0).integers(1, 60000, (2, 64, 64), dtype="uint16")
QUICK = Patience(quick=0.3, long=1.0, total=3.0, waits=(0.02, 0.04, 0.08), busy=0.05)
FIRST_CHUNK = "/0/c/0/0/0"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_store, "PATIENCE", QUICK)
    reset()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One image in chunks and one in shards."""
    place = tmp_path_factory.mktemp("served")
    make(place / "chunks.zarr", shards=None)
    make(place / "shards.zarr", shards=(2, 32, 64))
    return place


def make(place: Path, *, shards: Any) -> None:
    axes = [{"name": name, "type": "space"} for name in "zyx"]
    scale = [{"type": "scale", "scale": [1.0, 1.0, 1.0]}]
    entry = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}
    group = zarr.create_group(place, attributes={"ome": {"version": "0.5", "multiscales": [entry]}})
    group.create_array("0", data=VALUES, chunks=(1, 16, 16), shards=shards)


def pixels(url: str, *, missing: Any = "raise") -> Any:
    image: Any = open_ome_ngff(url, array_wrapper=DaskArrayWrapper(missing=missing))
    return np.asarray(image.arrays["0"])


def address(web: Web, name: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An image as a web server has it, or a bucket that anybody may read."""
    if kind == "http":
        return f"{web.url}/{name}"
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", web.url)
    return f"s3://{name}"


def chunked(body: bytes) -> bytes:
    parts = [body[n : n + 100] for n in range(0, len(body), 100)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def head(status: str, **headers: object) -> bytes:
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([f"HTTP/1.{status}", *lines, "", ""]).encode()


def sized(body: bytes, *, add: int = 0, **headers: object) -> bytes:
    return head("1 200 OK", Content_Length=len(body) + add, Connection="close", **headers) + body


def gz(body: bytes) -> bytes:
    return sized(gzip.compress(body), Content_Encoding="gzip")


def bare_deflate(body: bytes) -> bytes:
    return sized(zlib.compress(body)[2:-4], Content_Encoding="deflate")


Form = Callable[[bytes], bytes]

READABLE: dict[str, Form] = {
    "HTTP/1.0 with a length": lambda b: head("0 200 OK", Content_Length=len(b)) + b,
    "HTTP/1.0 without a length": lambda b: head("0 200 OK") + b,
    "HTTP/1.1 without a length": lambda b: head("1 200 OK", Connection="close") + b,
    "in pieces": lambda b: head("1 200 OK", Transfer_Encoding="chunked", Connection="close") + chunked(b),
    "compressed with gzip": gz,
    "compressed with deflate": lambda b: sized(zlib.compress(b), Content_Encoding="deflate"),
    "compressed with bare deflate": bare_deflate,
    "compressed in pieces": lambda b: head(
        "1 200 OK", Transfer_Encoding="chunked", Content_Encoding="gzip", Connection="close"
    ) + chunked(gzip.compress(b)),
    "one part for another": lambda b: head(
        "1 206 Partial Content", Content_Length=1, Content_Range=f"bytes 0-0/{len(b)}", Connection="close"
    ) + b[:1],
    "a part without its place": lambda b: head(
        "1 206 Partial Content", Content_Length=len(b), Connection="close"
    ) + b,
    "no part": lambda b: head("1 416 Range Not Satisfiable", Content_Length=0, Connection="close"),
}  # fmt: skip
ONLY_PARTS = ("one part for another", "a part without its place", "no part")


def answering(folder: Path, form: Form, *, sign: str = "", parts: bool = False, times: int = 10**6) -> Fault:
    """Answer requests for files in another form: those whose path holds a sign, or only parts."""

    def fault(request: Request, earlier: int) -> Answer | None:
        file = folder / request.path.lstrip("/")
        if not file.is_file() or sign not in request.path or earlier >= times:
            return None
        return None if parts and "Range" not in request.headers else Answer(raw=form(file.read_bytes()))

    return fault


@pytest.mark.parametrize("name", ["chunks.zarr", "shards.zarr"])
@pytest.mark.parametrize("kind", READABLE)
def test_what_can_be_read_is_read_right(
    kind: str, name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_store, "PATIENCE", Patience())  # the server of the tests may be busy
    with Web(folder, fault=answering(folder, READABLE[kind], parts=kind in ONLY_PARTS)) as web:
        assert np.array_equal(pixels(f"{web.url}/{name}"), VALUES)


@pytest.mark.parametrize("kind", [kind for kind in READABLE if kind not in ONLY_PARTS])
def test_a_document_that_is_too_large_is_not_taken_whole(
    kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also the first one, with or without its length."""
    monkeypatch.setattr(remote_store, "MAX_DOCUMENT_BYTES", 50)
    with (
        Web(folder, fault=answering(folder, READABLE[kind])) as web,
        pytest.raises(OmeNgffError, match="too large"),
    ):
        open_ome_ngff(f"{web.url}/chunks.zarr")


BROKEN: dict[str, Form | Answer] = {
    "fewer bytes than said": lambda b: sized(b, add=5),
    "more bytes than said": lambda b: sized(b, add=-5),
    "half of what is compressed": lambda b: gz(b)[:-20],
    "pieces that end early": lambda b: (
        head("1 200 OK", Transfer_Encoding="chunked", Connection="close") + chunked(b)[:-20]
    ),
    "compressed in an unknown way": lambda b: sized(b, Content_Encoding="br"),
    "closed at once": lambda _: b"",
    "no HTTP": lambda _: b"hello\r\n\r\n",
    "silence": Answer(silence=60),
    "silence in the middle": Answer(raw=sized(b"x", add=9), hold=60),
    "reset": Answer(reset=True),
    "reset in the middle": Answer(raw=sized(b"x", add=9), reset=True),
    "refused": Answer(403),
    "ill": Answer(500),
    "asked too much": Answer(429),
    "a page": Answer(200, PAGE),
    "a circle": Answer(302, headers={"Location": "?again"}),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_chunk_that_cannot_be_read_is_an_error_or_shown_as_failed(kind: str, folder: Path) -> None:
    """Also where the server says 404 of what is missing: then nothing else means that it is missing."""
    form = BROKEN[kind]
    is_answer = isinstance(form, Answer)
    fault = on(FIRST_CHUNK, form) if is_answer else answering(folder, form, sign=FIRST_CHUNK)
    started = time.monotonic()
    with Web(folder, fault=fault) as web:
        with pytest.raises(StorageError, match="Chunk c/0/0/0 could not be read"):
            pixels(f"{web.url}/chunks.zarr")
        shown = pixels(f"{web.url}/chunks.zarr", missing="fill")
    assert time.monotonic() - started < 8
    expected = VALUES.copy()
    expected[0, :16, :16] = 0
    assert np.array_equal(shown, expected)
    assert [failure.chunks for failure in shared_failures().record()] == [1]


@pytest.mark.parametrize("kind", ["fewer bytes than said", "closed at once", "silence", "reset", "ill"])
def test_what_fails_once_is_read_all_the_same(kind: str, folder: Path) -> None:
    form = BROKEN[kind]
    fault = on("", form, times=1) if isinstance(form, Answer) else answering(folder, form, times=1)
    with Web(folder, fault=fault) as web:
        assert np.array_equal(pixels(f"{web.url}/chunks.zarr"), VALUES)


def test_a_server_that_says_when_to_come_again_is_asked_then(folder: Path) -> None:
    """What obstore does not show is known after the first request, or the second."""
    asked: list[float] = []

    def fault(request: Request, earlier: int) -> Answer | None:
        if not request.path.endswith("/0/zarr.json"):
            return None
        asked.append(time.monotonic())
        return Answer(503, headers={"Retry-After": "1"}) if earlier < 2 else None

    with Web(folder, fault=fault) as web:
        assert np.array_equal(pixels(f"{web.url}/chunks.zarr"), VALUES)
    assert len(asked) == 3
    assert asked[2] - asked[1] >= 1


@pytest.mark.parametrize("limit", [1, 3])
@pytest.mark.parametrize(
    "answer", [Answer(429), Answer(503), Answer(reset=True)], ids=["429", "503", "reset"]
)
def test_a_server_that_takes_few_requests_at_once_is_read_right(
    answer: Answer, limit: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_store, "PATIENCE", Patience(busy=0.05))
    web: Web

    def fault(_: Request, __: int) -> Answer | None:
        return answer if web.requests_under_way > limit else None

    with Web(folder, fault=fault, latency=0.005) as web:
        assert np.array_equal(pixels(f"{web.url}/chunks.zarr"), VALUES)


def test_pythons_own_server_as_people_run_it(folder: Path) -> None:
    """Its queue takes five connections: more at once are dropped, and come back seconds later, or never."""
    with python_http_server(folder) as url:
        for _ in range(3):
            for name in ("chunks.zarr", "shards.zarr"):
                reset()
                assert np.array_equal(pixels(f"{url}/{name}"), VALUES)


def test_a_server_that_answers_nothing_more_is_not_asked_for_every_chunk(folder: Path) -> None:
    dead: list[bool] = []
    with Web(folder, fault=lambda *_: Answer(silence=60) if dead else None) as web:
        image: Any = open_ome_ngff(f"{web.url}/chunks.zarr", array_wrapper=DaskArrayWrapper())
        dead.append(True)
        started = time.monotonic()
        with pytest.raises(StorageError):
            np.asarray(image.arrays["0"])
        assert time.monotonic() - started < 8  # not once for each of 32


# --- buckets, which have no other way than obstore


WITHOUT_LENGTH = [kind for kind in READABLE if "without a length" in kind or "in pieces" in kind]


def number_of(request: Request) -> int:
    """Which of 32 chunks is asked for; -1 for documents."""
    z, y, x = request.path.partition("/0/c/")[2].split("/") if "/0/c/" in request.path else (0, 0, -1)
    return 16 * int(z) + 4 * int(y) + int(x)


@pytest.mark.parametrize("scheme", ["http", "s3"])
def test_each_chunk_may_fail_in_its_own_way(
    scheme: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others, and those that are merely sent in another form, are right; nobody asks for HEAD."""
    failing = [*BROKEN.values(), *(READABLE[kind] for kind in WITHOUT_LENGTH if scheme == "s3")]
    odd = [READABLE[kind] for kind in READABLE if kind not in (*ONLY_PARTS, *WITHOUT_LENGTH)]
    forms: dict[int, Form | Answer] = dict(enumerate([*failing, *odd]))

    def fault(request: Request, earlier: int) -> Answer | None:
        form = forms.get(number_of(request))
        if form is None or isinstance(form, Answer):
            return form
        return answering(folder, form)(request, earlier)

    with Web(folder, fault=fault) as web:
        shown = pixels(address(web, "chunks.zarr", scheme, monkeypatch), missing="fill")
        assert {request.method for request in web.requests} == {"GET"}
    tiles = [values.reshape(2, 4, 16, 4, 16).swapaxes(2, 3).reshape(32, -1) for values in (shown, VALUES)]
    wrong = set(np.flatnonzero((tiles[0] != tiles[1]).any(axis=1)))
    assert wrong == set(range(len(failing)))
    assert [failure.chunks for failure in shared_failures().record()] == [len(failing)]


@pytest.mark.parametrize("kind", ONLY_PARTS)
def test_parts_that_a_bucket_does_not_send_are_cut_out(
    kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Web(folder, fault=answering(folder, READABLE[kind], parts=True)) as web:
        assert np.array_equal(pixels(address(web, "shards.zarr", "s3", monkeypatch)), VALUES)


@pytest.mark.parametrize("kind", [*BROKEN, *WITHOUT_LENGTH])
def test_documents_of_a_bucket_that_cannot_be_read_are_an_error(
    kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = "chunks.zarr/zarr.json"
    form = {**READABLE, **BROKEN}[kind]
    fault = on(where, form) if isinstance(form, Answer) else answering(folder, form, sign=where)
    with Web(folder, fault=fault) as web, pytest.raises(OmeNgffError) as caught:
        open_ome_ngff(address(web, "chunks.zarr", "s3", monkeypatch))
    assert caught.value.where.startswith("s3://chunks.zarr")


@pytest.mark.parametrize("scheme", ["http", "s3"])
def test_a_server_that_is_away_for_a_moment_is_asked_again(
    scheme: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_store, "PATIENCE", Patience())
    with Web(folder) as web:
        url = address(web, "chunks.zarr", scheme, monkeypatch)
        image: Any = open_ome_ngff(url)
    port = int(web.url.rpartition(":")[2])
    with ThreadPoolExecutor(1) as pool:
        values = pool.submit(np.asarray, image.arrays["0"])
        time.sleep(0.3)
        with Web(folder, port=port):
            assert np.array_equal(values.result(), VALUES)


@pytest.mark.parametrize("scheme", ["http", "s3"])
def test_a_slow_server_is_waited_for_as_long_as_bytes_come(
    scheme: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(request: Request, _: int) -> Answer | None:
        file = folder / request.path.lstrip("/")
        slow = file.is_file() and request.path.endswith(("/0/zarr.json", "/0/0/0", "/1/2/2"))
        return Answer(raw=sized(file.read_bytes()), slow=0.3) if slow else None

    monkeypatch.setattr(remote_store, "PATIENCE", Patience(quick=0.8))
    with Web(folder, fault=fault) as web:
        assert np.array_equal(pixels(address(web, "chunks.zarr", scheme, monkeypatch)), VALUES)
        assert len(set(web.paths)) == len(web.paths)


# --- what never ends


HUGE = 3_000_000_000
ENDLESS: dict[str, Callable[[bytes, str], bytes]] = {
    "with a length": lambda b, _: head("1 200 OK", Content_Length=HUGE) + b,
    "without a length": lambda b, _: head("1 200 OK", Connection="close") + b,
    "in pieces": lambda b, _: head("1 200 OK", Transfer_Encoding="chunked") + b"ffffffff\r\n" + b,
    "as the part": lambda b, part: (
        head("1 206 Partial Content", Content_Length=HUGE, Content_Range=f"bytes {part}/{HUGE}")
        if part
        else head("1 200 OK", Content_Length=HUGE)
    ) + b,
}  # fmt: skip
MOST = 40_000_000  # buffers of the system included, some megabytes for each connection


def endless(folder: Path, form: Callable[[bytes, str], bytes], sign: str) -> Fault:
    """After the bytes of some files come more, without an end."""

    def fault(request: Request, _: int) -> Answer | None:
        file = folder / request.path.lstrip("/")
        if not file.is_file() or sign not in request.path:
            return None
        content, part = file.read_bytes(), request.headers.get("Range", "").removeprefix("bytes=")
        if part.startswith("-"):
            part = f"{len(content) + int(part)}-{len(content) - 1}"
        return Answer(raw=form(content, part), endless=True)

    return fault


@pytest.mark.parametrize("scheme", ["http", "s3"])
@pytest.mark.parametrize("name", ["chunks.zarr", "shards.zarr"])
@pytest.mark.parametrize("kind", ENDLESS)
def test_a_chunk_without_an_end_is_a_failed_chunk_and_is_not_taken(
    kind: str, name: str, scheme: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a chunk, or the part that was asked for, may have at most is known."""
    with Web(folder, fault=endless(folder, ENDLESS[kind], FIRST_CHUNK)) as web:
        url = address(web, name, scheme, monkeypatch)
        with pytest.raises(StorageError, match="Chunk c/0/0/0 could not be read"):
            pixels(url)
        shown = pixels(url, missing="fill")
        assert web.zeros < MOST
    height, width = (16, 16) if name == "chunks.zarr" else (32, 64)
    depth = 1 if name == "chunks.zarr" else 2
    expected = VALUES.copy()
    expected[:depth, :height, :width] = 0
    assert np.array_equal(shown, expected)


def test_a_chunk_without_an_end_is_not_copied_either(folder: Path, tmp_path: Path) -> None:
    """Levels that are saved unchanged are copied byte for byte, and not through the chunk reader."""
    with Web(folder, fault=endless(folder, ENDLESS["without a length"], FIRST_CHUNK)) as web:
        image: Any = open_ome_ngff(f"{web.url}/chunks.zarr", array_wrapper=DaskArrayWrapper())
        with pytest.raises(StorageError, match="Copying failed"):
            write_multiscale_group(
                store=tmp_path / "out.zarr", image=image.arrays["0"], levels=1, ngff_version="0.5"
            ).run()
        assert web.zeros < MOST
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("scheme", ["http", "s3"])
def test_of_a_huge_shard_that_is_sent_whole_no_more_is_taken_than_up_to_the_part(
    scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And each part takes one request, after the first one has shown that parts are not sent."""
    make(tmp_path / "shards.zarr", shards={"shape": (2, 64, 64), "index_location": "start"})
    form = ENDLESS["with a length"]
    with Web(tmp_path, fault=endless(tmp_path, form, "/0/c/")) as web:
        assert np.array_equal(pixels(address(web, "shards.zarr", scheme, monkeypatch)), VALUES)
        assert web.zeros < MOST
        assert len([path for path in web.paths if "/0/c/" in path]) <= (3 if scheme == "http" else 4)


@pytest.mark.parametrize("encoding", ["", "gzip", "deflate", "GZIP, identity", "gzip, deflate"])
def test_what_is_kept_of_a_body_is_what_was_asked_for(encoding: str) -> None:
    """However it is cut into pieces; more than there may be is not taken, however small it came."""
    size = 2**19
    content = VALUES.tobytes() * (size // VALUES.nbytes)
    body = content
    for name in encoding.lower().split(", "):
        pack = {"gzip": lambda b: gzip.compress(b, 1), "deflate": lambda b: zlib.compress(b, 1)}
        body = pack.get(name, bytes)(body)
    spans: list[Any] = [
        (0, None),
        (5, 9),
        (2**18, None),
        (-7, None),
        (-size - 1, None),
        (9, size),
        (9, 2**30),
    ]
    for start, stop in spans:
        for step in (5003, 2**30):
            received = Received((start, stop), most=size, encoding=encoding)
            any(received.take(body[n : n + step]) for n in range(0, len(body), step))
            assert received.content() == content[start:stop]
            assert not encoding or received.take(bytes(9))
    with pytest.raises(TooLargeError, match="no more than 100000"):
        Received((0, None), most=100_000, encoding=encoding).take(body)


# --- what is not there


@pytest.mark.parametrize("answer", [Answer(403), Answer(401), Answer(200, PAGE)], ids=["403", "401", "page"])
@pytest.mark.parametrize("says", ["the same", "404"])
def test_an_answer_means_missing_only_where_the_server_says_it_of_what_cannot_exist(
    says: str, answer: Answer, folder: Path, tmp_path: Path
) -> None:
    """One more request tells, and only when such an answer is met."""
    missing = missing_as(answer, folder)

    def fault(request: Request, earlier: int) -> Answer | None:
        if "/0/c/0/" in request.path and request.path.endswith(("/0/0", "/1/0", "/2/2")):
            return answer
        return missing(request, earlier) if says == "the same" else None

    expected = VALUES.copy()
    for y, x in ((0, 0), (1, 0), (2, 2)):
        expected[0, 16 * y : 16 * (y + 1), 16 * x : 16 * (x + 1)] = 0
    with Web(folder, fault=fault) as web:
        if says == "404":
            with pytest.raises(StorageError, match="could not be read"):
                pixels(f"{web.url}/chunks.zarr")
        else:
            assert np.array_equal(pixels(f"{web.url}/chunks.zarr"), expected)
        chunks = [path for path in web.paths if "/0/c/" in path]
        assert len(chunks) == 32 + 1
        assert len(set(chunks)) == 32 + 1


LABELS = ("/labels/zarr.json", "/labels/.zattrs")


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(
    ("refused", "warns"),
    [
        (LABELS, True),
        ((*LABELS, "/OME/zarr.json", "/OME/.zattrs"), False),
        ("missing", False),  # a bucket that may be read, but not listed
        ("hidden", False),  # a server that shows no hidden files
    ],
    ids=["labels", "groups", "missing", "hidden"],
)
def test_refused_labels_are_told_from_missing_ones(
    refused: Any, warns: bool, status: int, zarr_format: Any, tmp_path: Path
) -> None:
    """Labels that are refused leave the image, with a warning; where it means missing, nobody is bothered."""
    image = cells(tmp_path, "0.5" if zarr_format == 3 else "0.4", name="a.zarr")
    missing = missing_as(Answer(status), tmp_path)

    def fault(request: Request, earlier: int) -> Answer | None:
        if refused == "missing":
            return missing(request, earlier)
        if refused == "hidden":
            hidden = zarr_format == 3 and "/." in request.path
            return Answer(status) if hidden else None
        return Answer(status) if request.path.endswith(refused) else None

    with Web(tmp_path) as web:
        open_ome_ngff(f"{web.url}/{image.name}")
        usual = len(web.paths)
    with Web(tmp_path, fault=fault) as web, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        opened: Any = open_ome_ngff(f"{web.url}/{image.name}")
        assert len(web.paths) == usual
    assert list(opened.arrays) == ["0", "1"]
    assert [str(one.message).partition(":")[0] for one in caught] == ["Label images cannot be read"] * warns


def test_refused_labels_of_a_collection_take_one_more_request(tmp_path: Path) -> None:
    """Where no other document of that name is missing, one that cannot exist is asked for."""
    with Web(tmp_path, fault=on("labels/", Answer(403))) as web:
        store = remote_store.remote_stores(web.url, {})[0]
        keys = ["0/labels/zarr.json", "1/labels/zarr.json"]
        fetch(store, keys)
        assert [store.refuses(key) for key in [*keys, "0/zarr.json"]] == [True, True, False]
        assert len(web.paths) == 3


# --- redirects and secrets


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_to_another_host_are_followed_without_the_password(status: int, folder: Path) -> None:
    with Web(folder) as there:
        other = there.url.replace("127.0.0.1", "localhost")
        moved = Answer(status)

        def fault(request: Request, _: int) -> Answer:
            return Answer(moved.status, headers={"Location": other + request.path})

        with Web(folder, fault=fault) as web:
            url = web.url.replace("//", "//me:secret@")
            assert np.array_equal(pixels(f"{url}/chunks.zarr"), VALUES)
            assert all(map(authorization, web.requests))
        assert not any(map(authorization, there.requests))


def test_user_and_password_are_used_for_every_request(folder: Path) -> None:
    import base64

    token = "Basic " + base64.b64encode(b"m\xc3\xa9:se cr@t").decode()

    def fault(request: Request, _: int) -> Answer | None:
        return None if authorization(request) == token else Answer(401)

    with Web(folder, fault=fault) as web:
        url = web.url.replace("//", "//m%C3%A9:se%20cr%40t@")
        for name in ("chunks.zarr", "shards.zarr"):
            assert np.array_equal(pixels(f"{url}/{name}"), VALUES)
        image: Any = open_ome_ngff(f"{url}/chunks.zarr", array_wrapper=DaskArrayWrapper())
        again = pickle.loads(pickle.dumps(image.arrays["0"]))
        assert np.array_equal(np.asarray(again), VALUES)


def authorization(request: Request) -> str:
    return {name.lower(): value for name, value in request.headers.items()}.get("authorization", "")


def told(error: BaseException | None) -> str:
    """All that anybody sees of an error, with what it came from."""
    texts: list[str] = []
    while error is not None and str(error) not in texts:
        texts += [
            str(error),
            repr(error),
            *traceback.format_exception(error),
            *map(str, vars(error).values()),
        ]
        error = error.__cause__ or error.__context__
    return "\n".join(texts)


@pytest.mark.parametrize("where", ["zarr.json", FIRST_CHUNK])
@pytest.mark.parametrize(
    "answer",
    [
        *(Answer(status, b"no ?sig=s3cr3t") for status in (400, 401, 403, 404, 410, 416, 429, 500, 503)),
        Answer(302, headers={"Location": "http://me:s3cr3t@127.0.0.1:9/x?sig=s3cr3t"}),
        Answer(302, headers={"Location": "?sig=s3cr3t"}),
        Answer(reset=True),
        Answer(silence=60),
        Answer(200, b"hello"),
        Answer(raw=sized(b"x", add=9)),
    ],
    ids=lambda answer: f"{answer.status}{'r' * answer.reset}{'s' * bool(answer.silence)}",
)
def test_no_message_holds_what_is_secret_in_an_address(
    answer: Answer, where: str, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with Web(folder, fault=on(where, answer)) as web:
        url = web.url.replace("//", "//me:s3cr3t@") + "/chunks.zarr?sig=s3cr3t"
        shown = ""
        try:
            pixels(url, missing="fill")
            pixels(url)
        except OmeNgffError as error:
            shown = told(error)
        assert "s3cr3t" not in shown
        assert web.url in shown or not shown
        assert "s3cr3t" not in "".join(told(failure.error) for failure in shared_failures().record())
    assert "s3cr3t" not in caplog.text


@pytest.mark.parametrize("url", ["ftp://me:s3cr3t@h/a?sig=s3cr3t", "http://me:s3cr3t@h/a.zip?sig=s3cr3t"])
def test_nor_does_an_address_that_is_refused(url: str) -> None:
    with pytest.raises(StorageError) as caught:
        open_ome_ngff(url)
    assert "s3cr3t" not in told(caught.value)


def test_what_is_opened_shows_no_secret(folder: Path) -> None:
    with Web(folder) as web:
        url = web.url.replace("//", "//me:s3cr3t@") + "/chunks.zarr?sig=s3cr3t"
        image: Any = open_ome_ngff(url)
        level = image.arrays["0"]
        assert "s3cr3t" not in f"{image!r}{image}{level!r}{level.attrs}{level.name}{image.group!r}"


def test_only_addresses_are_changed() -> None:
    for text in ("Is it there? me@home & you=1", "file:///data/a?b=1.zarr", "C:\\a?b", "/data/a?b=1.zarr"):
        assert without_secrets(text) == text
    assert (
        without_secrets("GET s3://k:p@b/a?x=1, then http://h:1/b?tok 2") == "GET s3://b/a then http://h:1/b 2"
    )


# --- the pace


class Clock:
    """Time that passes when the test says so."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def started(pace: Pace, clock: Clock, *, seconds: float = 0.0) -> int:
    """How many requests begin in a time in which nothing is answered."""
    before, end = pace.under_way, clock.now + seconds
    while (delay := pace._delay()) <= end - clock.now:
        clock.now += delay
        pace._began = clock.now
        pace._since = clock.now if not pace.under_way else pace._since
        pace.under_way += 1
        pace._open = max(pace._open, pace.under_way)
        if pace.under_way - before >= 1000:
            break
    return pace.under_way - before


def answer_all(pace: Pace, clock: Clock, seconds: float) -> None:
    began, clock.now = clock.now, clock.now + seconds
    while pace.under_way:
        pace.answered(began)
        pace.end()


def test_few_connections_are_made_at_once_and_more_one_by_one() -> None:
    pace = Pace(clock=(clock := Clock()))
    assert started(pace, clock) == FIRST
    assert started(pace, clock, seconds=5 * STEP * 10.5) == 10
    answer_all(pace, clock, 0.1)
    assert started(pace, clock) == FIRST + 10  # the connections that there are
    assert started(pace, clock, seconds=100.5 * STEP) == 100


def test_a_server_that_closes_each_connection_never_gets_many() -> None:
    pace = Pace(clock=(clock := Clock()))
    pace.closes = True
    for _ in range(3):
        started(pace, clock)
        answer_all(pace, clock, 0.002)
        assert started(pace, clock, seconds=1) == FIRST
        answer_all(pace, clock, 0.002)


def test_after_trouble_half_as_many_then_slowly_more_then_as_before() -> None:
    pace = Pace(clock=(clock := Clock()))
    started(pace, clock, seconds=5 * STEP * 15.5)
    assert pace.under_way == 20
    for _ in range(20):
        pace.trouble(clock.now)  # all for the same reason
    answer_all(pace, clock, 0.1)
    at_once = [started(pace, clock, seconds=1)]
    answer_all(pace, clock, 0.1)
    at_once.append(started(pace, clock, seconds=1))
    assert at_once == [11, 11]
    clock.now += CALM
    answer_all(pace, clock, 0.1)
    assert pace.size == float("inf")
