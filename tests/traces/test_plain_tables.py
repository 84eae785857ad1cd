"""The same table written in every plain way reads back as the same requests."""

from __future__ import annotations

import gzip
import io
import json
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lengthwise.traces import read_trace

NAMES = ("arrival_s", "prompt_tokens", "output_tokens", "tenant", "note")
Row = tuple[float, int, int, str | None, str]

# Quarters of seconds are exact in every notation.
rows = st.tuples(
    st.integers(0, 10**6).map(lambda quarters: quarters / 4),
    st.integers(1, 10**6),
    st.integers(1, 10**6),
    st.sampled_from(["acme", "Ünï", None]),
    st.text("ab\n,;\t\"' é", max_size=9),
)


def csv(table: list[Row], separator: str = ",", end: str = "\n", comma: bool = False) -> bytes:
    def field(value: object) -> str:
        if value is None:
            return ""
        if isinstance(value, float):
            return str(value).replace(".", ",") if comma else str(value)
        if isinstance(value, str):
            return '"' + value.replace('"', '""') + '"'
        return str(value)

    lines = [separator.join(NAMES), *(separator.join(map(field, row)) for row in table)]
    return (end.join(lines) + end).encode()


def objects(table: list[Row]) -> list[dict[str, object]]:
    return [dict(zip(NAMES, row, strict=True)) for row in table]


def json_lines(table: list[Row]) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in objects(table))


def parquet(table: list[Row]) -> bytes:
    out = io.BytesIO()
    pl.DataFrame(objects(table), infer_schema_length=None).write_parquet(out)
    return out.getvalue()


def arrow(table: list[Row]) -> bytes:
    out = io.BytesIO()
    pl.DataFrame(objects(table), infer_schema_length=None).write_ipc(out)
    return out.getvalue()


def spread(table: list[Row]) -> bytes:
    """With spaces behind the header's commas and floats for whole numbers."""
    header, _, body = csv([(a, float(p), float(o), t, n) for a, p, o, t, n in table]).partition(
        b"\n"
    )
    return header.replace(b",", b", ") + b"\n" + body


def members(table: list[Row]) -> bytes:
    half = len(table) // 2
    return b"".join(
        gzip.compress(json_lines(part)) for part in (table[:half], table[half:]) if part
    )


WAYS: dict[str, Callable[[list[Row]], bytes]] = {
    "csv": csv,
    "semicolons": lambda table: csv(table, ";"),
    "decimal commas": lambda table: csv(table, ";", comma=True),
    "tabs": lambda table: csv(table, "\t"),
    "a comment above": lambda table: b"# exported, today\n\n" + csv(table),
    "a separator above": lambda table: b"sep=;\r\n" + csv(table, ";", comma=True),
    "bom": lambda table: b"\xef\xbb\xbf" + csv(table),
    "utf-16": lambda table: csv(table, "\t").decode().encode("utf-16"),
    "crlf": lambda table: csv(table, end="\r\n"),
    "spaces and floats": spread,
    "json lines": json_lines,
    "json lines with blank ones": lambda table: b"\n" + json_lines(table).replace(b"}\n", b"}\n\n"),
    "array": lambda table: json.dumps(objects(table)).encode(),
    "array over lines": lambda table: json.dumps(objects(table), indent=2).encode(),
    "wrapped array": lambda table: json.dumps({"n": 1, "data": objects(table)}).encode(),
    "parquet": parquet,
    "arrow": arrow,
    "gzip": lambda table: gzip.compress(csv(table)),
    "two members": members,
}


def check(path: Path, table: list[Row]) -> None:
    found = read_trace(path)
    ordered = sorted(table, key=lambda row: row[0])
    workload = found.workload
    assert workload.arrival.tolist() == [row[0] - ordered[0][0] for row in ordered]
    assert workload.prompt.tolist() == [row[1] for row in ordered]
    assert workload.output.tolist() == [row[2] for row in ordered]
    tenants = tuple(row[3] for row in ordered)
    assert workload.tenant == (tenants if any(tenants) else ())
    assert (found.rows, found.left_out) == (len(table), ())


@settings(max_examples=12, deadline=None)
@pytest.mark.parametrize("way", WAYS)
@given(table=st.lists(rows, min_size=1, max_size=6))
def test_a_table_reads_back(
    tmp_path_factory: pytest.TempPathFactory, way: str, table: list[Row]
) -> None:
    path = tmp_path_factory.mktemp("table") / "some.dat"  # no name that helps
    path.write_bytes(WAYS[way](table))
    check(path, table)


@pytest.mark.parametrize("way", ["csv", "json lines", "array", "parquet", "decimal commas"])
def test_shuffled_rows_read_back(tmp_path: Path, way: str) -> None:
    rng = random.Random(1)
    table: list[Row] = [(i / 4, i + 1, 2 * i + 1, None, "") for i in range(2000)]
    rng.shuffle(table)
    path = tmp_path / "some.dat"
    path.write_bytes(WAYS[way](table))
    check(path, table)


@pytest.mark.parametrize("way", ["csv", "json lines"])
@pytest.mark.parametrize("pack", ["gzip", "zstd", "bz2", "xz"])
def test_packed_files_read_the_same(tmp_path: Path, way: str, pack: str) -> None:
    table: list[Row] = [(0.0, 3, 4, "a", "x\ny"), (1.5, 5, 6, None, "")]
    plain = tmp_path / "plain"
    plain.write_bytes(WAYS[way](table))
    packed = tmp_path / "packed"
    if pack == "zstd":
        if shutil.which("zstd") is None:
            pytest.skip("needs zstd")
        subprocess.run(["zstd", "-q", "-o", packed, plain], check=True)
        packed.write_bytes(packed.read_bytes())
    else:
        module = {"gzip": gzip, "bz2": __import__("bz2"), "xz": __import__("lzma")}[pack]
        packed.write_bytes(module.compress(plain.read_bytes()))
    check(packed, table)


def test_a_zstd_file_of_two_frames(tmp_path: Path) -> None:
    frame = pl.DataFrame({"prompt_tokens": [3], "output_tokens": [4]})
    first, second = tmp_path / "a", tmp_path / "b"
    frame.write_ndjson(first, compression="zstd", check_extension=False)
    frame.write_ndjson(second, compression="zstd", check_extension=False)
    both = tmp_path / "both"
    both.write_bytes(first.read_bytes() + second.read_bytes())
    assert read_trace(both).workload.prompt.tolist() == [3, 3]


def test_fields_of_any_length(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    path.write_text(f'prompt_tokens,output_tokens,text\n1,2,"{"word " * 300_000}"\n3,4,\n')
    assert read_trace(path).workload.prompt.tolist() == [1, 3]


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("1,2,a\n\n\n3,x,b\n", 5),
        ('1,2,"a\nb\nc"\n3,x,b\n', 5),
        ('1,2,"a\r\nb"\n\n3,x,"c\nd"\n', 5),
        ("1,2,a\n,,\n3,x,b\n", 4),
        ('1,2,b"c\n3,x,b\n', 3),
    ],
)
def test_the_physical_line_is_named(tmp_path: Path, body: str, line: int) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(f"prompt_tokens,output_tokens,text\n{body}".encode())
    with pytest.raises(ValueError, match=f"line {line}: output_tokens is not a number: 'x'"):
        read_trace(path)


def test_rows_without_any_value_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("prompt_tokens,output_tokens\n1,2\n,\n\n3,4\n")
    found = read_trace(path)
    assert found.rows == 3
    assert [str(each) for each in found.left_out] == ["1 row left out: nothing in them"]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"PK\x03\x04 and more", "a ZIP archive or an Excel workbook"),
        (b"SQLite format 3\x00", "an SQLite data base"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "git lfs pull"),
        (b"PAR1 cut", "cannot be read as parquet"),
        (b"\x28\xb5\x2f\xfd cut", "cannot be read"),
        (b"prompt_tokens,output_tokens\n1,2\n\xff\xfe,3\n", "cannot be read"),
        (b"[1, 2]", "record 1: expected a JSON object"),
        (b'[{"prompt_tokens": 1}, 2]', "record 2: expected a JSON object"),
        (b'{"prompt_tokens": 1', "line 1: expected a JSON object"),
    ],
)
def test_what_is_no_table_is_refused_in_one_line(tmp_path: Path, data: bytes, says: str) -> None:
    path = tmp_path / "odd"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=says) as refused:
        read_trace(path)
    assert "\n" not in str(refused.value)


def test_types_that_differ_from_line_to_line(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(
        '{"t_s": 0, "prompt_tokens": 1, "output_tokens": 2, "note": {"a": 1}}\n'
        '{"t_s": "1.5", "prompt_tokens": "3", "output_tokens": 4.0, "note": [1]}\n'
        '{"t_s": 2, "prompt_tokens": 5, "output_tokens": 6, "note": true}\n'
    )
    workload = read_trace(path).workload
    assert workload.arrival == pytest.approx([0, 1.5, 2])
    assert np.array_equal(workload.prompt, [1, 3, 5])


def test_lines_above_the_header_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("# by me\nsep=;\nprompt_tokens;output_tokens\n1;2\n3;x\n")
    with pytest.raises(ValueError, match="line 5: output_tokens is not a number"):
        read_trace(path)


def test_a_header_may_begin_with_a_hash_sign(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("#prompt_tokens,output_tokens\n1,2\n")
    assert read_trace(path).workload.prompt.tolist() == [1]
