import pytest
from hypothesis import given
from hypothesis import strategies as st

from lengthwise.padded.wma import Waste

MEMBERS = st.lists(st.tuples(st.integers(1, 300), st.integers(1, 60)), min_size=1, max_size=8)


def literal(members):
    """The paper's two terms, token by token, for each member."""
    longest = max(length for length, _ in members)
    last = max(generation for _, generation in members)
    return [
        generation * (longest - length) + sum(g + longest for g in range(generation, last))
        for length, generation in members
    ]


def waste_of(members):
    waste = Waste()
    for member in members:
        waste = waste.joined(*member)
    return waste


@given(MEMBERS)
def test_a_batchs_waste_is_the_papers_sum_over_steps(members):
    waste = waste_of(members)
    assert waste.worst == pytest.approx(max(literal(members)))
    assert waste.sum == pytest.approx(sum(literal(members)))


@given(MEMBERS)
def test_memory_is_every_row_padded_to_its_end(members):
    lengths, generations = zip(*members, strict=True)
    assert waste_of(members).memory == len(members) * (max(lengths) + max(generations))


def test_equal_requests_waste_nothing():
    assert waste_of([(70, 30)] * 5).worst == 0
