import numpy as np
import pytest

from lengthwise.online.watch import Seen, Watch

WINDOW = 100


def stream(kind, n, rng):
    """Requests of which what acts orders two of three pairs right, one in three, or half."""
    length = rng.normal(size=n)
    error = rng.normal(size=n)
    said = {"good": length + 1.5 * error, "bad": -length + 1.5 * error, "worthless": error}[kind]
    return [
        Seen(float(np.exp(4 + s)), int(np.exp(4 + each)) + 1, False)
        for s, each in zip(said, length, strict=True)
    ]


def taken_out(watch, seen):
    """After how many requests it is taken out; None if it stays."""
    return next((i for i, each in enumerate(seen, 1) if watch.add(each) is not None), None)


@pytest.mark.parametrize("seed", range(10))
def test_what_turns_bad_is_taken_out_within_a_window(seed):
    rng = np.random.default_rng(seed)
    watch = Watch(WINDOW)
    assert taken_out(watch, stream("good", 1000, rng)) is None
    assert taken_out(watch, stream("bad", WINDOW, rng)) is not None


def test_what_is_worth_nothing_is_taken_out_soon():
    rng = np.random.default_rng(0)
    after = [taken_out(Watch(WINDOW), stream("worthless", 2000, rng)) for _ in range(30)]
    assert None not in after
    assert np.median(after) <= 2 * WINDOW


def test_nothing_is_said_of_few_requests():
    rng = np.random.default_rng(0)
    assert taken_out(Watch(WINDOW), stream("bad", 49, rng)) is None


def test_answers_that_are_all_alike_take_nothing_out():
    assert taken_out(Watch(WINDOW), [Seen(5.0, 7, False)] * 500) is None
    assert taken_out(Watch(WINDOW), [Seen(5.0, 7, True)] * 500) is None
