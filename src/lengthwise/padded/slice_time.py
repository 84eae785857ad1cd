"""SCLS's model of a batch's time, fitted to a profile (arXiv 2406.13511)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lengthwise.errors import UserError, reading

Four = tuple[float, float, float, float]
Rows = NDArray[np.float64]

LEAST_ROWS = 6
"""Fewest prefills, and decode steps, to fit a profile to."""


class BatchTime(Protocol):
    """Seconds of a padded batch: ``size`` requests, each ``length`` tokens long."""

    def prefill(self, size: int, length: int) -> float:
        """Seconds until each request has its first token."""

    def decode(self, size: int, length: int, steps: int) -> float:
        """Seconds of ``steps`` further tokens of each request."""


@dataclass(frozen=True)
class SliceTime:
    """Seconds from batch size N and length L.

    A prefill takes p1·N·L + p2·N + p3·L + p4, a decode step at context l takes
    d1·N·l + d2·N + d3·l + d4.

    Attributes:
        prefills, decodes: p1 to p4 and d1 to d4.
        source: where the numbers come from.
        error: mean absolute error of both fits, as a share of the time; NaN if not fitted.
    """

    prefills: Four
    decodes: Four
    source: str = ""
    error: float = float("nan")

    def prefill(self, size: int, length: int) -> float:
        """T_prefill(N, L)."""
        return float(np.dot(self.prefills, (size * length, size, length, 1)))

    def decode(self, size: int, length: int, steps: int) -> float:
        """Contexts L + 1 to L + S summed: (d1·N + d3)(S·L + S(S+1)/2) + S(d2·N + d4)."""
        d1, d2, d3, d4 = self.decodes
        contexts = steps * length + steps * (steps + 1) / 2
        return (d1 * size + d3) * contexts + steps * (d2 * size + d4)

    def slice(self, size: int, length: int, steps: int) -> float:
        """T(N, L, S): an upper bound, for a batch whose members all end early returns early."""
        return self.prefill(size, length) + self.decode(size, length, steps)

    @classmethod
    def fit(cls, prefills: Rows, decodes: Rows, source: str) -> SliceTime:
        """Non-negative least squares of relative errors.

        Args:
            prefills, decodes: [n, 3]: batch size, length, seconds of a prefill or of one
                decode step at that context.

        Raises:
            UserError: if there is too little to fit.
        """
        if min(len(prefills), len(decodes)) < LEAST_ROWS:
            raise UserError(
                f"a profile needs at least {LEAST_ROWS} prefills and {LEAST_ROWS} decode steps"
            )
        (p, p_error), (d, d_error) = _fit(prefills), _fit(decodes)
        return cls(p, d, source, (p_error + d_error) / 2)

    @classmethod
    def profiled(cls, time: BatchTime, memory: int, longest: int) -> SliceTime:
        """Fitted to an engine's times on a grid of batches that its memory holds."""
        grid = list(_grid(memory, longest))
        prefills = np.array([(n, length, time.prefill(n, length)) for n, length in grid])
        decodes = np.array([(n, length + 1, time.decode(n, length, 1)) for n, length in grid])
        return cls.fit(prefills, decodes, "a profile of the simulated engine")

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"kind": "slices", **asdict(self)}, indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> SliceTime:
        """Read the JSON that :meth:`save` wrote.

        Raises:
            UserError: if it cannot be read.
        """
        with reading(f"slice times {path}", "lengthwise bench padded makes them"):
            described = dict(json.loads(path.read_text()))
            if described.pop("kind") != "slices":
                raise ValueError("not of kind slices")
            try:
                prefills, decodes = (_four(described.pop(key)) for key in ("prefills", "decodes"))
                return cls(prefills, decodes, **described)
            except TypeError as error:
                raise ValueError(error) from None


def _four(numbers: list[float]) -> Four:
    a, b, c, d = map(float, numbers)
    return a, b, c, d


def _fit(rows: Rows) -> tuple[Four, float]:
    from scipy.optimize import nnls

    size, length, seconds = rows.T
    columns = np.column_stack([size * length, size, length, np.ones(len(rows))])
    found, _ = nnls(columns / seconds[:, None], np.ones(len(rows)))
    return _four(found.tolist()), float(np.abs(columns @ found / seconds - 1.0).mean())


def _grid(memory: int, longest: int) -> Iterator[tuple[int, int]]:
    """Pairs of size and length in powers of two that fit the memory; at least six."""
    sizes = [2**i for i in range(memory.bit_length())]
    lengths = [max(longest >> i, 1) for i in range(6)]
    for size, length in product(sizes, lengths):
        if size == 1 or size * (length + 1) <= memory:
            yield size, length


STEPS = 12
"""Decode steps of a profiled batch."""
