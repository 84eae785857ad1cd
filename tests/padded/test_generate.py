from collections import Counter

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from lengthwise.errors import UserError
from lengthwise.padded.generate import Generator

CAP = 24


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A Llama of random weights whose end of answer comes at many different places."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "initializer_range": 0.4}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=48, eos_token_id=0, **sizes, **heads))
    out = tmp_path_factory.mktemp("tiny")
    model.save_pretrained(out)
    generator = Generator(str(out), 10_000)
    rows, _ = generator.generate(contexts(), [CAP] * len(contexts()), endless=True)
    ends = {token: [row.index(token) for row in rows if token in row] for token in range(48)}
    most_varied = max(ends, key=lambda token: len(set(ends[token])))
    model.generation_config.eos_token_id = model.config.eos_token_id = most_varied
    model.save_pretrained(out)
    return str(out)


@pytest.fixture(scope="module")
def generator(folder):
    return Generator(folder, 10_000)


def contexts():
    draw = np.random.default_rng(0)
    return [draw.integers(1, 48, length).tolist() for length in (3, 9, 5, 14, 2, 7, 11, 4)]


@pytest.fixture(scope="module")
def alone(generator):
    """Each prompt's answer without anybody beside it."""
    return [generator.run([each], [CAP], None)[1][0] for each in contexts()]


def test_a_padded_batch_answers_as_each_prompt_does_alone(generator, alone):
    ran, answers = generator.run(contexts(), [CAP] * 8, None)
    assert answers == alone
    assert ran.tokens == [len(answer) for answer in alone]
    assert all(ran.finished)
    assert len(set(ran.tokens)) > 2


def test_the_batch_runs_until_its_last_member_is_done(generator, alone):
    ran, _ = generator.run(contexts(), [CAP] * 8, None)
    assert ran.steps == max(map(len, alone))
    assert 8 * ran.steps > sum(ran.tokens)


def test_a_row_ends_at_its_own_limit(generator, alone):
    limits = [1, 2, 3, CAP, CAP, CAP, CAP, CAP]
    ran, answers = generator.run(contexts(), limits, None)
    assert answers == [answer[:most] for answer, most in zip(alone, limits, strict=True)]
    assert all(ran.finished)


def test_slices_one_after_another_give_the_unsliced_answers(generator, alone):
    answers = [[] for _ in alone]
    left = set(range(len(alone)))
    while left:
        rows = sorted(left)
        given = [contexts()[i] + answers[i] for i in rows]
        ran, more = generator.run(given, [CAP - len(answers[i]) for i in rows], 5)
        assert ran.steps <= 5
        for i, tokens, done in zip(rows, more, ran.finished, strict=True):
            answers[i] += tokens
            if done:
                left.remove(i)
    assert answers == alone


def test_a_batch_that_outgrows_the_budget_is_lost(folder, alone):
    small = Generator(folder, 8 * 16)
    ran, answers = small.run(contexts(), [CAP] * 8, None)
    assert ran.out_of_memory
    assert (ran.steps, ran.tokens, answers) == (3, [0] * 8, [])
    one, (answer,) = small.run([contexts()[0]], [CAP], None)
    assert not one.out_of_memory
    assert answer == alone[0]


def test_a_profile_times_each_step_and_ignores_ends(generator):
    first, steps = generator.profile(3, 10, 6)
    assert first > 0
    assert len(steps) == 5
    assert min(steps) >= 0


def test_the_end_of_an_answer_counts_as_its_last_token(generator, alone):
    (end,) = generator.ends
    early = [answer for answer in alone if len(answer) < CAP]
    assert early
    assert all(Counter(answer)[end] == 1 and answer[-1] == end for answer in early)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(UserError, match="cannot be loaded"):
        Generator(str(tmp_path), 100)
