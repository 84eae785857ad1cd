"""What schedule() costs with thousands of requests waiting, ours against vLLM's.

``python -m lengthwise.bench.waiting MODEL``: vLLM's scheduler, requests and memory with a stub
for the model. All policies serve the same arrivals in one process, in turns of a few steps. As
many requests always wait: one arrives for each that finished. schedule() admits them, the
handling of outputs frees those that finished, and arrivals are queued in add_request(). Seconds
are the thread's own; a ratio is the median over turns, each against the first policy's turn.
Then: what the engine takes to tell its state, once without requests and once with a page's.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lengthwise.bench.job import STOCK
from lengthwise.core.classes_file import BUILTIN, read_classes
from lengthwise.policies import make_policy
from lengthwise.results.terminal import say
from lengthwise.vllm.engine import prepare_process
from lengthwise.vllm.settings import Settings
from lengthwise.vllm.stub import Stub, stub_config
from lengthwise.workload.clients import TENANT_HINT

_BLOCKS = 25_000
_PROMPT, _ANSWER = 200.0, 100.0
_CONTEXT = 2048
_TURN = 10
_TENANTS = ("interactive", "nobody in a class", "batch")

_TOLD = {"metrics": (0, 0), "the live page": (0, 50), "its lists": (400, 50)}
"""Requests and decisions that an engine lists: the lists every 8 s, all else once a second."""


class Timed:
    """One scheduler, its arrivals, and the seconds that each step took in each part."""

    def __init__(self, policy: str, config: Any, waiting: int, predictor: str | None) -> None:
        from vllm.v1.core.sched.async_scheduler import AsyncScheduler

        from lengthwise.vllm import Scheduler

        ours = None if policy == STOCK else _settings(policy, predictor)
        kind = AsyncScheduler if ours is None else Scheduler
        self._stub = Stub(kind, config, _BLOCKS, ours)
        self._coming = _requests(self._stub, waiting)
        self._waiting = waiting
        self.parts: list[tuple[float, float, float]] = []
        self.admitted = 0

    def step(self) -> None:
        """A step of the engine; measured are schedule(), its outputs, and its arrivals."""
        scheduler, clock = self._stub.scheduler, time.thread_time
        missing = self._waiting - len(scheduler.waiting)
        requests = [next(self._coming) for _ in range(missing)]
        start = clock()
        for request in requests:
            scheduler.add_request(request)
        added = clock()
        output = scheduler.schedule()
        scheduled = clock()
        answered = self._stub.answered(output)
        answering = clock()
        scheduler.update_from_output(output, answered)
        updated = clock()
        self._stub.forget()
        self.admitted += len(output.scheduled_new_reqs)
        self.parts.append((scheduled - added, updated - answering, added - start))

    def telling(self) -> dict[str, float]:
        """Milliseconds of the engine for one answer of each kind; ours only."""
        answer = getattr(self._stub.scheduler, "answer", None)
        found: dict[str, float] = {}
        if answer is None:
            return found
        for what, listed in _TOLD.items():
            spent = []
            for _ in range(_TURN):
                # As in a server, steps lie between two answers.
                self.step()
                start = time.thread_time()
                answer(*listed)
                spent.append(time.thread_time() - start)
            found[what] = 1000 * float(np.median(spent))
        return found


def _settings(policy: str, predictor: str | None) -> Settings:
    """With the built-in classes, if the policy orders by promises: all tenants in turn."""
    classes = read_classes(BUILTIN).plain() if make_policy(policy).promises else {}
    return Settings(policy=policy, probe=predictor, learn=False, classes=classes)


def _requests(stub: Stub, mixed: int) -> Iterator[Any]:
    """The same ones for every policy; prompts differ, and answers, which nobody knows.

    So many at a time are made in another order than they come: those that arrive in a row do
    not lie in a row in memory, which would favour whoever serves them in a row.
    """
    rng = np.random.default_rng(0)
    for first in count(0, mixed):
        made = []
        for number in range(first, first + mixed):
            prompt = int(min(_PROMPT * rng.lognormal(-0.5, 1.0), _CONTEXT / 2)) + 1
            answer = int(min(rng.exponential(_ANSWER), _CONTEXT / 2)) + 1
            tokens = rng.integers(2, 40_000, prompt).tolist()
            said = {TENANT_HINT: _TENANTS[number % len(_TENANTS)]}
            most = _CONTEXT // 2
            made.append(stub.request(str(number), tokens, answer, max_tokens=most, extra_args=said))
        yield from (made[i] for i in rng.permutation(mixed))


def main() -> None:
    """Measure the policies in turns, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--predictor")
    parser.add_argument("--policies", default=f"{STOCK},fcfs,trail,lengthwise")
    parser.add_argument("--waiting", type=int, default=10_000)
    parser.add_argument("--seats", type=int, default=256)
    parser.add_argument("--steps", type=int, default=1000)
    args = parser.parse_args()
    prepare_process()
    sizes = {"budget": 8192, "context": _CONTEXT}
    config = stub_config(args.model, args.seats, caching=True, asynchronous=True, **sizes)
    names = args.policies.split(",")
    timed = [Timed(name, config, args.waiting, args.predictor) for name in names]
    # The seats fill, and all that then is there is nothing for collections of garbage to visit.
    turns = max(args.steps // _TURN, 1)
    warm = turns // 4 + 1
    for turn in range(warm + turns):
        if turn == warm:
            for one in timed:
                one.parts.clear()
                one.admitted = 0
            gc.collect()
            gc.freeze()
        for one in timed:
            for _ in range(_TURN):
                one.step()
    base = _turns(timed[0])
    for name, one in zip(names, timed, strict=True):
        found = _turns(one)
        shown = ", ".join(
            f"{part} {np.median(of):.0f} µs ({np.median(of / base[part]):.3f}x)"
            for part, of in found.items()
        )
        told = ", ".join(f"{ms:.2f} ms for {what}" for what, ms in one.telling().items())
        say(f"{name:>12}: {shown}; admitted {one.admitted / len(one.parts):.2f} a step")
        if told:
            say(f"{'':>12}  its state takes {told}")


def _turns(one: Timed) -> dict[str, NDArray[np.float64]]:
    """Microseconds a step of each part, turn by turn."""
    steps = 1e6 * np.array(one.parts).reshape(-1, _TURN, 3).mean(axis=1)
    parts = dict(zip(("schedule()", "outputs", "arrivals"), steps.T, strict=True))
    return {**parts, "all": steps.sum(axis=1)}


if __name__ == "__main__":
    main()
