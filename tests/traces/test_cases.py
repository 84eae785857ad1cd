"""The files of ../shared/cases: what each of them should be read as."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lengthwise.errors import UserError
from lengthwise.traces import Trace, read_trace
from lengthwise.traces.prompts import prompt_file

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"

TRACES = {
    "01_azure2023_conv.csv": ("azure", 1740, 224, [0, 4.314579, 4.541877, 4.541877], 0),
    "02_azure2024_1week.csv": ("azure", 4637, 26, [0, 0.5, 0.501163], 0),
    "04_burstgpt_v1.csv": ("burstgpt", 1969, 284, [0, 40, 40], 2),
    "05_burstgpt_v2.csv": ("burstgpt", 425, 173, [0, 2, 7], 1),
    "07_mooncake_fast25.jsonl": ("mooncake", 2900, 83, [0, 3, 3], 0),
    "08_bailian_blksz16.jsonl": ("mooncake", 868, 193, [0, 30.5, 61.114], 0),
    "09_guidellm_trace.jsonl": ("guidellm", 1068, 201, [0, 0.5, 2.0], 0),
    "21_vidur.csv": ("vidur", 1649, 208, [0, 4.314579, 4.541877], 0),
    "23_plain_semicolon_bom.csv": ("plain", 52, 13, [0, 0.75], 0),
    "24_plain_iso_arrivals.csv": ("plain", 52, 13, [0, 1.5], 0),
    "25_plain_by_completion.csv": ("plain", 61, 307, [0, 2.5, 3.5], 0),
    "26_plain_zero_output.csv": ("plain", 21, 7, [0, 2], 1),
    "27_plain_lines.json": ("plain", 52, 13, [0, 1.5], 0),
    "29_two_members.jsonl.gz": ("plain", 52, 13, [0, 1.5], 0),
    "32_tenant_priority_float.csv": ("plain", 61, 15, [0, 1, 2], 0),
    "34_vllm_bench_result.json": ("vllm-bench", 52, 13, [0, 0.4], 0),
    "37_long_field.csv": ("plain", 52, 13, [0, 1], 0),
    "38_header_spaces.csv": ("plain", 52, 13, [0, 1], 0),
    "40_baseten.parquet": ("baseten", 57, 17, [0, 0.2], 0),
}
"""Format, prompt tokens, output tokens, seconds of arrival, rows left out."""

REFUSED = {
    "31_nan_null.jsonl": "line 2: prompt_tokens is not a number",
    "35_header_only.csv": "no requests in it",
    "13_sharegpt_v3.json": "texts without token counts: give --tokenizer",
    "14_lmsys_chat.jsonl": "texts without token counts: give --tokenizer",
    "15_vllm_custom.jsonl": "texts without token counts: give --tokenizer",
    "17_openai_batch.jsonl": "texts without token counts: give --tokenizer",
}


def case(name: str) -> Path:
    path = CASES / name
    if not path.exists():
        pytest.skip(f"{path} does not exist")
    return path


def read(name: str) -> Trace:
    return read_trace(case(name))


@pytest.mark.parametrize("name", TRACES)
def test_each_trace_is_read_as_it_should_be(name: str) -> None:
    format, prompt, output, arrival, left_out = TRACES[name]
    trace = read(name)
    assert trace.format == format
    assert trace.workload.prompt.sum() == prompt
    assert trace.workload.output.sum() == output
    assert trace.workload.arrival == pytest.approx(arrival, abs=1e-6)
    assert sum(each.rows for each in trace.left_out) == left_out == trace.workload.dropped
    assert trace.rows == len(arrival) + left_out
    assert trace.timed


@pytest.mark.parametrize("name", REFUSED)
def test_each_bad_file_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(UserError, match=REFUSED[name]) as refused:
        read(name)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "prefixes", "block", "unit"),
    [
        ("07_mooncake_fast25.jsonl", [0, 1024, 0], 512, "ms"),
        ("08_bailian_blksz16.jsonl", [0, 32, 48], 16, "s"),
        ("40_baseten.parquet", [0, 32], 16, None),
    ],
)
def test_block_and_unit_are_found(
    name: str, prefixes: list[int], block: int, unit: str | None
) -> None:
    trace = read(name)
    assert trace.workload.prefix.tolist() == prefixes
    assert any(said.startswith(f"blocks of {block} tokens") for said in trace.found)
    if unit is not None:
        assert any(said.startswith(f"timestamp in {unit}:") for said in trace.found)


def test_tenants_and_priorities() -> None:
    workload = read("32_tenant_priority_float.csv").workload
    assert workload.tenant == ("acme", None, "zeta")
    assert workload.priority.tolist() == [1, 0, 0]


def test_unsorted_rows_are_said_to_be_sorted() -> None:
    trace = read("25_plain_by_completion.csv")
    assert any("sorted" in said for said in trace.found)
    assert trace.workload.output.tolist() == [300, 5, 2]


def test_a_bench_result_has_observed_times() -> None:
    observed = read("34_vllm_bench_result.json").observed
    assert observed is not None
    assert observed.first == pytest.approx([0.02, 0.43])
    assert observed.finish == pytest.approx([0.06, 0.5])


def test_burstgpts_elapsed_time_is_observed() -> None:
    observed = read("05_burstgpt_v2.csv").observed
    assert observed is not None
    assert observed.finish == pytest.approx([9.81, np.nan, 10.3], nan_ok=True)


@pytest.mark.parametrize(
    ("name", "texts", "left_out"),
    [
        ("13_sharegpt_v3.json", ["Name three rivers.", "Go on.", "Two and two?"], 3),
        ("14_lmsys_chat.jsonl", ["Name one colour.", "Write NAME_1 a letter."], 0),
        (
            "15_vllm_custom.jsonl",
            [
                "What is the highest mountain of the Harz?",
                "Count from one to five.",
                "Only a prompt.",
            ],
            0,
        ),
        ("17_openai_batch.jsonl", ["Name a tree.", "Name a bird."], 0),
    ],
)
def test_each_file_of_texts_has_its_prompts(name: str, texts: list[str], left_out: int) -> None:
    found = prompt_file(str(case(name)))
    assert [prompt.text for prompt in found.prompts] == texts
    assert sum(each.rows for each in found.left_out) == left_out


@pytest.mark.parametrize(
    ("name", "caps"),
    [("15_vllm_custom.jsonl", [12, 20, None]), ("17_openai_batch.jsonl", [16, 16])],
)
def test_rows_bring_their_caps(name: str, caps: list[int | None]) -> None:
    found = prompt_file(str(case(name)))
    assert [prompt.max_tokens for prompt in found.prompts] == caps


def test_every_case_has_a_test() -> None:
    files = {path.name for path in case("README.md").parent.iterdir()} - {"README.md"}
    assert files == {*TRACES, *REFUSED}
