"""What is worked out from a file's numbers: units of time, sizes of blocks, cached prefixes."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lengthwise.traces.blocks import block_hashes, block_of, seen_before
from lengthwise.traces.moments import epoch_of, unit_of
from lengthwise.traces.names import bare, matching, unit_in


@pytest.mark.parametrize(
    ("times", "unit"),
    [
        ([0, 3000, 3000, 6000], "ms"),
        ([0, 27, 131, 700, 1009], "ms"),
        ([0, 1, 1, 2, 5, 9], "s"),
        ([0, 0.25, 3], "s"),
        ([5, 5, 5], "s"),
        ([1.7e9, 1.7e9 + 5], "s"),
        ([1.7e12, 1.7e12 + 5], "ms"),
        ([1.7e15, 1.7e15 + 5], "us"),
        ([1.7e18, 1.7e18 + 5e9], "ns"),
        ([], "s"),
    ],
)
def test_the_unit_of_times(times: list[float], unit: str) -> None:
    assert unit_of(np.array(times, dtype=np.float64)).name == unit


@pytest.mark.parametrize(
    ("times", "usual", "unit"),
    [
        ([0, 30, 61], None, "s"),
        ([0, 30, 61], "ms", "ms"),
        ([0, 311, 607], None, "ms"),
        ([0, 311, 607], "s", "s"),
        ([0, 5, 9], "ms", "s"),
        ([0, 5000, 9001], "s", "ms"),
        ([*range(0, 100_000, 41)], None, "ms"),
    ],
)
def test_the_kind_of_file_decides_where_numbers_could_be_either(
    times: list[float], usual: str | None, unit: str
) -> None:
    assert unit_of(np.array(times, dtype=np.float64), usual).name == unit


@given(st.sampled_from([16, 32, 64, 128, 256, 512, 48]), st.lists(st.integers(1, 9000), min_size=1))
def test_the_size_of_a_block_explains_all_hashes(size: int, lengths: list[int]) -> None:
    prompt = np.array([*lengths, 5 * size + 1, 30 * size])
    hashes = -(-prompt // size)
    found = block_of(prompt, hashes)
    assert np.array_equal(-(-prompt // found.tokens), hashes)


def test_hashes_of_full_blocks_only() -> None:
    prompt = np.array([100, 250, 999, 4000, 31])
    assert block_of(prompt, prompt // 16).tokens == 16


def test_hashes_that_are_of_no_blocks() -> None:
    found = block_of(np.array([100, 200, 300, 400]), np.array([7, 1, 300, 2]))
    assert found.tokens == 0


hashes = st.lists(st.lists(st.integers(0, 30), max_size=5), min_size=1, max_size=12)


@given(hashes, st.booleans())
def test_leading_blocks_that_were_seen_before(lists: list[list[int]], far: bool) -> None:
    expected = []
    seen: set[int] = set()
    for each in lists:
        expected.append(next((i for i, h in enumerate(each) if h not in seen), len(each)))
        seen.update(each)
    spread = [[h * (10**12 if far else 1) for h in each] for each in lists]
    column = pl.Series(spread, dtype=pl.List(pl.Int64))
    assert seen_before(column).tolist() == expected


def test_hashes_may_be_texts() -> None:
    column, odd = block_hashes(pl.Series([["ab", "cd"], ["ab", "ef"]]))
    assert not odd.any()
    assert seen_before(column).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("text", "seconds", "fraction"),
    [
        ("1970-01-02 00:00:00", 86400, 0),
        ("1970-01-01T00:00:01.5Z", 1, 0.5),
        ("1970-01-01T01:00:01.2500000+01:00", 1, 0.25),
        ("1970-01-01T00:00:01,75-0030", 1801, 0.75),
        ("1970-01-01 00:00:05 UTC", 5, 0),
        ("1970/01/01 00:01", 60, 0),
        ("1970-02-30 00:00:00", None, None),
        ("yesterday", None, None),
    ],
)
def test_dates(text: str, seconds: int | None, fraction: float | None) -> None:
    whole, part = epoch_of(pl.Series([text]))
    assert whole[0] == seconds
    if seconds is not None:
        assert part[0] == fraction


@pytest.mark.parametrize(
    ("name", "per_second"),
    [
        ("t_ms", 1e3),
        ("latency (s)", 1.0),
        ("durationMs", 1e3),
        ("arrival_time_ns", 1e9),
        ("timestamp", None),
        ("ts", None),
        ("ms", None),
        ("tokens", None),
    ],
)
def test_units_in_names(name: str, per_second: float | None) -> None:
    assert unit_in(name) == per_second


def test_names_match_however_they_are_spelt() -> None:
    assert bare("Prompt Tokens") == bare("promptTokens") == bare("prompt_tokens")
    columns = ["usage.prompt_tokens", "Time Stamp", "a.b.usage.completion_tokens"]
    assert matching(["prompt_tokens"], columns) == "usage.prompt_tokens"
    assert matching(["usage.completion_tokens"], columns) == "a.b.usage.completion_tokens"
    assert matching(["nope", "timestamp"], columns) == "Time Stamp"
    assert matching(["prompt_tokens"], columns, nested=False) is None
