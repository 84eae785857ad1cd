"""Files of texts as traces: counted by a tokenizer, or refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lengthwise.errors import UserError
from lengthwise.traces import Selection, Trace, read_trace

WORDS = {word: i for i, word in enumerate(["?", "name", "a", "tree", "an", "oak", "is", "one"])}


@pytest.fixture
def read(model_of: Callable[..., Path], tmp_path: Path) -> Callable[..., Trace]:
    model = model_of(WORDS)

    def reading(*records: object) -> Trace:
        path = tmp_path / "texts.jsonl"
        path.write_text("".join(json.dumps(each) + "\n" for each in records))
        return read_trace(path, Selection(tokenizer=str(model)))

    return reading


def test_a_tokenizer_counts_prompts_and_answers(read: Callable[..., Trace]) -> None:
    chat = [{"role": "user", "content": "name a tree"}, {"role": "assistant", "content": "oak"}]
    trace = read(
        {"messages": chat},
        {"instruction": "name", "input": "a tree", "output": "an oak is one"},
        {"messages": chat[:1]},
    )
    assert trace.format == "texts"
    assert trace.workload.prompt.tolist() == [3, 3]
    assert trace.workload.output.tolist() == [1, 4]
    assert [each.rows for each in trace.left_out] == [1]
    assert trace.rows == 3
    assert not trace.timed


def test_prompts_without_answers_are_refused(read: Callable[..., Trace]) -> None:
    with pytest.raises(UserError, match=r"prompts without answers.*--prompts"):
        read({"prompt": "name a tree", "output_tokens": 12})


def test_a_bad_record_is_named(read: Callable[..., Trace]) -> None:
    with pytest.raises(UserError, match="line 2: empty prompt"):
        read({"prompt": "name", "completion": "oak"}, {"prompt": "", "completion": "oak"})


def test_conversations_with_times(read: Callable[..., Trace]) -> None:
    """As WildChat has them."""
    chat = [{"role": "user", "content": "name a tree"}, {"role": "assistant", "content": "oak"}]
    trace = read(
        {"conversation": chat, "timestamp": "2026-01-05T09:00:02+00:00"},
        {"conversation": chat, "timestamp": "2026-01-05T09:00:00.5+00:00"},
    )
    assert trace.timed
    assert trace.workload.arrival.tolist() == [0, 1.5]
    assert any("sorted" in said for said in trace.found)
