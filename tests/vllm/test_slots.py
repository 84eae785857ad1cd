"""Slots for paused requests under vLLM's V2 model runner."""

import pytest

from lengthwise.policies import make_policy
from lengthwise.vllm.flags import Flags
from lengthwise.vllm.settings import Settings
from lengthwise.vllm.slots import default_seats, for_pausing


def added(policy, *given, **settings):
    """The flags with those that are added, as vLLM reads them."""
    said = for_pausing(make_policy(policy), Settings(policy=policy, **settings), list(given))
    return said, Flags(said).value("--max-num-seqs"), Flags(said).value("--max-num-active-seqs")


@pytest.fixture(autouse=True)
def runner(monkeypatch):
    monkeypatch.delenv("VLLM_USE_V2_MODEL_RUNNER", raising=False)


@pytest.mark.parametrize("policy", ["trail", "mlfq", "ltr", "trail+bound", "gittins"])
def test_a_policy_that_pauses_gets_a_slot_for_each_seat_more(policy):
    said, slots, seats = added(policy, "--max-num-seqs", "64", "--port", "1")
    assert (slots, seats) == ("128", "64")
    assert said.count("--max-num-seqs") == 1
    assert said[:2] == ["--port", "1"]


def test_a_bound_below_one_to_a_seat_is_kept():
    policy = make_policy("trail")
    policy.paused_per_seat = 0.5
    said = for_pausing(policy, Settings(policy="trail"), ["--max-num-seqs=64"])
    assert said == ["--max-num-active-seqs", "64", "--max-num-seqs", "96"]


@pytest.mark.parametrize("policy", ["lengthwise", "fcfs", "sjf", "scls", "trail+slice:64"])
def test_a_policy_that_never_pauses_leaves_the_flags_alone(policy):
    assert added(policy, "--max-num-seqs", "64")[0] == ["--max-num-seqs", "64"]


def test_so_does_who_discards_and_who_has_said_how_many_run():
    given = ["--max-num-seqs", "64"]
    assert added("trail", *given, pause=False)[0] == given
    given = ["--max-num-seqs", "64", "--max_num_active_seqs=48"]
    assert added("trail", *given)[0] == given


def test_the_v1_runner_needs_no_slots(monkeypatch):
    monkeypatch.setenv("VLLM_USE_V2_MODEL_RUNNER", "0")
    assert added("trail")[0] == []
    monkeypatch.setenv("VLLM_USE_V2_MODEL_RUNNER", "1")
    assert added("trail", "--max-num-seqs", "2")[1:] == ("4", "2")


def test_no_more_slots_than_tokens_in_a_step():
    given = ["--max-num-seqs", "64", "--max-num-batched-tokens"]
    assert added("trail", *given, "100")[1:] == ("100", "64")
    # Fewer tokens than seats vLLM refuses in its own words.
    assert added("trail", *given, "32")[1:] == ("64", "64")


def test_vllms_own_seats_where_nobody_says_how_many():
    from vllm.engine.arg_utils import EngineArgs
    from vllm.usage.usage_lib import UsageContext

    theirs = EngineArgs.get_batch_defaults(1)[1][UsageContext.OPENAI_API_SERVER]
    assert default_seats(Flags([])) == theirs
    assert default_seats(Flags(["--performance-mode", "throughput"])) == 2 * theirs
    assert default_seats(Flags(["--max-num-batched-tokens", "8"])) == 8
    assert added("trail")[1:] == (str(2 * theirs), str(theirs))
