"""What is known of a model before an engine loads it: its context, and prompts that fit."""

import json

import pytest
from transformers import AutoTokenizer

from lengthwise.errors import UserError
from lengthwise.models.served import Tokenized, chat_ids, config_of, context_of
from lengthwise.workload.prompts import Prompt

WORDS = {"[unk]": 0, "hi": 1, "user:": 2}
TEMPLATE = "{% for m in messages %}user: {{ m['content'] }}{% endfor %}"
PROMPTS = [Prompt(f"p:{n}", "hi " * n) for n in (1, 30, 54, 55, 60)]


@pytest.fixture
def chat(model_of):
    return model_of(WORDS, template=TEMPLATE)


@pytest.fixture
def base(model_of):
    return model_of(WORDS, template=None)


def test_prompts_are_put_into_the_chat_template(chat):
    assert chat_ids(AutoTokenizer.from_pretrained(chat), "hi hi") == [2, 1, 1]
    assert Tokenized.of(chat, PROMPTS[:1], 9, 64).notes == []


def test_a_model_without_a_template_is_served_the_prompts_as_they_are(base, capsys):
    assert chat_ids(AutoTokenizer.from_pretrained(base), "hi hi") == [1, 1]
    found = Tokenized.of(base, PROMPTS[:2], 9, 64)
    assert [ids for _, ids in found.requests] == [[1], [1] * 30]
    found.tell()
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "lengthwise: model model has no chat template: prompts are served as they are"


def test_prompts_that_do_not_fit_are_left_out_and_counted(chat, capsys):
    found = Tokenized.of(chat, PROMPTS, 9, 64)
    assert [prompt.id for prompt, _ in found.requests] == ["p:1", "p:30", "p:54"]
    found.tell()
    (line,) = capsys.readouterr().err.splitlines()
    says = "2 prompts left out: longer than the model's context of 64 tokens less --max-tokens"
    assert line == f"lengthwise: {says}"


def test_or_refused(chat):
    with pytest.raises(UserError, match=r"^2 prompts: longer .* the longest p:60 with 61: lower"):
        Tokenized.of(chat, PROMPTS, 9, 64, "refuse")
    assert len(Tokenized.of(chat, PROMPTS[:3], 9, 64, "refuse").requests) == 3


def test_with_none_left_there_is_nothing_to_do(chat):
    with pytest.raises(UserError, match="2 prompts and no other: longer"):
        Tokenized.of(chat, PROMPTS[3:], 9, 64)


@pytest.mark.parametrize(
    ("config", "context"),
    [
        ({"max_position_embeddings": 64}, 64),
        ({"max_position_embeddings": 8192}, 2048),
        ({"n_positions": 1024}, 1024),
        ({"text_config": {"max_position_embeddings": 512}}, 512),
        ({"max_position_embeddings": None}, 2048),
        ({}, 2048),
    ],
)
def test_the_context_is_the_models_and_at_most_the_engines(tmp_path, config, context):
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert context_of(tmp_path) == context
    assert config_of(tmp_path) == config.get("text_config", config)
