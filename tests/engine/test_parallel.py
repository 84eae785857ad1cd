"""A model split over ranks or stages, and drafts: the same answers, by the same policies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lengthwise.core.bins import Bins
from lengthwise.models.fingerprint import fingerprint
from lengthwise.predictors.baselines import Constant
from lengthwise.predictors.probe import Probe
from lengthwise.predictors.store import Trained
from lengthwise.predictors.trail import Trail

WIDTH, SEATS = 128, 3


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A model that two ranks can share, with random weights, and predictors for it."""
    from transformers import LlamaConfig, LlamaForCausalLM

    root = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=WIDTH,
        intermediate_size=256,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=512,
        initializer_range=0.2,
    )
    whole = LlamaForCausalLM(config)
    with torch.no_grad():
        for layer in whole.model.layers:
            # Each token then follows mostly from the one before: drafts can be right.
            layer.self_attn.o_proj.weight.mul_(0.01)
            layer.mlp.down_proj.weight.mul_(0.01)
    whole.save_pretrained(root / "model")
    draft(root / "eagle", whole)
    bins = Bins.equal(5, 60)
    shares = np.full(len(bins), 1 / len(bins), np.float32)
    Trained(
        fingerprint(str(root / "model")),
        Trail(Probe(2, WIDTH, bins, hidden=16)),
        Constant.restore(bins, {}, {"shares": shares}),
        {},
    ).save(root / "probe")
    return root / "model", str(root / "probe")


def draft(folder: Path, target: Any) -> None:
    """An EAGLE head for the target: one layer, and the layer that joins its two inputs."""
    from safetensors.torch import save_file
    from transformers import LlamaConfig

    layer = {
        name.removeprefix("model."): value.clone()
        for name, value in target.state_dict().items()
        if name.startswith("model.layers.0.") and "input_layernorm" not in name
    }
    # It goes on from the token alone.
    joined = torch.cat([torch.eye(WIDTH), torch.zeros(WIDTH, WIDTH)], dim=1)
    config = LlamaConfig.from_dict({**target.config.to_dict(), "num_hidden_layers": 1})
    config.save_pretrained(folder)
    save_file({**layer, "fc.weight": joined}, folder / "model.safetensors")


@pytest.fixture
def asked() -> list[dict[str, Any]]:
    """Requests of very unequal length, that come while all seats are taken."""
    return [
        {
            "id": f"r{i}",
            "step": 3 * i,
            "prompt_ids": [(7 * i + 3 * j) % 60 for j in range(5 + 9 * (i % 3))],
            "max_tokens": 60 if i < SEATS else 6 + i,
            "ignore_eos": True,
        }
        for i in range(9)
    ]


Ask = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def known() -> dict[str, dict[str, Any]]:
    """What was asked before in this module: engines take their time to start."""
    return {}


@pytest.fixture
def ask(
    drive: Any,
    tiny: tuple[Path, str],
    asked: list[dict[str, Any]],
    known: dict[str, dict[str, Any]],
) -> Ask:
    """``ask(policy, **engine)``: those requests, served by the tiny model."""

    def run(policy: str, **engine: Any) -> dict[str, Any]:
        model, probe = tiny
        name = repr((policy, engine))
        given = {"served": model, "settings": {"probe": probe}, "skip_tokenizer_init": True}
        if name not in known:
            known[name] = drive(policy, asked, SEATS, max_model_len=256, **given, **engine)
        return known[name]

    return run


@pytest.fixture
def drafting(tiny: tuple[Path, str]) -> dict[str, dict[str, Any]]:
    """Speculative configs by method."""
    lookup = {"method": "ngram", "prompt_lookup_min": 1, "prompt_lookup_max": 2}
    eagle = {"method": "eagle", "model": str(tiny[0].with_name("eagle"))}
    return {each["method"]: each | {"num_speculative_tokens": 3} for each in (lookup, eagle)}


def test_ranks_of_one_layer_predict_what_one_rank_does(ask: Ask) -> None:
    one = ask("trail")
    two = ask("trail", tensor_parallel_size=2, distributed_executor_backend="mp")
    assert two["answers"] == one["answers"]
    assert len(one["predictions"]) > SEATS
    assert [each[:2] for each in two["predictions"]] == [each[:2] for each in one["predictions"]]
    left = [[tokens for _, _, tokens in each["predictions"]] for each in (one, two)]
    np.testing.assert_allclose(*left, rtol=1e-3)


def test_stages_of_a_pipeline_serve_several_steps_at_once(ask: Ask) -> None:
    split = ask("trail", pipeline_parallel_size=2, distributed_executor_backend="mp")
    assert split["ahead"]
    assert split["costs"]["pauses"] > 0
    assert split["answers"] == ask("stock")["answers"]
    assert split["predictions"] == []


@pytest.mark.parametrize(
    ("method", "policies"), [("ngram", ["lengthwise", "mlfq"]), ("eagle", ["trail"])]
)
def test_drafts(ask: Ask, drafting: dict[str, Any], method: str, policies: list[str]) -> None:
    drafts = {"speculative_config": drafting[method]}
    answers = ask("stock")["answers"]
    stock = ask("stock", **drafts)
    assert stock["answers"] == answers
    # Some drafts are accepted.
    assert len(stock["trace"]) < len(ask("stock")["trace"])
    assert ask("fcfs", **drafts)["trace"] == stock["trace"]
    for policy in policies:
        ours = ask(policy, **drafts)
        assert ours["answers"] == answers
        assert ours["predictions"] == []
        assert ours["trace"] != stock["trace"]


def test_drafts_a_step_ahead_and_little_memory(ask: Ask, drafting: dict[str, Any]) -> None:
    engine = {"speculative_config": drafting["eagle"], "num_gpu_blocks_override": 9}
    ours = ask("mlfq", asynchronous=True, **engine)
    assert ours["ahead"]
    assert ours["costs"]["pauses"] > 0
    assert ours["costs"]["evictions"] > 0
    assert ours["answers"] == ask("stock")["answers"]
