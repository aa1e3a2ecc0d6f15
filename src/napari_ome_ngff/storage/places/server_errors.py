"""Answers of servers and of the network, as one clear sentence each."""

from __future__ import annotations

import re
from typing import Any, Literal
from urllib.parse import urlsplit

from napari_ome_ngff.errors import NotOmeNgffError, OmeNgffError, StorageError, without_secrets

_HOST = re.compile(r"https?://([^/?#\s]+)")


_STATUS = re.compile(r"status code: (\d{3}[\w ]*)")


Trouble = Literal["missing", "refused", "silent", "broken", "busy", "ill", "no part", "no length", "other"]
"""What an error means: nothing there; 401 or 403; no answer in time; the connection broke or was not taken;
asked too much; 5xx; parts of files are not sent, or not those that were asked for; the length is not said."""


_SIGNS: tuple[tuple[str, Trouble], ...] = (
    ("ength Header missing", "no length"),
    ("ength header missing", "no length"),
    ("Range request not supported", "no part"),
    ("Received non-partial response", "no part"),
    ("Content-Range", "no part"),
    ("Requested ", "no part"),  # 4..7, got 0..3
    ("following redirect", "other"),
    ("kind: Timeout", "silent"),
    ("imed out", "silent"),
    ("kind: Connect", "broken"),
    ("kind: Interrupted", "broken"),
    ("IncompleteRead", "broken"),
    ("error sending request", "broken"),
    ("body error", "broken"),
)


def trouble(error: BaseException) -> Trouble:
    """What an error of obstore or urllib means; the text is all that obstore gives."""
    name, text = type(error).__name__, str(error)
    if isinstance(error, FileNotFoundError | NotADirectoryError | IsADirectoryError):
        return "missing"
    if name in ("PermissionDeniedError", "UnauthenticatedError"):
        return "refused"
    if name == "NotSupportedError":
        return "no part"
    if status := _STATUS.search(text):
        code = int(status[1][:3])
        named: dict[int, Trouble] = {401: "refused", 403: "refused", 404: "missing", 410: "missing"}
        named |= {408: "ill", 416: "no part", 425: "busy", 429: "busy", 503: "busy"}
        return named.get(code, "ill" if code >= 500 else "other")
    if isinstance(error, TimeoutError):
        return "silent"
    signs = (kind for sign, kind in _SIGNS if sign in text or sign in name)
    return next(signs, "broken" if isinstance(error, OSError) else "other")


def without_secrets_in(error: BaseException) -> BaseException:
    """The same error, as far as it may be shown: libraries name addresses with all that is in them."""
    text = without_secrets(str(error))
    if text == str(error):
        return error
    try:
        return type(error)(text)
    except TypeError:  # it is made from more than a text
        return StorageError(f"{type(error).__name__}: {text}")


def explain(error: BaseException, url: str) -> OmeNgffError:
    """The error for what obstore or zarr raised at an address."""
    text, kind = without_secrets(str(error)), type(error).__name__
    host = match[1] if (match := _HOST.search(text)) else urlsplit(url).netloc.rpartition("@")[2]
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
    if store.server.refused and not isinstance(error, StorageError):
        return refused(str(store), store.server.refused)
    if store.server.page and isinstance(error, NotOmeNgffError):
        return _not_zarr(str(store), "a web page")
    return error


def refused(url: str, answer: str) -> StorageError:
    """The error for an answer 401 or 403."""
    return StorageError(
        "The server refuses access (401 or 403).",
        where=url,
        found=answer,
        hint="Check the address. Private data: a web server takes https://user:password@..., for buckets set"
        " the storage's usual environment variables (AWS_ACCESS_KEY_ID and so on).",
    )


def _not_zarr(url: str, content: str) -> NotOmeNgffError:
    return NotOmeNgffError(
        "What the server sends is not Zarr metadata.",
        where=url,
        found=content,
        hint="The address of an OME-Zarr image usually ends with .zarr; a web page about it does not.",
    )


def first_line(error: BaseException) -> str:
    """The first line of what an exception says, or its name; at most 300 characters."""
    return (without_secrets(str(error)).strip() or type(error).__name__).splitlines()[0][:300]
