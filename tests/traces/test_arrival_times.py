import gzip
import json

import pytest

from lengthwise.errors import UserError
from lengthwise.traces.arrival_times import trace


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", "t_s,tokens\n5.0,1\n5.5,2\n7.0,3\n"),
        ("t.csv", "tokens,t_ms\n1,5000\n2,5500\n3,7000\n"),
        ("t.jsonl", '{"t_s": 5.0}\n{"t_s": 5.5, "x": 1}\n{"t_s": 7.0}\n'),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_trace_starts_at_zero(tmp_path, name, text, packed):
    path = tmp_path / (name + ".gz" if packed else name)
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    assert trace(path, 3, None) == [0.0, 0.5, 2.0]
    assert trace(path, 2, None) == [0.0, 0.5]


def times_csv(tmp_path, *times):
    path = tmp_path / "t.csv"
    path.write_text("t_s\n" + "".join(f"{t}\n" for t in times))
    return path


def test_a_trace_is_scaled_to_a_rate(tmp_path):
    path = times_csv(tmp_path, 5.0, 5.5, 7.0)
    assert trace(path, 3, rate=4.0) == pytest.approx([0.0, 0.125, 0.5])


def test_a_trace_of_one_moment_stays_one_moment(tmp_path):
    assert trace(times_csv(tmp_path, 5.0, 5.0), 2, rate=4.0) == [0.0, 0.0]


def test_a_trace_that_is_too_short_says_how_short(tmp_path):
    with pytest.raises(UserError, match="has 2 arrivals, 3 are needed"):
        trace(times_csv(tmp_path, 1.0, 2.0), 3, None)


def test_times_are_sorted(tmp_path):
    assert trace(times_csv(tmp_path, 1.0, 3.0, 2.0), 3, None) == [0.0, 1.0, 2.0]


def test_any_trace_that_is_read_has_times(tmp_path):
    path = tmp_path / "t.jsonl"
    rows = [
        {"timestamp": time, "input_length": 9, "output_length": 2, "hash_ids": [1]}
        for time in (0, 3000, 6000)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert trace(path, 3, None) == [0.0, 3.0, 6.0]


@pytest.mark.parametrize("bad", ["", "soon"])
def test_a_bad_csv_record_is_named(tmp_path, bad):
    path = tmp_path / "t.csv"
    path.write_text(f"n,t_s\n1,1.0\n2,{bad}\n3,3.0\n")
    with pytest.raises(UserError, match="line 3"):
        trace(path, 3, None)


@pytest.mark.parametrize("bad", ["{}", "[1]", "5", '{"t_s": null}', "not json"])
def test_a_bad_json_record_is_named(tmp_path, bad):
    path = tmp_path / "t.jsonl"
    path.write_text(json.dumps({"t_s": 1}) + f"\n{bad}\n")
    with pytest.raises(UserError, match=r"record 2|line 2"):
        trace(path, 2, None)


def test_a_missing_trace_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.csv"):
        trace(tmp_path / "nowhere.csv", 1, None)
