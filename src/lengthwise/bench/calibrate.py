"""``lengthwise calibrate``: measure the real engine's step times and fit a profile."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from lengthwise.core.checks import at_least
from lengthwise.errors import UserError
from lengthwise.models.served import check_model, context_of
from lengthwise.sim.steps import Linear
from lengthwise.vllm.driver import Driver
from lengthwise.vllm.engine import check_memory, check_vllm, engine_name

_PROMPT, _ANSWER = 400, 200
"""Most tokens of a prompt, and of an answer."""


def check(model: Path, seats: int, requests: int, seed: int) -> None:
    """Refuse what no engine could be calibrated with.

    Raises:
        UserError: for a number out of range, a model that does not do, or too little memory.
    """
    at_least(1, seats=seats)
    at_least(4, requests=requests)
    at_least(0, seed=seed)
    check_model(model)
    if context_of(model) < _PROMPT + _ANSWER:
        raise UserError(
            f"model {model} has a context of {context_of(model)} tokens: calibration takes "
            f"{_PROMPT + _ANSWER}"
        )
    check_vllm()
    check_memory(str(model))


def calibrate(model: Path, seats: int, requests: int, name: str, seed: int = 0) -> Linear:
    """Serve random tokens at every occupancy and fit seconds of a step.

    Prompts of 8 to 400 tokens and answers of 8 to 200 come in waves of 1 to ``seats``
    requests, so that small and full steps, and steps with and without prompts, are seen.

    Raises:
        UserError: if the engine does not start or there are too few requests.
    """
    check(model, seats, requests, seed)
    rows = measure(model, seats, requests, seed)
    source = f"{engine_name()}, {model.name}, {len(rows)} steps with up to {seats} seats"
    return Linear.fit(name, source, rows)


def measure(model: Path, seats: int, requests: int, seed: int) -> NDArray[np.float64]:
    """Steps of the real engine: [n, 4] prefill tokens, decodes, context tokens, seconds."""
    driver = Driver(model, seats, enable_prefix_caching=False)
    steps = driver.compositions()
    rng = np.random.default_rng(seed)
    rows: list[tuple[float, ...]] = []
    served = 0
    bar = tqdm(total=requests, desc="calibrate", unit="request")
    while served < requests:
        wave = min(int(rng.integers(1, seats + 1)), requests - served)
        for i in range(served, served + wave):
            _add(driver, str(i), rng)
        served += wave
        while driver.busy:
            start = time.perf_counter()
            outputs = driver.step()
            seconds = time.perf_counter() - start
            made = steps.take()
            if any(made[:2]):
                rows.append((*made, seconds))
            bar.update(sum(output.finished for output in outputs))
    bar.close()
    # The first steps pay for warming up, not for their tokens.
    return np.array(rows[10:], dtype=np.float64)


def _add(driver: Driver, request_id: str, rng: np.random.Generator) -> None:
    from vllm import SamplingParams

    ids = rng.integers(10, 10_000, size=int(rng.integers(8, _PROMPT + 1))).tolist()
    params = SamplingParams(
        temperature=0, max_tokens=int(rng.integers(8, _ANSWER + 1)), ignore_eos=True
    )
    driver.add(request_id, ids, params)
