import pytest
from hypothesis import given
from hypothesis import strategies as st

from lengthwise.core.request import Request
from lengthwise.padded import SliceTime
from lengthwise.padded.groups import group

SLICE = 16
COEFFICIENTS = st.tuples(*[st.floats(0.0, 1.0)] * 4)


def requests(lengths):
    return [Request(str(i), 0.0, i, length) for i, length in enumerate(lengths)]


def partitions(items):
    """Every way to put items into groups."""
    if not items:
        yield []
        return
    first, *rest = items
    for others in partitions(rest):
        yield [[first], *others]
        for i, each in enumerate(others):
            yield [*others[:i], [first, *each], *others[i + 1 :]]


def cost(lengths, time, memory, most):
    """Seconds of a group, or infinitely many if it may not be."""
    size, length = len(lengths), max(lengths)
    allowed = size == 1 or (size <= most and size * (length + SLICE) <= memory)
    return time.slice(size, length, SLICE) if allowed else float("inf")


@given(
    st.lists(st.integers(1, 100), min_size=1, max_size=6),
    COEFFICIENTS,
    COEFFICIENTS,
    st.integers(50, 800),
    st.integers(1, 8),
)
def test_no_partition_at_all_is_faster(lengths, prefills, decodes, memory, most):
    time = SliceTime(prefills, decodes)
    batches = group(requests(lengths), time, SLICE, memory, most)
    found = sum(cost([r.prompt_tokens for r in b.requests], time, memory, most) for b in batches)
    best = min(
        sum(cost(each, time, memory, most) for each in partition)
        for partition in partitions(lengths)
    )
    assert found == pytest.approx(best, abs=1e-9)
    assert sum(batch.estimate for batch in batches) == pytest.approx(found)


@given(st.lists(st.integers(1, 500), min_size=1, max_size=60), st.integers(100, 2000))
def test_everybody_is_in_one_batch_and_batches_fit(lengths, memory):
    time = SliceTime((0.0, 0.0, 1e-4, 1.0), (0.0, 0.0, 1e-4, 1.0))
    made = requests(lengths)
    batches = group(made, time, SLICE, memory, float("inf"))
    members = [request.seq for batch in batches for request in batch.requests]
    assert sorted(members) == list(range(len(made)))
    assert all(len(b) == 1 or len(b) * (b.length + SLICE) <= memory for b in batches)


def test_like_lengths_share_a_batch_where_padding_costs_more_than_a_batch():
    time = SliceTime((1.0, 0.0, 0.0, 50.0), (0.0, 0.0, 0.0, 0.0))
    batches = group(requests([10, 100, 11, 99]), time, SLICE, 10_000, 10)
    found = sorted(sorted(r.prompt_tokens for r in batch.requests) for batch in batches)
    assert found == [[10, 11], [99, 100]]


def test_a_slices_length_counts_what_was_generated():
    one, other = Request("a", 0.0, 0, 10, generated=90), Request("b", 0.0, 1, 100)
    time = SliceTime((1.0, 0.0, 0.0, 1.0), (0.0, 0.0, 0.0, 0.0))
    (batch,) = group([one, other], time, SLICE, 10_000, 10)
    assert (batch.length, batch.padding) == (100, 0)


def test_nobody_makes_no_batch():
    time = SliceTime((1.0, 0.0, 0.0, 1.0), (0.0, 0.0, 0.0, 0.0))
    assert group([], time, SLICE, 100, 4) == []
