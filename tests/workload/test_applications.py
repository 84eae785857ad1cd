from collections import Counter

import pytest

from lengthwise.predictors.magnus_inputs import parts
from lengthwise.traces.prompts import read_prompts
from lengthwise.workload.application_prompts import APPLICATIONS, COUNT, LONGEST, SHORTEST, texts
from lengthwise.workload.prompts import held_out


@pytest.fixture(scope="module")
def prompts():
    return read_prompts("applications")


def words(prompt):
    return len(parts(prompt.text)["input"].split())


def test_all_prompts_are_different_and_always_the_same(prompts):
    assert len({prompt.text for prompt in prompts}) == len(prompts) == COUNT
    assert texts() == [prompt.text for prompt in prompts]


def test_applications_take_turns_and_the_forest_can_tell_them(prompts):
    found = [parts(prompt.text)["instruction"] for prompt in prompts]
    expected = [application.instruction for application in APPLICATIONS]
    assert found == expected * (COUNT // len(APPLICATIONS))


def test_inputs_are_of_all_lengths_in_every_application(prompts):
    for at in range(len(APPLICATIONS)):
        counts = sorted(map(words, prompts[at :: len(APPLICATIONS)]))
        # A single sentence may be shorter or longer than the shortest input.
        assert counts[0] < 4 * SHORTEST
        assert 0.8 * LONGEST < counts[-1] <= LONGEST
        assert counts[len(counts) // 4] * 3 < counts[3 * len(counts) // 4]


def test_no_sentence_is_twice_in_an_input(prompts):
    for prompt in prompts:
        sentences = parts(prompt.text)["input"].replace("?", ".").split(". ")
        assert max(Counter(sentences).values()) == 1


def test_a_limit_and_the_held_out_quarter_are_as_of_a_file(prompts):
    assert read_prompts("applications", 7) == prompts[:7]
    assert prompts[6].id == "applications:7"
    assert 0.2 < sum(held_out(prompt.id) for prompt in prompts) / COUNT < 0.3
