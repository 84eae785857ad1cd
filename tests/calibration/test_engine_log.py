import gzip
import json

import numpy as np
import pytest

from lengthwise.calibration.engine_log import read_engine_log
from lengthwise.errors import UserError
from lengthwise.sim.steps import Linear

TRUTH = Linear("t", "test", base=0.02, prefill=1e-4, decode=1e-3, context=1e-7)
KV = 445_392
START = [
    "INFO 12-31 23:54:00 [api_utils.py:286] non-default args: {'model_tag': 'some/model', "
    "'max_num_seqs': 32, 'max_num_batched_tokens': 4096, 'block_size': 32}",
    "INFO 12-31 23:54:01 [core.py:133] Initializing a V1 LLM engine (v0.32.0) with config: "
    "model='some/model', speculative_config=None, tokenizer='some/model'",
    "INFO 12-31 23:54:09 [kv_cache_utils.py:2327] GPU KV cache size: 445,392 tokens, Maximum "
    "concurrency for 8,192 tokens per request: 54.37x",
]


def summaries(n: int, engine: str = "Engine 000") -> list[str]:
    """Lines as vLLM 0.32 writes them; the new year begins among them."""
    rng = np.random.default_rng(0)
    lines = []
    running, waiting = 20, 0
    for i in range(n):
        end = int(np.clip(running + rng.integers(-4, 5), 8, 32))
        usage = rng.uniform(0.05, 0.6)
        prompts = rng.uniform(0, 2000)
        mean = (running + end) / 2
        # prompts are tokens/s: a step of t seconds has t of them.
        step = (TRUTH.base + TRUTH.decode * mean + TRUTH.context * usage * KV) / (
            1 - TRUTH.prefill * prompts
        )
        waiting = 3 if end == 32 else 0
        at = 23 * 3600 + 54 * 60 + 10 * (i + 2)
        day, at = ("12-31", at) if at < 86400 else ("01-01", at - 86400)
        stamp = f"{at // 3600:02d}:{at // 60 % 60:02d}:{at % 60:02d}"
        lines.append(
            f"(APIServer pid=77) INFO {day} {stamp} [loggers.py:335] {engine}: Avg prompt "
            f"throughput: {prompts:.1f} tokens/s, Avg generation throughput: {mean / step:.1f} "
            f"tokens/s, Running: {end} reqs, Waiting: {waiting} reqs, GPU KV cache usage: "
            f"{100 * usage:.1f}%, Prefix cache hit rate: 0.0%"
        )
        running = end
    return lines


def write(path, lines):
    path.write_text("\n".join(["some other line", *lines, "\x1b[0;36m"]) + "\n")
    return path


def test_a_log_gives_steps_and_sizes(tmp_path):
    log = read_engine_log(write(tmp_path / "vllm.log", [*START, *summaries(80)]))
    assert (log.seats, log.budget, log.kv_tokens, log.block_size) == (32, 4096, KV, 32)
    assert (log.model, log.version, log.engines) == ("some/model", "0.32.0", 1)
    assert log.windows.seconds.tolist() == [10.0] * 80
    assert log.windows.time[-1] == 790.0
    assert 0 < log.windows.full(32) == log.windows.queued < 1
    assert log.windows.kv_full == 0.0
    found = log.calibration()
    for prefill, decodes, context in ((0, 20, 100_000), (500, 20, 100_000), (0, 30, 20_000)):
        real = TRUTH.seconds(prefill, decodes, context)
        assert found.steps.seconds(prefill, decodes, context) == pytest.approx(real, rel=0.07)
    assert found.error is not None
    assert found.error < 0.05
    assert (found.seats, found.kv_tokens) == (32, KV)


def test_json_lines_gzipped_lines_and_lines_without_times_are_the_same_log(tmp_path):
    lines = [*START, *summaries(40)]
    plain = read_engine_log(write(tmp_path / "a.log", lines)).windows
    as_json = [
        json.dumps({"asctime": f"2026-01-01 00:{i // 6:02d}:{i % 6}0,000", "message": line})
        for i, line in enumerate(lines)
    ]
    other = read_engine_log(write(tmp_path / "b.log", as_json))
    assert other.kv_tokens == KV
    assert other.windows.time.tolist() == plain.time.tolist()
    (tmp_path / "c.log.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    packed = read_engine_log(tmp_path / "c.log.gz").windows
    assert packed.generation_tps.tolist() == plain.generation_tps.tolist()
    bare = [line.partition("] ")[2] for line in lines]
    assert read_engine_log(write(tmp_path / "d.log", bare)).windows.time.tolist() == (
        plain.time.tolist()
    )


def test_a_pause_is_no_long_window_and_what_began_it_is_not_known(tmp_path):
    lines = summaries(40)
    del lines[10:20]
    windows = read_engine_log(write(tmp_path / "a.log", lines)).windows
    assert windows.seconds.max() == 10.0
    assert np.isnan(windows.starts).tolist() == [i in (0, 10) for i in range(30)]
    assert windows.time[-1] == 390.0


def test_several_engines_are_each_their_own(tmp_path):
    lines = [*summaries(30), *summaries(30, "Engine 001")]
    both = read_engine_log(write(tmp_path / "a.log", lines))
    assert both.engines == 2
    assert len(both.windows) == 60
    assert any("2 engines" in note for note in both.calibration().notes)


def test_seats_that_the_start_does_not_name_show_where_requests_wait(tmp_path):
    lines = [line.replace("Running: 31", "Running: 32") for line in summaries(200)]
    found = read_engine_log(write(tmp_path / "a.log", lines)).calibration()
    assert found.seats == 32
    assert found.kv_tokens is None
    assert any("start is missing" in note for note in found.notes)


def test_what_is_no_such_log_is_one_line(tmp_path):
    with pytest.raises(UserError, match="no line in it has vLLM's throughput"):
        read_engine_log(write(tmp_path / "a.log", START))
    with pytest.raises(UserError, match="cannot be read"):
        read_engine_log(tmp_path / "nothing.log")
    with pytest.raises(UserError, match="at least 20 are needed"):
        read_engine_log(write(tmp_path / "a.log", summaries(10))).calibration()
