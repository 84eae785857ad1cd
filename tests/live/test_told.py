"""The state as the page gets it."""

from __future__ import annotations

import json

from lengthwise.live.state import EngineNow
from lengthwise.live.told import as_json, told
from lengthwise.live.words import words

from .made import engine


def test_each_decision_has_its_words() -> None:
    found = told(engine(), 100, 100)
    assert found.words == [words(each) for each in found.decisions]
    assert len(found.words) == 24


def test_no_more_than_was_asked_for_and_the_last_decisions() -> None:
    whole = engine()
    some = told(whole, 3, 2)
    assert some.requests == whole.requests[:3]
    assert some.decisions == whole.decisions[-2:]
    none = told(whole, 0, 0)
    assert (none.requests, none.decisions, none.words) == ([], [], [])


def test_the_json_has_all_fields_of_the_state() -> None:
    first, second = json.loads(as_json([engine(), engine(1)], 1, 1))
    assert {*first} == {*EngineNow.__struct_fields__, "words"}
    assert (first["engine"], second["engine"]) == (0, 1)
