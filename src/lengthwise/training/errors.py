"""How the trained predictors err on held-out prompts, for the simulator to err likewise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lengthwise.core.bins import Bins, Floats
from lengthwise.core.lengths import Lengths
from lengthwise.predictors.errors import ErrorModel, fit_error_model
from lengthwise.predictors.tracks import Shapes, Track


def probe_errors(
    left: Floats, refined: Floats, age: NDArray[np.int64], request: NDArray[np.int64]
) -> ErrorModel:
    """Fitted to refined predictions at sampled positions, each [n], request by request.

    Saved as ``errors.json`` beside the predictors; ``refined:FILE`` in the simulator.
    """
    return fit_error_model(left.astype(np.float64), refined.astype(np.float64), age, request)


def prompt_confusion(
    total: NDArray[np.int64], predicted: Floats, cap: float, k: int = 8
) -> dict[str, Any]:
    """Counts of predicted bins for each true bin, and the mean prediction in each.

    Saved as ``confusion.json`` beside the predictors; ``confusion:FILE`` in the simulator.
    """
    bins = Bins.log(k, cap).with_overflow()
    true, said = bins.index(total), bins.index(predicted)
    # A hundredth of a request everywhere: bins that held-out prompts left empty exist.
    matrix = np.full((len(bins), len(bins)), 0.01)
    np.add.at(matrix, (true, said), 1.0)
    values = [
        float(predicted[said == i].mean()) if (said == i).any() else float(bins.values[i])
        for i in range(len(bins))
    ]
    return {
        "edges": [round(float(edge), 3) for edge in bins.edges],
        "matrix": matrix.round(3).tolist(),
        "values": [round(value, 2) for value in values],
    }


def held_out_tracks(
    rows: Sequence[dict[str, Any]],
    first: Lengths,
    remaining: Lengths,
    age: NDArray[np.int64],
    request: NDArray[np.int64],
) -> list[dict[str, Any]]:
    """What was predicted for each held-out request, at arrival [n] and then [m].

    Saved as ``held_out.jsonl`` beside the predictors: a workload for ``lengthwise
    simulate``, and ``recorded:FILE``, its predictions. With their distributions where all are
    over the same bins, as those of a probe and of the prompt predictor beside it are.
    """
    found = []
    shared = _same_bins(first, remaining)
    total, left = first.mean(), remaining.mean()
    for number, row in enumerate(rows):
        here = request == number
        shapes = Shapes.of(first.rows(np.array([number])), remaining.rows(here)) if shared else None
        track = Track(float(total[number]), age[here].tolist(), left[here].tolist(), shapes)
        lengths = {
            "prompt_tokens": len(row["prompt_ids"]),
            "output_tokens": row["output_tokens"],
        }
        found.append(track.record(row["id"], **lengths))
    return found


def _same_bins(first: Lengths, remaining: Lengths) -> bool:
    """Whether all are over the same bins; a prompt's bins move with the age."""
    bounds = [np.append(each.lower, each.upper, axis=1) for each in (first, remaining)]
    return len({each.shape[1] for each in bounds}) == 1 and all(
        bool((each == bounds[0][0]).all()) for each in bounds
    )
