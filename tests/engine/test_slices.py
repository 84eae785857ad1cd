"""Sliced and whole answers of the real engine are the same to a client."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lengthwise.core.slices import slice_end

MOST, BLOCK = 24, 32

CASES: dict[str, dict[str, Any]] = {
    "greedy": {"temperature": 0, "max_tokens": 60, "ignore_eos": True},
    "to its end": {"temperature": 0, "max_tokens": 100},
    "short": {"temperature": 0, "max_tokens": 10, "ignore_eos": True},
    "one slice": {"temperature": 0, "max_tokens": MOST, "ignore_eos": True},
    "seeded": {"temperature": 1.0, "top_p": 0.95, "seed": 7, "max_tokens": 60},
    "penalties": {
        **{"temperature": 0.8, "seed": 3, "max_tokens": 60, "ignore_eos": True},
        **{"frequency_penalty": 0.9, "presence_penalty": 0.6, "repetition_penalty": 1.2},
    },
    "logprobs": {"temperature": 0, "max_tokens": 40, "logprobs": 2, "prompt_logprobs": 1},
    "min_tokens": {"temperature": 0, "max_tokens": 80, "min_tokens": 70},
    "samples": {"temperature": 1.0, "seed": 5, "n": 2, "max_tokens": 40, "ignore_eos": True},
    "bad words": {"temperature": 0, "max_tokens": 50, "bad_words": ["of the", "is a"]},
    "choice": {"temperature": 0, "max_tokens": 60, "structured_outputs": ["yes", "no"]},
}
KINDS = {
    **{"greedy": "CUMULATIVE", "to its end": "CUMULATIVE"},
    **{"seeded": "DELTA", "samples": "DELTA"},
}
STOPPED = ["greedy stopped", "to its end stopped"]


@pytest.fixture(scope="module")
def ran(
    model: Path,
    prompts: list[list[int]],
    forks: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Any]:
    """Every case once whole and once in slices, more cases than seats."""
    folder = tmp_path_factory.mktemp("slices")
    requests = [
        {"id": name, "prompt_ids": ids, "params": params, "kind": KINDS.get(name, "FINAL_ONLY")}
        for (name, params), ids in zip(CASES.items(), prompts, strict=False)
    ]
    job = {"model": str(model), "seats": 6, "policy": f"scls:{MOST}", "requests": requests}
    (folder / "job").write_text(json.dumps({**job, "most": MOST}))
    done = forks("sliced.py", folder / "job", folder / "out")
    assert done.returncode == 0, done.stderr[-3000:]
    result: dict[str, Any] = json.loads((folder / "out").read_text())
    return result


def samples(outputs: list[dict[str, Any]], delta: bool) -> dict[str, Any]:
    """A request's samples as its client puts them together."""
    made: dict[str, Any] = {}
    for output in outputs:
        for index, sample in output["samples"].items():
            before = made.get(index, {"text": "", "tokens": []})
            joined = {what: before[what] + sample[what] for what in ("text", "tokens")}
            made[index] = sample | (joined if delta else {})
    return made


@pytest.mark.parametrize("name", [*CASES, *STOPPED])
def test_tokens_text_and_reason_are_those_of_a_whole_request(
    ran: dict[str, Any], name: str
) -> None:
    delta = KINDS.get(name) == "DELTA"
    sliced, whole = (samples(ran[way][name], delta) for way in ("sliced", "whole"))
    assert whole.keys() == sliced.keys()
    for index, sample in whole.items():
        for what in ("tokens", "text", "reason"):
            assert sliced[index][what] == sample[what]


@pytest.mark.parametrize("name", STOPPED)
def test_a_stop_string_may_begin_in_one_slice_and_end_in_the_next(
    ran: dict[str, Any], name: str
) -> None:
    sample = ran["sliced"][name][-1]["samples"]["0"]
    reason, stop = sample["reason"]
    assert reason == "stop"
    assert isinstance(stop, str)
    assert len(sample["tokens"]) < 60


@pytest.mark.parametrize("name", list(CASES))
def test_prompt_tokens_are_counted_once_and_only_the_first_slice_reports_its_cache(
    ran: dict[str, Any], name: str
) -> None:
    for way in ("sliced", "whole"):
        last = ran[way][name][-1]
        assert last["prompt_tokens"] == ran["whole"][name][0]["prompt_tokens"]
        assert last["cached"] < last["prompt_tokens"]
        assert [output["finished"] for output in ran[way][name]].count(True) == 1


def test_logprobs_are_those_of_a_whole_request(ran: dict[str, Any]) -> None:
    """At each position, of answer and prompt, the same tokens to 1e-4."""
    sliced, whole = (ran[way]["logprobs"][-1] for way in ("sliced", "whole"))
    both = [(sliced["samples"]["0"]["logprobs"], whole["samples"]["0"]["logprobs"])]
    both.append((sliced["prompt_logprobs"], whole["prompt_logprobs"]))
    for ours, theirs in both:
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            assert [(token, text) for token, _, text in one] == [(t, s) for t, _, s in other]
            assert [p for _, p, _ in one] == pytest.approx([p for _, p, _ in other], abs=1e-4)


def test_what_is_sliced_is_really_sliced_and_computes_only_unfilled_blocks_again(
    ran: dict[str, Any],
) -> None:
    """The prefix cache gives back the full blocks of whatever earlier slices computed."""
    slices = again = 0
    for name in {*CASES, *STOPPED} - {"choice"}:
        outputs = ran["whole"][name]
        prompt, most = outputs[-1]["prompt_tokens"], CASES[name.removesuffix(" stopped")]
        for sample in samples(outputs, KINDS.get(name) == "DELTA").values():
            ends = earlier_ends(prompt, len(sample["tokens"]), most["max_tokens"])
            slices += len(ends)
            again += sum((prompt + end - 1) % BLOCK for end in ends)
    assert slices > 10
    assert ran["costs"]["slices"] == slices
    assert ran["costs"]["recomputed_tokens"] == again


def earlier_ends(prompt: int, tokens: int, most: int) -> list[int]:
    """Where the slices end that another one follows."""
    ends: list[int] = []
    end = slice_end(prompt, 0, MOST, BLOCK)
    while end < tokens or (end == tokens < most):
        ends.append(end)
        end = slice_end(prompt, end, MOST, BLOCK)
    return ends


def test_an_abort_in_a_later_slice_frees_everything(ran: dict[str, Any]) -> None:
    assert ran["aborted"] == {"requests": 0, "views": 0, "blocks": 0}
    assert ran["open"] == 0
