"""Predictions in a request's hints."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from lengthwise.core import Bins
from lengthwise.core.handed_on import handed_on, packed, plain
from lengthwise.core.lengths import Lengths
from lengthwise.core.prediction import Prediction, each_of, point

SHARES = np.array([[0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1]], dtype=np.float32)


def predictions(limit: float) -> list[Prediction | None]:
    bins = Bins.log(3, 400.0).with_overflow()
    return each_of(Lengths.of(bins, SHARES, np.full(2, limit)), "router")


@pytest.mark.parametrize("form", [plain, packed])
@pytest.mark.parametrize("limit", [300.0, math.inf])
def test_a_distribution_arrives_as_it_was_sent(limit: float, form: Any) -> None:
    for sent in predictions(limit):
        assert sent is not None
        got = handed_on(json.loads(json.dumps(form(sent))))
        assert got is not None
        assert (got.tokens, got.age, got.source) == (sent.tokens, 0, "router")
        for age in (0, 20, 250):
            assert got.after(age).mean == pytest.approx(sent.after(age).mean)
            assert got.after(age).quantile(0.9) == sent.after(age).quantile(0.9)


@pytest.mark.parametrize("form", [plain, packed])
def test_a_point_arrives_as_one(form: Any) -> None:
    sure = point(12.5, "prompt")
    assert sure is not None
    assert handed_on(json.loads(json.dumps(form(sure)))) == point(12.5, "router")


def test_a_number_is_what_a_client_says() -> None:
    assert handed_on(40) == handed_on("40") == point(40.0, "client")
    assert handed_on(math.nan) is None
    assert handed_on(math.inf) is None


def test_what_is_no_prediction_is_one_line() -> None:
    good = plain(predictions(300.0)[0])  # type: ignore[arg-type]
    bad: list[Any] = ["many", [1], None, {}, {"tokens": "x"}]
    bad += [
        [],
        [0.0, 0.0],
        [3, 0, 1],
        ["x", 0],
        [9, 0, 1, 1, 1, 1],
        [9, 0, "x", 2, 3, 1],
        [True, 0],
    ]
    bad += [good | {name: []} for name in ("lower", "upper", "values", "probabilities")]
    bad += [{name: good[name] for name in good if name != "limit"}]
    bad += [good | {"probabilities": [0.5, 0.6, 0.7, 0.8]}, good | {"limit": -1}]
    bad += [good | {"probabilities": [1.5, -0.5, 0, 0]}, good | {"upper": good["lower"]}]
    bad += [good | {"values": good["values"][::-1]}, good | {"lower": [0, "x", 1, 2]}]
    for hint in bad:
        with pytest.raises(ValueError, match="predicted length") as caught:
            handed_on(hint)
        assert "\n" not in str(caught.value)
