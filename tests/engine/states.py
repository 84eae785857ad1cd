"""Every state of a request: a machine that does to vLLM's real schedulers whatever happens to them.

``python states.py MODEL OUT.json``. Beside our scheduler stands vLLM's own with the same requests:
under ``fcfs`` the two decide the same, step by step. A stub stands for the model, and an object
that accepts all tokens for a compiled grammar.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections import Counter, deque
from itertools import product
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as play

from lengthwise.live.state import EngineNow
from lengthwise.vllm import Scheduler, StockScheduler
from lengthwise.vllm.engine import prepare_process
from lengthwise.vllm.hints import PREDICTED_HINT
from lengthwise.vllm.settings import Settings
from lengthwise.vllm.stub import Stub, stub_config
from lengthwise.workload.clients import TENANT_HINT

CONTEXT, BUDGET, BLOCK = 256, 48, 16

POLICIES = (
    *("fcfs", "trail", "sprpt", "ltr", "mlfq", "lengthwise"),
    *("trail+bound:20", "sprpt+fair", "sprpt+priority+bound:2s", "lengthwise+fair", "sjf"),
    "lengthwise+targets",
)

CLASSES = {
    "default": "b",
    "class": {"a": {"ttft": 3, "tenants": ["a"]}, "b": {"deadline": 30, "share": 0.2}},
}
"""What is promised to the two tenants."""

ENGINES: dict[str, dict[str, Any]] = {
    "small": {"seats": 2, "blocks": 24},
    "one seat": {"seats": 1, "blocks": 20, "caching": True},
    "cached": {"seats": 3, "blocks": 30, "caching": True, "watermark": 0.05},
    "ahead": {"seats": 3, "blocks": 24, "depth": 2, "caching": True},
    "adapters": {"seats": 3, "blocks": 40, "adapters": 1},
    "two adapters": {"seats": 4, "blocks": 28, "adapters": 2, "depth": 2},
    "window": {"seats": 3, "blocks": 40, "window": 32, "caching": True},
    "second runner": {"seats": 5, "active": 3, "blocks": 30, "v2": True, "depth": 2},
    "plenty": {"seats": 4, "blocks": 200, "caching": True},
}
"""Seats, blocks, and what else an engine has; ``depth`` steps are under way at once."""

STEPS: Counter[str] = Counter()
SEEN: Counter[str] = Counter()
"""In how many steps a request was in a state."""
STATES = (
    *("paused", "evicted", "waits for input", "waits for a grammar", "with an adapter"),
    *("engine paused", "throttled", "stale", "holds memory and waits"),
)

# A fault is found again in any case: shrinking it takes minutes.
SEED = int(os.environ.get("SEED", "0"))
PHASES = [Phase.generate] + [Phase.shrink] * ("SHRINK" in os.environ)


class Grammar:
    """A compiled grammar that allows everything."""

    def accept_tokens(self, request_id: str, tokens: list[int]) -> bool:
        return True

    def is_terminated(self) -> bool:
        return False


def settings_of(policy: str) -> Settings:
    return Settings(policy=policy, learn=False, classes=CLASSES if "targets" in policy else {})


class Side:
    """One scheduler, and the steps that are under way."""

    def __init__(self, kind: type[Any], policy: str | None, engine: dict[str, Any]) -> None:
        given = dict(engine)
        self.depth = given.pop("depth", 1)
        self.blocks = given.pop("blocks")
        more = {name: given.pop(name) for name in ("v2", "window") if name in given}
        config = config_of(asynchronous=self.depth > 1, **given)
        ours = None if policy is None else settings_of(policy)
        self.stub = Stub(kind, config, self.blocks, ours, **more)
        self.scheduler = self.stub.scheduler
        self.under_way: deque[tuple[Any, Any]] = deque()

    def step(self, throttle: bool) -> Any:
        """Schedule a step, and take the tokens of those before that are done."""
        self.held = self.scheduler.num_waiting_for_streaming_input
        output = self.scheduler.schedule(throttle)
        self.seated = self.scheduler.get_request_counts()[0]
        self.under_way.append((output, self.stub.answered(output)))
        while len(self.under_way) >= self.depth or not output.num_scheduled_tokens:
            if not self.under_way:
                break
            self.take()
        return output

    def take(self) -> None:
        self.scheduler.update_from_output(*self.under_way.popleft())


CONFIGS: dict[str, Any] = {}


def config_of(**given: Any) -> Any:
    name = json.dumps(given, sort_keys=True)
    if name not in CONFIGS:
        CONFIGS[name] = stub_config(
            sys.argv[1], budget=BUDGET, context=CONTEXT, block_size=BLOCK, **given
        )
    return CONFIGS[name]


def chosen(draw: Any, of: Any) -> Any:
    return draw.draw(st.sampled_from(sorted(of)))


class States(RuleBasedStateMachine):
    """What may happen between two steps, and what must hold after each."""

    policy = "fcfs"
    engine: dict[str, Any] = ENGINES["small"]

    def __init__(self) -> None:
        super().__init__()
        self.ours = Side(Scheduler, self.policy, self.engine)
        self.sides = [self.ours]
        self.twin = self.policy == "fcfs"
        if self.twin:
            self.sides.append(Side(StockScheduler, None, self.engine))
        self.now = 0.0
        self.ours.scheduler.clock = lambda: self.now
        self.adapters = self.engine.get("adapters", 0)
        self.names = 0
        self.sessions: set[str] = set()
        self.paused = False

    # What happens.

    @rule(
        prompt=st.sampled_from([1, 5, 15, 16, 17, 40, 70, 130]),
        answer=st.sampled_from([1, 2, 5, 12, 30, 60]),
        predicted=st.sampled_from([None, 1.0, 4.0, 15.0, 60.0]),
        kind=st.sampled_from(["plain", "plain", "plain", "grammar", "session", "one", "known"]),
        prefix=st.integers(0, 2),
        adapter=st.integers(0, 3),
        tenant=st.sampled_from("ab"),
        count=st.integers(1, 3),
    )
    def add(self, count: int, **given: Any) -> None:
        for _ in range(count):
            name = f"{self.names % 3}_{self.names}"
            self.names += 1
            for side in self.sides:
                side.scheduler.add_request(self.request(side, name, **given))
            if given["kind"] == "session":
                self.sessions.add(name)

    def request(self, side: Side, name: str, kind: str, prompt: int, **given: Any) -> Any:
        params: dict[str, Any] = {}
        answer = given["answer"]
        if kind == "grammar":
            from vllm.sampling_params import StructuredOutputsParams

            params["structured_outputs"] = StructuredOutputsParams(regex="a*")
        if kind == "one":
            params["max_tokens"] = answer = 1
        if kind == "known":
            params |= {"max_tokens": answer, "ignore_eos": True}
        extra = {TENANT_HINT: given["tenant"]}
        if given["predicted"] is not None:
            extra[PREDICTED_HINT] = {"tokens": given["predicted"]}
        # Prompts begin alike, by their prefix, and differ at their last token.
        tokens = [10 + given["prefix"]] * prompt
        tokens[-1] = 100 + int(name.split("_")[1]) % 1000
        made = side.stub.request(
            name,
            tokens,
            answer,
            adapter=min(given["adapter"], 3) if self.adapters else 0,
            resumable=kind == "session",
            extra_args=extra,
            **params,
        )
        made.priority = len(given["tenant"]) + given["prefix"]
        return made

    @rule(many=st.integers(1, 6), throttle=st.booleans())
    def step(self, many: int, throttle: bool) -> None:
        for _ in range(many):
            self.one_step(throttle and not self.adapters)

    @rule(data=st.data())
    @precondition(lambda self: self.here)
    def abort(self, data: Any) -> None:
        self.abort_it(chosen(data, self.here))

    @rule(mode=st.sampled_from(["wait", "keep", "abort"]))
    def pause(self, mode: str) -> None:
        from vllm.v1.core.sched.interface import PauseState

        if mode == "abort":
            for name in self.here:
                self.abort_it(name)
        self.paused = True
        for side in self.sides:
            keep = mode == "keep"
            side.scheduler.set_pause_state(PauseState.PAUSED_ALL if keep else PauseState.PAUSED_NEW)

    @rule()
    @precondition(lambda self: self.paused)
    def resume(self) -> None:
        from vllm.v1.core.sched.interface import PauseState

        self.paused = False
        for side in self.sides:
            side.scheduler.set_pause_state(PauseState.UNPAUSED)

    @rule(news=st.integers(0, 3))
    @precondition(lambda self: not self.paused)
    def pause_and_wait(self, news: int) -> None:
        """As ``POST /pause?mode=wait``: what runs is served to its end, what comes waits."""
        self.pause(mode="wait")
        if news:
            given = {"answer": 2, "predicted": 1.0, "kind": "plain", "prefix": 0, "adapter": 0}
            self.add(count=news, prompt=5, tenant="a", **given)
        self.until(lambda: not self.ours.scheduler.has_unfinished_requests(), "the pause")
        assert not self.ours.scheduler.running
        self.resume()

    @rule(data=st.data())
    @precondition(lambda self: self.ungrammared)
    def compile(self, data: Any) -> None:
        self.compile_it(chosen(data, self.ungrammared))

    @rule(running=st.booleans())
    def reset_cache(self, running: bool) -> None:
        if running and any(self.holders(side) for side in self.sides):
            return
        for side in self.sides:
            side.scheduler.reset_prefix_cache(reset_running_requests=running)
        if running:
            assert not self.ours.scheduler.running

    @rule(data=st.data(), answer=st.sampled_from([1, 4, 20]), prompt=st.integers(1, 20))
    @precondition(lambda self: self.open_sessions)
    def chunk(self, data: Any, answer: int, prompt: int) -> None:
        name = chosen(data, self.open_sessions)
        request = self.ours.scheduler.requests[name]
        if request.num_tokens + prompt + 60 > CONTEXT or request.streaming_queue:
            return
        for side in self.sides:
            more = side.stub.request(name, [9] * prompt, answer, resumable=True)
            side.scheduler.add_request(more)

    @rule(data=st.data())
    @precondition(lambda self: self.open_sessions)
    def end_session(self, data: Any) -> None:
        self.end_it(chosen(data, self.open_sessions))

    @rule(data=st.data())
    @precondition(lambda self: self.here)
    def duplicate(self, data: Any) -> None:
        name = chosen(data, self.here)
        if self.ours.scheduler.requests[name].resumable:
            return
        for side in self.sides:
            answers = dict(side.stub._answers)
            try:
                side.scheduler.add_request(side.stub.request(name, [1], 1))
            except AssertionError:
                side.stub._answers = answers
            else:
                raise RuntimeError("a second request of the same id was taken")

    # How it is done.

    @property
    def here(self) -> set[str]:
        return set(self.ours.scheduler.requests)

    @property
    def open_sessions(self) -> set[str]:
        return self.sessions & self.here

    @property
    def ungrammared(self) -> set[str]:
        return {
            name
            for name, request in self.ours.scheduler.requests.items()
            if request.structured_output_request is not None
            and request.structured_output_request.grammar is None
        }

    def holders(self, side: Side) -> bool:
        return bool(side.scheduler.kv_holding_waiting)

    def abort_it(self, name: str) -> None:
        from vllm.v1.request import RequestStatus

        self.sessions.discard(name)
        for side in self.sides:
            side.scheduler.finish_requests(name, RequestStatus.FINISHED_ABORTED)

    def compile_it(self, name: str) -> None:
        for side in self.sides:
            side.scheduler.requests[name].structured_output_request.grammar = Grammar()

    def end_it(self, name: str) -> None:
        self.sessions.discard(name)
        for side in self.sides:
            if name in side.scheduler.requests:
                side.scheduler.add_request(side.stub.request(name, [1], 1))
                # It is no answer: the session's last one counts.

    def until(self, done: Any, what: str) -> None:
        """Steps until it is done, no more than all that is here can take."""
        tokens = sum(request.num_tokens + 80 for request in self.ours.scheduler.requests.values())
        for _ in range(200 + 6 * tokens):
            if done():
                return
            self.one_step(False)
        raise RuntimeError(f"{what} does not end")

    def one_step(self, throttle: bool) -> None:
        STEPS[self.policy] += 1
        self.now += 0.1
        scheduler = self.ours.scheduler
        paused = list(scheduler._seats.paused)
        sat = [each for each in scheduler.running if each not in paused]
        evictions = {each.request_id: each.num_preemptions for each in scheduler.running}
        outputs = [side.step(throttle) for side in self.sides]
        self.see(throttle, outputs[0])
        self.check_places()
        self.check_books()
        self.check_rule(outputs[0], sat, paused, evictions, throttle)
        if self.twin:
            self.check_twins(*outputs)

    def see(self, throttle: bool, output: Any) -> None:
        scheduler = self.ours.scheduler
        everybody = scheduler.requests.values()
        seen = {
            "paused": scheduler._seats.paused,
            "evicted": output.preempted_req_ids,
            "engine paused": self.paused,
            "throttled": throttle and scheduler._engine.admission.defers,
            "waits for input": scheduler.num_waiting_for_streaming_input,
            "waits for a grammar": self.ungrammared,
            "with an adapter": any(each.lora_request for each in everybody),
            "stale": any(each.num_stale_output_tokens for each in everybody),
            "holds memory and waits": scheduler.kv_holding_waiting,
        }
        SEEN.update(name for name, here in seen.items() if here)

    # What holds.

    def check_places(self) -> None:
        """Each request is in one place, which its status says."""
        scheduler = self.ours.scheduler
        running, paused = scheduler.running, scheduler._seats.paused
        places = Counter(
            each.request_id
            for each in (*running, *scheduler.waiting, *scheduler.kv_holding_waiting)
        )
        assert places == Counter(scheduler.requests.keys()), places
        assert all(each.status.name == "RUNNING" for each in running)
        assert not any(each.status.name == "RUNNING" for each in scheduler.waiting)
        assert running[len(running) - len(paused) :] == paused or {*paused} == {
            *running[len(running) - len(paused) :]
        }
        assert scheduler.deferred_waiting <= {
            *scheduler.waiting,
            *scheduler.kv_holding_waiting,
        }
        slots = scheduler._engine.slots
        assert len(running) <= max(slots, scheduler._engine.seats)
        counts = scheduler.get_request_counts()
        assert counts[0] <= scheduler._engine.seats
        assert sum(counts) == len(scheduler.requests)

    def check_books(self) -> None:
        """What operators are told is what is so."""
        scheduler = self.ours.scheduler
        ledger, views = scheduler.notes.ledger, scheduler._views
        assert ledger.entries.keys() == views.keys()
        waits = {each.request_id for each in scheduler.waiting}
        for each in scheduler.running:
            assert ledger.entries[each.request_id].label == -1
        assert waits <= {name for name, entry in ledger.entries.items() if entry.label >= 0}
        assert sum(ledger.waiting_by) == ledger.waiting
        told = msgspec.json.decode(scheduler.answer(1000, 5), type=EngineNow)
        totals = told.totals
        assert totals.arrived == totals.finished + totals.aborted + len(ledger.entries)
        assert (told.running, told.paused + told.waiting) == scheduler.get_request_counts()
        assert [each.where for each in told.requests].count("paused") == told.paused
        assert len(told.requests) == len(views)
        assert told.longest_wait >= 0 <= totals.overtakings
        if self.policy == "fcfs" and not self.adapters:
            assert not totals.paused

    def check_rule(
        self, output: Any, sat: Any, paused: Any, evictions: Any, throttle: bool
    ) -> None:
        """No more requests lose their seat than others get a token in it."""
        scheduler = self.ours.scheduler
        now_paused = list(scheduler._seats.paused)
        served = output.num_scheduled_tokens
        stopped = [each for each in sat if each in now_paused]
        before = {each.request_id for each in sat}
        begun = [name for name in served if name not in before]
        assert len(stopped) <= len(begun), (stopped, begun)
        evicted = output.preempted_req_ids or set()
        if now_paused and not evicted and not self.paused and not throttle:
            # Beside a session that waits for input vLLM admits nobody to the last seats.
            held = self.ours.held * bool(begun)
            assert self.ours.seated >= scheduler._engine.seats - held, "a seat is empty"

    def check_twins(self, ours: Any, stock: Any) -> None:
        """Under ``fcfs`` each step is stock's."""
        assert ours.num_scheduled_tokens == stock.num_scheduled_tokens
        assert list(ours.num_scheduled_tokens) == list(stock.num_scheduled_tokens)
        assert ours.preempted_req_ids == stock.preempted_req_ids
        assert ours.finished_req_ids == stock.finished_req_ids
        here, there = (side.scheduler for side in self.sides)
        assert here.requests.keys() == there.requests.keys()
        assert here.get_request_counts() == there.get_request_counts()
        assert here.get_num_unfinished_requests() == there.get_num_unfinished_requests()
        stats, others = here.make_stats(), there.make_stats()
        for name in ("num_running_reqs", "num_waiting_reqs", "num_skipped_waiting_reqs"):
            assert getattr(stats, name) == getattr(others, name), name
        assert [each.request_id for each in here.waiting] == [
            each.request_id for each in there.waiting
        ]

    def teardown(self) -> None:
        """All are served in the end, and all memory is free."""
        if sys.exc_info()[0] is not None:
            return
        if self.paused:
            self.resume()
        for name in self.ungrammared:
            self.compile_it(name)
        for name in list(self.open_sessions):
            self.end_it(name)
        self.until(lambda: not self.here, "the serving")
        for side in self.sides:
            while side.under_way:
                side.take()
            pool = side.scheduler.kv_cache_manager.block_pool
            assert pool.get_num_free_blocks() == side.blocks, "memory leaks"
            side.scheduler.shutdown()
        assert not self.ours.scheduler._views
        assert not self.ours.scheduler._computed_before


ROUNDS = 5
"""Most rounds over all policies and engines: hypothesis draws other steps when any code changes."""


def main() -> dict[str, Any]:
    found: dict[str, Any] = {"faults": {}, "steps": {}}
    for number in range(ROUNDS):
        play_all(SEED + 1000 * number, found["faults"])
        if enough():
            break
    found["steps"], found["seen"] = dict(STEPS), dict(SEEN)
    return found


def enough() -> bool:
    """Whether what the tests ask for was played."""
    return (
        sum(STEPS.values()) >= 20_000 and min(STEPS.values()) >= 1000 and min(SEEN.values()) >= 20
    )


def play_all(first: int, faults: dict[str, str]) -> None:
    """Some runs under each policy on each engine."""
    examples = int(os.environ.get("EXAMPLES", "3"))
    wanted = sys.argv[3].split(",") if len(sys.argv) > 3 else POLICIES
    engines = ENGINES if len(sys.argv) < 5 else {sys.argv[4]}
    for number, (policy, name) in enumerate(product(POLICIES, ENGINES)):
        if policy not in wanted or name not in engines:
            continue
        kind = type("States", (States,), {"policy": policy, "engine": ENGINES[name]})
        seed(number + first)(kind)
        try:
            play(
                kind,
                settings=settings(
                    max_examples=examples,
                    stateful_step_count=40,
                    database=None,
                    deadline=None,
                    print_blob=False,
                    phases=PHASES,
                    report_multiple_bugs=False,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        except Exception as error:
            where, notes = traceback.format_tb(error.__traceback__), getattr(error, "__notes__", [])
            told = ["".join(where)[-3000:], repr(error), *notes]
            faults[f"{policy} on {name}"] = "\n".join(told)


if __name__ == "__main__":
    prepare_process()
    Path(sys.argv[2]).write_text(json.dumps(main()))
