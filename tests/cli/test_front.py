"""The flags for hints and trust, as vLLM gets them."""

from __future__ import annotations

import pytest

from lengthwise.cli.front import Front
from lengthwise.errors import UserError
from lengthwise.vllm.hints_middleware import MIDDLEWARE


def test_hints_are_read_by_a_middleware_that_is_added_once() -> None:
    front = Front("on", "body")
    assert front.added(("--port", "1")) == ["--middleware", MIDDLEWARE, "--port", "1"]
    for given in (("--middleware", MIDDLEWARE), (f"--middleware={MIDDLEWARE}",)):
        assert front.added(given) == [*given]


def test_hints_can_be_turned_off() -> None:
    assert Front("off", "none").added(("--port", "1")) == ["--port", "1"]
    with pytest.raises(UserError, match="do not go together"):
        Front("off", "headers").added(())


def test_trust_is_a_setting() -> None:
    assert Front("on", "headers").settings() == {"trust": "headers"}
