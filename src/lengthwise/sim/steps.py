"""How long one step of an engine takes: fitted to a profile, or a card's roofline."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lengthwise.errors import UserError, reading


class StepTime(Protocol):
    """Seconds of a step from what is in it.

    ``prefill`` prompt tokens, ``decodes`` requests that decode one token each, and
    ``context`` tokens in the KV caches of all requests in the step.
    """

    def seconds(self, prefill: int, decodes: int, context: int) -> float:
        """One step."""

    def stretch(self, steps: int, decodes: int, context: int) -> float:
        """So many decode steps in a row; the context grows by ``decodes`` with each."""


def steps_within(time: StepTime, seconds: float, most: int, decodes: int, context: int) -> int:
    """The least number of decode steps that take at least ``seconds``; at most ``most``."""
    if time.stretch(most, decodes, context) < seconds:
        return most
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) // 2
        if time.stretch(middle, decodes, context) < seconds:
            low = middle
        else:
            high = middle
    return high


@dataclass(frozen=True)
class Linear:
    """``base + prefill·a + decodes·b + context·c`` seconds.

    Attributes:
        name: what the command line calls it.
        source: where the numbers come from.
        error: mean absolute error of the fit, as a share of a step; NaN if not fitted.
    """

    name: str
    source: str
    base: float
    prefill: float
    decode: float
    context: float
    error: float = float("nan")

    def seconds(self, prefill: int, decodes: int, context: int) -> float:
        """One step."""
        return self.base + self.prefill * prefill + self.decode * decodes + self.context * context

    def stretch(self, steps: int, decodes: int, context: int) -> float:
        """An arithmetic series."""
        one = self.base + self.decode * decodes + self.context * context
        return steps * one + self.context * decodes * (steps * (steps - 1) // 2)

    def scaled(self, factor: float) -> Linear:
        """Steps that take ``factor`` times as long; the error of the fit stays."""
        return replace(
            self,
            base=self.base * factor,
            prefill=self.prefill * factor,
            decode=self.decode * factor,
            context=self.context * factor,
        )

    @classmethod
    def fit(cls, name: str, source: str, rows: NDArray[np.float64]) -> Linear:
        """Non-negative least squares of relative errors.

        Args:
            rows: [n, 4]: prefill tokens, decodes, context tokens, seconds.

        Raises:
            UserError: if there are too few steps to fit.
        """
        if len(rows) < 20:
            raise UserError(f"{len(rows)} steps are too few to fit a profile: let it run longer")
        from scipy.optimize import nnls

        seconds = rows[:, 3]
        columns = np.column_stack([np.ones(len(rows)), rows[:, :3]])
        found, _ = nnls(columns / seconds[:, None], np.ones(len(rows)))
        error = float(np.abs(columns @ found / seconds - 1.0).mean())
        base, prefill, decode, context = (float(seconds) for seconds in found)
        return cls(name, source, base, prefill, decode, context, error)

    def save(self, path: Path) -> None:
        """As JSON."""
        _save(path, "linear", self)


@dataclass(frozen=True)
class Roofline:
    """A model, not a measurement: a step takes what its bytes or its FLOPs take.

    Attributes:
        weight_bytes: read once a step.
        kv_bytes: per token of context.
        flops: per token computed (2 per weight).
        bandwidth, peak: the card's bytes/s and FLOP/s; ``efficiency`` of both is reached.
        overhead: seconds a step beside them.
    """

    name: str
    source: str
    weight_bytes: float
    kv_bytes: float
    flops: float
    bandwidth: float
    peak: float
    efficiency: float = 0.7
    overhead: float = 0.002

    def seconds(self, prefill: int, decodes: int, context: int) -> float:
        """The larger of memory and compute time."""
        memory = (self.weight_bytes + self.kv_bytes * context) / self.bandwidth
        compute = self.flops * (prefill + decodes) / self.peak
        return self.overhead + max(memory, compute) / self.efficiency

    def stretch(self, steps: int, decodes: int, context: int) -> float:
        """Memory time grows by the same amount each step, compute time stays."""
        growth = self.kv_bytes * decodes / self.bandwidth
        first = (self.weight_bytes + self.kv_bytes * context) / self.bandwidth
        compute = self.flops * decodes / self.peak
        # Steps in which compute is the larger; then memory takes over for good.
        computing = 0
        if compute > first:
            computing = steps if growth == 0 else min(steps, int((compute - first) / growth) + 1)
        rest = steps - computing
        start = first + growth * computing
        busy = computing * compute + rest * start + growth * (rest * (rest - 1) // 2)
        return steps * self.overhead + busy / self.efficiency

    def save(self, path: Path) -> None:
        """As JSON."""
        _save(path, "roofline", self)


@dataclass(frozen=True)
class Scaled:
    """Steps that take ``factor`` times as long as those of ``time``.

    Raises:
        UserError: if the factor is not above 0 and finite.
    """

    time: StepTime
    factor: float

    def __post_init__(self) -> None:
        if not 0 < self.factor < math.inf:
            raise UserError(f"steps cannot take {self.factor} times as long")

    def seconds(self, prefill: int, decodes: int, context: int) -> float:
        """One step."""
        return self.factor * self.time.seconds(prefill, decodes, context)

    def stretch(self, steps: int, decodes: int, context: int) -> float:
        """So many decode steps in a row."""
        return self.factor * self.time.stretch(steps, decodes, context)


def _save(path: Path, kind: str, time: Linear | Roofline) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"kind": kind, **asdict(time)}, indent=1) + "\n")


def load_profile(name: str) -> StepTime:
    """A shipped profile by name, or one that ``lengthwise calibrate`` saved.

    Raises:
        UserError: if there is none, or it cannot be read.
    """
    shipped = resources.files("lengthwise.sim") / "profiles" / f"{name}.json"
    path = Path(str(shipped)) if shipped.is_file() else Path(name)
    if not path.is_file():
        names = ", ".join(profile_names())
        raise UserError(
            f"no step-time profile {name!r}: a file of lengthwise calibrate, or {names}"
        )
    with reading(f"profile {name}"):
        described: dict[str, Any] = dict(json.loads(path.read_text()))
        kind = {"linear": Linear, "roofline": Roofline}[described.pop("kind")]
        try:
            profile: StepTime = kind(**described)
        except TypeError as error:
            raise ValueError(error) from None
    return profile


def profile_names() -> list[str]:
    """The shipped profiles."""
    folder = resources.files("lengthwise.sim") / "profiles"
    return sorted(
        entry.name.removesuffix(".json")
        for entry in folder.iterdir()
        if entry.name.endswith(".json")
    )
