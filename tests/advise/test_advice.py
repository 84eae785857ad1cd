"""The advice: what is found, what is said, and the page of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lengthwise.advise.advice import MEAN, TTFT, Advice
from lengthwise.advise.page import page_of
from lengthwise.advise.source import Source
from lengthwise.advise.verdict import verdict
from lengthwise.cli.main import main
from lengthwise.report.write import write_page
from lengthwise.workload import Workload

Found = tuple[Advice, Source]


def test_under_overload_the_advice_is_to_switch(busy: Found) -> None:
    advice, _ = busy
    said = verdict(advice)
    assert said.switch
    assert said.headline.startswith("Switch to lengthwise: ")
    change = advice.change(advice.advised, 1.0, TTFT)
    assert change.high < -0.05
    assert str(change) in said.headline
    assert said.reasons[0].startswith("More requests come at the present load than this engine")
    assert any("of the requests end more than 10 % earlier" in each for each in said.reasons)


def test_where_nobody_waits_there_is_nothing_to_gain(idle: Found) -> None:
    advice, _ = idle
    said = verdict(advice)
    assert not said.switch
    assert "where nobody waits no order of serving can matter" in said.headline
    assert advice.watched.waiting_share < 0.01


def test_a_policy_is_unchanged_against_itself(busy: Found) -> None:
    advice, _ = busy
    change = advice.change(advice.stock, 1.0, MEAN)
    assert (change.share, change.low, change.high) == (0.0, 0.0, 0.0)


def test_changes_are_those_of_the_runs(busy: Found) -> None:
    advice, _ = busy
    for load in advice.plan.loads:
        old, new = (advice.run(each, load) for each in (advice.stock, advice.advised))
        arrival = advice.plan.at(load).arrival
        expected = (new.outcome.finish - arrival).mean() / (old.outcome.finish - arrival).mean()
        change = advice.change(advice.advised, load, MEAN)
        assert 1.0 + change.share == pytest.approx(expected)
        assert change.low <= change.share <= change.high


def test_each_contender_has_a_load_that_it_bears(busy: Found) -> None:
    advice, _ = busy
    assert [each.contender for each in advice.capacities] == list(advice.plan.contenders)
    assert all(0 < each.load < each.beyond for each in advice.capacities)


class Titles(HTMLParser):
    """The headings of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.open = False
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open = tag == "h2"

    def handle_data(self, data: str) -> None:
        if self.open and data.strip():
            self.found.append(data.strip())
            self.open = False


def test_the_page_answers_the_questions(busy: Found, tmp_path: Path) -> None:
    advice, source = busy
    saved = write_page(page_of(advice, source, verdict(advice)), tmp_path / "advice.html")
    text = saved[0].read_text()
    titles = Titles()
    titles.feed(text)
    assert [each.split()[0] for each in titles.found[:5]] == ["Were", "What", "How", "Who", "What"]
    for note in source.notes:
        assert note.split("; ")[0][:30].replace("'", "&#39;") in text
    assert {"loads.csv", "capacity.csv", "by-tenant.csv"} <= {each.name for each in saved}


@pytest.fixture
def trace(traffic: Callable[..., Workload], tmp_path: Path) -> Path:
    """A file of requests."""
    workload = traffic(250, 4.0)
    rows = zip(workload.arrival, workload.prompt, workload.output, strict=True)
    file = tmp_path / "mine.csv"
    lines = [f"{a!r},{p},{o}\n" for a, p, o in ((float(a), p, o) for a, p, o in rows)]
    file.write_text("arrival_s,prompt_tokens,output_tokens\n" + "".join(lines) + "2000,5,0\n")
    return file


def test_the_command_leaves_results_and_a_page(
    trace: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    checked: Callable[[Path], dict[str, Any]],
) -> None:
    out = tmp_path / "out"
    flags = ["--profile", "cpu-smollm2", "--seats", "8", "--kv-tokens", "20000", "--budget", "512"]
    more = ["--policies", "lengthwise", "--loads", "1,1.5", "--workers", "1", "--out", str(out)]
    assert main(["advise", str(trace), *flags, *more, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    kept = checked(out)
    assert printed == kept
    setup = kept["setup"]
    assert (setup["rows"], list(setup["left_out"].values())) == (251, [1])
    assert setup["calibration"]["source"] == "the profile cpu-smollm2"
    assert {each["load"] for each in setup["changes"]} == {1.0, 1.5}
    assert (out / "advice.html").is_file()
    assert (out / "requests-0.jsonl").is_file()
    assert main(["report", str(out), "--out", str(tmp_path / "again.html")]) == 0


def test_times_of_the_requests_themselves_are_enough(
    traffic: Callable[..., Workload], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from lengthwise.policies import make_policy
    from lengthwise.sim.engine import Simulator
    from lengthwise.sim.predictors import make_predictor
    from lengthwise.sim.setup import Setup
    from lengthwise.sim.steps import load_profile

    workload = traffic(300, 1.0)
    setup = Setup(seats=8, budget=512, blocks=2_000)
    served = Simulator(
        workload, make_policy("fcfs"), make_predictor("none"), load_profile("cpu-smollm2"), setup
    ).run()
    file = tmp_path / "log.jsonl"
    rows = [
        {
            "arrival_s": float(workload.arrival[i]),
            "prompt_tokens": int(workload.prompt[i]),
            "output_tokens": int(workload.output[i]),
            "first_s": float(served.first[i]),
            "finish_s": float(served.finish[i]),
        }
        for i in range(len(workload))
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    flags = ["--seats", "8", "--budget", "512", "--kv-tokens", "32000", "--loads", "1"]
    more = ["--policies", "lengthwise", "--workers", "1", "--out", str(tmp_path / "out")]
    assert main(["advise", str(file), *flags, *more]) == 0
    kept = json.loads((tmp_path / "out" / "results.json").read_text())
    stock = next(run for run in kept["runs"] if run["policy"] == "fcfs")
    observed = float(np.mean(served.finish - workload.arrival))
    assert stock["mean_latency_s"] == pytest.approx(observed, rel=0.05)
    assert "Observed: first token after" in capsys.readouterr().out


def log_of_vllm(summed_up: bool) -> str:
    """A server's log at level DEBUG: 60 requests in five minutes, and perhaps its statistics."""
    lines = ["INFO 11-27 10:00:00 [core.py:1] GPU KV cache size: 40,000 tokens"]
    for second in range(0, 300, 5):
        stamp = f"11-27 10:{second // 60:02d}:{second % 60:02d}"
        done = f"11-27 10:{(second + 4) // 60:02d}:{(second + 4) % 60:02d}"
        id = f"chatcmpl-{second:016x}"
        log = f"(APIServer pid=7) INFO {stamp} [utils/request_logger.py:60]"
        lines += [
            f"{log.replace('INFO', 'DEBUG')} Request {id} details: prompt: 'secret', "
            f"prompt_token_ids: {list(range(50))}, prompt_embeds shape: None.",
            f"{log} Received request {id}: params: SamplingParams(n=1, stop=[], "
            "ignore_eos=False, max_tokens=90, min_tokens=0, extra_args=None), lora_request: None.",
            f"{log} Added request {id}-89abcdef.",
            f"{log.replace(stamp, done)} Generated response {id} details: "
            f"output_token_ids: {list(range(30))}",
            f"{log.replace(stamp, done)} Generated response {id}: output: 'secret', "
            "finish_reason: stop",
        ]
        if summed_up and second % 10 == 0:
            lines.append(
                f"(APIServer pid=7) INFO {stamp} [loggers.py:335] Engine 000: Avg prompt "
                "throughput: 10.0 tokens/s, Avg generation throughput: 60.0 tokens/s, Running: "
                "2 reqs, Waiting: 0 reqs, GPU KV cache usage: 0.4%, Prefix cache hit rate: 0.0%"
            )
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("summed_up", "source"), [(True, "vllm.log"), (False, "the times of 60 requests of vllm")]
)
def test_vllms_own_log_is_all_that_is_needed(
    summed_up: bool, source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "vllm.log"
    log.write_text(log_of_vllm(summed_up))
    flags = ["--policies", "lengthwise", "--loads", "1", "--workers", "1", "--seats", "4"]
    assert main(["advise", str(log), *flags, "--out", str(tmp_path / "out")]) == 0
    kept = json.loads((tmp_path / "out" / "results.json").read_text())["setup"]
    assert source in kept["calibration"]["source"]
    assert (kept["requests"], kept["switch"]) == (60, False)
    printed = capsys.readouterr().out
    assert ("vLLM's log: requests waited in 0.0 % of 30 windows" in printed) == summed_up
    assert not any("secret" in each.read_text() for each in (tmp_path / "out").glob("*.json*"))
