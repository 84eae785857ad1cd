"""What a replica hands on to its engine, and what it says of it."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lengthwise.core import Bins
from lengthwise.core.handed_on import handed_on, plain
from lengthwise.core.lengths import Lengths
from lengthwise.core.prediction import each_of
from lengthwise.ray.replica import Replica, _params
from lengthwise.vllm.driver import Driver
from lengthwise.vllm.hints import PREDICTED_HINT
from lengthwise.workload.clients import TENANT_HINT

pytest.importorskip("vllm")


def test_tenant_and_prediction_reach_the_scheduler() -> None:
    params = _params({"max_tokens": 9, "temperature": 0, "tenant": "acme", "predicted": 3.5})
    assert params.max_tokens == 9
    assert params.extra_args == {TENANT_HINT: "acme", PREDICTED_HINT: 3.5}


def test_a_prediction_below_one_token_is_one() -> None:
    assert _params({"max_tokens": 9, "predicted": 0.2}).extra_args == {PREDICTED_HINT: 1.0}


def test_a_router_s_prediction_travels_whole() -> None:
    bins = Bins.log(8, 64.0).with_overflow()
    shares = np.full((1, len(bins)), 1 / len(bins), np.float32)
    (made,) = each_of(Lengths.of(bins, shares), "router")
    assert made is not None
    hints = _params({"max_tokens": 9, "predicted": plain(made)}).extra_args
    found = handed_on(hints[PREDICTED_HINT])
    assert found is not None
    assert found.tokens == made.tokens
    assert found.quantile(0.9) == pytest.approx(made.quantile(0.9))
    # A router may expect less than one token, too.
    less = plain(made._replace(tokens=0.2))
    told = handed_on(_params({"max_tokens": 9, "predicted": less}).extra_args[PREDICTED_HINT])
    assert told is not None
    assert told.tokens == 1.0


def test_who_says_nothing_has_no_hints() -> None:
    assert _params({"max_tokens": 9}).extra_args is None


def replica(held: dict[str, int], ids: dict[str, list[str]], left: dict[str, float]) -> Any:
    """A replica between two steps, with vLLM's ids of its requests and their probe's word."""
    it: Any = Replica.__new__(Replica)
    it._held, it._steps = held, [0.25, 0.75]
    driver: Any = Driver.__new__(Driver)
    driver._scheduler = SimpleNamespace(remaining=lambda id: left.get(id, math.nan))
    driver._engine = SimpleNamespace(output_processor=SimpleNamespace(external_req_ids=ids))
    it._driver = driver
    return it


def test_the_load_names_requests_as_their_client_does_and_leaves_out_who_is_not_predicted() -> None:
    ids = {"a": ["a-1f0c22d9"], "b": ["b-77aa01be"]}
    load = replica({"a": 4, "b": 0, "c": 0}, ids, {"a-1f0c22d9": 30.5, "a": 1.0})._load()
    assert (load["held"], load["left"]) == ({"a": 4, "b": 0, "c": 0}, {"a": 30.5})
    assert load["pace"] == 0.5


def test_a_request_of_several_samples_has_left_what_the_longest_has() -> None:
    ids = {"a": ["0_a-1f0c22d9", "1_a-1f0c22d9", "2_a-1f0c22d9"]}
    left = {"0_a-1f0c22d9": 5.0, "1_a-1f0c22d9": 30.5}
    assert replica({"a": 9}, ids, left)._load()["left"] == {"a": 30.5}
