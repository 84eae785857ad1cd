"""The tap sees the states that transformers computes for the same tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

LAYERS = [5, 10]


def one_at_a_time(prompts: list[list[int]], n: int) -> list[dict[str, Any]]:
    return [
        {"id": f"r{i}", "step": 0, "prompt_ids": prompts[i], "max_tokens": 12} for i in range(n)
    ]


@pytest.mark.parametrize("budget", [2048, 48])
def test_states_match_transformers(
    drive: Any, prompts: list[list[int]], model: Path, budget: int
) -> None:
    """Also with prompts in chunks of at most 48 tokens, several requests in a step."""
    from transformers import AutoModelForCausalLM

    got = drive(
        "fcfs",
        one_at_a_time(prompts, 3),
        settings={"record": LAYERS, "record_every": 4},
        recorded=True,
        enable_prefix_caching=False,
        max_num_batched_tokens=budget,
    )
    reference = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    for i in range(3):
        answer, seen = got["answers"][f"r{i}"], got["recorded"][f"r{i}"]
        ids = torch.tensor([prompts[i] + answer])
        with torch.inference_mode():
            hidden = reference(ids, output_hidden_states=True).hidden_states
        n = len(prompts[i])
        for j, layer in enumerate(LAYERS):
            # One float16 rounding of values up to a few hundred separates the two.
            mean = hidden[layer][0, :n].mean(dim=0).numpy()
            np.testing.assert_allclose(np.array(seen["mean"])[j], mean, rtol=2e-3, atol=2e-2)
            for age, state in zip(seen["ages"], seen["states"], strict=True):
                want = hidden[layer][0, n - 1 + age].numpy()
                np.testing.assert_allclose(np.array(state)[j], want, rtol=2e-3, atol=2e-2)


def test_compiled_model_gives_the_same_predictions(drive: Any, prompts: list[list[int]]) -> None:
    requests = one_at_a_time(prompts, 3)
    # As many seats as requests: always full, so every token is predicted.
    small = {"max_num_batched_tokens": 512, "max_model_len": 512, "seats": 3}
    often = {"look_every": 1}
    eager = drive("trail", requests, settings=often, **small)
    compiled = drive("trail", requests, settings=often, enforce_eager=False, **small)
    assert compiled["answers"] == eager["answers"]
    assert len(eager["predictions"]) >= 12
    # Who sits first in the batch depends on whose prompt was scored first.
    one, other = sorted(compiled["predictions"]), sorted(eager["predictions"])
    assert [p[:2] for p in one] == [p[:2] for p in other]
    np.testing.assert_allclose([p[2] for p in one], [p[2] for p in other], rtol=0.02)


def test_predictions_survive_preemption_and_prefix_hits(drive: Any, longer: Any) -> None:
    """Token by token, each predicted once, evicted or not, until seats are to spare."""
    requests = [{**r, "prompt_ids": longer[i % 6]["prompt_ids"]} for i, r in enumerate(longer)]
    scarce = {"num_gpu_blocks_override": 9, "max_model_len": 240, "max_num_batched_tokens": 240}
    got = drive("trail", requests, settings={"look_every": 1}, **scarce)
    assert got["costs"]["evictions"] > 0
    seen: dict[str, list[int]] = {}
    whole = 0
    for request_id, at, left in got["predictions"]:
        seen.setdefault(request_id, []).append(at)
        assert left > 0
    for request_id, answer in got["answers"].items():
        assert seen[request_id] == list(range(len(seen[request_id])))
        whole += len(seen[request_id]) == len(answer)
    assert whole >= len(requests) - 2
