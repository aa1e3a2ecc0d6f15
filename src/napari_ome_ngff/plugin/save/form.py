"""What people can choose when they save: one table for widget, Preferences and writer, and what it means."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from napari_ome_ngff.errors import OptionError
from napari_ome_ngff.storage.places.location import is_url, local_path

if TYPE_CHECKING:
    from napari_ome_ngff.writing.plan.options import StorageOptions

T = TypeVar("T", str, bool)

ZIP = ".ozx"
SUFFIXES = (".ome.zarr", ".zarr", ZIP)
SCHEMES = ("s3", "gs", "az")  # of addresses that can be written to

AS_FILE = "as the file, else 0.5"
DEFAULT_VERSION = "0.5"
SEVERAL = ("one collection", "one store each")
COMPRESSORS = ("auto", "zstd", "gzip", "none")

EVERYTHING, VIEW, TIME = "everything", "current view", "current time point"
SHAPES, SLICES = "box of a Shapes layer", "slices from … to …"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One choice, as the widget and the Preferences show it. A boolean is a box to tick."""

    title: str
    description: str
    default: str | bool
    choices: tuple[str, ...] = ()  # none: free text
    shown: Mapping[str, str] = field(default_factory=dict)  # choice -> its text in the widget, if it differs
    remembered: bool = True  # kept in the Preferences; the others concern one image only


def _choice(
    title: str,
    description: str,
    default: T,
    *,
    choices: tuple[str, ...] = (),
    shown: Mapping[str, str] | None = None,
    remembered: bool = True,
) -> T:
    choice = Choice(
        title=title,
        description=description,
        default=default,
        choices=choices,
        shown=shown or {},
        remembered=remembered,
    )
    return field(default=default, metadata={"choice": choice})


@dataclass(frozen=True, kw_only=True)
class Form:
    """What was chosen, unchecked. The widget and what the Preferences remember are made from its fields."""

    target: str = _choice(
        "Target",
        "Folder to create; .ome.zarr is added to a name without it. A name that ends in .ozx makes a single "
        "file. Bucket addresses work too: s3://bucket/cells.ome.zarr (or gs://, az://).",
        "",
        remembered=False,
    )
    part: str = _choice(
        "Part",
        "What is written of the layers; it lies where it lay. current view: what the canvas shows in 2D, in "
        "all slices. box: the bounding box of the Shapes layer that is selected, or the only one. slices: "
        "from one to another along each slider. Label images are cut along with their image.",
        EVERYTHING,
        choices=(EVERYTHING, VIEW, SHAPES, SLICES, TIME),
        remembered=False,
    )
    from_level: str = _choice(
        "Level",
        "The level that is written as full resolution. 0: full resolution itself.",
        "0",
        choices=tuple(map(str, range(32))),
        remembered=False,
    )
    version: str = _choice(
        "Version",
        "OME-Zarr version to write. as the file: layers opened from a file keep its version. 0.4: for "
        "ilastik, older Fiji and other tools that read only Zarr version 2. Few tools read 0.6 yet.",
        AS_FILE,
        choices=(AS_FILE, "0.5", "0.4", "0.6"),
        shown={"0.5": "0.5 (usual)", "0.4": "0.4 (for older tools)", "0.6": "0.6 (newest)"},
    )
    levels: str = _choice(
        "Resolution levels",
        "How many levels to store (the pyramid), full resolution included. auto: until the coarsest fits on "
        "a screen; multiscale layers keep theirs. A number: all are computed again from full resolution.",
        "auto",
        choices=("auto", *(str(n) for n in range(1, 11))),
        remembered=False,
    )
    image_method: str = _choice(
        "Downsampling of images",
        "How lower levels are made. mean: average of neighbouring voxels, the usual choice. nearest: takes "
        "one of them, and is faster.",
        "mean",
        choices=("mean", "nearest"),
        shown={"mean": "mean (average)", "nearest": "nearest (one voxel)"},
    )
    label_method: str = _choice(
        "Downsampling of labels",
        "How lower levels of labels are made; never by averaging. mode: the most frequent of the "
        "neighbouring labels. nearest: takes one of them, and is faster.",
        "mode",
        choices=("mode", "nearest"),
        shown={"mode": "mode (most frequent)", "nearest": "nearest (one voxel)"},
    )
    chunks: str = _choice(
        "Chunks",
        "Size of the blocks that the image is stored and read in. auto: levels opened from a file and not "
        "changed keep theirs, others get 1 to 4 MB. Or sizes along the last axes, such as 16, 256, 256.",
        "auto",
    )
    shards: str = _choice(
        "Sharding",
        "Shards. auto: many chunks in one file, so that a large image does not become millions of files. "
        "Needs version 0.5 or later.",
        "as the file, else none",
        choices=("as the file, else none", "auto"),
        shown={"auto": "auto (few, large files)"},
    )
    compressor: str = _choice(
        "Compression",
        "All are lossless. auto: as in the file for levels that are copied, else blosc with zstd, small and "
        "fastest. zstd: slower. gzip: for tools that know neither. none: largest.",
        "auto",
        choices=COMPRESSORS,
        shown={"auto": "auto (lossless)"},
    )
    several: str = _choice(
        "Several images",
        "Where images go that are not channels of one image. one collection: all into the target, numbered. "
        "one store each: side by side, named after the target and the image.",
        SEVERAL[0],
        choices=SEVERAL,
    )
    verify: bool = _choice(
        "Check what was written",
        "Read full resolution back before the image appears at the target, and compare it with the layers. "
        "Takes about as long again as reading them.",
        False,
    )
    overwrite: bool = _choice(
        "Replace what is there",
        "Allow replacing an image at the target. The old image stays until the new one is complete. Labels "
        "alone are added to an image at the target; this then concerns its labels of the same name.",
        False,
        remembered=False,
    )


CHOICES: dict[str, Choice] = {each.name: each.metadata["choice"] for each in fields(Form)}
"""The table: name of a field of `Form` -> the choice, in the order of the widget."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """A form that was checked: everything that writing needs to know besides the images themselves."""

    target: str
    from_level: int
    storage: StorageOptions
    levels: int | None  # None: auto
    image_method: str
    label_method: str
    together: Literal["collection", "separate"]
    verify: bool
    overwrite: bool
    metadata_only: bool = False  # the pixels are in place

    @property
    def makes_scenes(self) -> bool:
        """Whether several images become a scene, if they can."""
        return self.together == "collection" and self.storage.version == "0.6"


def resolve(form: Form, file_version: str | None = None) -> Request:
    """Check the form without IO; an OptionError names the field. `file_version`: that of the layers' file."""
    from napari_ome_ngff.writing.plan.options import StorageOptions

    for name, choice in CHOICES.items():
        value = getattr(form, name)
        # More levels than the widget offers are fine.
        if choice.choices and name != "levels" and value not in choice.choices:
            choices = ", ".join(choice.choices)
            raise OptionError(f"{choice.title}: {value!r} is not a choice.", expected=choices)
    version = (file_version or DEFAULT_VERSION) if form.version == AS_FILE else form.version
    if form.shards == "auto" and version == "0.4":
        raise OptionError(
            "OME-Zarr 0.4 has no shards.",
            expected="Zarr v3, which came with version 0.5",
            hint="Choose version 0.5 or later, or other sharding, here or in the Preferences.",
        )
    return Request(
        target=target_path(form.target),
        from_level=int(form.from_level),
        levels=_levels(form.levels),
        image_method=form.image_method,
        label_method=form.label_method,
        storage=StorageOptions(
            version=version,
            chunks=_chunks(form.chunks),
            shards="auto" if form.shards == "auto" else None,
            compressor=codec(form.compressor),
        ),
        together="collection" if form.several == SEVERAL[0] else "separate",
        verify=form.verify,
        overwrite=form.overwrite,
    )


def _levels(text: str) -> int | None:
    text = text.strip().lower()
    if text in ("", "auto"):
        return None
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 32:
        raise OptionError(
            f"Levels: {text!r} is not a number of levels.", expected="auto, or a number from 1 to 32"
        )
    return int(text)


def _chunks(text: str) -> Literal["auto"] | tuple[int, ...]:
    text = text.strip().lower()
    if text in ("", "auto"):
        return "auto"
    words = [word for word in re.split(r"[\s,;x×()\[\]]+", text) if word]
    if not words or not all(word.isascii() and word.isdigit() and int(word) > 0 for word in words):
        raise OptionError(
            f"Chunks: {text!r} is not a list of sizes.",
            expected="auto, or whole numbers for the last axes, such as 16, 256, 256",
        )
    return tuple(int(word) for word in words)


def codec(name: str) -> Any:
    """Make the numcodecs codec of a compressor's name; ``"auto"`` stays, and ``"none"`` is None."""
    import numcodecs

    if name == "zstd":
        return numcodecs.Zstd(level=3)
    if name == "gzip":
        return numcodecs.GZip(level=5)
    return "auto" if name == "auto" else None


def target_path(text: str) -> str:
    """Absolute path or address that a typed target means, with ``.ome.zarr`` where no suffix was typed.

    Raises OptionError if nothing was typed, no name, or an address that cannot be written to.
    """
    text = local_path(text.strip())
    if not text or text == ".":
        raise OptionError("Say where to write the image.", hint="Type or choose a path for it.")
    path = _address(text) if is_url(text) else _local(text)
    return path if path.lower().endswith(SUFFIXES) else f"{path}.ome.zarr"


def _local(text: str) -> str:
    path = os.path.abspath(os.path.expanduser(text))
    if not os.path.basename(path) or text.endswith(("/.", "/..")):
        raise _nameless(text)
    return path


def _address(text: str) -> str:
    scheme, _, rest = text.partition("://")
    if scheme.lower() not in SCHEMES:
        raise OptionError(
            f"Addresses that start with {scheme}:// cannot be written to.",
            found=text,
            expected="a folder, a file that ends in .ozx, or an address in a bucket (s3://, gs://, az://)",
        )
    bucket, _, key = rest.rstrip("/").partition("/")
    if not bucket or not key:
        raise _nameless(text)
    if key.lower().endswith(ZIP):
        raise OptionError(
            "Single files can be written on this computer only.",
            found=text,
            hint="Write the file here and upload it, or write a .ome.zarr there.",
        )
    return f"{scheme.lower()}://{bucket}/{key}"


def _nameless(text: str) -> OptionError:
    return OptionError("The target has no name.", found=text, hint="Add a name, such as cells.ome.zarr.")
