"""What the manifest promises napari: commands that exist, patterns that match, menus that napari knows."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
from npe2 import PluginManager, PluginManifest

from napari_ome_ngff.plugin.save.form import CHOICES

NAME = "napari-ome-ngff"


@pytest.fixture(scope="module")
def manifest() -> PluginManifest:
    return PluginManifest.from_distribution(NAME)


@pytest.fixture
def manager(manifest: PluginManifest) -> PluginManager:
    manager = PluginManager()
    manager.register(manifest)
    return manager


def test_every_command_exists_and_is_used(manifest: PluginManifest) -> None:
    contributions = manifest.contributions
    commands = {command.id: command for command in contributions.commands}
    for command in commands.values():
        module, name = command.python_name.split(":")
        assert callable(getattr(import_module(module), name)), command.id
        # Every command appears in napari's command palette.
        assert command.title[0].isupper()
        assert "OME-Zarr" in command.title  # as the files are called
    used = {
        contribution.command
        for kind in ("readers", "writers", "widgets", "sample_data")
        for contribution in getattr(contributions, kind)
    }
    used |= {item.command for items in (contributions.menus or {}).values() for item in items}
    assert used == set(commands)


def test_it_sorts_before_the_builtin_reader_and_answers_to_its_own_name_only(
    manifest: PluginManifest,
) -> None:
    # napari's reader dialog sorts by display name and preselects the first.
    assert manifest.display_name < "napari"
    assert not NAME.startswith("napari-ome-zarr")


@pytest.mark.parametrize(
    "path",
    [
        "cells.zarr",
        "cells.ome.zarr",
        "CELLS.OZX",
        "cells.zarr.zip",
        "cells.zip",
        "zarr.json",
        ".zattrs",
        ".zgroup",
        ".zarray",
        "https://example.org/cells.zarr",
        "https://example.org/cells.zarr/",
        "https://example.org/cells.zarr/0",
        "https://example.org/cells.ome.zarr?token=1",
        "https://example.org/plate/A/1/zarr.json",
        "https://example.org/cells.ozx?token=1",
        "s3://bucket/cells.zarr",
        "s3://bucket/cells",
        "gs://bucket/plate/A/1",
        "az://container/cells",
    ],
)
def test_paths_are_offered_to_the_reader(manager: PluginManager, path: str) -> None:
    assert [reader.command for reader in manager.iter_compatible_readers(path)] == [f"{NAME}.get_reader"]


@pytest.mark.parametrize("path", ["cells.tif", "cells.7z", "settings.json", "https://example.org/cells.tif"])
def test_other_paths_are_not(manager: PluginManager, path: str) -> None:
    assert list(manager.iter_compatible_readers(path)) == []


def test_folders_are_offered_to_the_reader(manager: PluginManager, tmp_path: Path) -> None:
    assert len(list(manager.iter_compatible_readers(str(tmp_path)))) == 1


@pytest.mark.parametrize(
    "types",
    [
        ["image"],
        ["labels"],
        ["image"] * 5 + ["labels"] * 3,
        ["points", "shapes", "tracks", "vectors", "surface", "image"],
    ],
)
@pytest.mark.parametrize("name", ["a.zarr", "a.ome.zarr", "A.OME.ZARR"])
def test_the_writer_takes_any_mix_of_layers(manager: PluginManager, types: list[str], name: str) -> None:
    writer, path = manager.get_writer(name, layer_types=types, plugin_name=NAME)
    assert writer is not None
    assert writer.command == f"{NAME}.write_layers"
    assert path == name


def test_the_writer_is_called_with_a_list_even_for_one_layer(manifest: PluginManifest) -> None:
    (writer,) = manifest.contributions.writers
    assert sum(constraint.max() for constraint in writer.layer_type_constraints()) > 1


def test_menus_are_among_those_that_napari_shows(manifest: PluginManifest) -> None:
    # napari ignores ids that it does not know, without a word.
    from napari._app_model.constants import MenuId

    known = {menu.value for menu in MenuId.contributables()}
    assert set(manifest.contributions.menus or {}) <= known


def test_the_preferences_for_saving_are_those_of_the_table(manifest: PluginManifest) -> None:
    saving = manifest.contributions.configurations["saving"].properties
    remembered = {name: choice for name, choice in CHOICES.items() if choice.remembered}
    assert list(saving) == list(remembered)
    for name, choice in remembered.items():
        entry = saving[name]
        assert (entry.title, entry.default) == (choice.title, choice.default), name
        assert entry.description == choice.description, name
        assert tuple(entry.enum or ()) == choice.choices, name
        assert entry.type == ("boolean" if isinstance(choice.default, bool) else "string"), name
