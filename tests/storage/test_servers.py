"""Servers: what they hold is opened in a few round trips, what goes wrong is said in one clear sentence."""

from __future__ import annotations

import builtins
import pickle
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import zarr

from napari_ome_ngff.errors import NotOmeNgffError, OmeNgffError, StorageError
from napari_ome_ngff.storage.documents.hierarchy import open_hierarchy
from napari_ome_ngff.storage.documents.parents import array_at, parents
from napari_ome_ngff.storage.places.location import location_of
from napari_ome_ngff.storage.places.servers import remote_store
from napari_ome_ngff.storage.places.servers.remote_store import Patience
from tests.servers import PAGE, Answer, Fault, Web, missing_as, on, s3_server, takes_round_trips, upload

if find_spec("obstore") is None:
    pytest.skip("obstore is not installed", allow_module_level=True)

OME = {"ome": {"version": "0.5", "multiscales": []}}


def make_image(folder: Path, *, zarr_format: Any = 3, levels: int = 1, labels: int = 0) -> None:
    """Levels that hold a 7 in their first chunk and nothing in the others."""
    group = zarr.create_group(
        folder, zarr_format=zarr_format, attributes=OME if zarr_format == 3 else OME["ome"]
    )
    for level in range(levels):
        group.create_array(str(level), shape=(4, 4), chunks=(2, 2), dtype="uint8")[:2, :2] = 7
    names = [f"label{n}" for n in range(labels)]
    if names:
        group.create_group("labels", attributes={"labels": names})
    for name in names:
        make_image(folder / "labels" / name, zarr_format=zarr_format, levels=levels)


def said(error: OmeNgffError) -> str:
    """What a toast would show: it must be one short sentence."""
    assert len(error.summary) < 100
    assert error.summary.endswith(".")
    assert "\n" not in error.summary
    return error.summary


def first(hierarchy: Any, path: str = "0") -> Any:
    array = hierarchy.array(path)
    return array[:1, :].ravel().tolist()


# --- addresses


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize(
    "name", ["a.zarr", "with space.zarr", "größe µm.zarr", "deep/er/a", "a#1.zarr", "100%.zarr"]
)
def test_addresses_of_any_spelling(name: str, zarr_format: int, tmp_path: Path) -> None:
    from urllib.parse import quote

    make_image(tmp_path / name, zarr_format=zarr_format)
    document = "zarr.json" if zarr_format == 3 else ".zattrs"
    spellings = [quote(name), f"{quote(name)}/", f"{quote(name)}//", f"{quote(name)}/{document}"]
    if "%" not in name:
        spellings.append(name)
    with Web(tmp_path) as web:
        for spelling in spellings:
            hierarchy = open_hierarchy(f"{web.url}/{spelling}")
            assert hierarchy.zarr_format == zarr_format
            assert first(hierarchy) == [7, 7, 0, 0]
            assert hierarchy.location.startswith(web.url)
            assert hierarchy.children() is None


def test_a_signature_is_sent_with_every_request_and_shown_to_nobody(tmp_path: Path) -> None:
    make_image(tmp_path / "a.zarr", labels=1)
    with Web(tmp_path) as web:
        for address in ("a.zarr?sig=a%2Fb&x=1", "a.zarr/?sig=a%2Fb&x=1", "a.zarr/zarr.json?sig=a%2Fb&x=1"):
            hierarchy = open_hierarchy(f"{web.url}/{address}", ahead=["labels"])
            array = hierarchy.array("labels/label0/0")
            assert array is not None
            assert array[0, 0] == 7
            assert hierarchy.location == f"{web.url}/a.zarr"
            assert "sig" not in location_of(array) + repr(array) + str(array.store) + repr(hierarchy)
            assert next(parents(array)).path == "labels/label0"
        level = array_at(f"{web.url}/a.zarr/0?sig=a%2Fb&x=1")
        assert level is not None
        assert next(parents(level)).attrs.asdict() == OME
        assert {request.query for request in web.requests} == {"sig=a%2Fb&x=1"}
        assert all("//" not in path for path in web.paths)
        with pytest.raises(NotOmeNgffError) as caught:
            open_hierarchy(f"{web.url}/no.zarr?sig=secret")
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_level_by_its_address(zarr_format: int, tmp_path: Path) -> None:
    make_image(tmp_path / "a.zarr", zarr_format=zarr_format, labels=1)
    with Web(tmp_path) as web:
        array = array_at(f"{web.url}/a.zarr/labels/label0/0/")
        assert array is not None
        assert array[0, 0] == 7
        found = [location_of(group) for group in parents(array)]
        assert found == [f"{web.url}/a.zarr{path}" for path in ("/labels/label0", "/labels", "")]
        assert array_at(f"{web.url}/a.zarr") is None


def test_what_is_opened_survives_a_journey_to_another_process(tmp_path: Path) -> None:
    make_image(tmp_path / "a.zarr")
    with Web(tmp_path) as web:
        array = pickle.loads(pickle.dumps(open_hierarchy(f"{web.url}/a.zarr?q").array("0")))
        assert array[0, 0] == 7


def test_redirects_are_followed(tmp_path: Path) -> None:
    make_image(tmp_path / "a.zarr")

    def moved(request: Any, _: int) -> Answer | None:
        if not request.path.startswith("/old/"):
            return None
        return Answer(302, headers={"Location": request.path.replace("/old/", "/")})

    with Web(tmp_path, fault=moved) as web:
        assert first(open_hierarchy(f"{web.url}/old/a.zarr")) == [7, 7, 0, 0]


def test_other_addresses_are_refused_in_a_sentence() -> None:
    for url in ("ftp://h/a.zarr", "https://h/a.ozx", "https://h/a.zarr.zip?sig=1", "s3://", "az://c/a.zarr"):
        with pytest.raises(StorageError) as caught:
            open_hierarchy(url)
        said(caught.value)


def test_without_obstore_the_way_to_get_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("obstore"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(StorageError, match=r"pip install .*remote"):
        open_hierarchy("https://h/a.zarr")


# --- answers other than 200 and 404


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("answer", [Answer(403), Answer(401), Answer(200, PAGE), Answer(200, b"\n <HTML>")])
def test_what_does_not_exist_may_be_called_other_names(
    answer: Answer, zarr_format: int, tmp_path: Path
) -> None:
    """Documents, and chunks that hold only the fill value, whatever the server says of what is not there."""
    make_image(tmp_path / "a.zarr", zarr_format=zarr_format)
    with Web(tmp_path, fault=missing_as(answer, tmp_path)) as web:
        hierarchy = open_hierarchy(f"{web.url}/a.zarr", ahead=["labels"])
        assert hierarchy.attributes("labels") is None
        assert hierarchy.array("1") is None
        assert first(hierarchy) == [7, 7, 0, 0]


def test_a_chunk_that_is_refused_because_access_has_ended_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_image(tmp_path / "a.zarr")
    ended: list[bool] = []

    def fault(_: Any, __: int) -> Answer | None:
        return Answer(403) if ended else None

    monkeypatch.setattr(remote_store, "PATIENCE", Patience(fresh=0.0))
    with Web(tmp_path, fault=fault) as web:
        array = open_hierarchy(f"{web.url}/a.zarr").array("0")
        assert array is not None
        ended.append(True)
        with pytest.raises(StorageError, match="refuses access"):
            array[...]


def test_a_server_that_sends_no_parts_of_files(tmp_path: Path) -> None:
    """Chunks of a shard are read by ranges; a server may send the whole file instead."""
    group = zarr.create_group(tmp_path / "a.zarr", attributes=OME)
    group.create_array("0", shape=(8, 8), chunks=(2, 2), shards=(8, 8), dtype="uint8")[...] = 7
    with Web(tmp_path, ranges=False) as web:
        array = open_hierarchy(f"{web.url}/a.zarr").array("0")
        assert array is not None
        assert array[3, 3] == 7
    with Web(tmp_path) as web:
        array = open_hierarchy(f"{web.url}/a.zarr").array("0")
        assert array is not None
        assert array[3, 3] == 7


FAULTS: list[tuple[str, Callable[[], Fault], type[OmeNgffError], str]] = [
    ("nothing there", lambda: on("", Answer(404)), NotOmeNgffError, "no Zarr group"),
    ("forbidden", lambda: on("", Answer(403)), StorageError, "refuses access"),
    ("who are you", lambda: on("", Answer(401)), StorageError, "refuses access"),
    ("a web page", lambda: on("", Answer(200, PAGE)), NotOmeNgffError, "not Zarr metadata"),
    ("other text", lambda: on("", Answer(200, b"hello")), OmeNgffError, "damaged"),
    ("ill", lambda: on("", Answer(500)), StorageError, "answers 500"),
    ("overloaded", lambda: on("", Answer(503)), StorageError, "answers 503"),
    ("bad request", lambda: on("", Answer(400)), StorageError, "answers 400"),
    ("hangs up", lambda: on("", Answer(reset=True)), StorageError, r"connection .* broke"),
    ("a circle", lambda: lambda r, _: Answer(302, headers={"Location": r.path}), StorageError, "circle"),
]


@pytest.mark.parametrize(("fault", "error", "sentence"), [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS])
def test_each_trouble_is_one_clear_sentence_within_seconds(
    fault: Callable[[], Fault],
    error: type[OmeNgffError],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(remote_store, "PATIENCE", Patience(busy=0.2))
    with Web(tmp_path, fault=fault()) as web:
        started = time.monotonic()
        with pytest.raises(error, match=sentence) as caught:
            open_hierarchy(f"{web.url}/a.zarr", ahead=["labels", "OME"])
        assert time.monotonic() - started < 8  # retries included: one or two on a quiet machine
        assert f"{web.url}/a.zarr" in caught.value.where
        assert len(web.requests) < 100
        said(caught.value)


def test_a_server_that_keeps_silent_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Patience().quick + Patience().long < 10
    monkeypatch.setattr(remote_store, "PATIENCE", Patience(quick=0.2, long=0.3))
    with Web(tmp_path, fault=on("", Answer(silence=60))) as web, pytest.raises(StorageError) as caught:
        open_hierarchy(f"{web.url}/a.zarr", ahead=["labels"])
    assert "did not answer in time" in said(caught.value)


@pytest.mark.parametrize("trouble", [Answer(500), Answer(503), Answer(429), Answer(reset=True)])
def test_what_passes_is_tried_again(trouble: Answer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_store, "PATIENCE", Patience(busy=0.1))
    make_image(tmp_path / "a.zarr")
    with Web(tmp_path, fault=on("a.zarr", trouble, times=2)) as web:
        hierarchy = open_hierarchy(f"{web.url}/a.zarr")
        assert hierarchy.array("0")[0, 0] == 7  # type: ignore[index]
        assert web.paths.count("/a.zarr/zarr.json") == 3


def test_a_dead_server_is_not_asked_for_everything(tmp_path: Path) -> None:
    make_image(tmp_path / "a.zarr")
    dead: list[bool] = []
    with Web(tmp_path, fault=lambda *_: Answer(400) if dead else None) as web:
        hierarchy = open_hierarchy(f"{web.url}/a.zarr")
        dead.append(True)
        web.forget()
        hierarchy.fetch(str(n) for n in range(2000))
        assert len(web.requests) <= 256
        with pytest.raises(StorageError, match="400"):
            hierarchy.array("1999")
        assert hierarchy.attributes() == OME  # what was fetched before is known still


def test_servers_that_are_not_there() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/a.zarr"
    started = time.monotonic()
    with pytest.raises(StorageError, match="does not answer") as caught:
        open_hierarchy(url)
    said(caught.value)
    with pytest.raises(StorageError, match=r"no server called no-such-host\.invalid") as caught:
        open_hierarchy("https://no-such-host.invalid/a.zarr")
    said(caught.value)
    assert time.monotonic() - started < 15


# --- round trips


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize(("levels", "labels"), [(1, 0), (5, 2), (10, 5)])
def test_documents_of_an_image_take_three_round_trips(
    levels: int, labels: int, zarr_format: int, tmp_path: Path
) -> None:
    """The group with its labels group; levels and label images; their levels. However many there are."""
    make_image(tmp_path / "a.zarr", zarr_format=zarr_format, levels=levels, labels=labels)
    names, paths = [f"label{n}" for n in range(labels)], [str(n) for n in range(levels)]

    def count(gate: float) -> list[int]:
        with Web(tmp_path, gate=gate) as web:
            hierarchy = open_hierarchy(f"{web.url}/a.zarr", ahead=["labels", "OME"])
            rounds = [web.rounds]
            assert (hierarchy.attributes("labels") or {}).get("labels", []) == names
            hierarchy.fetch([*paths, *(f"labels/{name}" for name in names)])
            hierarchy.fetch(f"labels/{name}/{path}" for name in names for path in paths)
            for folder in ("", *(f"labels/{name}/" for name in names)):
                assert all(hierarchy.shape(folder + path) == (4, 4) for path in paths)
                assert all(hierarchy.array(folder + path) is not None for path in paths)
            rounds.append(web.rounds)
            each = 1 if zarr_format == 3 else 2
            assert len(web.requests) == 7 + each * (levels + labels + levels * labels)
            assert web.busiest >= min(levels, 5)
            assert web.count(200) >= 1 + (labels > 0) + levels + labels + levels * labels
        return rounds

    assert takes_round_trips(count, 1, 3 if labels else 2)


def test_a_thousand_documents_are_fetched_side_by_side(tmp_path: Path) -> None:
    make_image(tmp_path / "a.zarr")
    with Web(tmp_path, latency=0.05) as web:
        hierarchy = open_hierarchy(f"{web.url}/a.zarr")
        started = time.monotonic()
        hierarchy.fetch(str(n) for n in range(1000))
        assert time.monotonic() - started < 1000 * 0.05 / 5
        assert web.busiest <= 128
        assert len(web.requests) == 3 + 999 + 1


# --- buckets


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    with s3_server() as client:
        yield client


@pytest.fixture
def bucket(s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A public and a private bucket with the same image, at an endpoint that the environment names."""
    make_image(tmp_path / "a #1.zarr")
    make_image(tmp_path / "v2.zarr", zarr_format=2)
    upload(s3, tmp_path, "open", "deep/er", public=True)
    upload(s3, tmp_path, "closed", "deep/er", public=False)
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3.meta.endpoint_url)
    return "deep/er"


@pytest.mark.parametrize("name", ["a #1.zarr", "v2.zarr"])
def test_a_public_bucket(name: str, bucket: str) -> None:
    hierarchy = open_hierarchy(f"s3://open/{bucket}/{name}", ahead=["labels"])
    assert hierarchy.location == f"s3://open/{bucket}/{name}"
    assert first(hierarchy) == [7, 7, 0, 0]
    array = array_at(f"s3://open/{bucket}/{name}/0")
    assert array is not None
    assert location_of(next(parents(array))) == f"s3://open/{bucket}/{name}"


def test_a_private_bucket_is_opened_with_the_environments_credentials(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"s3://closed/{bucket}/a #1.zarr"
    with pytest.raises(StorageError, match="refuses access"):
        open_hierarchy(url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "owner")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    assert first(open_hierarchy(url)) == [7, 7, 0, 0]
    array = array_at(f"{url}/0")
    assert array is not None
    assert array[0, 0] == 7


@pytest.mark.parametrize("url", ["s3://open/nothing.zarr", "s3://no-such-bucket/a.zarr"])
def test_nothing_in_a_bucket(url: str, bucket: str) -> None:
    with pytest.raises(NotOmeNgffError, match="no Zarr group") as caught:
        open_hierarchy(url)
    assert caught.value.where == url


@pytest.mark.parametrize(
    ("url", "environment", "path"),
    [
        ("s3://bucket/a.zarr", {"AWS_ENDPOINT_URL": "{}"}, "/bucket/a.zarr/"),
        ("s3://bucket/a.zarr", {"AWS_ENDPOINT_URL_S3": "{}"}, "/bucket/a.zarr/"),
        ("gs://bucket/a.zarr", {"GOOGLE_BASE_URL": "{}"}, "/bucket/a.zarr/"),
        ("gs://bucket/a.zarr", {"STORAGE_EMULATOR_HOST": "{}"}, "/bucket/a.zarr/"),
        (
            "az://box/a.zarr",
            {"AZURE_STORAGE_ACCOUNT_NAME": "me", "AZURE_STORAGE_ENDPOINT": "{}"},
            "/box/a.zarr/",
        ),
        ("az://box/a.zarr", {"AZURE_STORAGE_ACCOUNT_NAME": "me", "AZURE_ENDPOINT": "{}"}, "/box/a.zarr/"),
    ],
)
def test_endpoints_are_taken_from_the_environment(
    url: str, environment: dict[str, str], path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The usual variables of each cloud, without signing in; a bucket that lists nothing answers 403."""
    make_image(tmp_path / path.strip("/"))
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ACCESS_KEY_ID"):
        monkeypatch.delenv(name, raising=False)
    with Web(tmp_path, fault=missing_as(Answer(403), tmp_path)) as web:
        for name, value in environment.items():
            monkeypatch.setenv(name, value.format(web.url))
        hierarchy = open_hierarchy(url, ahead=["labels"])
        assert first(hierarchy) == [7, 7, 0, 0]
        assert hierarchy.location == url
        assert url in repr(hierarchy.array("0"))
        assert all(request.path.startswith(path) for request in web.requests)
        assert not any("Authorization" in request.headers for request in web.requests)
        array = array_at(f"{url}/0")
        assert array is not None
        assert location_of(next(parents(array))) == url
        shutil.rmtree(tmp_path / path.strip("/"))
        with pytest.raises(StorageError, match="refuses access"):
            open_hierarchy(url)
