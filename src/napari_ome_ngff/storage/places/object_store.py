"""Object stores: ``http(s)://``, ``s3://``, ``gs://`` and ``az://`` through obstore.

This module imports zarr at its top and is imported only when a URL is opened.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from zarr.storage import ObjectStore

from napari_ome_ngff.errors import StorageError
from napari_ome_ngff.storage.places.node_documents import DOCUMENTS
from napari_ome_ngff.storage.places.server_errors import explain, first_line

if TYPE_CHECKING:
    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype

    _ObjectStore = ObjectStore[Any]
else:
    _ObjectStore = ObjectStore  # not generic before zarr 3.1.2


# What says that the environment holds credentials; asking for them blindly makes cloud libraries
# wait for a metadata service that is not there.
_CREDENTIALS = {
    "s3": ("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
    "gs": ("GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_KEY", "GOOGLE_APPLICATION_CREDENTIALS"),
    "az": (
        "AZURE_STORAGE_ACCOUNT_KEY",
        "AZURE_STORAGE_ACCESS_KEY",
        "AZURE_STORAGE_SAS_KEY",
        "AZURE_STORAGE_SAS_TOKEN",
        "AZURE_STORAGE_TOKEN",
        "AZURE_CLIENT_SECRET",
        "AZURE_FEDERATED_TOKEN_FILE",
    ),
}


# Four more attempts within about two seconds; a server that needs longer is down.
_CLIENT = {"allow_http": True, "timeout": "60s", "connect_timeout": "5s"}


_RETRIES = {
    "max_retries": 4,
    "retry_timeout": timedelta(seconds=15),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=2), "base": 2},
}


_FRESH = 10.0  # seconds in which a server that just answered is taken to do so still


_PAGES = (b"<!doctype html", b"<html")


class NamedObjectStore(_ObjectStore):
    """An object store that is named by its URL: obstore's own text panics for some, and shows signatures."""

    def __str__(self) -> str:
        return remote_location(self.store)


class RemoteStore(NamedObjectStore):
    """An object store whose server may say in other ways than 404 that something does not exist.

    - Buckets that may be read but not listed answer 403, and Zarr asks for what need not exist: documents of
      the other format, chunks that hold only the fill value. So a refused document is a missing one; and so
      is a refused chunk, as long as a document that could be read before can still be read. Where access has
      ended (a signature has expired), a refused chunk is an error.
    - Servers of web applications send their page, with 200: a page is nothing.
    - Simple servers send no parts of files: then the part is cut out of the whole.

    `refused` is the last refusal, `page` whether a page was sent: for the message when nothing else was read.
    """

    def __init__(self, store: Any, *, read_only: bool = False) -> None:
        super().__init__(store, read_only=read_only)
        self.refused = ""
        self.page = False
        self._proof = ""  # a document that could be read, and when
        self._proven = -math.inf

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """The bytes of one key, or None where there is nothing, whatever the server calls that."""
        from obstore.exceptions import NotSupportedError, PermissionDeniedError, UnauthenticatedError

        is_document = key.rpartition("/")[2] in DOCUMENTS
        try:
            content = await super().get(key, prototype, byte_range)
        except NotSupportedError:
            whole = await super().get(key, prototype)
            return whole if whole is None or byte_range is None else _part(whole, byte_range)
        except (PermissionDeniedError, UnauthenticatedError) as error:
            if not is_document and not await self._can_read(prototype):
                raise
            self.refused = first_line(error)
            return None
        if content is None or self._is_page(content):
            return None
        if is_document:
            self._proof, self._proven = key, time.monotonic()
        return content

    async def _can_read(self, prototype: BufferPrototype) -> bool:
        """Whether a document that could be read can be read still."""
        if self._proof and time.monotonic() - self._proven > _FRESH:
            try:
                content = await super().get(self._proof, prototype)
            except Exception:  # noqa: BLE001 (whatever it is: no)
                return False
            if content is None:
                return False
            self._proven = time.monotonic()
        return bool(self._proof)

    def _is_page(self, content: Buffer) -> bool:
        is_page = content[:64].to_bytes().lstrip().lower().startswith(_PAGES)
        self.page |= is_page
        return is_page

    def __getstate__(self) -> dict[Any, Any]:
        return {**super().__getstate__(), "_proven": -math.inf}  # another machine has another clock


def _part(whole: Buffer, part: ByteRequest) -> Buffer:
    from zarr.abc.store import OffsetByteRequest, RangeByteRequest

    if isinstance(part, RangeByteRequest):
        return whole[part.start : part.end]
    if isinstance(part, OffsetByteRequest):
        return whole[part.offset :]
    return whole[max(0, len(whole) - part.suffix) :]


def remote_stores(url: str, environment: Mapping[str, str]) -> list[RemoteStore]:
    """Read-only stores to try for a URL, in order: unsigned, then with credentials; no request is made.

    A query (a signature) is sent with every request. The environment variables are those of obstore
    (``AWS_ENDPOINT_URL``, ``AWS_REGION``, ``GOOGLE_BASE_URL``, ``AZURE_STORAGE_ACCOUNT_NAME`` ...), and
    ``STORAGE_EMULATOR_HOST``.
    """
    scheme = urlsplit(url).scheme.lower()
    if urlsplit(url).path.lower().endswith((".ozx", ".zip")):
        raise StorageError(
            "Zip files on servers cannot be opened.", where=url, hint="Download it and open the file."
        )
    ways = [False] if scheme.startswith("http") else [False, True][: 1 + has_credentials(url, environment)]
    return [RemoteStore(connect(url, environment, signed=signed), read_only=True) for signed in ways]


def has_credentials(url: str, environment: Mapping[str, str]) -> bool:
    """Whether the environment holds credentials for a URL; False for web servers."""
    names = _CREDENTIALS.get(urlsplit(url).scheme.lower(), ())
    return any(environment.get(name) for name in names)


def connect(url: str, environment: Mapping[str, str], *, signed: bool, timeout: str = "") -> Any:
    """The obstore store that is rooted at a URL; no request is made.

    `signed` says whether requests are signed with the credentials of the environment, `timeout` how long a
    request may take, such as "180s"; "" is that of reading.
    """
    try:
        import obstore.store as stores
        from obstore.exceptions import BaseError
    except ImportError as error:
        raise StorageError(
            "Web addresses need the package obstore.",
            where=url,
            hint='pip install "napari-ome-ngff[remote]"',
        ) from error

    scheme = urlsplit(url).scheme.lower()
    kinds: dict[str, Any] = {
        "http": stores.HTTPStore,
        "https": stores.HTTPStore,
        "s3": stores.S3Store,
        "gs": stores.GCSStore,
        "az": stores.AzureStore,
    }
    if scheme not in kinds:
        raise StorageError(
            f"Addresses that start with {scheme}:// are not known.",
            where=url,
            expected="a folder, a .zip or .ozx file, or an http, https, s3, gs or az address",
        )
    unsigned = {} if signed or scheme.startswith("http") else {"skip_signature": True}
    try:
        return kinds[scheme].from_url(
            url.replace("#", "%23"),  # a fragment would never reach the server: it is part of a name
            client_options={**_CLIENT, "timeout": timeout or _CLIENT["timeout"]},
            retry_config=_RETRIES,
            **_settings(scheme, environment),
            **unsigned,
        )
    except (BaseError, ValueError) as error:
        raise explain(error, url) from error


def _settings(scheme: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Settings of the environment that obstore does not read itself, or not well."""
    if scheme == "gs" and (host := environment.get("STORAGE_EMULATOR_HOST")):
        return {"base_url": host if "://" in host else f"http://{host}"}
    if scheme == "az" and (name := environment.get("AZURE_STORAGE_ACCOUNT_NAME")):
        return {"account_name": name}
    return {}


def remote_location(store: Any) -> str:
    """The URL at which an obstore store is rooted, without its query: that may be a signature."""
    kind = type(store).__name__
    if kind == "HTTPStore":
        parts = urlsplit(str(store.url))
        return parts._replace(query="", fragment="").geturl().rstrip("/")
    if kind == "LocalStore":
        return str(store.prefix or "/")
    config = dict(getattr(store, "config", None) or {})
    names = {
        "S3Store": ("s3", "bucket"),
        "GCSStore": ("gs", "bucket"),
        "AzureStore": ("az", "container_name"),
    }
    if kind not in names:
        return f"{kind.lower()}://{id(store)}"
    scheme, key = names[kind]
    return f"{scheme}://{config.get(key, '')}/{store.prefix or ''}".rstrip("/")


def remote_parent(store: Any) -> Any | None:
    """An obstore store one folder higher, with the same options; None where there is none."""
    options = {"client_options": store.client_options, "retry_config": store.retry_config}
    if type(store).__name__ == "HTTPStore":
        parts = urlsplit(str(store.url).rstrip("/"))
        above, _, name = parts.path.rpartition("/")
        if not name:
            return None
        return type(store).from_url(parts._replace(path=above or "/").geturl(), **options)
    prefix = str(getattr(store, "prefix", None) or "").strip("/")
    if not prefix or not hasattr(store, "config"):
        return None
    return type(store)(config=store.config, prefix=prefix.rpartition("/")[0] or None, **options)
