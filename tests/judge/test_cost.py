import time

from lengthwise.judge import cost
from lengthwise.predictors.ngrams import Ngrams
from lengthwise.predictors.shape import LengthPredictor


class Slow(LengthPredictor):
    """Takes 1 ms for a request, and 4 ms whenever it predicts again; remembers for whom."""

    name, reads = "slow", "states"
    fit = state = restore = None

    def __init__(self):
        self.asked = []

    def first(self, answers):
        time.sleep(0.001)
        self.asked.append((len(answers), answers.positions.age.tolist()))
        return answers.tokens

    def remaining(self, answers):
        time.sleep(0.004)
        self.asked.append((len(answers), answers.positions.age.tolist()))
        return answers.positions.left


Slow.__abstractmethods__ = frozenset()


def test_a_request_is_timed_alone_and_at_its_start(answers):
    slow = Slow()
    # Sleeping takes longer on a busy machine, never shorter.
    assert 1.0 <= cost.ms_per_request(slow, answers) < 20.0
    assert set(map(str, slow.asked)) == {"(1, [0])"}


def test_a_token_is_timed_in_a_batch_of_sixteen(answers):
    slow = Slow()
    assert 4 / 16 <= cost.ms_per_token(slow, answers) < 4.0
    assert {number for number, _ in slow.asked} == {16}
    assert all(ages == [0, 8] * 16 for _, ages in slow.asked)


def test_what_speaks_once_costs_nothing_later(answers):
    assert Ngrams.reads != "states"
    assert cost.ms_per_token(Ngrams.__new__(Ngrams), answers) is None
