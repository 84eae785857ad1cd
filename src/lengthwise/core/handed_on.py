"""A prediction as JSON: a router hands it on in a request's hints, which take nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np

from lengthwise.core.bins import Floats
from lengthwise.core.lengths import Lengths
from lengthwise.core.prediction import LEAST, Distributions, Prediction, point

_PARTS = ("lower", "upper", "values", "probabilities")


def plain(prediction: Prediction) -> dict[str, Any]:
    """A prediction made at arrival: expected tokens, and the parts of its distribution."""
    found: dict[str, Any] = {"tokens": max(prediction.tokens, LEAST)}
    if prediction.batch is not None:
        lengths, row = prediction.batch.lengths, prediction.row
        found |= {name: getattr(lengths, name)[row].tolist() for name in _PARTS}
        limit = float(lengths.limit[row])
        found["limit"] = limit if np.isfinite(limit) else None
    return found


def packed(prediction: Prediction) -> list[float]:
    """The same as :func:`plain` in one list of numbers, for ``vllm_xargs``: vLLM's API takes those.

    The expected tokens and a distribution's limit (0: none), then the parts of the distribution.
    """
    found = plain(prediction)
    parts = [number for name in _PARTS for number in found.get(name, ())]
    return [found["tokens"], found.get("limit") or 0.0, *parts]


def _unpacked(hint: list[Any]) -> dict[str, Any]:
    """What :func:`packed` wrote, as :func:`plain` has it. Other lists are a ValueError."""
    if not all(isinstance(each, float | int) and not isinstance(each, bool) for each in hint):
        raise ValueError("a packed prediction has numbers only")
    size, left = divmod(len(hint) - 2, len(_PARTS))
    if len(hint) == 2:
        return {"tokens": hint[0]}
    if left or size < 1:
        raise ValueError("a packed prediction has four parts of one length")
    parts = {name: hint[2 + i * size : 2 + (i + 1) * size] for i, name in enumerate(_PARTS)}
    return {"tokens": hint[0], "limit": hint[1] or None, **parts}


def handed_on(hint: Any) -> Prediction | None:
    """The prediction in a hint: a router's if it is what :func:`plain` or :func:`packed` wrote.

    A number is what a client says. None if it is NaN or infinite.

    Raises:
        ValueError: if it is neither, or its distribution is not one.
    """
    try:
        if isinstance(hint, list):
            hint = _unpacked(hint)
        if not isinstance(hint, dict):
            return point(float(hint), "client")
        if float(hint["tokens"]) < LEAST:
            raise ValueError("fewer tokens than the one that ends an answer")
        found = point(float(hint["tokens"]), "router")
        if found is None or "probabilities" not in hint:
            return found
        batch = Distributions(_lengths(hint))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"a predicted length is a number of tokens, or what a router hands on: {error}"
        ) from None
    return Prediction(found.tokens, 0, "router", 0, batch)


def _lengths(hint: dict[str, Any]) -> Lengths:
    """The one distribution in a hint. What is wrong with it is a ValueError."""
    lower, upper, values, shares = (_row(hint[name]) for name in _PARTS)
    limit = np.inf if hint["limit"] is None else float(hint["limit"])
    if not lower.shape == upper.shape == values.shape == shares.shape:
        raise ValueError("the parts of a distribution must be of one length")
    if not (upper > lower).all() or (np.diff(lower) < 0).any() or (np.diff(values) < 0).any():
        raise ValueError("intervals must have a width, and not fall")
    if (shares < 0).any() or not abs(float(shares.sum()) - 1.0) < 1e-3 or not limit > 0:
        raise ValueError("probabilities must add up to 1, and the limit be above 0")
    return Lengths(lower, upper, values, shares, np.array([limit], dtype=np.float32))


def _row(given: Any) -> Floats:
    found = np.array([given], dtype=np.float32)
    if found.ndim != 2 or not found.shape[1] or not np.isfinite(found).all():
        raise ValueError("a distribution needs lists of finite numbers")
    return found
