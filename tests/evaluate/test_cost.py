import pytest

from lengthwise.evaluate import cost
from lengthwise.predictors.base import LengthPredictor
from lengthwise.predictors.ngrams import Ngrams


class Slow(LengthPredictor):
    """Takes 1 ms for a request, and 4 ms whenever it predicts again, by a clock of its own."""

    name, reads = "slow", "states"
    fit = state = restore = None

    def __init__(self):
        self.asked, self.now = [], 0.0

    def clock(self):
        return self.now

    def first(self, answers):
        self.now += 0.001
        self.asked.append((len(answers), answers.positions.age.tolist()))
        return answers.tokens

    def remaining(self, answers):
        self.now += 0.004
        self.asked.append((len(answers), answers.positions.age.tolist()))
        return answers.positions.left


Slow.__abstractmethods__ = frozenset()


def test_a_request_is_timed_alone_and_at_its_start(answers):
    slow = Slow()
    assert cost.ms_per_request(slow, answers, slow.clock) == pytest.approx(1.0)
    assert set(map(str, slow.asked)) == {"(1, [0])"}


def test_a_token_is_timed_in_a_batch_of_sixteen(answers):
    slow = Slow()
    assert cost.ms_per_token(slow, answers, slow.clock) == pytest.approx(4 / 16)
    assert {number for number, _ in slow.asked} == {16}
    assert all(ages == [0, 8] * 16 for _, ages in slow.asked)


def test_what_speaks_once_costs_nothing_later(answers):
    assert Ngrams.reads != "states"
    assert cost.ms_per_token(Ngrams.__new__(Ngrams), answers) is None
