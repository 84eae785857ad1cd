"""Magnus's six applications as length laws of our own: the paper's data is not public."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lengthwise.errors import UserError
from lengthwise.workload.workload import Workload

LONGEST = 1024
"""Most tokens of an input and of an answer, as in Magnus's experiments (arXiv 2406.04785)."""


@dataclass(frozen=True)
class Application:
    """Inputs are log-normal, answers the input times a log-normal factor.

    Attributes:
        instruction: tokens before every input.
        mean, sigma: of the input: mean tokens, standard deviation of the logarithm.
        ratio, spread: of the factor: median, standard deviation of the logarithm.
    """

    instruction: int
    mean: float
    sigma: float
    ratio: float
    spread: float


APPLICATIONS = {
    "translation": Application(12, 90, 0.9, 1.1, 0.15),
    "grammar": Application(14, 70, 0.8, 1.0, 0.08),
    "detoxification": Application(20, 50, 0.8, 0.9, 0.20),
    "code-translation": Application(16, 220, 0.8, 1.05, 0.25),
    "bug-fixing": Application(15, 180, 0.8, 1.0, 0.10),
    "code-comment": Application(18, 200, 0.8, 1.4, 0.25),
}
"""Answers follow inputs closely, as the paper finds; one application's more than another's."""


def applications(n: int, seed: int) -> Workload:
    """n requests, each of one of the six with equal chance; ids are ``APPLICATION:NUMBER``.

    Raises:
        UserError: for n below 1.
    """
    if n < 1:
        raise UserError(f"a workload has at least 1 request, not {n}")
    rng = np.random.default_rng([seed, 4])
    names = list(APPLICATIONS)
    laws = list(APPLICATIONS.values())
    chosen = rng.integers(len(laws), size=n)
    instruction, mean, sigma, ratio, spread = (
        np.array([getattr(law, name) for law in laws])[chosen]
        for name in ("instruction", "mean", "sigma", "ratio", "spread")
    )
    inputs = rng.lognormal(np.log(mean) - sigma**2 / 2, sigma)
    answers = inputs * ratio * rng.lognormal(0.0, spread)
    prompt = np.clip(np.rint(inputs), 1, LONGEST - instruction) + instruction
    output = np.clip(np.rint(answers), 1, LONGEST)
    ids = tuple(f"{names[which]}:{i}" for i, which in enumerate(chosen))
    return Workload(
        np.zeros(n), prompt.astype(np.int64), output.astype(np.int64), name="applications", id=ids
    )
