"""Object stores: ``http(s)://``, ``s3://``, ``gs://`` and ``az://`` through obstore.

This module imports zarr at its top and is imported only when a URL is opened.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from zarr.storage import ObjectStore

from napari_ome_ngff.errors import NotOmeNgffError, OmeNgffError, StorageError

if TYPE_CHECKING:
    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype

    _ObjectStore = ObjectStore[Any]
else:
    _ObjectStore = ObjectStore  # not generic before zarr 3.1.2

_METADATA = frozenset({"zarr.json", ".zgroup", ".zarray", ".zattrs", ".zmetadata"})
# What says that the environment holds credentials; asking for them blindly makes cloud libraries
# wait for a metadata service that is not there.
_CREDENTIALS = {
    "s3": ("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
    "gs": ("GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_KEY", "GOOGLE_APPLICATION_CREDENTIALS"),
    "az": ("AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_SAS_KEY", "AZURE_CLIENT_SECRET"),
}
_PATIENCE = timedelta(seconds=20)


class RemoteStore(_ObjectStore):
    """An object store that takes a refused metadata document for a missing one.

    Servers that list nothing answer 403 for what does not exist, and Zarr asks for documents that need not
    exist (``zarr.json`` of a Zarr v2 group). Chunks are not treated so: a refused chunk is an error.

    Parameters
    ----------
    store
        The obstore store.
    read_only
        Whether writing is refused.
    """

    def __init__(self, store: Any, *, read_only: bool = False) -> None:
        super().__init__(store, read_only=read_only)
        self.refused: str = ""  # the last answer of the kind, for the message when nothing else was found

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Return the bytes of one key, or None where there is nothing (or it is refused metadata)."""
        from obstore.exceptions import PermissionDeniedError, UnauthenticatedError

        try:
            return await super().get(key, prototype, byte_range)
        except (PermissionDeniedError, UnauthenticatedError) as error:
            if key.rpartition("/")[2] not in _METADATA:
                raise
            self.refused = _first_line(error)
            return None


def remote_stores(url: str, environment: dict[str, str]) -> list[RemoteStore]:
    """Return the stores to try for a URL, in order: without signing in, then with the credentials at hand.

    Parameters
    ----------
    url
        ``http(s)://``, ``s3://``, ``gs://`` or ``az://`` address of a group.
    environment
        The environment variables; obstore reads the same ones (``AWS_ENDPOINT_URL``, ``AWS_REGION``, ...).

    Returns
    -------
    list of RemoteStore
        Read-only stores rooted at the URL; no request was made yet.

    Raises
    ------
    StorageError
        If obstore is not installed, or the URL is none of these.
    """
    try:
        import obstore.store as stores
    except ImportError as error:
        raise StorageError(
            "Opening web addresses needs the package obstore.",
            where=url,
            hint='pip install "napari-ome-ngff[remote]"',
        ) from error

    scheme = urlsplit(url).scheme.lower()
    client: Any = {"allow_http": True, "timeout": "60s", "connect_timeout": "10s"}
    retries: Any = {"max_retries": 3, "retry_timeout": _PATIENCE}
    if scheme in ("http", "https"):
        store = stores.HTTPStore.from_url(url, client_options=client, retry_config=retries)
        return [RemoteStore(store, read_only=True)]
    kinds: dict[str, Any] = {"s3": stores.S3Store, "gs": stores.GCSStore, "az": stores.AzureStore}
    if scheme not in kinds:
        raise StorageError(
            f"Addresses that start with {scheme}:// cannot be opened.",
            where=url,
            expected="a folder, a .zip or .ozx file, or an http, https, s3, gs or az address",
        )
    signed = any(environment.get(name) for name in _CREDENTIALS[scheme])
    return [
        RemoteStore(
            kinds[scheme].from_url(url, client_options=client, retry_config=retries, **options),
            read_only=True,
        )
        for options in ([{"skip_signature": True}, {}] if signed else [{"skip_signature": True}])
    ]


def remote_location(store: Any) -> str:
    """Return the URL at which an obstore store is rooted.

    Parameters
    ----------
    store
        An obstore store.

    Returns
    -------
    str
        The URL without a slash at its end.
    """
    kind = type(store).__name__
    if kind == "HTTPStore":
        return str(store.url).rstrip("/")
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
    """Return a store one folder higher than an obstore store, or None where there is none.

    Parameters
    ----------
    store
        An obstore store.

    Returns
    -------
    obstore store or None
        With the same options as `store`.
    """
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


def explain(error: BaseException, url: str) -> OmeNgffError:
    """Return one clear sentence for what a server or the network answered.

    Parameters
    ----------
    error
        What obstore or zarr raised.
    url
        The address that was asked for.

    Returns
    -------
    OmeNgffError
        To be raised by the caller ``from error``.
    """
    text, kind, host = str(error), type(error).__name__, urlsplit(url).netloc
    if kind in ("PermissionDeniedError", "UnauthenticatedError"):
        return refused(url, _first_line(error))
    for sign, summary, hint in (
        ("dns error", f"There is no server called {host}.", "Check the address and the network connection."),
        ("onnection refused", f"The server {host} does not answer.", "Check the address and its port."),
        ("imed out", f"The server {host} did not answer in time.", "Try again later."),
        ("TimedOut", f"The server {host} did not answer in time.", "Try again later."),
        ("certificate", f"The certificate of {host} is not trusted.", ""),
        ("301 Moved", "The bucket is in another region.", "Set the environment variable AWS_REGION."),
    ):
        if sign in text:
            return StorageError(summary, where=url, found=_first_line(error), hint=hint)
    if isinstance(error, ValueError | TypeError | KeyError):
        return NotOmeNgffError(
            "What the server sends is not Zarr metadata.",
            where=url,
            found=f"{kind}: {_first_line(error)}",
            hint="The address of an OME-NGFF image usually ends with .zarr; a web page about it does not.",
        )
    return StorageError("The address could not be read.", where=url, found=f"{kind}: {_first_line(error)}")


def refused(url: str, found: str) -> StorageError:
    """Return the error for an answer 401 or 403.

    Parameters
    ----------
    url
        The address that was asked for.
    found
        What the server said.

    Returns
    -------
    StorageError
        To be raised by the caller.
    """
    return StorageError(
        "The server refuses access (401 or 403).",
        where=url,
        found=found,
        hint="Check the address; for private data set the storage's usual environment variables"
        " (AWS_ACCESS_KEY_ID and so on).",
    )


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
