"""The metrics of all replicas on one page."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from lengthwise.ray.metrics import together

PAGE = """# HELP vllm:running Requests.
# TYPE vllm:running gauge
vllm:running{engine="0"} %d
# HELP vllm:done_total Requests.
# TYPE vllm:done_total counter
vllm:done_total{engine="0"} 4.0
# HELP vllm:wait Seconds.
# TYPE vllm:wait histogram
vllm:wait_bucket{le="1.0"} 1.0
vllm:wait_bucket{le="+Inf"} 2.0
vllm:wait_count 2.0
vllm:wait_sum 9.0
"""


def test_samples_say_whose_they_are() -> None:
    page = together({"a": PAGE % 1, "b": PAGE % 2}).decode()
    lines = [line for line in PAGE.splitlines() if line.startswith("#")]
    assert sorted(line for line in page.splitlines() if line.startswith("#")) == sorted(lines)
    families = {
        each.name.removesuffix("_total"): each for each in text_string_to_metric_families(page)
    }
    assert families.keys() == {"vllm:running", "vllm:done", "vllm:wait"}
    running = {it.labels["replica"]: it.value for it in families["vllm:running"].samples}
    assert running == {"a": 1.0, "b": 2.0}
    assert families["vllm:done"].type == "counter"
    assert page.count("# TYPE vllm:wait ") == 1
    assert len(families["vllm:wait"].samples) == 8


def test_no_replica_no_metrics() -> None:
    assert together({}) == b""
