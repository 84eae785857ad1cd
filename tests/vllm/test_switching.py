import time
from types import SimpleNamespace

import numpy as np
import pytest

from lengthwise.core import Bins
from lengthwise.core.prediction import point
from lengthwise.predictors.baselines import Constant
from lengthwise.predictors.store import Packed
from lengthwise.vllm.arrivals import ArrivalPredictor
from lengthwise.vllm.hints import Hints
from lengthwise.vllm.switching import SwitchingPredictor

BINS = Bins.log(4, 100)


class Given(ArrivalPredictor):
    """Predicts five tokens of everything, when it is asked for what is ready."""

    def __init__(self):
        self.asked, self.gone, self.closed = [], [], False

    def submit(self, request, hints):
        self.asked.append(request.request_id)
        return True

    def ready(self):
        found, self.asked = [(id, point(5.0, "prompt")) for id in self.asked], []
        return found

    def finished(self, request):
        self.gone.append(request.request_id)

    def stats(self):
        return {"scored": 1.0}

    def close(self):
        self.closed = True


def learned(number):
    shares = np.eye(len(BINS), dtype=np.float32)[number]
    return Packed.of(Constant(BINS, shares))


def request(id):
    return SimpleNamespace(
        request_id=id,
        prompt_token_ids=[1, 2],
        num_prompt_tokens=2,
        max_tokens=1000,
        sampling_params=SimpleNamespace(max_tokens=1000, extra_args=None),
    )


@pytest.fixture
def switching():
    found = SwitchingPredictor(Given())
    yield found
    found.close()


def ask(switching, id):
    assert switching.submit(request(id), Hints())


def until(switching, id):
    """The prediction of a request; the limit only ends a test that hangs."""
    end = time.monotonic() + 60.0
    while time.monotonic() < end:
        for found, prediction in switching.ready():
            if found == id:
                return prediction.tokens
        time.sleep(0.005)
    raise AssertionError("it took too long")


def switch(switching, version, packed):
    switching.use(version, packed)
    end = time.monotonic() + 60.0
    while switching.version != version:
        switching.ready()
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.005)


def test_the_given_one_predicts_until_a_learned_one_does(switching):
    ask(switching, "a")
    assert until(switching, "a") == 5.0
    assert switching.predicted("a") == (5.0, 0)
    switch(switching, 3, learned(1))
    ask(switching, "b")
    tokens = until(switching, "b")
    assert tokens == pytest.approx(float(BINS.values[1]))
    assert switching.predicted("b") == (tokens, 3)
    switch(switching, 0, None)
    ask(switching, "c")
    assert until(switching, "c") == 5.0


def test_what_was_asked_before_a_change_is_predicted_by_what_was_asked(switching):
    ask(switching, "a")
    given = switching._given
    asked, given.asked = given.asked, []
    switch(switching, 1, learned(0))
    given.asked = asked
    assert until(switching, "a") == 5.0
    assert switching.predicted("a") == (5.0, 0)


def test_of_an_unpredicted_request_the_version_is_known(switching):
    assert switching.predicted("a") == (None, 0)
    switch(switching, 2, learned(0))
    assert switching.predicted("a") == (None, 2)


def test_nothing_is_kept_of_who_is_gone(switching):
    ask(switching, "a")
    until(switching, "a")
    switching.finished(request("a"))
    assert switching.predicted("a") == (None, 0)
    assert switching._given.gone == ["a"]


def test_many_changes_leave_no_threads_behind(switching):
    for number in range(1, 6):
        switch(switching, number, learned(number % 4))
    assert len(switching._in_use) == 2
    assert not switching._given.closed


def test_a_version_that_is_damaged_changes_nothing(switching, caplog):
    damaged = Packed("constant", BINS, {}, {})
    switching.use(7, damaged)
    switch(switching, 8, learned(1))
    assert "prompt version 7 cannot be used" in caplog.text


def test_the_end_is_the_end_of_all(switching):
    switch(switching, 1, learned(0))
    switching.close()
    assert switching._given.closed
    assert switching.stats() == {"scored": 1.0}
