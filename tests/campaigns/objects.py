"""A small S3 server for campaigns: the many requests that they make take several times as long with moto.

It knows one bucket, and believes every signature. The suite asks moto (`tests/writing/test_buckets.py`).
"""

from __future__ import annotations

from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree as Xml
from xml.sax.saxutils import escape

from tests.servers import Answer, Relay, _Forward

_DATE = "2026-01-01T00:00:00.000Z"
_PAGE = 1000  # keys in one answer, as S3 has it


class Objects(Relay):
    """The server, what it holds, and faults for what it answers."""

    def __init__(self) -> None:
        super().__init__("")
        self._http.RequestHandlerClass = _Handler
        self.objects: dict[str, bytes] = {}


class _Handler(_Forward):
    def _ask(self, upstream: str, body: bytes) -> Answer:
        web, parts = self.server.web, urlsplit(self.path)
        assert isinstance(web, Objects)
        objects, query = web.objects, parse_qs(parts.query, keep_blank_values=True)
        key = unquote(parts.path).lstrip("/").partition("/")[2]
        if "delete" in query:
            named = [one.text or "" for one in Xml.fromstring(body).iter() if one.tag.endswith("Key")]
            deleted = "".join(f"<Deleted><Key>{escape(one)}</Key></Deleted>" for one in named)
            for one in named:
                objects.pop(one, None)
            return Answer(body=f"<DeleteResult>{deleted}</DeleteResult>".encode())
        if "list-type" in query:
            return Answer(body=_listed(objects, query))
        if self.command == "DELETE":
            objects.pop(key, None)
            return Answer(204)
        if self.command == "PUT":
            if self.headers.get("If-None-Match") == "*" and key in objects:
                return Answer(412)
            source = unquote(self.headers.get("x-amz-copy-source", "")).lstrip("/").partition("/")[2]
            if source and source not in objects:
                return Answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
            objects[key] = objects[source] if source else body
            tag = b'<CopyObjectResult><ETag>"1"</ETag></CopyObjectResult>' if source else b""
            return Answer(body=tag, headers={"ETag": '"1"'})
        if key not in objects:
            return Answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        return _part(objects[key], self.headers.get("Range", ""))


def _part(content: bytes, wanted: str) -> Answer:
    headers = {"ETag": '"1"', "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
    size, status = len(content), 200
    if wanted:
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start = int(first) if first else max(0, size - int(last))
        stop = min(size, int(last) + 1) if first and last else size
        content, status = content[start:stop], 206
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    return Answer(status, content, {**headers, "Content-Length": str(len(content))})


def _listed(objects: dict[str, bytes], query: dict[str, list[str]]) -> bytes:
    prefix, after = (query.get(name, [""])[0] for name in ("prefix", "continuation-token"))
    keys = sorted(key for key in list(objects) if key.startswith(prefix) and key > after)
    folders = set()
    if "delimiter" in query:
        inside = (key[len(prefix) :].partition("/") for key in keys)
        folders = {f"{prefix}{name}/" for name, slash, _ in inside if slash}
        keys = [key for key in keys if "/" not in key[len(prefix) :]]
    more = f"<NextContinuationToken>{escape(keys[_PAGE - 1])}</NextContinuationToken>" if keys[_PAGE:] else ""
    contents = [
        f"<Contents><Key>{escape(key)}</Key><LastModified>{_DATE}</LastModified>"
        f'<ETag>"1"</ETag><Size>{len(objects[key])}</Size></Contents>'
        for key in keys[:_PAGE]
    ]
    above = [f"<CommonPrefixes><Prefix>{escape(one)}</Prefix></CommonPrefixes>" for one in sorted(folders)]
    text = "".join((*contents, *above, f"<IsTruncated>{str(bool(more)).lower()}</IsTruncated>", more))
    return f"<ListBucketResult>{text}</ListBucketResult>".encode()
