"""Decoder layers by number: 1 the first, 0 the embedding, and the last one's output."""

from __future__ import annotations

from collections.abc import Iterable

LAST = -1
"""The last layer's output after the final norm, which the model's own head reads. Every model
has it; the layers before it are what some models do not offer."""


def in_order(layers: Iterable[int]) -> tuple[int, ...]:
    """Each layer once, in the order in which the tap gives their states: ``LAST`` comes last."""
    return tuple(sorted(set(layers), key=lambda layer: (layer == LAST, layer)))


def spread_layers(depth: int, count: int) -> tuple[int, ...]:
    """So many layers of a model of this depth, evenly spaced between the first and the last."""
    return in_order(max(1, round(depth * i / (count + 1))) for i in range(1, count + 1))


def tapped_layers(depth: int, offers: bool, acting: int | None = None) -> tuple[int, ...]:
    """The layers that a probe is learned from while serving.

    Args:
        depth: of the model.
        offers: whether it gives the outputs of layers before the last one.
        acting: the layer that the acting probe reads; None if none acts.
    """
    if not offers:
        return (LAST,)
    return in_order((*(spread_layers(depth, 3) if acting is None else (acting,)), LAST))
