"""What File > Save asks of images whose axes nobody named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from napari_ome_ngff.errors import CancelledError
from napari_ome_ngff.plugin.layer_axes.axes_in_view import shown_layers
from napari_ome_ngff.plugin.origin import LayerData
from napari_ome_ngff.plugin.save.progress import choose
from napari_ome_ngff.plugin.save_panel.said_axes import SERIES

if TYPE_CHECKING:
    from napari_ome_ngff.plugin.save.bundles import Guess

UNKNOWN = "I do not know"
"""Answer after which they are saved as was assumed."""


def named_by_user(layers: Sequence[LayerData], guessed: Mapping[str, Guess]) -> list[LayerData]:
    """Layers with the names that the user chose, in the viewer too; CancelledError if nothing is saved."""
    answers: dict[Guess, Sequence[str]] = {}
    for guess in dict.fromkeys(guessed.values()):
        names = [name for name, each in guessed.items() if each == guess]
        answers[guess] = _asked(names, guess)
    return [
        _named(layer, answers.get(guessed.get(layer[1].get("name", ""), ((), ())), ())) for layer in layers
    ]


def _asked(images: Sequence[str], guess: Guess) -> Sequence[str]:
    dims, unknown = guess
    offered = {names[len(dims)]: series for series, names in reversed(SERIES.items()) if len(dims) in names}
    answers = {f"{series} ({', '.join(names)})": names for names, series in reversed(offered.items())}
    answer = choose(
        f"What is {' and '.join(map(repr, images))}?",
        "The axes have no names. If they stay unknown, they are saved as "
        f"{', '.join(dims)}, and not downsampled along {' and '.join(unknown)}, which could be time.",
        [*answers, UNKNOWN],
    )
    if answer is None:
        raise CancelledError("Nothing was saved.")
    return answers.get(answer, ())


def _named(layer: LayerData, names: Sequence[str]) -> LayerData:
    data, meta, kind = layer
    if not names:
        return layer
    for shown in shown_layers(layer):
        shown.axis_labels = tuple(names)
    return data, {**meta, "axis_labels": tuple(names)}, kind
