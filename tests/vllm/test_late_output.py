"""Predictions on vLLM's own asynchronous outputs, fetched by its own executors' code.

Real are vLLM's classes; only CUDA's streams and events are stood in for, as its CPU runner does.
"""

from __future__ import annotations

import gc
import importlib
import pickle
import queue
import threading
import warnings
import weakref
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from lengthwise.core import Bins
from lengthwise.predictors.probe import Probe
from lengthwise.vllm.observing import Observation
from lengthwise.vllm.refining import ATTRIBUTE, Refining
from lengthwise.vllm.sampled import STATES, Sampling
from lengthwise.vllm.step import Step

pytest.importorskip("vllm")

pytestmark = pytest.mark.versions

D = 4


@pytest.fixture(scope="module", autouse=True)
def imported() -> None:
    """vLLM's modules warn of other libraries' deprecations as they are imported."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module("vllm.v1.worker.gpu_model_runner")
        importlib.import_module("vllm.v1.executor.multiproc_executor")


class Nothing:
    """A CUDA event or stream where there is no CUDA."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.record = self.synchronize = self.wait_stream = lambda *args: None


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> Any:
    """``late(ids)``: vLLM's asynchronous output of a step in which these sampled a token."""
    from vllm.v1.outputs import ModelRunnerOutput
    from vllm.v1.worker.gpu_model_runner import AsyncGPUModelRunnerOutput

    monkeypatch.setattr(torch.cuda, "Event", Nothing)
    monkeypatch.setattr(torch.cuda, "current_stream", Nothing)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())

    def make(ids: list[str]) -> Any:
        output = ModelRunnerOutput(ids, {id: i for i, id in enumerate(ids)})
        tokens = torch.arange(len(ids))[:, None]
        return AsyncGPUModelRunnerOutput(output, tokens, None, [], Nothing(), 100)  # type: ignore[arg-type]

    return make


@pytest.fixture
def refining() -> Refining:
    torch.manual_seed(0)
    probe = Probe(1, D, Bins.equal(5, 50), hidden=16).eval()
    probe.outlook.normal_()
    return Refining(probe)


def observe(refining: Refining, ages: dict[str, int], seed: int = 0) -> None:
    made = torch.Generator().manual_seed(seed)
    n = len(ages)
    states = [torch.randn(n, 1, D, generator=made) for _ in range(3)]
    generated = np.array(list(ages.values()), dtype=np.int64)
    with torch.inference_mode():
        prompts = np.full(n, 10)
        counts = torch.from_numpy(np.stack([generated, prompts]))
        refining.observe(Observation(list(ages), generated, prompts, counts, *states))


def uniproc(results: list[Any]) -> Any:
    """vLLM's executor around a worker whose steps give these."""
    from vllm.v1.executor.uniproc_executor import UniProcExecutor

    executor = UniProcExecutor.__new__(UniProcExecutor)
    executor.driver_worker = SimpleNamespace(sample_tokens=lambda grammar: results.pop(0))  # type: ignore[assignment]
    return executor


def worker_process() -> tuple[Any, queue.Queue[Any]]:
    """vLLM's worker process as asynchronous scheduling has it, its output thread running."""
    from vllm.v1.executor.multiproc_executor import WorkerProc

    process, answers = WorkerProc.__new__(WorkerProc), queue.Queue[Any]()
    process.worker, process.use_async_scheduling = SimpleNamespace(), True
    process.worker_response_mq = SimpleNamespace(enqueue=answers.put)  # type: ignore[assignment]
    process.async_output_queue = queue.Queue()
    threading.Thread(target=process.async_output_busy_loop, daemon=True).start()
    return process, answers


def check(output: Any, ids: list[str], generated: list[int]) -> None:
    assert output.sampled_token_ids == [[i] for i in range(len(ids))]
    found = getattr(output, ATTRIBUTE)
    assert (found.ids, found.generated.tolist()) == (ids, generated)
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("non_block", [True, False])
def test_one_process_fetches_predictions_with_the_tokens(
    refining: Refining, late: Any, non_block: bool
) -> None:
    observe(refining, {"a": 0, "b": 7})
    executor = uniproc([refining.output(late(["a", "b"]))])
    got = executor.sample_tokens(None, non_block=non_block)
    check(got.result() if non_block else got, ["a", "b"], [0, 7])


def test_a_worker_process_sends_predictions_with_the_tokens(refining: Refining, late: Any) -> None:
    from vllm.v1.executor.multiproc_executor import WorkerProc

    process, answers = worker_process()
    for age in range(3):
        observe(refining, {"a": age}, seed=age)
        process.handle_output(refining.output(late(["a"])))
    for age in range(3):
        status, output = answers.get(timeout=60)
        assert status is WorkerProc.ResponseStatus.SUCCESS
        # vLLM sends it to the engine core pickled.
        check(pickle.loads(pickle.dumps(output)), ["a"], [age])


def test_late_predictions_are_those_of_a_step_by_step_engine(refining: Refining, late: Any) -> None:
    """The next step is observed before the last one's output is fetched."""
    together, ages = Refining(refining._probe), [{"a": 0, "b": 3}, {"a": 1, "b": 4}, {"b": 5}]
    expected, outputs = [], []
    for seed, age in enumerate(ages):
        observe(together, age, seed)
        expected.append(getattr(together.output(SimpleNamespace()), ATTRIBUTE))
        observe(refining, age, seed)
        outputs.append(refining.output(late(list(age))))
    for output, wanted in zip(outputs, expected, strict=True):
        found = getattr(output.get_output(), ATTRIBUTE)
        np.testing.assert_allclose(found.probabilities, wanted.probabilities, atol=1e-6)


def test_the_interval_counts_steps_whose_output_is_not_fetched_yet(
    refining: Refining, late: Any
) -> None:
    sparse = Refining(refining._probe, interval=4)
    outputs = []
    for age in range(6):
        observe(sparse, {"a": age}, seed=age)
        outputs.append(sparse.output(late(["a"])))
    asked = [getattr(output.get_output(), ATTRIBUTE).generated.tolist() for output in outputs]
    assert asked == [[0], [], [], [], [4], []]


def test_who_ends_before_the_fetch_leaves_no_belief(refining: Refining, late: Any) -> None:
    observe(refining, {"a": 0, "b": 0})
    first = refining.output(late(["a", "b"]))
    observe(refining, {"a": 1, "b": 1}, seed=1)
    second = refining.output(late(["a", "b"]))
    refining.forget("a")
    for output in (first, second):
        assert getattr(output.get_output(), ATTRIBUTE).ids == ["a", "b"]
    assert list(refining._beliefs) == ["b"]


def test_forgetting_and_fetching_at_once_harm_neither(refining: Refining, late: Any) -> None:
    process, answers = worker_process()
    for i in range(300):
        observe(refining, {f"{i}": 0, "stays": i}, seed=i)
        process.handle_output(refining.output(late([f"{i}", "stays"])))
        refining.forget(f"{i}")
    for i in range(300):
        check(answers.get(timeout=60)[1], [f"{i}", "stays"], [0, i])
    assert list(refining._beliefs) == ["stays"]


def test_an_error_of_vllms_own_fetch_comes_through(refining: Refining, late: Any) -> None:
    from vllm.v1.executor.multiproc_executor import WorkerProc

    def broken() -> Any:
        output = late(["a"])
        output.sampled_token_ids_cpu = None
        observe(refining, {"a": 0})
        return refining.output(output)

    future = uniproc([broken()]).sample_tokens(None, non_block=True)
    with pytest.raises(AttributeError, match="shape"):
        future.result()
    process, answers = worker_process()
    process.handle_output(broken())
    status, message = answers.get(timeout=60)
    assert status is WorkerProc.ResponseStatus.FAILURE
    assert "shape" in message


def test_a_fetched_output_frees_its_memory_at_once(refining: Refining, late: Any) -> None:
    observe(refining, {"a": 0})
    output = refining.output(late(["a"]))
    gone = weakref.ref(output)
    gc.collect()
    gc.disable()
    try:
        output.get_output()
        del output
        assert gone() is None
    finally:
        gc.enable()


def test_states_and_predictions_come_with_one_output(refining: Refining, late: Any) -> None:
    """Each of two watchers adds its own, and nothing is left of it once it is fetched."""
    sampling = Sampling((1,), at_once=2, positions=9)
    sampling.see(Step(["a"], *(np.array([n]) for n in (10, 0, 10)), [torch.ones(10, D)]), True)
    observe(refining, {"a": 0})
    output = sampling.output(refining.output(late(["a"])))
    fetched = pickle.loads(pickle.dumps(output.get_output()))
    check(fetched, ["a"], [0])
    states = getattr(fetched, STATES)
    assert (states.ids, states.ages.tolist(), states.values.shape) == (["a"], [0], (1, 1, D))
    gone = weakref.ref(output)
    del output
    assert gone() is None
