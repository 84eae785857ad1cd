"""What a replica hands on to its engine."""

import pytest

from lengthwise.clients import TENANT_HINT
from lengthwise.ray.replica import _params
from lengthwise.vllm.hints import PREDICTED_HINT

pytest.importorskip("vllm")


def test_tenant_and_prediction_reach_the_scheduler() -> None:
    params = _params({"max_tokens": 9, "temperature": 0, "tenant": "acme", "predicted": 3.5})
    assert params.max_tokens == 9
    assert params.extra_args == {TENANT_HINT: "acme", PREDICTED_HINT: 3.5}


def test_a_prediction_below_one_token_is_one() -> None:
    assert _params({"max_tokens": 9, "predicted": 0.2}).extra_args == {PREDICTED_HINT: 1.0}


def test_who_says_nothing_has_no_hints() -> None:
    assert _params({"max_tokens": 9}).extra_args is None
