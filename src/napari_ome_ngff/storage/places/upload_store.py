"""Buckets that are written to: ``s3://``, ``gs://`` and ``az://`` through obstore.

This module imports zarr at its top and is imported only when a bucket is written to.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from napari_ome_ngff.errors import OmeNgffError, StorageError
from napari_ome_ngff.storage.places.object_store import (
    NamedObjectStore,
    connect,
    has_credentials,
    remote_parent,
)
from napari_ome_ngff.storage.places.server_errors import explain, was_answered, without_secrets_in

if TYPE_CHECKING:
    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype

# Bytes. What is sent in parts can leave parts behind, which nobody sees but pays.
_IN_ONE_REQUEST = 256 * 2**20


_TIMEOUTS = {"timeout": "180s", "connect_timeout": "5s"}  # for one object, also through a slow line


class UploadStore(NamedObjectStore):
    """An object store that is written to: what the server or the network answers is one clear sentence."""

    unanswered = False
    """Whether a request that changes something was never answered: what it carried may still arrive."""

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """The bytes of one key, or None. A refusal is an error: nothing can be replaced unseen."""
        with self._explained():
            return await super().get(key, prototype, byte_range)

    async def set(self, key: str, value: Buffer) -> None:
        """Upload one key, in one request unless it is huge."""
        import obstore

        self._check_writable()
        with self._explained(changes=True):
            await obstore.put_async(
                self.store, key, value.as_buffer_like(), use_multipart=len(value) > _IN_ONE_REQUEST
            )

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        """Upload one key unless it is there; where the server cannot tell at once, it is asked first."""
        from obstore.exceptions import NotSupportedError

        with self._explained(changes=True):
            try:
                await super().set_if_not_exists(key, value)
            except (NotSupportedError, NotImplementedError):
                if not await super().exists(key):
                    await self.set(key, value)

    async def delete(self, key: str) -> None:
        """Delete one key, whether it is there or not."""
        with self._explained(changes=True):
            await super().delete(key)

    async def delete_keys(self, keys: Sequence[str]) -> None:
        """Delete many keys, with few requests where the server can."""
        import obstore

        self._check_writable()
        with self._explained(changes=True):
            if type(self.store).__name__ == "S3Store":
                await obstore.delete_async(self.store, keys)
                return
        for key in keys:  # elsewhere a key that is not there ends a bulk request
            await self.delete(key)

    async def copy_key(self, source: str, target: str) -> None:
        """Have the server copy one key, if it is there: nothing is sent to and fro."""
        import obstore

        self._check_writable()
        with self._explained(changes=True), contextlib.suppress(FileNotFoundError):
            await obstore.copy_async(self.store, source, target)

    async def list_prefix(self, prefix: str) -> AsyncGenerator[str, None]:
        """Yield the keys that start with a prefix."""
        with self._explained():
            async for key in super().list_prefix(prefix):
                yield key

    async def list_dir(self, prefix: str) -> AsyncGenerator[str, None]:
        """Yield the names of keys and folders in a folder."""
        with self._explained():
            async for name in super().list_dir(prefix):
                yield name

    def above(self) -> UploadStore | None:
        """The store one folder higher, or None at the bucket's root."""
        parent = remote_parent(self.store)
        return None if parent is None else UploadStore(parent, read_only=True)

    @contextlib.contextmanager
    def _explained(self, *, changes: bool = False) -> Iterator[None]:
        try:
            yield
        except OmeNgffError:
            raise
        except Exception as error:  # noqa: BLE001 (whatever it is becomes an error of ours)
            self.unanswered |= changes and not was_answered(error)
            raise explain(error, str(self)) from without_secrets_in(error)


def upload_store(url: str, environment: Mapping[str, str]) -> UploadStore:
    """The store to write to at an ``s3://``, ``gs://`` or ``az://`` address; no request is made yet.

    Without credentials in the environment nothing is signed: asking a cloud's metadata service for them takes
    long where there is none.
    """
    parts = urlsplit(url)
    if parts.scheme.lower() in ("http", "https"):
        raise StorageError(
            "Nothing can be written to a web server.",
            where=url,
            expected="a folder, or an s3, gs or az address",
            hint="Save into a folder and upload it, or use the bucket's own address.",
        )
    if parts.path.lower().rstrip("/").endswith((".ozx", ".zip")):
        raise StorageError(
            "Zip files are not written to servers.", where=url, hint="Save it here and upload the file."
        )
    if parts.scheme.lower() in ("s3", "gs", "az") and not parts.netloc:
        raise StorageError(
            "The address names no bucket.", where=url, expected=f"{parts.scheme}://bucket/name"
        )
    signed = has_credentials(url, environment)
    return UploadStore(connect(url, environment, signed=signed, timeouts=_TIMEOUTS, retry=True))
