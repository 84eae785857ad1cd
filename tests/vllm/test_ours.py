"""In which workers the plug-in taps: those of our scheduler, wherever its name comes from."""

import importlib
import warnings

import pytest

from lengthwise.vllm.ours import is_ours

pytest.importorskip("vllm")


@pytest.fixture(scope="module", autouse=True)
def imported():
    """vLLM's modules warn of other libraries' deprecations as they are imported."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module("lengthwise.vllm.scheduler")


def test_our_scheduler_is_known_by_its_name_without_importing_it():
    assert is_ours("lengthwise.vllm.Scheduler")


@pytest.mark.parametrize(
    "given",
    [None, "vllm.v1.core.sched.scheduler.Scheduler", "collections.OrderedDict", dict, "os.path"],
)
def test_others_are_left_alone(given):
    assert not is_ours(given)


def test_classes_derived_from_ours_are_ours_and_stocks_with_a_stopwatch_is_not():
    import lengthwise.vllm
    from lengthwise.vllm.scheduler import Scheduler

    class Own(Scheduler):
        pass

    assert is_ours(Scheduler)
    assert is_ours(Own)
    assert is_ours("lengthwise.vllm.scheduler.Scheduler")
    assert not is_ours(lengthwise.vllm.StockScheduler)
    assert not is_ours("lengthwise.vllm.StockScheduler")
