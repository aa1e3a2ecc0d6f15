"""What napari needs for its first layer is made ready in a thread, and nobody's units are exchanged."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pint
import pytest
from napari.layers import Image

from napari_ome_ngff.plugin.open.add_to_viewer import prepare_first_layer
from tests.conftest import HERE


@pytest.fixture
def unread() -> Iterator[pint.LazyRegistry]:
    """pint as it is in a new process: it has read no units yet."""
    application = pint.get_application_registry()
    before, registry = application.get(), pint.LazyRegistry()
    pint.set_application_registry(registry)
    yield registry
    pint.set_application_registry(before)


def prepared_in_a_thread() -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(prepare_first_layer).result()()


def test_units_are_read_before_a_layer_asks_for_them(unread: pint.LazyRegistry) -> None:
    prepared_in_a_thread()
    ready = pint.get_application_registry().get()
    assert type(ready) is pint.UnitRegistry
    layer = Image(np.ones((2, 2)), units=("micrometer", "um"))
    assert layer.units == (ready.micrometer, ready.micrometer)
    assert type(unread) is pint.LazyRegistry, "nobody asked it"


def test_units_that_somebody_has_stay(unread: pint.LazyRegistry) -> None:
    length = pint.Quantity(3, "um")  # reads them
    prepared_in_a_thread()
    assert pint.get_application_registry().get() is unread
    assert (length + pint.Quantity(1, "um")).magnitude == 4


def test_units_that_somebody_took_meanwhile_stay(unread: pint.LazyRegistry) -> None:
    put = prepare_first_layer()
    length = pint.Quantity(3, "um")
    put()
    assert (length + pint.Quantity(1, "um")).magnitude == 4
    other = pint.UnitRegistry()
    pint.set_application_registry(pint.LazyRegistry())
    put = prepare_first_layer()
    pint.set_application_registry(other)
    put()
    assert pint.get_application_registry().get() is other


def test_nothing_heavy_is_left_to_import_for_a_layer() -> None:
    code = """
import sys, napari.layers, numpy
from napari_ome_ngff.plugin.open.add_to_viewer import prepare_first_layer
prepare_first_layer()()
before = set(sys.modules)
napari.layers.Image(numpy.ones((2, 2)), units=("um", "um"))
print(len({name for name in set(sys.modules) - before if name.startswith(("scipy", "pint"))}))
"""
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, cwd=HERE
    )
    assert run.stdout.strip() == "0", run.stdout + run.stderr
