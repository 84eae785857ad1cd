"""A server whose steps are known: its metrics as vLLM writes them, from a file and over HTTP."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest

from lengthwise.calibration.cards import from_card
from lengthwise.calibration.scrape import parse
from lengthwise.calibration.server import Server, poll, read_metrics
from lengthwise.errors import UserError
from lengthwise.sim.steps import Linear

TRUTH = Linear("t", "test", base=0.02, prefill=1e-4, decode=1e-3, context=1e-7)
KV = 2000 * 16
TOKENS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
SECONDS = (0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 60.0)
FINE = (0.01, 0.02, 0.03, 0.04, 0.05, 0.1, 0.5)


def histogram(name: str, edges: tuple[float, ...], values: list[float]) -> list[str]:
    """As Prometheus' client writes it."""
    found = np.array(values)
    name = f"vllm:{name}"
    label = 'engine="0",model_name="m"'
    lines = [f"# TYPE {name} histogram"]
    for edge in (*edges, float("inf")):
        text = "+Inf" if edge == float("inf") else f"{float(edge)}"
        lines.append(f'{name}_bucket{{{label},le="{text}"}} {float((found <= edge).sum())}')
    lines.append(f"{name}_count{{{label}}} {float(len(found))}")
    lines.append(f"{name}_sum{{{label}}} {float(found.sum())}")
    return lines


class Engine:
    """A server that is looked at every two seconds of its own clock."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.now = 0.0
        self.running, self.waiting, self.usage = 10, 0, 0.1
        self.prompt_tokens = self.generated = self.steps = 0.0
        self.prompts = self.rng.lognormal(4.5, 0.8, 400).astype(int) + 1
        self.outputs = self.rng.lognormal(4.0, 0.8, 400).astype(int) + 1

    def go_on(self, seconds: float = 2.0) -> None:
        end = int(np.clip(self.running + self.rng.integers(-2, 3), 6, 16))
        mean = (self.running + end) / 2
        self.running, self.waiting = end, 2 * (end == 16)
        self.usage = self.rng.uniform(0.1, 0.9)
        prompts = self.rng.uniform(0, 1500) * seconds
        one = TRUTH.base + TRUTH.decode * mean + TRUTH.context * self.usage * KV
        steps = (seconds - TRUTH.prefill * prompts) / one
        self.steps += steps
        self.generated += steps * mean
        self.prompt_tokens += prompts
        self.now += seconds

    def text(self) -> str:
        label = '{engine="0",model_name="m"}'
        lines = [
            "# HELP process_start_time_seconds Start time of the process.",
            "# TYPE process_start_time_seconds gauge",
            "process_start_time_seconds 1000.0",
            "# TYPE vllm:num_requests_running gauge",
            f"vllm:num_requests_running{label} {float(self.running)}",
            f"vllm:num_requests_waiting{label} {float(self.waiting)}",
            f"vllm:kv_cache_usage_perc{label} {self.usage}",
            "# TYPE vllm:prompt_tokens counter",
            f"vllm:prompt_tokens_total{label} {self.prompt_tokens}",
            "# TYPE vllm:generation_tokens counter",
            f"vllm:generation_tokens_total{label} {self.generated}",
            "# TYPE vllm:iteration_tokens_total histogram",
            f'vllm:iteration_tokens_total_bucket{{engine="0",le="+Inf"}} {self.steps}',
            f"vllm:iteration_tokens_total_sum{label} {self.generated + self.prompt_tokens}",
            "# TYPE vllm:cache_config_info gauge",
            'vllm:cache_config_info{block_size="16",engine="0",num_gpu_blocks="2000"} 1.0',
        ]
        step = 0.035
        waits = [0.1] * 300 + [3.0] * 100
        lines += histogram("request_prompt_tokens", TOKENS, list(self.prompts))
        lines += histogram("request_generation_tokens", TOKENS, list(self.outputs))
        lines += histogram("request_queue_time_seconds", SECONDS, waits)
        lines += histogram("inter_token_latency_seconds", FINE, [step] * 400)
        lines += histogram("request_prefill_time_seconds", SECONDS, [step + 0.008] * 400)
        return "\n".join(lines) + "\n"


def looked_at(times: int) -> Server:
    engine = Engine()
    scrapes = []
    for _ in range(times):
        engine.go_on()
        scrapes.append(parse(engine.text(), 1000.0 + engine.now, "test"))
    return Server("test", tuple(scrapes))


def test_looks_at_a_server_give_its_steps():
    server = looked_at(60)
    windows = server.windows()
    assert len(windows) == 59
    assert windows.seconds == pytest.approx(np.full(59, 2.0))
    assert 0 < windows.full(16) == windows.queued < 1
    found = server.calibration()
    for prefill, decodes, context in ((0, 10, 10_000), (300, 10, 10_000), (0, 16, 25_000)):
        real = TRUTH.seconds(prefill, decodes, context)
        assert found.steps.seconds(prefill, decodes, context) == pytest.approx(real, rel=0.05)
    assert (found.kv_tokens, found.block_size) == (KV, 16)
    assert any("25 % of the requests waited" in note for note in found.notes)


def test_seats_are_guessed_where_requests_waited_before_the_looks():
    engine = Engine()
    scrapes = []
    for _ in range(40):
        engine.go_on()
        engine.running, engine.waiting = min(engine.running, 12), 0
        scrapes.append(parse(engine.text(), 1000.0 + engine.now, "test"))
    found = Server("test", tuple(scrapes)).calibration()
    assert found.seats == 12
    assert "--seats says better" in found.notes[-1]


def test_averages_tell_how_long_a_step_took_and_no_more():
    engine = Engine()
    for _ in range(30):
        engine.go_on()
    server = Server("test", (parse(engine.text(), 1060.0, "test"),))
    found = server.calibration()
    mean_prompts = engine.prompt_tokens / engine.steps
    assert found.steps.seconds(round(mean_prompts), 10, 0) == pytest.approx(0.035, rel=0.02)
    assert found.error is None
    assert found.slowest > 1.3
    card = from_card("h100-sxm", "llama-3.1-8b")
    scaled = server.calibration(card)
    assert scaled.kv_tokens == KV
    ratio = scaled.steps.seconds(0, 64, 9000) / card.steps.seconds(0, 64, 9000)
    assert ratio == pytest.approx(scaled.steps.seconds(500, 8, 0) / card.steps.seconds(500, 8, 0))
    assert any("multiplied by" in note for note in scaled.notes)


def test_a_workload_is_drawn_as_the_histograms_are():
    server = looked_at(3)
    engine = Engine()
    trace = server.trace(4000)
    drawn = trace.workload
    assert len(drawn) == trace.rows == 4000
    assert drawn.prompt.mean() == pytest.approx(engine.prompts.mean(), rel=0.05)
    assert drawn.output.mean() == pytest.approx(engine.outputs.mean(), rel=0.05)
    assert np.median(drawn.output) == pytest.approx(np.median(engine.outputs), rel=0.2)
    # 400 requests in the six seconds since the start: none ended while it was looked at.
    assert drawn.rate == pytest.approx(400 / 6, rel=0.1)
    assert any("Poisson" in sentence for sentence in trace.found)
    assert server.trace(4000, seed=0).workload.output.tolist() == drawn.output.tolist()


def test_a_saved_answer_is_read(tmp_path):
    (tmp_path / "metrics.txt").write_text(Engine().text())
    server = read_metrics(tmp_path / "metrics.txt")
    assert server.queued == pytest.approx(0.25)
    assert server.last.kv_tokens == KV


@contextmanager
def served(engine: Engine, key: str | None = None) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            good = key is None or self.headers["Authorization"] == f"Bearer {key}"
            found = self.path == "/metrics"
            self.send_response((200 if found else 404) if good else 401)
            self.end_headers()
            if good and found:
                engine.go_on()
                self.wfile.write(engine.text().encode())

        def log_message(self, *_: object) -> None:
            """Not into the tests' output."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_running_server_is_looked_at(monkeypatch):
    with served(Engine()) as url:
        assert len(poll(url, seconds=0.05, every=0.02).scrapes) >= 2
        assert len(poll(f"{url}/metrics", seconds=0).scrapes) == 1
        assert poll(f"{url}/v1/", seconds=0).last.block_size == 16
        with pytest.raises(UserError, match="answers 404"):
            poll(f"{url}/other", seconds=0)
    with served(Engine(), key="secret") as url:
        monkeypatch.delenv("VLLM_API_KEY", raising=False)
        with pytest.raises(UserError, match=r"answers 401 .*set VLLM_API_KEY"):
            poll(url, seconds=0)
        monkeypatch.setenv("VLLM_API_KEY", "secret")
        assert poll(url, seconds=0).last.engines == 1
    with pytest.raises(UserError, match="does not answer"):
        poll(url, seconds=0)
    with pytest.raises(UserError, match="is no address"):
        poll("localhost:8000", seconds=0)


def test_what_is_no_metrics_is_one_line(tmp_path):
    for text, says in (
        ("{}", "not in the format of /metrics"),
        ("up 1\n", "no metrics of vLLM"),
        ("", "no metrics of vLLM"),
    ):
        (tmp_path / "m").write_text(text)
        with pytest.raises(UserError, match=says):
            read_metrics(tmp_path / "m")
    with pytest.raises(UserError, match="cannot be read"):
        read_metrics(tmp_path / "nothing")
    (tmp_path / "m").write_text("vllm:num_requests_running 0.0\n")
    idle = read_metrics(tmp_path / "m")
    for ask in (idle.calibration, idle.trace):
        with pytest.raises(UserError, match="no request has ended"):
            ask()
