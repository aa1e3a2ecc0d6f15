"""Object stores: ``http(s)://``, ``s3://``, ``gs://`` and ``az://`` through obstore.

This module imports zarr at its top and is imported only when a URL is opened.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes, urlsplit

from zarr.storage import ObjectStore

from napari_ome_ngff.errors import StorageError
from napari_ome_ngff.storage.places.server_errors import explain, without_secrets_in

if TYPE_CHECKING:
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
_RETRIES = {
    "max_retries": 4,
    "retry_timeout": timedelta(seconds=15),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=2), "base": 2},
}


_NO_RETRIES = {"max_retries": 0, "retry_timeout": timedelta(seconds=1)}


class NamedObjectStore(_ObjectStore):
    """An object store that is named by its URL: obstore's own text panics for some, and shows signatures."""

    def __str__(self) -> str:
        return remote_location(self.store)


def has_credentials(url: str, environment: Mapping[str, str]) -> bool:
    """Whether the environment holds credentials for a URL; False for web servers."""
    names = _CREDENTIALS.get(urlsplit(url).scheme.lower(), ())
    return any(environment.get(name) for name in names)


def connect(
    url: str, environment: Mapping[str, str], *, signed: bool, timeouts: Mapping[str, str], retry: bool
) -> Any:
    """The obstore store that is rooted at a URL; no request is made.

    `signed` says whether requests are signed with the credentials of the environment, `timeouts` are
    obstore's, such as ``{"timeout": "180s"}``. A user and a password in the URL go into a header.
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
    is_azure = scheme in ("abfs", "abfss")  # with the name of the account in it
    scheme = "az" if is_azure else scheme
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
    url, headers = (url, {}) if is_azure else _without_user(url)
    unsigned = {} if signed or scheme.startswith("http") else {"skip_signature": True}
    try:
        return kinds[scheme].from_url(
            url.replace("#", "%23"),  # a fragment would never reach the server: it is part of a name
            client_options={"allow_http": True, **timeouts, "default_headers": headers},
            retry_config=_RETRIES if retry else _NO_RETRIES,
            **_settings(scheme, environment),
            **unsigned,
        )
    except (BaseError, ValueError) as error:
        raise explain(error, url) from without_secrets_in(error)


def _without_user(url: str) -> tuple[str, dict[str, str]]:
    """An address without its ``user:password@``, and the header that says the same."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    if not at or not parts.scheme.lower().startswith("http"):
        return url, {}
    token = base64.b64encode(unquote_to_bytes(user)).decode()
    return parts._replace(netloc=host).geturl(), {"Authorization": f"Basic {token}"}


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
        host = parts.netloc.rpartition("@")[2]
        return parts._replace(netloc=host, query="", fragment="").geturl().rstrip("/")
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
    if type(store).__name__ == "HTTPStore":
        above, _, name = urlsplit(str(store.url).rstrip("/")).path.rpartition("/")
        return with_options(store, path=above or "/") if name else None
    prefix = str(getattr(store, "prefix", None) or "").strip("/")
    if not prefix or not hasattr(store, "config"):
        return None
    return with_options(store, path=prefix.rpartition("/")[0])


def with_options(store: Any, *, path: str | None = None, timeouts: Mapping[str, str] | None = None) -> Any:
    """An obstore store for the same server, at another path or with other timeouts."""
    client = {**(store.client_options or {}), **(timeouts or {})}
    options = {"client_options": client, "retry_config": store.retry_config}
    if type(store).__name__ == "HTTPStore":
        parts = urlsplit(str(store.url))
        parts = parts if path is None else parts._replace(path=path)
        return type(store).from_url(parts.geturl(), **options)
    prefix = store.prefix if path is None else path
    return type(store)(config=store.config, prefix=prefix or None, **options)
