"""Whatever state a request is in: a seat goes only to one that starts, and all are served."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

PREEMPTIVE = ("trail", "ltr", "sprpt", "mlfq")
POLICIES = ("fcfs", *PREEMPTIVE, "lengthwise")


def run(forks: Any, program: str, model: Path, folder: Path) -> dict[str, Any]:
    done = forks(program, model, folder / "out.json")
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads((folder / "out.json").read_text())
    return found


@pytest.fixture(scope="module")
def found(model: Path, forks: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run(forks, "named_states.py", model, tmp_path_factory.mktemp("named"))


@pytest.fixture(scope="module")
def played(model: Path, forks: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run(forks, "states.py", model, tmp_path_factory.mktemp("played"))


def test_whatever_happens_the_rule_holds_and_all_are_served(played: dict[str, Any]) -> None:
    assert not played["faults"], "\n".join(played["faults"].values())


def test_it_plays_many_steps_under_each_policy(played: dict[str, Any]) -> None:
    steps = played["steps"]
    assert len(steps) >= 8
    assert sum(steps.values()) >= 20_000, steps
    assert min(steps.values()) >= 1000, steps


def test_it_reaches_the_states_that_it_is_for(played: dict[str, Any]) -> None:
    seen = played["seen"]
    assert set(seen) >= {
        *("paused", "evicted", "waits for input", "waits for a grammar", "with an adapter"),
        *("engine paused", "throttled", "stale", "holds memory and waits"),
    }
    assert min(seen.values()) >= 20, seen


@pytest.mark.parametrize("policy", POLICIES)
def test_a_pause_ends_when_all_that_ran_are_served(found: dict[str, Any], policy: str) -> None:
    told = found["pause_and_wait"][policy]
    assert told["steps"] == 57, "the two that ran had 57 tokens left"
    assert told["left"] == ["c", "d", "e"]
    assert told["ends"]


@pytest.mark.parametrize("policy", ["trail", "sprpt", "ltr"])
def test_the_paused_drain_in_a_pause(found: dict[str, Any], policy: str) -> None:
    told = found["paused_drain"][policy]
    assert told == {"paused": ["longer"], "unfinished": 3, "drained": True, "left": ["late"]}


@pytest.mark.parametrize("policy", PREEMPTIVE)
def test_a_frozen_engine_moves_nobody(found: dict[str, Any], policy: str) -> None:
    assert found["kept"][policy] == {"unfinished": 0, "given": 0, "same": True, "ends": True}


def test_nobody_starves_while_the_engine_is_paused(found: dict[str, Any]) -> None:
    told = found["patience"]
    assert told == {"20s": [], "20": [], "20s later": "some", "20 later": "some"}


@pytest.mark.parametrize("policy", POLICIES)
def test_an_abort_in_any_state_leaves_nothing(found: dict[str, Any], policy: str) -> None:
    told = found["aborts"][policy]
    assert set(told) == {"waiting", "running", "paused", "evicted", "uncompiled"}
    assert all(told.values()), told


@pytest.mark.parametrize("policy", POLICIES)
def test_one_larger_than_memory_keeps_nobody_before_it(found: dict[str, Any], policy: str) -> None:
    left = ["b", "large"] if policy == "fcfs" else ["large"]
    assert found["larger"][policy] == {"left": left, "ends": True}


@pytest.mark.parametrize("policy", [*PREEMPTIVE, "sprpt+foresight"])
def test_a_reset_cache_takes_all_memory_and_is_no_lesson(
    found: dict[str, Any], policy: str
) -> None:
    told = found["reset"][policy]
    assert told["done"]
    assert told["before"] or policy not in ("trail", "sprpt", "ltr")
    assert (told["free"], told["paused"], told["kept"]) == (20, [], 0.0)
    assert told["ends"]


@pytest.mark.parametrize("policy", ["trail", "sprpt", "ltr"])
def test_the_paused_are_shown_as_waiting_and_not_as_preempted(
    found: dict[str, Any], policy: str
) -> None:
    assert found["counts"][policy] == {
        **{"running": 2, "waiting": 1, "skipped": 0, "paused": ["longer"]},
        **{"preempted": 0, "told": [], "events": []},
    }


def test_nobody_stops_for_a_prompt_that_is_throttled(found: dict[str, Any]) -> None:
    assert found["throttled"] == {"kept": True, "then": True, "ends": True}


def test_nobody_stops_for_an_adapter_that_does_not_fit(found: dict[str, Any]) -> None:
    assert found["adapters"] == {"full": True, "plain": True, "none": True, "ends": True}


def test_a_seat_is_taken_for_a_grammar_once_it_is_ready(found: dict[str, Any]) -> None:
    assert found["grammars"] == {"before": True, "after": True, "ends": True}


def test_loads_from_elsewhere_keep_no_seat_empty(found: dict[str, Any]) -> None:
    told = found["remote"]
    assert told == {"holders": 3, "paused": ["longer"], "full": True, "back": True, "ends": True}
    assert found["held_without_memory"] == {"ends": True}


def test_a_session_without_input_keeps_nobody_paused(found: dict[str, Any]) -> None:
    assert found["abandoned"] == {"paused": ["long"], "back": True, "ends": True, "left": 0}


def test_each_input_of_a_session_is_a_request_to_the_policy(found: dict[str, Any]) -> None:
    told = found["sessions"]
    assert told["first"] == [["enters", 20, None, 0], ["exits", 20, 4.0, 0], ["leave", 20, 4.0, 4]]
    assert told["second"] == [["enters", 53, None, 0], ["exits", 53, 9.0, 0], ["leave", 53, 9.0, 9]]
    assert not told["between"]
    assert told["found"] == {"prompt": 53, "most": 10, "generated": 0}
    assert told["left"] == 0


def test_no_more_are_evicted_than_the_step_needs(found: dict[str, Any]) -> None:
    """Though their blocks are free only once the step before is done."""
    told = found["deferred"]
    assert told["before"] == ["80", "90", "100"]
    assert told["evicted"] == ["100"]
    assert told["coming"] == 3


def test_shared_blocks_are_counted_once(found: dict[str, Any]) -> None:
    told = found["shared"]
    assert told["needed"] == 1, "all but the last block of its prompt are there"
    assert told["freed"] == [1, 8], "six blocks belong to both"
    assert told["started"]
    assert told["evicted"] == 0
    assert told["ends"]


def test_a_window_needs_no_more_than_vllm_takes(found: dict[str, Any]) -> None:
    told = found["windows"]
    # 13 blocks of the whole prompt, and of the window what one chunk and the window itself fill.
    assert told["taken"] <= told["needed"] < 2 * 13
    assert told["held"] <= told["taken"]


def test_nobody_stops_for_one_that_finds_no_tokens_in_the_step(found: dict[str, Any]) -> None:
    assert found["budget"] == {"kept": True, "ends": True}


def test_fcfs_keeps_the_preempted_where_vllm_does(found: dict[str, Any]) -> None:
    stock, ours = found["preempted_order"]
    assert stock == ["first", "late", "waits"]
    assert ours == stock


def test_a_session_that_stops_while_it_is_preempted_goes_on(found: dict[str, Any]) -> None:
    told = found["session_stops_preempted"]
    assert told == {"places": 1, "status": "WAITING_FOR_STREAMING_REQ", "then": 4, "left": 0}


def test_tokens_that_a_session_takes_first_are_not_promised(found: dict[str, Any]) -> None:
    assert found["holders_tokens"] == {"steps": [["long", "session"]] * 3}
