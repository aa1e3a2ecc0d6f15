"""The commands of ``ome-ngff``: options to functions, errors to one line. Nothing heavy is imported first."""

from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_ome_ngff.cli import typed_values as typed
from napari_ome_ngff.errors import OmeNgffError, OmeNgffWarning, OptionError, collected_warnings

if TYPE_CHECKING:
    from napari_ome_ngff.reading.opened import Collection, Image

app = typer.Typer(
    help="Look at OME-Zarr (OME-NGFF) images, check, convert, correct and show them.",
    epilog="PLACE is a folder, a .ozx or .zip file, or an http, s3, gs or az address.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

Place = Annotated[str, typer.Argument(metavar="PLACE", help="The image, or the plate or collection.")]


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("napari-ome-ngff"))
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


@contextmanager
def _plain_errors() -> Iterator[None]:
    """What goes wrong is one line on standard error, and exit code 1; warnings are lines too."""
    shown: set[str] = set()

    def show(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
        line = _one_line(str(message))
        if issubclass(category, OmeNgffWarning) and line not in shown:
            shown.add(line)
            typer.echo(f"ome-ngff: warning: {line}", err=True)

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", OmeNgffWarning)
            warnings.showwarning = show
            yield
    except OmeNgffError as error:
        typer.echo(f"ome-ngff: {_one_line(str(error))}", err=True)
        raise typer.Exit(1) from None


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("overwrite=True", "--overwrite")


@app.command()
def info(
    place: Place,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Show axes, levels, sizes, channels and label images, and what is wrong with them."""
    with _plain_errors():
        from napari_ome_ngff.cli.printed import lines_of
        from napari_ome_ngff.reading.facts import facts_of
        from napari_ome_ngff.reading.open import open_metadata

        with collected_warnings() as messages:
            facts = facts_of(open_metadata(place))
        facts["problems"] = messages
        if as_json:
            import json

            typer.echo(json.dumps(facts, indent=2, default=str))
            return
        for line in lines_of(facts):
            typer.echo(line)
        for problem in facts["problems"]:
            typer.echo(f"problem: {_one_line(problem)}")


@app.command()
def check(
    place: Place,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Check the metadata as strictly as others do: what other programs will refuse, and by which rule.

    Exit code 1 if there is something that they refuse, 0 if there is at most advice. Pixels are not read.
    """
    with _plain_errors():
        from dataclasses import asdict

        from napari_ome_ngff.checking.check import check_ome_ngff

        findings = check_ome_ngff(place)
        if as_json:
            import json

            typer.echo(json.dumps([asdict(each) for each in findings], indent=2))
        else:
            for each in findings:
                typer.echo(f"{'advice' if each.advice else 'refused'}: {_one_line(str(each))}")
            if not findings:
                typer.echo("Nothing is wrong.")
        if any(not each.advice for each in findings):
            raise typer.Exit(1)


@app.command()
def convert(
    source: Annotated[str, typer.Argument(metavar="SRC", help="An image, a plate or a collection.")],
    target: Annotated[str, typer.Argument(metavar="DST", help="A new folder, .ozx file, or bucket address.")],
    ngff_version: Annotated[
        str | None, typer.Option(help="0.4, 0.5 or 0.6; if not given, that of SRC.")
    ] = None,
    chunks: Annotated[str, typer.Option(help="Sizes for the last axes: 16,256,256; or auto.")] = "auto",
    shards: Annotated[str, typer.Option(help="The same, in multiples of the chunks; auto or none.")] = "none",
    compressor: Annotated[
        str, typer.Option(help="zstd, gzip or blosc-lz4, with its level: zstd:3; auto or none.")
    ] = "auto",
    levels: Annotated[int | None, typer.Option(help="How many; they are made again then.")] = None,
    method: Annotated[
        str | None, typer.Option(help="How lower levels are made: mean, nearest or mode.")
    ] = None,
    region: Annotated[
        str | None, typer.Option(help="A part: z=10:20,y=0:512,t=3 in voxels of the level.")
    ] = None,
    in_units: Annotated[
        bool, typer.Option("--in-units", help="The region is in the units of the axes.")
    ] = False,
    from_level: Annotated[int, typer.Option(help="Which level becomes the finest one.")] = 0,
    image: Annotated[str | None, typer.Option(help="Which image of a collection: its name.")] = None,
    name: Annotated[str | None, typer.Option(help="New name of the image, or of the plate.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is at DST.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Read back and compare.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No bar, no last line.")] = False,
) -> None:
    """Write an image, plate or collection again: another version, other chunks, a part of it.

    Label images, channels, tables and the attributes of others come along. DST is there as a whole or not
    at all: of a run that ends early nothing is left.
    """
    with _plain_errors():
        import sys

        from napari_ome_ngff.reading.open import open_ome_ngff
        from napari_ome_ngff.saving.copies import CopyChoice, copy_of, version_of
        from napari_ome_ngff.writing.plan.options import StorageOptions

        opened = open_ome_ngff(source)
        if image is not None:
            opened = _one_of(opened, image)
        parts = typed.part_in_units if in_units else typed.part_in_voxels
        choice = CopyChoice(
            region=typed.by_axis(region, "--region", parts),
            region_units="physical" if in_units else "voxel",
            from_level=from_level,
            levels=levels,
            method=method,
            name=name,
        )
        options = StorageOptions(
            version=ngff_version or version_of(opened),
            chunks=typed.sizes_of(chunks, "--chunks") or "auto",
            shards=typed.sizes_of(shards, "--shards"),
            compressor=typed.compressor_of(compressor),
        )
        writing = copy_of(opened, target, choice=choice, options=options, overwrite=overwrite, verify=verify)
        with closing(writing):  # also after Ctrl-C
            writing.run(progress=sys.stderr.isatty() and not quiet)
        if not quiet:
            typer.echo(f"Written: {target}")


@app.command()
def edit(
    place: Place,
    voxel_size: Annotated[
        str | None,
        typer.Option(help="Size of a voxel of the finest level: z=1,y=0.5,x=0.5, or 0.5 for all of space."),
    ] = None,
    position: Annotated[str | None, typer.Option(help="Centre of the first voxel: z=0,y=10.")] = None,
    unit: Annotated[
        str | None, typer.Option(help="Units: micrometer for all of space, or z=um,t=s; z=none for none.")
    ] = None,
    axis_name: Annotated[str | None, typer.Option(help="New names of axes: q=z.")] = None,
    name: Annotated[str | None, typer.Option(help="New name of the image, or of the plate.")] = None,
    channel_name: Annotated[
        list[str] | None, typer.Option(help="By number or name: 0=DAPI. Once for each channel.")
    ] = None,
    color: Annotated[list[str] | None, typer.Option(help="Of a channel: 0=0000FF.")] = None,
    contrast: Annotated[list[str] | None, typer.Option(help="Of a channel: 0=100:4000.")] = None,
) -> None:
    """Correct what the metadata say, in place. No pixel is read or written."""
    with _plain_errors():
        from napari_ome_ngff.editing.metadata_edit import edit_metadata
        from napari_ome_ngff.metadata.nouns import Window

        space: tuple[str, ...] = ()
        if any(text and "=" not in text for text in (voxel_size, unit)):
            space = _axes_of_space(place)
        channels: dict[int | str, dict[str, Any]] = {}
        for which, label in typed.by_key(channel_name or (), "--channel-name", typed.text_of).items():
            channels.setdefault(which, {})["label"] = label
        for which, shade in typed.by_key(color or (), "--color", typed.color).items():
            channels.setdefault(which, {})["color"] = shade
        for which, (low, high) in typed.by_key(contrast or (), "--contrast", typed.ends).items():
            channels.setdefault(which, {})["window"] = Window(start=low, end=high)
        written = edit_metadata(
            place,
            scale=typed.by_axis(voxel_size, "--voxel-size", typed.number, space),
            translation=typed.by_axis(position, "--position", typed.number),
            units=typed.by_axis(unit, "--unit", typed.unit, space),
            axes=typed.by_axis(axis_name, "--axis-name", typed.text_of),
            name=name,
            channels=channels or None,
        )
        typer.echo(f"Corrected: {', '.join(written)}")


def _one_of(opened: Image | Collection, name: str) -> Image:
    images = getattr(opened, "images", {})
    if name not in images:
        raise OptionError(f"There is no image {name!r}.", expected=", ".join(images) or "no --image")
    image: Image = images[name]
    return image


def _axes_of_space(place: str) -> tuple[str, ...]:
    """Names of the axes of space of an image, or of the first one of a collection."""
    from napari_ome_ngff.reading.open import open_metadata
    from napari_ome_ngff.reading.opened import images_of

    image = next(iter(images_of(open_metadata(place)).values()), None)
    axes = () if image is None or image.multiscale is None else image.multiscale.axes
    return tuple(axis.name for axis in axes if axis.type == "space")


@app.command()
def show(
    places: Annotated[list[str], typer.Argument(metavar="PLACE...", help="What is to be opened.")],
) -> None:
    """Open in napari."""
    with _plain_errors():
        from importlib.util import find_spec
        from subprocess import call

        if find_spec("napari") is None:
            raise OptionError("napari is not installed.", hint='pip install "napari-ome-ngff[all]"')
        # A napari of its own: no module here knows of windows, and it ends as napari ends.
        code = call([sys.executable, "-m", "napari", "--plugin", "napari-ome-ngff", *places])
        raise typer.Exit(code)


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # into a file, Windows writes in an alphabet of 256 letters
            stream.reconfigure(errors="backslashreplace")
    app(prog_name="ome-ngff")
