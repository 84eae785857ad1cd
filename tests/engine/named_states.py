"""Each state of a request that an operator knows by name, on vLLM's real scheduler.

``python named_states.py MODEL OUT.json``. A stub stands for the model.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from vllm.v1.core.sched.interface import PauseState
from vllm.v1.request import RequestStatus

from lengthwise.vllm import Scheduler, StockScheduler
from lengthwise.vllm.engine import prepare_process
from lengthwise.vllm.hints import PREDICTED_HINT
from lengthwise.vllm.settings import Settings
from lengthwise.vllm.stub import Stub, stub_config

PREEMPTIVE = ("trail", "ltr", "sprpt", "mlfq")
POLICIES = ("fcfs", *PREEMPTIVE, "lengthwise")
PATIENCE = 600
"""Steps in which everything here ends, several times over."""


class Served:
    """One scheduler and what happened in each step."""

    def __init__(self, policy: str = "trail", blocks: int = 400, **engine: Any) -> None:
        kind, settings = (Scheduler, Settings(policy=policy, margin=1.0, learn=False))
        if policy == "stock":
            kind, settings = StockScheduler, None  # type: ignore[assignment]
        more = {name: engine.pop(name) for name in ("v2", "window") if name in engine}
        config = stub_config(sys.argv[1], **{"seats": 2, "budget": 256, **engine})
        self.stub = Stub(kind, config, blocks, settings, **more)
        self.scheduler = self.stub.scheduler
        self.now = 0.0
        self.scheduler.clock = lambda: self.now
        self.served: list[list[str]] = []

    def add(self, name: str, answer: int, prompt: int | Iterable[int] = 20, **given: Any) -> None:
        tokens = [3] * prompt if isinstance(prompt, int) else list(prompt)
        extra = {PREDICTED_HINT: {"tokens": float(answer)}}
        self.scheduler.add_request(
            self.stub.request(name, tokens, answer, extra_args=extra, **given)
        )

    def step(self, many: int = 1, throttle: bool = False) -> None:
        for _ in range(many):
            self.now += 1.0
            output = self.scheduler.schedule(throttle)
            self.served.append(list(output.num_scheduled_tokens))
            self.scheduler.update_from_output(output, self.stub.answered(output))

    def until(self, done: Callable[[], bool]) -> int | None:
        """Steps until then; None where that never comes."""
        for steps in range(PATIENCE):
            if done():
                return steps
            self.step()
        return None

    def ends(self) -> bool:
        return self.until(lambda: not self.scheduler.requests) is not None

    @property
    def paused(self) -> list[str]:
        return [each.request_id for each in self.scheduler._seats.paused]

    @property
    def running(self) -> list[str]:
        return [each.request_id for each in self.scheduler.running]

    def pause(self, state: Any) -> None:
        self.scheduler.set_pause_state(state)

    def contested(self) -> None:
        """Two long answers run, then one of them is paused for a short one that goes on."""
        self.add("long", 100)
        self.add("longer", 120)
        self.step(3)
        self.add("short", 40)
        self.step(2)


def pause_and_wait(policy: str) -> dict[str, Any]:
    """``POST /pause?mode=wait`` with two that run, and three short ones that come after it."""
    served = Served(policy)
    served.add("a", 60)
    served.add("b", 60)
    served.step(3)
    served.pause(PauseState.PAUSED_NEW)
    for name in "cde":
        served.add(name, 3)
    steps = served.until(lambda: not served.scheduler.has_unfinished_requests())
    left = sorted(served.scheduler.requests)
    served.pause(PauseState.UNPAUSED)
    return {"steps": steps, "left": left, "ends": served.ends()}


def paused_drain(policy: str) -> dict[str, Any]:
    """The pause comes when somebody has lost the seat, and somebody waits."""
    served = Served(policy)
    served.contested()
    served.add("late", 1)
    before = served.paused
    served.pause(PauseState.PAUSED_NEW)
    unfinished = served.scheduler.get_num_unfinished_requests()
    drained = served.until(lambda: not served.scheduler.has_unfinished_requests()) is not None
    left = sorted(served.scheduler.requests)
    return {"paused": before, "unfinished": unfinished, "drained": drained, "left": left}


def kept(policy: str) -> dict[str, Any]:
    """``mode=keep``: nobody gets a token, nobody loses a seat, all go on after it."""
    served = Served(policy)
    served.contested()
    before = served.running, served.paused
    served.pause(PauseState.PAUSED_ALL)
    unfinished = served.scheduler.get_num_unfinished_requests()
    served.add("late", 1)
    start = len(served.served)
    served.step(5)
    given = sum(map(len, served.served[start:]))
    same = before == (served.running, served.paused)
    served.pause(PauseState.UNPAUSED)
    return {"unfinished": unfinished, "given": given, "same": same, "ends": served.ends()}


def patience() -> dict[str, Any]:
    """Who was promoted after a pause of an hour, by seconds and by steps."""
    found: dict[str, Any] = {}
    for bound in ("20s", "20"):
        served = Served(f"trail+bound:{bound}")
        served.contested()
        served.pause(PauseState.PAUSED_ALL)
        served.step(100)
        served.now += 3600.0
        served.pause(PauseState.UNPAUSED)
        served.step()
        views = served.scheduler._views
        found[bound] = [name for name, view in views.items() if view.promoted]
        served.step(60)
        found[f"{bound} later"] = "some" if any(v.promoted_at >= 0 for v in views.values()) else ""
    return found


def throttled() -> dict[str, Any]:
    """Data parallel ranks keep prompts for a later step: nobody stops for one of them."""
    served = Served("trail")
    served.add("a", 60)
    served.add("b", 60)
    served.step(3)
    # The last release step has drained the queue.
    assert not served.scheduler.prefill_capacity_bound
    served.add("short", 2)
    start = len(served.served)
    served.step(8, throttle=True)
    kept = all(sorted(each) == ["a", "b"] for each in served.served[start:])
    served.step(2)
    return {"kept": kept, "then": "short" in str(served.served[-2:]), "ends": served.ends()}


def adapters() -> dict[str, Any]:
    """One adapter a step: a short request of another one waits, and keeps nobody's seat empty."""
    served = Served("trail", adapters=1)
    served.add("a", 50, adapter=1)
    served.add("b", 50, adapter=1)
    served.step(3)
    served.add("other", 2, adapter=2)
    served.add("plain", 20)
    start = len(served.served)
    served.step(10)
    full = all(len(each) == 2 for each in served.served[start:])
    plain = any("plain" in each for each in served.served[start:])
    none = not any("other" in each for each in served.served[start:])
    return {"full": full, "plain": plain, "none": none, "ends": served.ends()}


def grammars() -> dict[str, Any]:
    """A seat is taken for a grammar that is ready, and for no other."""
    from states import Grammar
    from vllm.sampling_params import StructuredOutputsParams

    served = Served("trail")
    served.add("a", 50)
    served.add("b", 50)
    served.step(3)
    served.add("grammar", 2, structured_outputs=StructuredOutputsParams(regex="a*"))
    start = len(served.served)
    served.step(6)
    before = all(sorted(each) == ["a", "b"] for each in served.served[start:])
    served.scheduler.requests["grammar"].structured_output_request.grammar = Grammar()
    start = len(served.served)
    served.step(5)
    return {
        "before": before,
        "after": any("grammar" in each for each in served.served[start:]),
        "ends": served.ends(),
    }


class Remote:
    """A KV connector that has all but one token of prompts, far away, until they are loaded."""

    def get_num_new_matched_tokens(self, request: Any, computed: int) -> tuple[int, bool]:
        far = request.request_id.startswith("far") and not request.num_preemptions
        tokens = request.num_tokens // 16 * 16 - computed if far else 0
        return max(tokens, 0), tokens > 0

    def __getattr__(self, name: str) -> Any:
        answers: dict[str, Any] = {
            "has_pending_block_frees": False,
            "has_pending_push_work": False,
            "supports_divergent_local_hybrid_hits": False,
            "get_loaded_kv_cache_group_ids": (),
            "request_finished": (False, None),
            "take_events": [],
        }
        return lambda *args, **kwargs: answers.get(name)


def connected(served: Served) -> None:
    served.scheduler.connector = Remote()
    served.scheduler._connector_finished = lambda request: (False, None)


def loaded(served: Served, *names: str) -> None:
    served.scheduler.finished_recving_kv_req_ids.update(names)


def remote() -> dict[str, Any]:
    """Loads from elsewhere hold memory and no seat: the paused return, and loads come first."""
    served = Served("trail")
    connected(served)
    for name in ("far1", "far2", "far3"):
        served.add(name, 5, prompt=40)
    served.step(2)
    holders = len(served.scheduler.kv_holding_waiting)
    served.contested()
    paused = served.paused
    start = len(served.served)
    served.step(60)
    full = all(len(each) == 2 for each in served.served[start:])
    back = any(paused[0] in each for each in served.served[start:])
    loaded(served, "far1", "far2", "far3")
    return {"holders": holders, "paused": paused, "full": full, "back": back, "ends": served.ends()}


def held_without_memory() -> dict[str, Any]:
    """A load is done and finds no memory for its last block: who is paused returns all the same."""
    served = Served("trail", blocks=13)
    connected(served)
    served.add("far", 5, prompt=48)
    served.step(2)
    served.add("long", 60, prompt=30)
    served.add("longer", 70, prompt=30)
    served.step(3)
    loaded(served, "far")
    served.add("short", 3)
    return {"ends": served.ends()}


def abandoned() -> dict[str, Any]:
    """A session's client sends nothing more: who is paused returns to the seat at once."""
    served = Served("trail")
    served.add("long", 100)
    served.add("session", 12, resumable=True)
    served.step(3)
    served.add("short", 30)
    served.step(2)
    paused = served.paused
    served.until(lambda: served.scheduler.num_waiting_for_streaming_input == 1)
    start = len(served.served)
    served.step(4)
    back = all(sorted(each) == ["long", "short"] for each in served.served[start:])
    ends = served.until(lambda: list(served.scheduler.requests) == ["session"]) is not None
    served.scheduler.finish_requests("session", RequestStatus.FINISHED_ABORTED)
    left = len(served.scheduler.requests)
    return {"paused": paused, "back": back, "ends": ends, "left": left}


def sessions() -> dict[str, Any]:
    """A session's next input: its prompt, its limit and its prediction are new."""
    served = Served("lengthwise")
    told: list[Any] = []
    policy = served.scheduler._policy
    for event in ("enters", "exits", "leave"):
        own = getattr(policy, event)

        def telling(view: Any, event: str = event, own: Any = own) -> None:
            told.append([event, view.prompt_tokens, view.initial, view.generated])
            own(view)

        setattr(policy, event, telling)
    served.add("session", 4, prompt=20, resumable=True)
    served.step(8)
    first = list(told)
    told.clear()
    between = "session" in served.scheduler._views
    served.add("session", 9, prompt=30, resumable=True, max_tokens=10)
    view = served.scheduler._views["session"]
    found = {"prompt": view.prompt_tokens, "most": view.most_tokens, "generated": view.generated}
    served.step(15)
    served.scheduler.add_request(served.stub.request("session", [1], 1))
    return {
        **{"first": first, "second": told, "between": between, "found": found},
        "left": len(served.scheduler.requests),
    }


def deferred() -> dict[str, Any]:
    """Blocks that an eviction frees later count: no more are evicted than are needed."""
    served = Served("trail", seats=2, blocks=24)
    scheduler = served.scheduler
    for answer in (100, 90, 80, 70, 60):
        served.add(f"{answer}", answer, prompt=30)
        served.step(3)
    before = served.paused
    evicted: list[str] = []
    own = scheduler.evict

    def evict(request: Any) -> None:
        evicted.append(request.request_id)
        own(request)

    scheduler.evict = evict
    # As with a consumer of remote KV caches: a step is under way that may write what is freed.
    scheduler.defer_block_free = True
    scheduler._request_blocks_can_be_freed = lambda request: False
    pool = scheduler.kv_cache_manager.block_pool
    taken = pool.get_new_blocks(pool.get_num_free_blocks())
    scheduler._engine.part(scheduler._seats.paused)
    for _ in range(2):
        scheduler._seats._exchange._make_room(1)
    scheduler._engine.rejoin()
    coming = scheduler._engine.coming_blocks()
    pool.free_blocks(taken)
    return {"before": before, "evicted": evicted, "coming": coming}


def shared() -> dict[str, Any]:
    """A short request whose prompt others hold takes a seat, and nobody is evicted for it."""
    prefix = list(range(5, 5 + 96))
    served = Served("trail", blocks=20, caching=True)
    served.add("a", 60, prompt=[*prefix, 1000])
    served.add("b", 60, prompt=[*prefix, 1001])
    served.step(3)
    engine, free = served.scheduler._engine, served.scheduler._engine.free_blocks()
    short = served.stub.request(
        "short", [*prefix, 1002], 3, extra_args={PREDICTED_HINT: {"tokens": 3.0}}
    )
    needed = engine.needed_blocks(short)
    both = [served.scheduler.requests[name] for name in "ab"]
    freed = [engine.freed_blocks(both[:1]), engine.freed_blocks(both)]
    served.scheduler.add_request(short)
    served.step(3)
    evicted = sum(each.num_preemptions for each in served.scheduler.requests.values())
    started = any("short" in each for each in served.served)
    return {
        **{"needed": needed, "freed": freed, "free": free, "evicted": evicted},
        **{"started": started, "ends": served.ends()},
    }


def windows() -> dict[str, Any]:
    """Two groups of layers, one with a window: what is needed is what vLLM takes."""
    served = Served("trail", blocks=45, window=32, budget=64)
    request = served.stub.request("a", [3] * 200, 5)
    needed = served.scheduler._engine.needed_blocks(request)
    served.scheduler.add_request(request)
    free = served.scheduler._engine.free_blocks()
    least = free
    for _ in range(4):
        grown = served.scheduler._engine.growth_blocks(served.scheduler.running)
        before = served.scheduler._engine.free_blocks()
        served.step()
        if served.served[:-1] and served.scheduler.running:
            assert before - served.scheduler._engine.free_blocks() <= grown
        least = min(least, served.scheduler._engine.free_blocks())
    held = served.scheduler._engine.freed_blocks([request])
    return {"needed": needed, "taken": free - least, "held": held}


def reset(policy: str) -> dict[str, Any]:
    """``reset_prefix_cache(reset_running_requests=True)`` with somebody paused."""
    served = Served(policy, blocks=20, caching=True)
    served.contested()
    before = served.paused
    done = served.scheduler.reset_prefix_cache(reset_running_requests=True)
    free = served.scheduler._engine.free_blocks()
    return {
        **{"before": before, "done": done, "free": free, "paused": served.paused},
        **{"kept": served.scheduler._seats.foresight.kept, "ends": served.ends()},
    }


def aborts(policy: str) -> dict[str, bool]:
    """An abort in every state, while it waits, runs, is paused, evicted, or not compiled."""
    from vllm.sampling_params import StructuredOutputsParams

    def waiting(served: Served) -> None:
        served.add("it", 200)

    def running(served: Served) -> None:
        served.add("it", 1 + 5)
        served.step(3)

    def paused(served: Served) -> None:
        served.add("it", 90)
        served.step(3)
        served.add("first", 2)
        served.step()

    def evicted(served: Served) -> None:
        running(served)
        served.scheduler.reset_prefix_cache(reset_running_requests=True)

    def uncompiled(served: Served) -> None:
        served.add("it", 3, structured_outputs=StructuredOutputsParams(regex="a*"))

    found = {}
    for state in (waiting, running, paused, evicted, uncompiled):
        served = Served(policy)
        served.add("other", 50)
        served.add("another", 60)
        served.step()
        state(served)
        served.scheduler.finish_requests("it", RequestStatus.FINISHED_ABORTED)
        gone = "it" not in served.scheduler.requests and "it" not in served.scheduler._views
        ends = served.ends()
        found[state.__name__] = gone and ends and served.scheduler._engine.free_blocks() == 400
    return found


def larger(policy: str) -> dict[str, Any]:
    """A prompt larger than memory keeps nobody who comes before it; its abort frees the rest."""
    served = Served(policy, blocks=6)
    served.add("a", 3)
    served.add("large", 5, prompt=200)
    served.add("b", 3)
    served.step(40)
    left = sorted(served.scheduler.requests)
    served.scheduler.finish_requests("large", RequestStatus.FINISHED_ABORTED)
    return {"left": left, "ends": served.ends()}


def counts(policy: str) -> dict[str, Any]:
    """What vLLM's metrics say while somebody is paused, and of one that was evicted."""
    served = Served(policy)
    served.contested()
    stats = served.scheduler.make_stats()
    events = [each.events[-1].type.name for each in served.scheduler._seats.paused if each.events]
    held = {each.request_id: each.num_preemptions for each in served.scheduler.running}
    output = served.scheduler.schedule()
    served.scheduler.update_from_output(output, served.stub.answered(output))
    return {
        **{"running": stats.num_running_reqs, "waiting": stats.num_waiting_reqs},
        **{"skipped": stats.num_skipped_waiting_reqs, "preempted": sum(held.values())},
        **{"events": events, "told": sorted(output.preempted_req_ids or ())},
        "paused": served.paused,
    }


def budget() -> dict[str, Any]:
    """A long prompt takes the step's tokens: nobody stops for one who would get none of them."""
    served = Served("trail", budget=32)
    served.add("a", 60)
    served.step(2)
    served.add("prompt", 50, prompt=300)
    served.step(1)
    served.add("short", 2)
    start = len(served.served)
    served.step(6)
    kept = all(sorted(each) == ["a", "prompt"] for each in served.served[start:])
    return {"kept": kept, "ends": served.ends()}


def preempted_order() -> list[list[str]]:
    """Those that lose their memory go to the front of the queue in the order in which they ran."""
    from states import Grammar
    from vllm.sampling_params import StructuredOutputsParams

    found = []
    for policy in ("stock", "fcfs"):
        served = Served(policy)
        served.add("late", 50, structured_outputs=StructuredOutputsParams(regex="a*"))
        served.add("first", 50)
        served.step()
        served.scheduler.requests["late"].structured_output_request.grammar = Grammar()
        served.step()
        served.add("waits", 5)
        served.scheduler.reset_prefix_cache(reset_running_requests=True)
        found.append([each.request_id for each in served.scheduler.waiting])
    return found


def session_stops_preempted() -> dict[str, Any]:
    """A session is preempted while its last token is under way, and goes on all the same."""
    served = Served("trail")
    served.add("session", 3, resumable=True)
    served.step(2)
    scheduler = served.scheduler
    output = scheduler.schedule()
    answered = served.stub.answered(output)
    session = scheduler.running.pop()
    scheduler.evict(session)
    scheduler.update_from_output(output, answered)
    places = [session in scheduler.running, session in [*scheduler.waiting]]
    places.append(session in scheduler.kv_holding_waiting)
    status = session.status.name
    served.add("session", 4, resumable=True)
    served.step(8)
    answered_again = session.num_output_tokens
    scheduler.add_request(served.stub.request("session", [1], 1))
    left = len(scheduler.requests)
    return {"places": sum(places), "status": status, "then": answered_again, "left": left}


def holders_tokens() -> dict[str, Any]:
    """A session's long input takes the step's tokens: nobody stops for one who gets none."""
    served = Served("trail", budget=32)
    served.add("session", 2, resumable=True)
    served.add("long", 90)
    served.step(5)
    served.add("session", 50, prompt=120, resumable=True)
    served.add("short", 2)
    start = len(served.served)
    served.step(3)
    return {"steps": [sorted(each) for each in served.served[start:]]}


BY_POLICY: dict[Callable[[str], Any], tuple[str, ...]] = {
    pause_and_wait: POLICIES,
    aborts: POLICIES,
    larger: POLICIES,
    kept: PREEMPTIVE,
    reset: (*PREEMPTIVE, "sprpt+foresight"),
    paused_drain: ("trail", "sprpt", "ltr"),
    counts: ("trail", "sprpt", "ltr"),
}
ALONE: tuple[Callable[[], Any], ...] = (
    *(patience, throttled, adapters, grammars, remote, held_without_memory, abandoned),
    *(sessions, deferred, shared, windows, budget),
    *(preempted_order, session_stops_preempted, holders_tokens),
)


def main() -> dict[str, Any]:
    found = {
        of.__name__: {policy: of(policy) for policy in policies}
        for of, policies in BY_POLICY.items()
    }
    return found | {of.__name__: of() for of in ALONE}


if __name__ == "__main__":
    prepare_process()
    sys.path.append(str(Path(__file__).parent))
    Path(sys.argv[2]).write_text(json.dumps(main()))
