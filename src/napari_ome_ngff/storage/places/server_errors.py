"""Answers of servers and of the network, as one clear sentence each."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from napari_ome_ngff.errors import NotOmeNgffError, OmeNgffError, StorageError

_HOST = re.compile(r"https?://([^/?#\s]+)")


_STATUS = re.compile(r"status code: (\d{3}[\w ]*)")


def explain(error: BaseException, url: str) -> OmeNgffError:
    """The error for what obstore or zarr raised at an address."""
    text, kind = str(error), type(error).__name__
    host = match[1] if (match := _HOST.search(text)) else urlsplit(url).netloc
    if kind in ("PermissionDeniedError", "UnauthenticatedError"):
        return refused(url, first_line(error))
    for sign, summary, hint in (
        ("dns error", f"There is no server called {host}.", "Check the address and the network connection."),
        ("NoSuchBucket", "There is no such bucket.", "Check its name, or make it first."),
        ("bucket does not exist", "There is no such bucket.", "Check its name, or make it first."),
        ("ContainerNotFound", "There is no such container.", "Check its name, or make it first."),
        ("Missing AccessKeyId", "The credentials are not complete.", "Set AWS_ACCESS_KEY_ID as well."),
        (
            "Missing SecretAccessKey",
            "The credentials are not complete.",
            "Set AWS_SECRET_ACCESS_KEY as well.",
        ),
        ("Account must be specified", "The Azure account is not known.", "Set AZURE_STORAGE_ACCOUNT_NAME."),
        ("onnection refused", f"The server {host} does not answer.", "Check the address and its port."),
        ("imed out", f"The server {host} did not answer in time.", "Try again later."),
        ("TimedOut", f"The server {host} did not answer in time.", "Try again later."),
        ("TimeoutError", f"The server {host} did not answer in time.", "Try again later."),
        ("certificate", f"The certificate of {host} is not trusted.", ""),
        ("301 Moved", "The bucket is in another region.", "Set the environment variable AWS_REGION."),
        ("following redirect", f"The server {host} redirects in a circle.", "Check the address."),
    ):
        if sign in text or sign == kind:
            return StorageError(summary, where=url, found=first_line(error), hint=hint)
    if status := _STATUS.search(text):
        return StorageError(
            f"The server {host} answers {status[1]}.",
            where=url,
            found=first_line(error),
            hint="Try again later." if status[1][0] == "5" else "Check the address.",
        )
    if "error sending request" in text:
        return StorageError(
            f"The connection to {host} broke.", where=url, found=first_line(error), hint="Try again later."
        )
    if isinstance(error, ValueError | TypeError | KeyError):
        return _not_zarr(url, f"{kind}: {first_line(error)}")
    return StorageError("The address could not be read.", where=url, found=f"{kind}: {first_line(error)}")


def was_answered(error: BaseException) -> bool:
    """Whether the server answered, so that nothing of what was sent arrives later; in doubt it did not."""
    answers = ("PermissionDeniedError", "UnauthenticatedError", "NotFoundError", "AlreadyExistsError")
    return type(error).__name__ in answers or _STATUS.search(str(error)) is not None


def nothing_found(store: Any, error: OmeNgffError) -> OmeNgffError:
    """Why nothing was read from a `RemoteStore`: the server refused, or sent pages; else the same error."""
    if store.refused and not isinstance(error, StorageError):
        return refused(str(store), store.refused)
    if store.page and isinstance(error, NotOmeNgffError):
        return _not_zarr(str(store), "a web page")
    return error


def refused(url: str, answer: str) -> StorageError:
    """The error for an answer 401 or 403."""
    return StorageError(
        "The server refuses access (401 or 403).",
        where=url,
        found=answer,
        hint="Check the address; for private data set the storage's usual environment variables"
        " (AWS_ACCESS_KEY_ID and so on).",
    )


def _not_zarr(url: str, content: str) -> NotOmeNgffError:
    return NotOmeNgffError(
        "What the server sends is not Zarr metadata.",
        where=url,
        found=content,
        hint="The address of an OME-NGFF image usually ends with .zarr; a web page about it does not.",
    )


def first_line(error: BaseException) -> str:
    """The first line of what an exception says, or its name; at most 300 characters."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
