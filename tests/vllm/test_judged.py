"""How predictions turned out, against counting all of them."""

from __future__ import annotations

import numpy as np
import pytest

from lengthwise.core.request import Request
from lengthwise.live.state import PredictorNow
from lengthwise.vllm.judged import Judged


def finished(predicted: float | None, tokens: int, probed: bool = False) -> Request:
    view = Request("r", 0.0, 0, 5)
    if probed and predicted is not None:
        view.refine(predicted, 0)
    else:
        view.predict(predicted)
    view.generated = tokens
    return view


def test_errors_and_pairs_by_who_predicted() -> None:
    judged = Judged()
    for predicted, tokens in ((10.0, 12), (20.0, 25), (30.0, 21)):
        judged.finished(finished(predicted, tokens), cut=False)
    judged.finished(finished(8.0, 4, probed=True), cut=False)
    judged.finished(finished(None, 4), cut=False)
    probe, prompt = judged.now("probe")
    assert (probe.source, probe.judged, probe.error, probe.pairs_right) == ("probe", 1, 4.0, None)
    assert (prompt.source, prompt.used, prompt.judged) == ("prompt", 3, 3)
    assert prompt.missing == 1
    assert prompt.error == pytest.approx((2 + 5 + 9) / 3)
    assert prompt.pairs_right == pytest.approx(2 / 3)


def test_a_source_that_has_predicted_nothing_yet_is_only_missed() -> None:
    judged = Judged()
    judged.finished(finished(None, 4), cut=False)
    assert judged.now("probe") == [PredictorNow("prompt", missing=1)]


def test_an_answer_that_was_cut_is_at_least_as_long() -> None:
    judged = Judged()
    judged.finished(finished(10.0, 50), cut=True)
    judged.finished(finished(90.0, 60), cut=False)
    # Which of the two is the longer nobody knows.
    assert judged.now("prompt")[0].pairs_right is None


def test_only_the_last_count_and_what_is_told_is_at_most_a_tenth_old() -> None:
    judged = Judged()
    rng = np.random.default_rng(0)
    for n in range(1, 400):
        judged.finished(finished(float(rng.integers(1, 99)), int(rng.integers(1, 99))), cut=False)
        now = judged.now("prompt")[0]
        assert now.judged <= 200
        assert now.used >= n - 20
    assert now.judged == 200


def test_policies_that_read_no_predictions_miss_none() -> None:
    judged = Judged()
    judged.finished(finished(None, 4), cut=False)
    assert judged.now("none") == []
