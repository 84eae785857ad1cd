from lengthwise.predictors.layers import LAST
from lengthwise.vllm.current_probe import CurrentProbe
from lengthwise.vllm.observers import make_observers
from lengthwise.vllm.observing import Observing
from lengthwise.vllm.sampled import Sampling
from lengthwise.vllm.settings import Settings


def made(settings, learned=()):
    found = make_observers(settings, "model", 4, "cpu", learned)
    return found.layers, [type(each) for each in found.watchers], found.recorder


def test_nothing_is_tapped_for_nobody():
    assert made(Settings()) == ((), [], None)


def test_collecting_taps_its_layers():
    layers, watchers, recorder = made(Settings("fcfs", record=[2, 5]))
    assert (layers, watchers) == ((2, 5), [Observing])
    assert recorder is not None


def test_learning_samples_and_waits_for_a_probe():
    layers, watchers, recorder = made(Settings(learn=True), (3, 6, LAST))
    assert (layers, watchers, recorder) == ((3, 6, LAST), [CurrentProbe, Sampling], None)


def test_layers_that_two_want_are_tapped_once():
    layers, watchers, _ = made(Settings(learn=True, record=[6, 7]), (3, 6, LAST))
    assert layers == (3, 6, 7, LAST)
    assert watchers == [Observing, CurrentProbe, Sampling]
