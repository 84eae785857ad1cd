"""Policies of papers and other engines on the real engine, by their own order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lengthwise.core.request import Request
from lengthwise.policies import make_policy

NEW = [
    *("ltr", "ssjf:4", "hrrn", "mlfq:16:1.5", "ltr+priority", "fcfs+fair:1", "ltr+bound:0.3s:2"),
    *("spf", "hrrn-prompt", "boost", "boost:tokens", "tie", "gittins"),
]


@pytest.fixture(scope="module")
def requests(prompts: list[list[int]]) -> list[dict[str, Any]]:
    return [
        {
            "id": f"r{i}",
            "prompt_ids": ids,
            "max_tokens": 6,
            "tenant": "ab"[i % 4 == 3],
            "priority": i % 2,
        }
        for i, ids in enumerate(prompts[:8])
    ]


@pytest.fixture(scope="module")
def served(
    requests: list[dict[str, Any]],
    model: Path,
    forks: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("systems")
    given, out = folder / "requests.json", folder / "out.json"
    given.write_text(json.dumps(requests))
    done = forks("systems.py", model, given, out, "fcfs", *NEW)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(out.read_text())
    return found


def views(served: dict[str, Any], requests: list[dict[str, Any]], policy: str) -> list[Request]:
    """What the policy knew of each request before the first was served."""
    found = []
    for i, (it, known) in enumerate(zip(requests, served[policy]["known"], strict=True)):
        prompt = len(it["prompt_ids"])
        view = Request(it["id"], known["arrival"], i, prompt, priority=it["priority"])
        view.predict(known["initial"])
        found.append(view)
    return found


@pytest.mark.parametrize("policy", NEW)
def test_all_finish_with_the_answers_of_fcfs(served: dict[str, Any], policy: str) -> None:
    assert len(served["fcfs"]["answers"]) == 8
    assert served[policy]["answers"] == served["fcfs"]["answers"]


@pytest.mark.parametrize("policy", ["ltr", "ssjf:4", "mlfq:16:1.5", "ltr+priority", "spf"])
def test_the_first_tokens_come_in_the_order_of_the_keys(
    served: dict[str, Any], requests: list[dict[str, Any]], policy: str
) -> None:
    ranked = sorted(
        views(served, requests, policy), key=lambda it: (make_policy(policy).key(it), it.seq)
    )
    expected = [it.id for it in ranked]
    assert served[policy]["order"] == expected
    assert expected != served["fcfs"]["order"], "this order is no test"


def test_hrrn_serves_equal_waits_by_prediction(
    served: dict[str, Any], requests: list[dict[str, Any]]
) -> None:
    policy = make_policy("hrrn")
    ranked = sorted(views(served, requests, "hrrn"), key=lambda it: (policy.lane(it), it.seq))
    assert served["hrrn"]["order"] == [it.id for it in ranked]


def test_fair_shares_follow_the_counters(
    served: dict[str, Any], requests: list[dict[str, Any]]
) -> None:
    counters = {"a": 0, "b": 0}
    waiting = list(requests)
    expected = []
    while waiting:
        best = min(waiting, key=lambda it: counters[it["tenant"]])
        waiting.remove(best)
        expected.append(best["id"])
        answer = served["fcfs"]["answers"][best["id"]]
        counters[best["tenant"]] += len(best["prompt_ids"]) + 2 * len(answer)
    assert served["fcfs+fair:1"]["order"] == expected
    assert expected != served["fcfs"]["order"]


def test_seconds_of_waiting_promote(served: dict[str, Any]) -> None:
    assert served["ltr+bound:0.3s:2"]["pauses"] > 0
    assert served["ltr"]["pauses"] == 0
