"""Seconds of a step from datasheets: a card's bandwidth and FLOP/s, and a model's shape."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

import msgspec

from lengthwise.calibration.calibration import Calibration
from lengthwise.calibration.shapes import Shape, read_shape
from lengthwise.core.checks import at_least
from lengthwise.errors import UserError
from lengthwise.sim.steps import Roofline

BANDWIDTH_REACHED = 0.8
PEAK_REACHED = 0.6
"""Shares of the datasheet's bandwidth and FLOP/s that a step reaches."""

OVERHEAD_S = 0.0015
"""Seconds of a step beside those of the card."""

REDUCE_S = 20e-6
"""Seconds that two or more cards wait for each other in a layer: two sums over all cards."""

FASTEST, SLOWEST = 0.7, 1.5
"""What measured steps were of the calculated ones, and a margin: docs/guides/calibrate.md."""

_BESIDE_GIB = 2.0
"""Memory of a card that neither weights nor KV cache have: activations, graphs, the context."""


@dataclass(frozen=True)
class Card:
    """One accelerator, by its datasheet.

    Attributes:
        bandwidth: of its memory, bytes a second.
        bf16, fp8: dense FLOP/s of matrices in 16 and 8 bits; ``None``: no such units.
        memory_gib: that programs can use.
        source: which datasheet, and what is particular.
        names: others for it, as drivers and clouds have them.
    """

    bandwidth: float
    bf16: float
    fp8: float | None
    memory_gib: float
    source: str
    names: list[str] = field(default_factory=list)


def cards() -> dict[str, Card]:
    """All cards that are known, by name."""
    file = resources.files("lengthwise.calibration") / "cards.json"
    return msgspec.json.decode(file.read_bytes(), type=dict[str, Card])


def find_card(name: str) -> tuple[str, Card]:
    """A card by a name of it, as here or as drivers write it; and its name here.

    Raises:
        UserError: if it is not known.
    """
    known = cards()
    wanted = re.sub(r"[\s_]+", "-", name.strip().lower()).removeprefix("nvidia-")
    for key, card in known.items():
        if wanted in (key, *card.names):
            return key, card
    raise UserError(f"no card {name!r}: choose from {', '.join(known)}")


def from_card(
    card: str,
    model: Path | str,
    dtype: str | None = None,
    tensor_parallel: int = 1,
    gpu_memory_utilization: float = 0.9,
) -> Calibration:
    """How fast a model would be on a card: calculated, not measured.

    A step takes what its bytes or its FLOPs take, whichever is longer. That the card reaches
    80 % of its bandwidth and 60 % of its FLOP/s and that 1.5 ms a step are spent beside are
    assumptions, so that the interval is wide.

    Args:
        card: a name of :func:`cards`, or as the driver writes it.
        model: a folder with config.json, that file, or a shipped name.
        dtype: of weights and KV cache, if not the config's.
        tensor_parallel: cards that share the model.
        gpu_memory_utilization: share of the memory that vLLM may use.

    Raises:
        UserError: for an unknown card or model, a config without a field that is needed, or a
            model that does not fit.
    """
    at_least(1, tensor_parallel=tensor_parallel)
    if not 0.0 < gpu_memory_utilization <= 1.0:
        raise UserError(f"a share of memory is above 0 and at most 1, not {gpu_memory_utilization}")
    name, sheet = find_card(card)
    shape = read_shape(model, dtype)
    # A KV cache of fewer heads than cards is kept by several of them.
    split = min(tensor_parallel, shape.kv_heads)
    kv_bytes = shape.kv_bytes / split
    tokens = _kv_tokens(name, sheet, shape, tensor_parallel, gpu_memory_utilization, kv_bytes)
    peak = sheet.fp8 if shape.fp8 and sheet.fp8 else sheet.bf16
    reduced = shape.layers * REDUCE_S if tensor_parallel > 1 else 0.0
    seats, budget = _defaults(name, sheet)
    on = name if tensor_parallel == 1 else f"{tensor_parallel} {name}"
    source = f"the datasheet of {on} and the config of {shape.name}"
    steps = Roofline(
        f"{name}-{shape.name}",
        source,
        shape.step_bytes / tensor_parallel,
        kv_bytes,
        2.0 * shape.active / tensor_parallel,
        sheet.bandwidth,
        peak * PEAK_REACHED / BANDWIDTH_REACHED,
        BANDWIDTH_REACHED,
        OVERHEAD_S + reduced,
    )
    notes = (
        _assumed(sheet, peak, steps.overhead),
        f"{tokens} tokens of KV memory are calculated: the server's own log says how many it has",
        f"{seats} seats and {budget} tokens in a step are what vLLM takes on such a card by itself",
        *shape.notes,
    )
    return Calibration(
        steps,
        source,
        None,
        fastest=FASTEST,
        slowest=SLOWEST,
        seats=seats,
        budget=budget,
        kv_tokens=tokens,
        notes=notes,
    )


def _defaults(name: str, sheet: Card) -> tuple[int, int]:
    """vLLM's own max_num_seqs and max_num_batched_tokens for a server on a card (0.31 to 0.33)."""
    if sheet.memory_gib >= 160:
        return 1024, 16_384
    if sheet.memory_gib >= 70 and "a100" not in name:
        return 1024, 8192
    return 256, 2048


def _assumed(sheet: Card, peak: float, overhead: float) -> str:
    return (
        f"assumed, not measured: {100 * BANDWIDTH_REACHED:.0f} % of {sheet.bandwidth / 1e12:.3g} "
        f"TB/s and {100 * PEAK_REACHED:.0f} % of {peak / 1e12:.4g} TFLOP/s are reached, and "
        f"{1000 * overhead:.2g} ms a step are spent beside ({sheet.source})"
    )


def _kv_tokens(
    name: str, sheet: Card, shape: Shape, cards: int, utilization: float, kv_bytes: float
) -> int:
    """Tokens that fit beside the weights."""
    weights = shape.weight_bytes / cards
    room = (sheet.memory_gib * utilization - _BESIDE_GIB) * 2.0**30 - weights
    tokens = int(room / kv_bytes)
    if tokens < 1:
        size = shape.weight_bytes / 2**30
        raise UserError(
            f"{shape.name} ({size:.0f} GiB) does not fit into {cards} x {name} "
            f"({sheet.memory_gib:g} GiB): give more cards with --tensor-parallel"
        )
    return tokens
