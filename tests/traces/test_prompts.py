import gzip
import json
from collections import Counter
from importlib import resources

import polars as pl
import pytest

from lengthwise.errors import UserError
from lengthwise.traces.prompts import prompt_file, read_prompts
from lengthwise.workload.prompts import BUILTIN, Prompt, held_out


def write(path, *records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return str(path)


def test_the_builtin_prompts_are_many_different_ones():
    texts = [prompt.text for prompt in read_prompts(BUILTIN)]
    assert len(texts) >= 400
    assert len(set(texts)) == len(texts)


def test_the_builtin_prompts_come_in_many_kinds():
    packaged = resources.files("lengthwise") / "data" / "prompts.jsonl"
    kinds = Counter(json.loads(line)["category"] for line in packaged.read_text().splitlines())
    assert len(kinds) >= 8
    assert min(kinds.values()) >= 10


def test_both_halves_of_the_builtin_prompts_hold_every_kind():
    packaged = resources.files("lengthwise") / "data" / "prompts.jsonl"
    records = [json.loads(line) for line in packaged.read_text().splitlines()]
    ids = [prompt.id for prompt in read_prompts(BUILTIN)]
    sides = {(record["category"], held_out(id_)) for record, id_ in zip(records, ids, strict=True)}
    assert len(sides) == 2 * len({record["category"] for record in records})


def test_a_prompt_is_known_by_file_and_line(tmp_path):
    source = write(tmp_path / "mine.jsonl", {"prompt": "one"}, {"prompt": "two", "x": 1})
    assert [(p.id, p.text) for p in read_prompts(source)] == [("mine:1", "one"), ("mine:2", "two")]


def test_empty_lines_keep_the_line_numbers(tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text('\n{"prompt": "one"}\n\n{"prompt": "two"}\n')
    assert [prompt.id for prompt in read_prompts(str(path))] == ["p:2", "p:4"]


def test_alpacas_input_follows_its_instruction(tmp_path):
    source = write(
        tmp_path / "alpaca.jsonl",
        {"instruction": "Add.", "input": "1 2", "output": "3"},
        {"instruction": "Sing.", "input": "", "output": "la"},
    )
    assert [prompt.text for prompt in read_prompts(source)] == ["Add.\n\n1 2", "Sing."]


def test_lines_that_are_no_uniform_sample_are_skipped(tmp_path):
    source = write(
        tmp_path / "a.jsonl",
        {"prompt": "no", "uniform": False},
        {"prompt": "yes", "uniform": True},
    )
    assert [(p.id, p.text) for p in read_prompts(source)] == [("a:2", "yes")]


def test_a_gzipped_file_reads_the_same(tmp_path):
    plain = write(tmp_path / "p.jsonl", {"prompt": "ünö"}, {"prompt": "two"})
    packed = tmp_path / "p.jsonl.gz"
    packed.write_bytes(gzip.compress((tmp_path / "p.jsonl").read_bytes()))
    assert read_prompts(str(packed)) == read_prompts(plain)


@pytest.mark.parametrize("source", [BUILTIN, "file"])
def test_a_limit_takes_the_first(tmp_path, source):
    if source == "file":
        source = write(tmp_path / "p.jsonl", *({"prompt": str(i)} for i in range(9)))
    assert read_prompts(source, 3) == read_prompts(source)[:3]
    assert len(read_prompts(source, 3)) == 3


@pytest.mark.parametrize(
    "bad",
    [
        b"not json",
        b'["prompt"]',
        b"5",
        b"{}",
        b'{"prompt": ""}',
        b'{"prompt": 5}',
        b'{"prompt": "\xff"}',
        b'{"instruction": null}',
    ],
)
def test_a_bad_line_is_named(tmp_path, bad):
    path = tmp_path / "p.jsonl"
    path.write_bytes(b'{"prompt": "fine"}\n\n' + bad + b'\n{"prompt": "fine"}\n')
    with pytest.raises(UserError, match="line 3"):
        read_prompts(str(path))


@pytest.mark.parametrize("name", ["missing.jsonl", "missing.jsonl.gz", "."])
def test_a_file_that_cannot_be_opened_is_named(tmp_path, name):
    with pytest.raises(UserError, match="prompts file") as caught:
        read_prompts(str(tmp_path / name))
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    "damage", [lambda packed: packed[:-9], lambda packed: b"no gzip at all"], ids=["cut", "other"]
)
def test_a_damaged_gzip_is_the_users_error(tmp_path, damage):
    path = tmp_path / "p.jsonl.gz"
    path.write_bytes(damage(gzip.compress(b'{"prompt": "a"}\n' * 9)))
    with pytest.raises(UserError, match="prompts file"):
        read_prompts(str(path))


def test_a_file_without_prompts_is_refused(tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text("\n")
    with pytest.raises(UserError, match="no prompts"):
        read_prompts(str(path))


def test_a_quarter_is_held_out():
    ids = [f"alpaca:{i}" for i in range(1, 4001)]
    assert 0.22 < sum(map(held_out, ids)) / len(ids) < 0.28


def test_who_is_held_out_never_changes():
    """Trained predictors depend on it: a shipped probe must not have seen these."""
    found = [i for i in range(1, 21) if held_out(f"builtin:{i}")]
    assert found == [2, 5, 6, 7, 11, 12, 14, 15, 20]


def test_a_line_may_say_whose_request_it_is_and_how_urgent(tmp_path):
    source = write(
        tmp_path / "p.jsonl",
        {"prompt": "one", "tenant": "a", "priority": -2},
        {"prompt": "two", "tenant": ""},
    )
    found = [(prompt.tenant, prompt.priority) for prompt in read_prompts(source)]
    assert found == [("a", -2), (None, 0)]


def test_a_priority_that_is_no_whole_number_names_the_line(tmp_path):
    source = write(tmp_path / "p.jsonl", {"prompt": "one"}, {"prompt": "two", "priority": 1.5})
    with pytest.raises(UserError, match=r"line 2: .*whole number"):
        read_prompts(source)


def test_the_first_question_with_an_answer_counts(tmp_path):
    path = tmp_path / "chats.json"
    turns = [
        [
            ("system", "Be short."),
            ("human", "Why?"),
            ("gpt", "So."),
            ("human", "And?"),
            ("gpt", "x"),
        ],
        [("human", "Nobody answers."), ("human", "Still nobody?"), ("gpt", " ")],
        [],
    ]
    chats = [
        {"id": f"c{i}", "conversations": [{"from": who, "value": text} for who, text in chat]}
        for i, chat in enumerate(turns)
    ]
    path.write_text(json.dumps(chats, indent=1))
    found = prompt_file(str(path))
    assert [(prompt.id, prompt.text) for prompt in found.prompts] == [("chats:1", "Why?")]
    assert [each.rows for each in found.left_out] == [2]


def test_parquet_of_conversations(tmp_path):
    """As LMSYS-Chat-1M and WildChat are published."""
    path = tmp_path / "chats.parquet"
    chat = [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Hello."}]
    pl.DataFrame({"conversation_id": ["a"], "conversation": [chat]}).write_parquet(path)
    assert [prompt.text for prompt in read_prompts(str(path))] == ["Hi."]


def test_a_csv_of_prompts(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text('prompt,tenant,output_tokens\n"one, two",a,5\nthree,,\n')
    found = prompt_file(str(path))
    assert [(p.text, p.tenant, p.max_tokens) for p in found.prompts] == [
        ("one, two", "a", 5),
        ("three", None, None),
    ]
    assert found.found == ("1 of the prompts bring their own most tokens of an answer",)


@pytest.mark.parametrize(("own", "cap"), [(None, 100), (30, 30), (300, 100)])
def test_the_smaller_cap_counts(own, cap):
    assert Prompt("p:1", "text", max_tokens=own).cap(100) == cap


@pytest.mark.parametrize("cap", [0, -1, 1.5, "many"])
def test_a_cap_that_is_no_number_of_tokens_names_the_line(tmp_path, cap):
    source = write(tmp_path / "p.jsonl", {"prompt": "one"}, {"prompt": "two", "output_tokens": cap})
    with pytest.raises(UserError, match=r"line 2: .*output_tokens is not a number of tokens"):
        read_prompts(source)


def test_what_was_left_out_is_counted(tmp_path):
    source = write(tmp_path / "p.jsonl", {"prompt": "a", "uniform": False}, {"prompt": "b"})
    assert [str(each) for each in prompt_file(source).left_out] == [
        "1 row left out: chosen by a rating (uniform is false)"
    ]
