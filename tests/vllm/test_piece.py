from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lengthwise.core.slices import slice_end
from lengthwise.vllm.piece import KEY, Slice, max_tokens, output_bounds

sizes = st.integers(1, 300)


@given(sizes, st.integers(0, 500), sizes, sizes)
def test_a_slice_has_at_least_one_token_and_at_most_those_allowed(prompt, generated, most, block):
    assert generated < slice_end(prompt, generated, most, block) <= generated + most


@given(sizes, st.integers(0, 500), sizes, sizes)
def test_it_ends_with_a_full_block_if_one_is_filled_within_it(prompt, generated, most, block):
    """All tokens but the last have entries in the cache."""
    end = slice_end(prompt, generated, most, block)
    fills = [e for e in range(generated + 1, generated + most + 1) if (prompt + e - 1) % block == 0]
    assert end == (fills[-1] if fills else generated + most)


def test_after_the_first_slices_are_full_where_they_are_whole_blocks():
    ends = [slice_end(50, 0, 64, 32)]
    ends.append(slice_end(50, ends[-1], 64, 32))
    ends.append(slice_end(50, ends[-1], 64, 32))
    assert ends == [47, 111, 175]


def test_a_slices_facts_travel_beside_what_the_client_gave():
    sent = Slice([4, 5], 90).extra_args({"tenant": "a"})
    params = SimpleNamespace(extra_args=sent)
    assert Slice.of(params) == Slice([4, 5], 90)
    assert sent["tenant"] == "a"


def test_a_whole_request_is_no_slice():
    nearly = [{"generated": [1]}, {"generated": 1, "max_tokens": 2}, {"a": 1, "max_tokens": 2}]
    nearly.append({"generated": [1], "max_tokens": True})
    hints = [None, {}, {"tenant": "a"}, *({KEY: each} for each in ("a", [1, 2], *nearly))]
    for given_args in hints:
        assert Slice.of(SimpleNamespace(extra_args=given_args)) is None
    assert Slice.of(None) is None


def test_the_clients_max_tokens_is_known_inside_a_slice():
    facts = {KEY: {"generated": [], "max_tokens": 90}}
    piece = SimpleNamespace(max_tokens=20, sampling_params=SimpleNamespace(extra_args=facts))
    whole = SimpleNamespace(max_tokens=20, sampling_params=SimpleNamespace(extra_args=None))
    assert (max_tokens(piece), max_tokens(whole)) == (90, 20)


def test_a_slice_fits_its_request_only_if_an_earlier_slice_can_have_left_it():
    whole = SimpleNamespace(max_tokens=20, num_prompt_tokens=10)
    ok = {"vocabulary": 100, "longest": 50}
    assert Slice([], 90).fits(whole, **ok)
    assert Slice([0, 99], 20).fits(whole, **ok)
    assert not Slice([5] * 20, 90).fits(whole, **ok), "the slice would have no token left"
    assert not Slice([5], 19).fits(whole, **ok), "a slice's limit is part of its request's"
    assert not Slice([5] * 19, 90).fits(whole, vocabulary=100, longest=29)
    for token in (-1, 100, 10**30, True, 1.5, "a", None, [1]):
        assert not Slice([5, token], 90).fits(whole, **ok)


@pytest.mark.parametrize(
    ("given_params", "bounds"),
    [
        ({}, (1, 20)),
        ({"min_tokens": 7}, (7, 20)),
        ({"min_tokens": 20}, (20, 20)),
        ({"ignore_eos": True}, (20, 20)),
        ({"ignore_eos": True, "stop": ["."], "min_tokens": 3}, (3, 20)),
        ({"ignore_eos": True, "stop_token_ids": [5]}, (1, 20)),
        ({"extra_args": {KEY: {"generated": [], "max_tokens": 90}}}, (1, 90)),
    ],
)
def test_what_a_client_allows_bounds_the_answer(given_params, bounds):
    params = {"min_tokens": 0, "ignore_eos": False, "stop": [], "stop_token_ids": []}
    params |= {"extra_args": None} | given_params
    request = SimpleNamespace(max_tokens=20, sampling_params=SimpleNamespace(**params))
    assert output_bounds(request) == bounds


def test_a_request_without_sampling_has_bounds_too():
    assert output_bounds(SimpleNamespace(max_tokens=1, sampling_params=None)) == (1, 1)
