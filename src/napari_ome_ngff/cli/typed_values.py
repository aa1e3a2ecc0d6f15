"""What is typed on the command line (``z=1,y=0.5``, ``10:20``, ``zstd:3``) as what functions take."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, TypeVar

from napari_ome_ngff.errors import OptionError

T = TypeVar("T")


def by_axis(
    text: str | None, option: str, value: Callable[[str, str], T], axes: Sequence[str] = ()
) -> dict[str, T] | None:
    """Values by axis from ``z=1,y=0.5``; one value alone is that of all `axes`."""
    if text is None:
        return None
    if "=" not in text and axes:
        return dict.fromkeys(axes, value(text, option))
    return dict(_pair(part, option, value) for part in text.split(","))


def by_key(texts: Iterable[str], option: str, value: Callable[[str, str], T]) -> dict[int | str, T]:
    """Values by number or name from options that were given several times: ``0=DAPI``."""
    pairs = (_pair(text, option, value) for text in texts)
    return {int(key) if key.isdecimal() else key: each for key, each in pairs}


def _pair(text: str, option: str, value: Callable[[str, str], T]) -> tuple[str, T]:
    key, sign, rest = text.partition("=")
    if not sign or not key.strip():
        raise OptionError(f"{option} cannot be that.", found=text, expected="NAME=VALUE")
    return key.strip(), value(rest.strip(), option)


def number(text: str, option: str) -> float:
    """A number."""
    try:
        return float(text)
    except ValueError as error:
        raise OptionError(f"{option} takes numbers.", found=text) from error


def unit(text: str, option: str) -> str | None:
    """A unit by its full name: ``um`` is ``micrometer``; None for ``none``."""
    from napari_ome_ngff.metadata.units import canonical_unit

    return canonical_unit(text)


def text_of(text: str, option: str) -> str:
    """What was typed."""
    return text


def color(text: str, option: str) -> str:
    """A colour as the file has it."""
    return text.removeprefix("#").upper()


def ends(text: str, option: str) -> tuple[float, float]:
    """Two numbers, ``100:4000``."""
    low, sign, high = text.partition(":")
    if not sign:
        raise OptionError(f"{option} takes two numbers.", found=text, expected="100:4000")
    return number(low, option), number(high, option)


def part_in_voxels(text: str, option: str) -> slice | int:
    """A range of voxels, or one: ``10:20``, ``:20``, ``3``."""
    try:
        numbers = [int(each) if each.strip() else None for each in text.split(":")]
    except ValueError as error:
        raise OptionError(f"{option} counts voxels.", found=text, expected="10:20, or 3") from error
    if len(numbers) == 1 and numbers[0] is not None:
        return numbers[0]
    if len(numbers) != 2:
        raise OptionError(f"{option} takes a range of voxels.", found=text, expected="10:20, or 3")
    return slice(*numbers)


def part_in_units(text: str, option: str) -> slice:
    """A range of positions: ``1.5:20``."""
    low, sign, high = text.partition(":")
    if not sign:
        raise OptionError(f"{option} takes a range of positions.", found=text, expected="1.5:20")
    return slice(number(low, option) if low else None, number(high, option) if high else None)


def sizes_of(text: str | None, option: str) -> Literal["auto"] | tuple[int, ...] | None:
    """Sizes for the last axes: ``16,256,256``; ``auto``, or None for ``none``."""
    if text is None or text in ("auto", "none"):
        return "auto" if text == "auto" else None
    try:
        return tuple(int(each) for each in text.split(","))
    except ValueError as error:
        raise OptionError(f"{option} cannot be that.", found=text, expected="16,256,256, or auto") from error


_CODECS = ("zstd", "gzip", "blosc-zstd", "blosc-lz4", "blosc-lz4hc", "blosc-zlib")


def compressor_of(text: str) -> Any:
    """A codec by its name, with its level: ``zstd:3``, ``blosc-lz4``; ``auto``, or None for ``none``."""
    if text in ("auto", "none"):
        return "auto" if text == "auto" else None
    name, _, typed = text.partition(":")
    if name not in _CODECS or (typed and not typed.isdecimal()):
        raise OptionError(
            "--compressor cannot be that.", found=text, expected=f"auto, none, {', '.join(_CODECS)}; zstd:3"
        )
    import numcodecs

    if name.startswith("blosc-"):
        return numcodecs.Blosc(cname=name.removeprefix("blosc-"), clevel=int(typed or 5))
    return numcodecs.Zstd(level=int(typed or 3)) if name == "zstd" else numcodecs.GZip(level=int(typed or 5))
