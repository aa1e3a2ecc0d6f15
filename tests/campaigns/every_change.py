"""Saves to stores without renames, stopped at every change and at every request: a campaign of some minutes.

Run it with `python -m tests.campaigns.every_change memory`, `s3 [EVERY]` or `bulk`. The suite has the same
laws for every change in memory (`tests/writing/test_every_change.py`) and for some requests
(`tests/writing/test_buckets.py`).
"""

from __future__ import annotations

import collections
import os
import sys
import time
from typing import Any

import numpy as np
import xarray
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import MemoryStore

from napari_ome_ngff import open_ome_ngff, write_multiscale_group
from napari_ome_ngff.errors import OmeNgffError
from tests.campaigns.objects import Objects
from tests.servers import Answer, Request
from tests.writing import test_every_change as laws


def memory() -> None:
    """Every change; every change after an error at every change; every change of the save that follows."""
    counts: collections.Counter[str] = collections.Counter()
    for form in laws.FORMS:
        for kind in laws.KINDS:
            store = laws.Recorder(laws.before(kind, form))
            laws.save(kind, form, store, 2, overwrite=True)
            old = laws.opened(MemoryStore(store.states[0]))[0]
            laws.check_all(kind, form, store.states)
            counts["stopped at a change"] += len(store.states)
            for number in range(1, len(store.states) - 1):
                failing = laws.Recorder(laws.before(kind, form))
                failing.fails = number
                try:
                    laws.save(kind, form, failing, 2, overwrite=True)
                except OmeNgffError:
                    counts["errors"] += 1
                laws.check_all(kind, form, [store.states[0], *failing.states[number + 1 :]], every=7)
                counts["stopped at a change after an error"] += len(failing.states) - number
            shown: list[laws.Held] = []
            for held in store.states:
                if not shown or laws.visible(held) != laws.visible(shown[-1]):
                    shown.append(held)
                    laws.stopped_twice(kind, form, held, old)
                    counts["stopped, and the next save at every change"] += 1
            print(kind, form, dict(counts), flush=True)


class Bucket:
    """A place in a bucket, and a line to it that breaks at the n-th request."""

    def __init__(self, server: Objects) -> None:
        self.server = server
        self.at = self.count = self.place = 0
        server.fault = self.fault
        os.environ["AWS_ENDPOINT_URL_S3"] = server.url
        os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"] = "owner", "secret"

    def fault(self, request: Request, _: int) -> Answer | None:
        self.count += 1
        return None if not self.at or self.count < self.at else Answer(403)

    @property
    def url(self) -> str:
        return f"s3://mine/{self.place}.ome.zarr"

    def fill(self, held: laws.Held) -> None:
        self.place += 1
        objects = {f"{self.place}.ome.zarr/{key}": value.to_bytes() for key, value in held.items()}
        self.server.objects = objects

    def held(self) -> laws.Held:
        make, prefix = default_buffer_prototype().buffer.from_bytes, f"{self.place}.ome.zarr/"
        return {key.removeprefix(prefix): make(value) for key, value in self.server.objects.items()}


def s3(every: int = 1) -> None:
    """Every n-th request to S3 is refused, and all that follow; what is there then obeys the same laws."""
    with Objects() as server:
        bucket = Bucket(server)
        for form in laws.FORMS:
            for kind in laws.KINDS:
                begun, start = time.monotonic(), laws.before(kind, form)
                old = laws.opened(MemoryStore(dict(start)))[0]
                bucket.fill(start)
                bucket.at = bucket.count = 0
                laws.save(kind, form, bucket.url, 2, overwrite=True)
                seen, requests = collections.Counter[str](), bucket.count
                earlier: laws.Held = {}
                for number in range(1, requests + 1, every):
                    bucket.fill(start)
                    bucket.at, bucket.count = number, 0
                    try:
                        laws.save(kind, form, bucket.url, 2, overwrite=True)
                    except OmeNgffError:
                        seen["failed"] += 1
                    bucket.at = 0
                    held = bucket.held()
                    shown = laws.check_look(kind, held, old)
                    seen[shown] += 1
                    if laws.visible(held) != earlier:  # the same objects open in the same way
                        earlier = laws.visible(held)
                        assert laws.opened(bucket.url)[0] == laws.opened(MemoryStore(dict(held)))[0]
                    laws.check_refusal(kind, form, held, shown)
                    laws.save(kind, form, bucket.url, 3, overwrite=True)
                    laws.check_saved(kind, MemoryStore(bucket.held()))
                seconds = time.monotonic() - begun
                print(kind, form, f"{requests} requests:", dict(seen), f"{seconds:.0f} s", flush=True)


def bulk() -> None:
    """More objects than one request can delete: the clean-up is stopped at each of its requests."""
    with Objects() as server:
        bucket = Bucket(server)
        image = [xarray.DataArray(np.full((34, 34), value, "u1"), dims=("y", "x")) for value in (1, 2, 3)]
        for number in range(1, 5):
            bucket.fill({})
            write_multiscale_group(store=bucket.url, image=image[0], levels=1, chunks=(1, 1)).run()
            begun = time.monotonic()
            server.forget()
            removing = [False]

            def fault(request: Request, _: int, removing: list[bool] = removing, number: int = number) -> Any:
                deletes = sum(
                    (one.method == "POST" and "delete" in one.query) or one.method == "DELETE"
                    for one in server.requests
                )
                removing[0] |= deletes >= number
                return Answer(403) if removing[0] else None

            server.fault = fault
            try:
                write_multiscale_group(
                    store=bucket.url, image=image[1], levels=1, chunks=(1, 1), overwrite=True
                ).run()
                said = "saved"
            except OmeNgffError as error:
                said = error.summary
            server.fault = bucket.fault
            try:
                opens = str(np.unique(open_ome_ngff(bucket.url).arrays["0"].values))
            except OmeNgffError as error:
                opens = error.summary
            write_multiscale_group(store=bucket.url, image=image[2], levels=1, overwrite=True).run()
            assert (open_ome_ngff(bucket.url).arrays["0"].values == 3).all()
            left = [key for key in bucket.held() if ".ngff" in key]
            seconds = time.monotonic() - begun
            print(
                f"stopped at deletion {number}: {said}; opens: {opens}; left: {left}; {seconds:.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    what, *every = sys.argv[1:] or ["memory"]
    {"memory": memory, "s3": s3, "bulk": bulk}[what](*map(int, every))
