import math
import threading

import numpy as np
import pytest

from lengthwise.core.query import Query
from lengthwise.online.scorer import Scorer
from lengthwise.predictors.ngrams import Ngrams


class Brittle(Ngrams):
    """Cannot stand the token 13."""

    def scores(self, asked):
        if any(13 in each.prompt_ids for each in asked):
            raise ValueError("unlucky\nand more")
        return super().scores(asked)


def asked(*ids):
    return Query("x", list(ids), "", 256)


@pytest.fixture(scope="module")
def good(fitted):
    return fitted()


@pytest.fixture
def brittle(good):
    return Scorer(Brittle(good.bins, good.curve, good.idf, good.weight, good.intercept))


def test_it_says_what_the_predictor_says(good):
    requests = [asked(11, 5), asked(22, 5)]
    assert Scorer(good).tokens(requests) == pytest.approx(good.lengths(requests).mean())


def test_one_bad_request_leaves_the_others_their_predictions(brittle):
    short, bad, long = brittle.tokens([asked(11, 5), asked(13), asked(22, 5)])
    assert short < long
    assert math.isnan(bad)
    assert brittle.error == "ValueError: unlucky"


def test_what_is_not_a_number_is_no_prediction(good):
    broken = Ngrams(good.bins, good.curve, good.idf, good.weight * np.nan, good.intercept)
    scorer = Scorer(broken)
    with np.errstate(invalid="ignore"):
        assert all(map(math.isnan, scorer.tokens([asked(11), asked(22)])))
    assert "not a number" in scorer.error


def test_warming_up_leaves_no_error(brittle):
    brittle.predictor.weight = None
    brittle.warm_up()
    assert brittle.error == ""


def test_two_threads_never_use_the_predictor_at_once(good):
    inside, most = 0, 0

    class Watched(Ngrams):
        def scores(self, requests):
            nonlocal inside, most
            inside += 1
            most = max(most, inside)
            found = super().scores(requests)
            inside -= 1
            return found

    scorer = Scorer(Watched(good.bins, good.curve, good.idf, good.weight, good.intercept))
    requests = [asked(i) for i in range(50)]
    threads = [threading.Thread(target=scorer.tokens, args=(requests,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
