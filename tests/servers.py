"""Servers on this machine for tests: HTTP with delays, faults and a record of requests; and S3.

How many round trips something takes is counted exactly and on any machine by a server with a `gate`: it
answers nothing until no further request has come for a while, then answers all that wait. Each opening of
the gate is one round trip, whatever the number of requests in it.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

PAGE = b"<!DOCTYPE html>\n<html><body>Welcome to our facility</body></html>"


@dataclass(frozen=True)
class Request:
    """What was asked for, and what the answer was."""

    path: str
    query: str
    headers: Mapping[str, str]
    status: int
    method: str = "GET"


@dataclass(frozen=True)
class Answer:
    """What a server says instead of a file."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    reset: bool = False
    """Cut the connection, after `raw` if there is any."""
    silence: float = 0.0
    """Seconds without an answer."""
    raw: bytes | None = None
    """What is sent in place of an answer, byte for byte, before the connection is closed."""
    hold: float = 0.0
    """Seconds between that and the end."""
    endless: bool = False
    """After that come zeros, as long as the client takes them."""
    slow: float = 0.0
    """Seconds between the quarters of `raw`."""


Fault = Callable[[Request, int], Answer | None]
"""From a request and how often its path was asked for before to what is answered; None for the file."""


class Web:
    """A web server that serves a folder, and what it saw."""

    def __init__(
        self,
        folder: Path,
        *,
        latency: float = 0.0,
        gate: float = 0.0,
        fault: Fault | None = None,
        ranges: bool = True,
        queue: int | None = None,
        port: int = 0,
    ) -> None:
        self.folder = folder
        self.latency = latency
        self.fault = fault
        self.ranges = ranges
        self.requests: list[Request] = []
        self.busiest = 0
        """How many requests were under way at once, at most."""
        self.rounds = 0
        """How often the gate opened."""
        self.zeros = 0
        """Bytes that were sent of answers without an end."""
        self._gate = gate
        self._asked: Counter[str] = Counter()
        self._lock = threading.Condition()
        self._under_way = 0
        self._last = 0.0
        self._opened = 0
        self._stopped = threading.Event()
        # Python's own queue of 5 connections, as people run it. With a gate, none may come late: a connection
        # that is dropped comes a second later, and a round trip would be counted as two.
        size = queue or (1024 if gate else _Http.request_queue_size)
        self._http = type("_Queue", (_Http,), {"request_queue_size": size})(("127.0.0.1", port), _Handler)
        self._http.web = self

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    @property
    def paths(self) -> list[str]:
        return [request.path for request in self.requests]

    @property
    def requests_under_way(self) -> int:
        return self._under_way

    def count(self, status: int) -> int:
        return sum(request.status == status for request in self.requests)

    def forget(self) -> None:
        """Begin a new record."""
        self.requests, self.busiest, self.rounds = [], 0, 0
        self._asked.clear()

    def __enter__(self) -> Web:
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def pause(self, seconds: float) -> None:
        """Let time pass, unless the server is stopped."""
        self._stopped.wait(seconds) if seconds else None

    def wait(self) -> None:
        """Delay an answer."""
        self.pause(self.latency)
        if not self._gate:
            return
        with self._lock:
            self._last, mine = time.monotonic(), self._opened
            while self._opened == mine and not self._stopped.is_set():
                left = self._last + self._gate - time.monotonic()
                if left > 0:
                    self._lock.wait(left)
                elif self._opened == mine:
                    self._opened += 1
                    self.rounds += 1
                    self._lock.notify_all()

    @contextlib.contextmanager
    def under_way(self) -> Iterator[None]:
        with self._lock:
            self._under_way += 1
            self.busiest = max(self.busiest, self._under_way)
        try:
            yield
        finally:
            with self._lock:
                self._under_way -= 1

    def answer(self, request: Request) -> Answer:
        with self._lock:
            earlier = self._asked[request.path]
            self._asked[request.path] += 1
        if self.fault is not None and (answer := self.fault(request, earlier)) is not None:
            self.pause(answer.silence)
            return answer
        file = self.folder / request.path.lstrip("/")
        return Answer(body=file.read_bytes()) if file.is_file() else Answer(404)


GATES = (0.08, 0.3, 1.2)
"""Seconds. On a busy machine a gate opens too early and counts too many round trips; none counts too few."""


def takes_round_trips(count: Callable[[float], Sequence[int]], *expected: int) -> bool:
    """Whether so many round trips are counted with one of the gates, each tried in a run of its own."""
    return any(tuple(count(gate)) == expected for gate in GATES)


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    web: Web

    def handle_error(self, *_: Any) -> None:
        """Nothing on the terminal: clients that go away are what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else the body waits 40 ms for the receipt of the headers
    server: _Http

    def do_GET(self) -> None:
        web, parts = self.server.web, urlsplit(self.path)
        with web.under_way():
            asked = Request(unquote(parts.path), parts.query, dict(self.headers), 0, self.command)
            answer = web.answer(asked)
            web.requests.append(replace(asked, status=answer.status))
            web.wait()
            if answer.raw is not None:
                self.close_connection = True
                step = -(-len(answer.raw) // 4) if answer.slow else len(answer.raw) or 1
                for start in range(0, len(answer.raw), step):
                    web.pause(answer.slow if start else 0)
                    self.wfile.write(answer.raw[start : start + step])
                web.pause(answer.hold)
                while answer.endless and web.zeros < 2**29:
                    web.zeros += self.connection.send(bytes(2**16))
                if not answer.reset:
                    return
            if answer.reset:
                # Zero seconds to linger: the client sees "connection reset" rather than an end.
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
                self.connection.close()
                return
            self._send(answer)

    do_HEAD = do_GET

    def _send(self, answer: Answer) -> None:
        body, status, headers = answer.body, answer.status, dict(answer.headers)
        ranges = self.server.web.ranges
        if ranges and status == 200 and (wanted := self.headers.get("Range", "")).startswith("bytes="):
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start = int(first) if first else max(0, len(body) - int(last))
            stop = int(last) + 1 if first and last else len(body)
            headers["Content-Range"] = f"bytes {start}-{min(stop, len(body)) - 1}/{len(body)}"
            body, status = body[start:stop], 206
        self.send_response(status)
        for name, value in {"Last-Modified": formatdate(usegmt=True), "ETag": '"1"', **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing on the terminal."""


class Relay(Web):
    """A server in front of another one: faults and delays for what it answers, and a record."""

    def __init__(self, upstream: str, *, latency: float = 0.0, fault: Fault | None = None) -> None:
        super().__init__(Path(), latency=latency, fault=fault)
        self.upstream = urlsplit(upstream).netloc
        self._http.RequestHandlerClass = _Forward


class _Forward(_Handler):
    def do_GET(self) -> None:
        web, parts = self.server.web, urlsplit(self.path)
        assert isinstance(web, Relay)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with web.under_way():
            asked = Request(unquote(parts.path), parts.query, dict(self.headers), 0, self.command)
            web.requests.append(asked)
            web.wait()
            answer = web.fault(asked, web.paths.count(asked.path)) if web.fault else None
            if answer is not None and answer.reset:
                self.close_connection = True
                self.connection.close()
                return
            self._send(answer or self._ask(web.upstream, body))

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET

    def _ask(self, upstream: str, body: bytes) -> Answer:
        with contextlib.closing(http.client.HTTPConnection(upstream)) as connection:
            connection.request(self.command, self.path, body, dict(self.headers))
            found = connection.getresponse()
            return Answer(found.status, found.read(), dict(found.getheaders()))

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                self.send_header(name, value)
        length = answer.headers.get("Content-Length", "") if self.command == "HEAD" else str(len(answer.body))
        self.send_header("Content-Length", length or "0")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)


def on(sign: str, answer: Answer, *, times: int | None = None) -> Fault:
    """Answer requests whose path holds a sign: always, or only the first `times` for each path."""

    def fault(request: Request, earlier: int) -> Answer | None:
        return answer if sign in request.path and (times is None or earlier < times) else None

    return fault


def missing_as(answer: Answer, folder: Path) -> Fault:
    """Answer requests for what is not there."""

    def fault(request: Request, _: int) -> Answer | None:
        return None if (folder / request.path.lstrip("/")).is_file() else answer

    return fault


@contextlib.contextmanager
def python_http_server(folder: Path) -> Iterator[str]:
    """Run ``python -m http.server`` as people do, in another process; give its URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "-d", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            for _ in range(200):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def _host_is_looked_up_once() -> None:
    """moto lists the folders of all of its services at every request: half of what a request costs."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication as Dispatcher

    look_up = Dispatcher.get_backend_for_host
    if not hasattr(look_up, "cache_info"):
        Dispatcher.get_backend_for_host = functools.cache(look_up)  # type: ignore[method-assign]


@contextlib.contextmanager
def s3_server() -> Iterator[Any]:
    """Run an S3 server; give a boto3 client that owns it, with the server's URL as ``meta.endpoint_url``."""
    import logging

    import boto3
    from moto.server import ThreadedMotoServer
    from werkzeug.serving import WSGIRequestHandler

    _host_is_looked_up_once()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    WSGIRequestHandler.disable_nagle_algorithm = True
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        region_name="us-east-1",
        aws_access_key_id="owner",
        aws_secret_access_key="secret",
    )
    try:
        yield client
    finally:
        client.close()
        server.stop()


def upload(client: Any, folder: Path, bucket: str, prefix: str, *, public: bool) -> None:
    """Copy a folder to a bucket."""
    with contextlib.suppress(client.exceptions.BucketAlreadyOwnedByYou):
        client.create_bucket(Bucket=bucket)
    for parent, _, files in os.walk(folder):
        for name in files:
            file = Path(parent, name)
            client.put_object(
                Bucket=bucket,
                Key=f"{prefix}/{file.relative_to(folder).as_posix()}",
                Body=file.read_bytes(),
                ACL="public-read" if public else "private",
            )
