"""What the demo says at its end; that it serves is tested on the engine (tests/engine)."""

from __future__ import annotations

from lengthwise.bench.demo import CAP, POLICIES, SERVED, against_stock
from lengthwise.results.record import Labels, Notes, Run, Seen


def run(policy: str, predictors: str | None, factor: float, differ: int = 0) -> Run:
    seen = Seen(
        requests=9,
        finished=9,
        mean_latency_s=10 * factor,
        mean_ttft_s=4 * factor,
        p99_latency_s=30.0,
        tokens_per_s=100 / factor,
    )
    made = {"engine": "made", "model": "made", "rate": None, "seed": 0}
    labels = Labels(policy=policy, predictors=predictors, **made)
    return Run.of(labels, seen, Notes(other_answers=differ))


def test_a_line_for_each_policy_gives_shares_of_stocks_figures() -> None:
    runs = [run("stock", None, 1.0), run("trail", "builtin", 1.25, 2), run("lengthwise", None, 0.5)]
    trail, lengthwise = against_stock(runs)
    assert trail == (
        "trail with its predictor, as shares of stock's: mean latency 1.25, mean TTFT 1.25, "
        "p99 1.00, tokens/s 0.80; answers that differ: 2 of 9"
    )
    assert lengthwise.startswith("lengthwise without a predictor, as shares of stock's: mean")
    assert "mean latency 0.50, mean TTFT 0.50, p99 1.00, tokens/s 2.00" in lengthwise


def test_lengthwise_is_shown_without_a_predictor() -> None:
    assert POLICIES == ("stock", "trail", "lengthwise@none")
    assert SERVED % 2 == 0
    assert CAP < 512
