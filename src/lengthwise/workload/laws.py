"""Requests drawn from a workload's lengths, from a fit to them, or from a law.

All of them come as a burst: ``with_arrivals`` spreads them over time. Lengths, arrivals and
predictions draw from separate streams, so that one seed for all does not correlate them.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lengthwise.errors import UserError
from lengthwise.workload.workload import Tokens, Workload

_Sizes = NDArray[np.float64]
_Sampler = Callable[[np.random.Generator, int], _Sizes]


def resample(workload: Workload, n: int, seed: int) -> Workload:
    """n requests drawn with replacement, whole, as a burst."""
    return workload.rows(_generator(n, seed).integers(len(workload), size=n), np.zeros(n))


def fitted(workload: Workload, n: int, seed: int, law: str = "lognormal") -> Workload:
    """n requests from log-normal or gamma laws fitted to prompt and output lengths.

    A Gaussian copula with the workload's rank correlation joins the two. Lengths are
    rounded, at least 1, and at most the workload's longest: the laws' tails have no end,
    a model's context has.

    Raises:
        UserError: for another law, or n below 1.
    """
    if law not in _FITS:
        raise UserError(f"no law {law!r} to fit: choose from {', '.join(_FITS)}")
    rng = _generator(n, seed)
    rho = _copula(workload.prompt, workload.output)
    first = rng.standard_normal(n)
    second = rho * first + math.sqrt(1.0 - rho**2) * rng.standard_normal(n)
    prompt, output = (
        np.minimum(_whole(_FITS[law](lengths)(z)), lengths.max())
        for lengths, z in ((workload.prompt, first), (workload.output, second))
    )
    return _burst(prompt, output, f"{workload.name}-{law}")


def synthetic(n: int, prompt: str, output: str, seed: int) -> Workload:
    """n requests with independent prompt and output lengths from two laws (see ``draw``).

    Raises:
        UserError: for an unknown law, or n below 1.
    """
    rng = _generator(n, seed)
    return _burst(draw(prompt, n, rng), draw(output, n, rng), f"{prompt}/{output}")


def draw(law: str, n: int, rng: np.random.Generator) -> Tokens:
    """n lengths in tokens, rounded and at least 1, from a law written as a spec string.

    ``constant:100``, ``exp:200`` (mean), ``gamma:200:2`` (mean, coefficient of variation),
    ``lognormal:200:1.0`` (mean, standard deviation of the logarithm), ``uniform:1:512``
    (both ends included).

    Raises:
        UserError: for an unknown law or parameters it does not take.
    """
    name, *given = law.split(":")
    if name not in _LAWS:
        raise UserError(f"no law {law!r}: choose from {', '.join(_LAWS)}")
    make, names = _LAWS[name]
    try:
        numbers = [float(each) for each in given]
    except ValueError:
        numbers = []
    wanted = ":".join([name, *names])
    if len(numbers) != len(names) or not all(0 < each < math.inf for each in numbers):
        raise UserError(f"law {law!r} should read {wanted}, with positive numbers")
    if name == "uniform" and numbers[0] > numbers[1]:
        raise UserError(f"law {law!r} should read {wanted}, the lower first")
    return _whole(make(*numbers)(rng, n))


def _constant(tokens: float) -> _Sampler:
    return lambda rng, n: np.full(n, tokens)


def _exp(mean: float) -> _Sampler:
    return lambda rng, n: rng.exponential(mean, n)


def _gamma(mean: float, cv: float) -> _Sampler:
    return lambda rng, n: rng.gamma(1.0 / cv**2, mean * cv**2, n)


def _lognormal(mean: float, sigma: float) -> _Sampler:
    return lambda rng, n: rng.lognormal(math.log(mean) - sigma**2 / 2, sigma, n)


def _uniform(low: float, high: float) -> _Sampler:
    ends = round(low), round(high)
    return lambda rng, n: rng.integers(*ends, n, endpoint=True).astype(np.float64)


_LAWS: dict[str, tuple[Callable[..., _Sampler], tuple[str, ...]]] = {
    "constant": (_constant, ("TOKENS",)),
    "exp": (_exp, ("MEAN",)),
    "gamma": (_gamma, ("MEAN", "CV")),
    "lognormal": (_lognormal, ("MEAN", "SIGMA")),
    "uniform": (_uniform, ("LOW", "HIGH")),
}


def _copula(prompt: Tokens, output: Tokens) -> float:
    """Correlation of the normal scores whose ranks correlate like these (0 for a constant)."""
    if not (np.ptp(prompt) and np.ptp(output)):
        return 0.0
    from scipy import stats

    spearman = np.corrcoef(stats.rankdata(prompt), stats.rankdata(output))[0, 1]
    return float(2.0 * np.sin(np.pi / 6.0 * spearman))


_Quantiles = Callable[[_Sizes], _Sizes]
"""Lengths at standard normal quantiles: [n] -> [n]."""


def _fit_lognormal(lengths: Tokens) -> _Quantiles:
    logs = np.log(lengths)
    mean, sigma = float(logs.mean()), float(logs.std())
    return lambda z: np.exp(mean + sigma * z)


def _fit_gamma(lengths: Tokens) -> _Quantiles:
    """By maximum likelihood; quantiles through a table, 50 times faster than one by one."""
    if not np.ptp(lengths):
        return lambda z: np.full(len(z), float(lengths[0]))
    from scipy import special, stats

    shape, _, scale = stats.gamma.fit(lengths, floc=0)
    grid = np.linspace(-6.0, 6.0, 4801)
    table = stats.gamma.ppf(special.ndtr(grid), shape, scale=scale)
    return lambda z: np.interp(z, grid, table)


_FITS = {"lognormal": _fit_lognormal, "gamma": _fit_gamma}


def _whole(sizes: _Sizes) -> Tokens:
    whole: Tokens = np.clip(np.rint(sizes), 1.0, 2.0**53).astype(np.int64)
    return whole


def _generator(n: int, seed: int) -> np.random.Generator:
    if n < 1:
        raise UserError(f"a workload has at least 1 request, not {n}")
    return np.random.default_rng([seed, 1])


def _burst(prompt: Tokens, output: Tokens, name: str) -> Workload:
    return Workload(np.zeros(len(prompt)), prompt, output, name=name)
