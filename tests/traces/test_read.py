import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lengthwise.errors import UserError
from lengthwise.traces import read_workload

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def lines(*objects):
    return "".join(json.dumps(each) + "\n" for each in objects)


MOONCAKE = lines(
    {"timestamp": 500, "input_length": 1500, "output_length": 5, "hash_ids": [0, 1, 2]},
    {"timestamp": 3500, "input_length": 1400, "output_length": 6, "hash_ids": [0, 1, 3]},
    {"timestamp": 3500, "input_length": 900, "output_length": 7, "hash_ids": [4, 1]},
    {"timestamp": 6500, "input_length": 600, "output_length": 8, "hash_ids": [0, 1]},
)
ALPACA = lines(
    {"uniform": True, "prompt_tok_llama3": 22, "output_tok_llama3": 11, "output": "a"},
    {"uniform": False, "prompt_tok_llama3": 23, "output_tok_llama3": 12, "output": "b"},
    {"uniform": True, "prompt_tok_llama3": 24, "output_tok_llama3": 13, "output": "c"},
    {"uniform": True, "prompt_tok_llama3": 25, "output_tok_llama3": 0, "output": ""},
)
SHAREGPT = (
    "row,conv_id,prompt_tok_llama3,output_tok_llama3,vllm_filter\n"
    "0,x_0,34,244,1\n1,y_0,3,71,0\n2,z_0,0,9,0\n3,w_0,62,398,1\n"
)
BURSTGPT = (
    "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
    "5,ChatGPT,472,18,490,Conversation log\n"
    "45,ChatGPT,1087,0,1087,API log\n"
    "118,GPT-4,417,276,693,Conversation log\n"
)
AZURE = (
    "TIMESTAMP,ContextTokens,GeneratedTokens\n"
    "2023-11-16 18:15:46.6805900,374,44\n"
    "2023-11-16 18:15:50.9951690,396,109\n"
)

CASES = {
    "azure": (
        "t.csv",
        "t_s,prompt_tokens,output_tokens\n2.0,374,44\n6.5,396,109\n",
        ([0, 4.5], [374, 396], [44, 109], [0, 0], 0),
    ),
    "azure's own": ("t.csv", AZURE, ([0, 4.314579], [374, 396], [44, 109], [0, 0], 0)),
    "azure of 2024": (
        "t.csv",
        AZURE.replace("900,", "90+00:00,").replace("690,", "69+00:00,"),
        ([0, 4.314579], [374, 396], [44, 109], [0, 0], 0),
    ),
    "mooncake": (
        "t.csv",
        "t_ms,prompt_tokens,output_tokens,n_blocks_512,n_blocks_seen_before\n"
        "0,1500,5,3,0\n3000,1400,6,3,2\n3000,1000,7,2,2\n",
        ([0, 3, 3], [1500, 1400, 1000], [5, 6, 7], [0, 1024, 1000], 0),
    ),
    "mooncake's own": (
        "t.jsonl",
        MOONCAKE,
        ([0, 3, 3, 6], [1500, 1400, 900, 600], [5, 6, 7, 8], [0, 1024, 0, 600], 0),
    ),
    "burstgpt": ("t.csv", BURSTGPT, ([0, 113], [472, 417], [18, 276], [0, 0], 1)),
    "sharegpt": ("t.csv", SHAREGPT, ([0, 0], [34, 62], [244, 398], [0, 0], 2)),
    "alpaca": ("t.jsonl", ALPACA, ([0, 0], [22, 24], [11, 13], [0, 0], 2)),
    "plain": (
        "t.csv",
        "arrival_s,prompt_tokens,output_tokens\n1,7,3\n1.5,8,4\n",
        ([0, 0.5], [7, 8], [3, 4], [0, 0], 0),
    ),
    "plain in ms": (
        "t.csv",
        "prompt_tokens,output_tokens,t_ms\n7,3,1000\n8,4,1500\n",
        ([0, 0.5], [7, 8], [3, 4], [0, 0], 0),
    ),
    "plain without times": (
        "t.jsonl",
        '{"prompt_tokens": 7, "output_tokens": 3}\n\n{"prompt_tokens": 8, "output_tokens": 4}\n',
        ([0, 0], [7, 8], [3, 4], [0, 0], 0),
    ),
}


def write(folder, name, text, packed=False):
    path = folder / (name + ".gz" if packed else name)
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    return path


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_every_layout_is_read(tmp_path, case, named, packed):
    name, text, (arrival, prompt, output, prefix, dropped) = CASES[case]
    path = write(tmp_path, name, text, packed)
    format = case.split("'")[0].split()[0]
    found = read_workload(f"{format}:{path}" if named else path)
    assert found.arrival == pytest.approx(arrival, abs=1e-6)
    assert found.prompt.tolist() == prompt
    assert found.output.tolist() == output
    assert found.prefix.tolist() == prefix
    assert found.dropped == dropped
    assert found.name == "t"


def test_everything_keeps_what_is_usually_left_out(tmp_path):
    alpaca = read_workload(write(tmp_path, "a.jsonl", ALPACA), everything=True)
    assert (alpaca.prompt.tolist(), alpaca.dropped) == ([22, 23, 24], 1)
    sharegpt = read_workload(write(tmp_path, "s.csv", SHAREGPT), everything=True)
    assert (sharegpt.prompt.tolist(), sharegpt.dropped) == ([34, 3, 62], 1)
    burstgpt = read_workload(write(tmp_path, "b.csv", BURSTGPT), everything=True)
    assert (burstgpt.prompt.tolist(), burstgpt.dropped) == ([472, 417], 1)


def test_a_format_chooses_among_columns_that_fit_several(tmp_path):
    path = write(tmp_path, *CASES["mooncake"][:2])
    assert read_workload(f"plain:{path}").prefix.tolist() == [0, 0, 0]


def test_an_excel_export_reads_as_well(tmp_path):
    path = write(tmp_path, "t.csv", "\ufeffprompt_tokens,output_tokens\r\n7,3\r\n")
    assert read_workload(path).prompt.tolist() == [7]


PLAIN = "arrival_s,prompt_tokens,output_tokens\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (PLAIN + "0,1,1\n1,x,1\n", r"t\.csv, line 3: prompt_tokens is not a number: 'x'"),
        (PLAIN + "0,1,1\n1,1\n", "line 3: no output_tokens"),
        (PLAIN + "0,1,1\n1,,1\n", "line 3: no prompt_tokens"),
        (PLAIN + "0,1,1\n1,1,1,1\n", "line 3: more fields"),
        (PLAIN + "0,1,1\nnan,1,1\n", "line 3: arrival_s is not a number"),
        (PLAIN + "0,1,1\n1,inf,1\n", "line 3: prompt_tokens is not a number"),
        (PLAIN + "0,1,1\n1,1.5,1\n", "line 3: prompt_tokens is not a number of tokens"),
        (PLAIN + "0,1,1\n1,1e300,1\n", "line 3: prompt_tokens is not a number of tokens"),
        (PLAIN + "0,1,1\n\n1,0,1\n", "line 4: a prompt has at least 1 token"),
        (PLAIN + "0,1,1\n1,1,-1\n", "line 3: an output has at least 1 token"),
        (PLAIN, "no requests in it"),
        ("", "no requests in it"),
        ("a,b\n1,2\n", "line 2: expected the columns .* or prompt_tokens, output_tokens"),
        (AZURE.replace(":50.", ":"), "line 3: TIMESTAMP is not a date"),
        ("t_ms,prompt_tokens,output_tokens,n_blocks_seen_before\n0,9,9,-1\n", "line 2: cached"),
    ],
)
def test_a_bad_csv_line_is_named(tmp_path, text, message):
    with pytest.raises(UserError, match=message) as error:
        read_workload(write(tmp_path, "t.csv", text))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("not json", "line 3: expected a JSON object"),
        ("[1, 2]", "line 3: expected a JSON object"),
        ("{}", "line 3: no "),
        ('{"prompt_tokens": 1, "output_tokens": null}', "line 3: no output_tokens"),
        ('{"prompt_tokens": 1, "output_tokens": [2]}', "line 3: output_tokens is not a number"),
        ('{"prompt_tokens": 1, "output_tokens": NaN}', "line 3: output_tokens is not a number"),
    ],
)
def test_a_bad_json_line_is_named(tmp_path, bad, message):
    text = '{"prompt_tokens": 1, "output_tokens": 2}\n\n' + bad + "\n"
    with pytest.raises(UserError, match=message):
        read_workload(write(tmp_path, "t.jsonl", text))


@pytest.mark.parametrize("hashes", [None, 3, ["a"]])
def test_blocks_must_be_numbers(tmp_path, hashes):
    text = MOONCAKE + lines(
        {"timestamp": 9000, "input_length": 5, "output_length": 5, "hash_ids": hashes}
    )
    with pytest.raises(UserError, match="line 5: hash_ids"):
        read_workload(write(tmp_path, "t.jsonl", text))


def test_a_file_of_another_format_says_what_is_expected(tmp_path):
    with pytest.raises(UserError, match=r"line 2: expected the columns Timestamp, Request"):
        read_workload(f"burstgpt:{write(tmp_path, 't.csv', AZURE)}")


def test_only_failures_is_nothing(tmp_path):
    text = "".join(BURSTGPT.splitlines(keepends=True)[i] for i in (0, 2))
    with pytest.raises(UserError, match=r"no requests in it \(1 left out\)"):
        read_workload(write(tmp_path, "t.csv", text))


def test_an_unknown_format_is_a_missing_file_with_advice(tmp_path):
    with pytest.raises(UserError, match=r"azur:x\.csv cannot be read .*mooncake.*azure"):
        read_workload("azur:x.csv")


def test_a_damaged_archive_is_named(tmp_path):
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"prompt_tokens,output_tokens\n" + b"7,3\n" * 999)[:-20])
    with pytest.raises(UserError, match=r"t\.csv\.gz cannot be read"):
        read_workload(path)


rows = st.tuples(st.floats(0, 1e6), st.integers(1, 10**6), st.integers(1, 10**6))


@given(st.lists(rows, min_size=1, max_size=8).map(sorted), st.booleans())
def test_what_was_written_is_read(tmp_path_factory, given, as_json):
    folder = tmp_path_factory.mktemp("trace")
    names = ("arrival_s", "prompt_tokens", "output_tokens")
    if as_json:
        text = lines(*(dict(zip(names, row, strict=True)) for row in given))
        found = read_workload(write(folder, "t.jsonl", text))
    else:
        text = PLAIN + "".join(f"{a!r},{p},{o}\n" for a, p, o in given)
        found = read_workload(write(folder, "t.csv", text))
    arrival, prompt, output = zip(*given, strict=True)
    assert found.arrival.tolist() == [time - arrival[0] for time in arrival]
    assert found.prompt.tolist() == list(prompt)
    assert found.output.tolist() == list(output)


@pytest.mark.parametrize(
    ("name", "n", "rate", "cv", "prompt", "output", "dropped"),
    [
        ("azure2023_conv.csv.gz", 19_366, 5.53, 1.09, 1154.7, 211.1, 0),
        ("azure2023_code.csv.gz", 8_819, 2.57, 13.0, 2047.8, 27.9, 0),
        ("mooncake_conversation.csv.gz", 12_031, 3.40, None, 12_035.1, 342.6, 0),
        ("sharegpt_v3_firstturn_lengths.csv.gz", 9_902, None, None, None, None, 1_235),
        ("alpaca_sample.jsonl.gz", 13_354 - 5, None, None, None, None, 5_315 + 5),
    ],
)
def test_the_real_traces_are_what_they_are_known_for(name, n, rate, cv, prompt, output, dropped):
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{path} does not exist")
    found = read_workload(path)
    assert (len(found), found.dropped) == (n, dropped)
    if rate is None:
        assert found.arrival[-1] == 0
        return
    assert found.rate == pytest.approx(rate, abs=0.006)
    assert found.prompt.mean() == pytest.approx(prompt, abs=0.1)
    assert found.output.mean() == pytest.approx(output, abs=0.1)
    if cv is not None:
        assert found.cv == pytest.approx(cv, rel=0.02)


def test_mooncakes_real_prefixes_lie_within_the_prompts():
    path = SHARED / "mooncake_conversation.csv.gz"
    if not path.exists():
        pytest.skip(f"{path} does not exist")
    found = read_workload(path)
    cached = found.prefix.sum() / found.prompt.sum()
    assert 0.3 < cached < 0.4
    assert (found.prefix[found.prefix < found.prompt] % 512 == 0).all()
