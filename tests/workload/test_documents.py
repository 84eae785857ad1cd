import hashlib
import math
import re
from collections import Counter

import pytest

from lengthwise.traces.prompts import read_prompts
from lengthwise.workload.document_prompts import COUNT, LONGEST, SHORTEST, kinds, texts
from lengthwise.workload.prompts import held_out

TOKENS_A_WORD = 1.33
"""Of SmolLM2's tokenizer, measured on these documents; tests need not have the model."""


@pytest.fixture(scope="module")
def prompts():
    return read_prompts("documents")


@pytest.fixture(scope="module")
def documents(prompts):
    return [prompt.text for prompt in prompts if "\n\n" in prompt.text]


def words(text):
    return len(text.split())


def kind_of(document):
    """Its title says which it is."""
    title = document.split("\n\n")[1]
    (kind,) = (kind for kind in kinds() if title.startswith(kind.title.split(" {")[0]))
    return kind


def test_all_prompts_are_different_and_always_the_same(prompts):
    assert len({prompt.text for prompt in prompts}) == len(prompts) == COUNT
    assert texts() == texts() == [prompt.text for prompt in prompts]


def test_they_are_the_prompts_that_were_measured(prompts):
    """Another Python or another edit must not change what figures were measured on."""
    assert prompts[1].text == "Write one friendly sentence to a friend who is ill."
    assert prompts[0].text.startswith(
        "According to the minutes, what will the car park surface cost"
    )
    joined = "\n".join(prompt.text for prompt in prompts)
    assert hashlib.sha256(joined.encode()).hexdigest()[:16] == "4b913e1bca07e44c"


def test_half_of_any_stretch_are_short_questions_of_a_line(prompts):
    for start in range(0, COUNT, 2):
        pair = [prompt.text for prompt in prompts[start : start + 2]]
        assert sum("\n" not in text and words(text) < 20 for text in pair) == 1


def test_documents_and_questions_come_in_no_fixed_order(prompts):
    first = sum("\n" not in prompt.text for prompt in prompts[::2])
    assert 0.3 < first / (COUNT // 2) < 0.7


def test_documents_have_100_to_1500_tokens_and_log_uniform_lengths(documents):
    tokens = sorted(TOKENS_A_WORD * words(text) for text in documents)
    assert 90 < tokens[0] < 130
    assert 1300 < tokens[-1] < 1550
    spread = math.log(LONGEST / SHORTEST)
    for quarter in (1, 2, 3):
        middle = tokens[quarter * len(tokens) // 4]
        at = math.log(middle / (TOKENS_A_WORD * SHORTEST)) / spread
        assert abs(at - quarter / 4) < 0.12


def test_every_kind_is_there_as_often(documents):
    found = Counter(kind_of(text).noun for text in documents)
    assert len(found) == len(kinds())
    assert max(found.values()) - min(found.values()) <= 1


def test_the_question_comes_first_and_its_subject_is_in_the_document(documents):
    about_one_entry = 0
    for text in documents:
        question, document = text.split("\n\n", 1)
        subjects = [each for each in kind_of(text).subjects if each in question]
        about_one_entry += bool(subjects)
        for subject in subjects:
            assert re.search(rf"^{re.escape(subject)}\. ", document, re.IGNORECASE | re.MULTILINE)
    assert 0.5 < about_one_entry / len(documents) < 0.8


def test_nothing_is_left_to_fill_in_and_no_entry_is_there_twice(documents):
    for text in documents:
        assert not re.search(r"[{}]", text)
        kind = kind_of(text)
        named = [subject[0].upper() + subject[1:] for subject in kind.subjects]
        entries = [line for line in text.split("\n\n") if line.startswith(tuple(named))]
        assert len({entry.split(".")[0] for entry in entries}) == len(entries) >= 1


def test_a_limit_and_the_held_out_quarter_are_as_of_a_file(prompts):
    assert read_prompts("documents", 7) == prompts[:7]
    assert prompts[6].id == "documents:7"
    assert 0.2 < sum(held_out(prompt.id) for prompt in prompts) / COUNT < 0.3
