import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from lengthwise.answers.arrays import split
from lengthwise.core.bins import Bins
from lengthwise.core.lengths import Lengths
from lengthwise.evaluate import metrics
from lengthwise.evaluate.held_out import HeldOut, one_each, pick
from lengthwise.evaluate.metrics import Said
from lengthwise.predictors.points import points
from lengthwise.results.bootstrap import Resamples


def some_lengths(n, seed=0, top=200.0, k=12, limit=200.0):
    """Random distributions over bins to ``top``."""
    draw = np.random.default_rng(seed)
    shares = draw.dirichlet(np.full(k, 0.5), n).astype(np.float32)
    return Lengths.of(Bins.log(k, top), shares, np.full(n, limit))


lengths = st.lists(st.integers(1, 9), min_size=3, max_size=20)


@given(lengths, st.randoms(use_true_random=False))
def test_order_agrees_with_scipy_and_with_counting_pairs(true, random):
    said = np.array([random.randint(1, 5) for _ in true], dtype=np.float64)
    found = metrics.order(said, np.array(true), Resamples.of(len(true), 3))
    tau = kendalltau(said, true).statistic if len({*said}) > 1 and len({*true}) > 1 else np.nan
    assert found["tau"][0] == pytest.approx(tau, abs=1e-5, nan_ok=True)
    right = []
    for i in range(len(true)):
        for j in range(i):
            if true[i] != true[j]:
                product = (true[i] - true[j]) * (said[i] - said[j])
                right.append(0.5 if product == 0 else float(product > 0))
    share = np.mean(right) if right else np.nan
    assert found["pairs"][0] == pytest.approx(share, abs=1e-5, nan_ok=True)


def test_tau_of_a_resample_is_tau_of_the_prompts_drawn():
    draw = np.random.default_rng(0)
    said, true = draw.random(40), draw.integers(0, 30, 40)
    resamples = Resamples.of(40, 5)
    for weights, tau in zip(
        resamples.weights, metrics.order(said, true, resamples)["tau"], strict=True
    ):
        drawn = np.repeat(np.arange(40), weights.astype(int))
        # A prompt drawn twice is a tie in both, which scipy leaves out of both sides too.
        expected = kendalltau(np.round(said[drawn], 3), true[drawn]).statistic
        assert tau == pytest.approx(expected, abs=1e-5)


def test_differences_of_rounding_are_no_order():
    said = np.float32(100) + np.float32(1e-5) * np.arange(4)
    assert np.isnan(metrics.order(said, np.arange(4), Resamples.of(4, 2))["tau"][0])


@given(st.floats(0, 500), st.floats(0, 500), st.sampled_from(metrics.LEVELS))
def test_pinball_loss_is_by_its_definition(said, true, level):
    loss = metrics.pinball(np.array([said]), np.array([true]), level)[0]
    expected = level * (true - said) if true >= said else (1 - level) * (said - true)
    assert loss == pytest.approx(expected)


def drawn_from(lengths, seed=1):
    """One length of each distribution, in whole tokens; cut at the limit."""
    draw = np.random.default_rng(seed)
    at = (draw.random(len(lengths))[:, None] > np.cumsum(lengths.probabilities, axis=1)).sum(axis=1)
    at = np.minimum(at, lengths.probabilities.shape[1] - 1)
    rows = np.arange(len(lengths))
    low, high = lengths.lower[rows, at], lengths.upper[rows, at]
    tokens = np.round(low + draw.random(len(lengths)) * (high - low)).astype(np.int64)
    censored = tokens >= lengths.limit
    return np.where(censored, lengths.limit, tokens).astype(np.int64), censored


@pytest.mark.parametrize("limit", [200.0, 60.0])
def test_a_predictor_that_says_the_truth_is_calibrated(limit):
    """Also if a good part of the answers is cut at the cap."""
    said = some_lengths(4000, limit=limit)
    tokens, censored = drawn_from(said)
    assert (limit == 200.0) or censored.mean() > 0.2
    table = metrics.calibration(said, tokens, censored, Resamples.of(4000, 2))
    for level in metrics.DECILES:
        assert table[f"below_{level}"][0] == pytest.approx(level, abs=0.025)
    for share in metrics.CENTRAL:
        assert table[f"within_{share}"][0] == pytest.approx(share, abs=0.025)
    assert table["calibration_error"][0] < 0.02


def test_coverage_is_the_share_of_answers_between_the_quantiles():
    """Where lengths are many and nothing is cut, it is what the plain definition says."""
    said = some_lengths(3000)
    tokens = np.random.default_rng(5).integers(1, 199, 3000)
    table = metrics.calibration(said, tokens, np.zeros(3000, bool), Resamples.of(3000, 2))
    for share in metrics.CENTRAL:
        low, high = said.quantile((1 - share) / 2), said.quantile((1 + share) / 2)
        assert table[f"within_{share}"][0] == pytest.approx(
            np.mean((tokens > low) & (tokens <= high)), abs=0.02
        )


def test_an_oracle_is_calibrated():
    tokens = np.array([3, 40, 199, 200])
    sure = points(tokens, np.full(4, 200))
    table = metrics.calibration(sure, tokens, tokens == 200, Resamples.of(4, 2))
    assert table["calibration_error"][0] == pytest.approx(0, abs=1e-6)


def test_too_narrow_and_too_long_predictions_show():
    tokens = np.random.default_rng(0).integers(1, 199, 500)
    nothing_cut, resamples = np.zeros(500, bool), Resamples.of(500, 2)
    sure = points(np.full(500, 100.0), np.full(500, np.inf))
    assert metrics.calibration(sure, tokens, nothing_cut, resamples)["within_0.9"][0] < 0.05
    long = points(np.full(500, 400.0), np.full(500, np.inf))
    table = metrics.calibration(long, tokens, nothing_cut, resamples)
    assert table["below_0.1"][0] == 1.0
    assert table["calibration_error"][0] == pytest.approx(0.5)


def test_figures_at_arrival_are_those_of_a_loop(answers):
    said = some_lengths(len(answers))
    table = metrics.at_arrival(said, answers, Resamples.of(len(answers), 2))
    mean, median = said.mean(), said.median()
    pairs = list(zip(answers.tokens, answers.censored, mean, median, strict=True))
    assert table["mae"][0] == pytest.approx(np.mean([abs(m - t) for t, _, m, _ in pairs]))
    ended = [abs(m - t) for t, cut, _, m in pairs if not cut]
    assert table["mae_uncensored_median"][0] == pytest.approx(np.mean(ended))
    quarter = [
        max(0.25 * (t - q), 0.75 * (q - t))
        for t, q in zip(answers.tokens, said.quantile(0.25), strict=True)
    ]
    assert table["pinball_0.25"][0] == pytest.approx(np.mean(quarter))


def test_figures_while_generating_are_those_of_a_loop(answers):
    at = answers.positions
    said = some_lengths(len(at.age))
    table = metrics.while_generating(said, answers, Resamples.of(len(answers), 2))
    errors = {"mae": [], "mae_uncensored": [], "mae_age_0": [], "mae_age_1-31": []}
    rows = zip(said.mean(), at.left, at.age, at.censored, strict=True)
    for mean, left, age, cut in rows:
        if age % 8:
            continue
        error = abs(mean - left)
        errors["mae"].append(error)
        if not cut:
            errors["mae_uncensored"].append(error)
        if age == 0:
            errors["mae_age_0"].append(error)
        elif age < 32:
            errors["mae_age_1-31"].append(error)
    for name, each in errors.items():
        assert table[name][0] == pytest.approx(np.mean(each), rel=1e-5)
    # Nobody generates so many of 200 tokens.
    assert np.isnan(table["mae_age_256+"]).all()


def test_buckets_cover_every_age_once():
    for age in (0, 1, 31, 32, 255, 256, 100_000):
        assert sum(low <= age < high for _, low, high in metrics.buckets()) == 1


def test_the_constant_median_is_that_of_the_prompts_learned_from(answers):
    parts = split(answers)
    judged = HeldOut.of(parts.fit, parts.test, 2, 0)
    at = parts.fit.positions
    left = np.median(at.left[at.grid])
    held = judged.answers.positions
    expected = np.abs(held.left - left)[held.grid].mean()
    assert judged.constant["remaining"]["mae"][0] == pytest.approx(expected)
    total = np.abs(judged.answers.tokens - np.median(parts.fit.tokens)).mean()
    assert judged.constant["arrival"]["mae"][0] == pytest.approx(total)
    assert np.isnan(judged.constant["arrival"]["tau"][0])


def test_a_predictor_twice_as_good_is_twice_as_good_in_every_resample(answers):
    resamples = Resamples.of(len(answers), 50)
    at = answers.positions

    def off(factor):
        first = points(answers.tokens + 10.0 * factor, np.full(len(answers), np.inf))
        rest = points(at.left + 10.0 * factor, np.full(len(at.left), np.inf))
        return metrics.judge(Said(first, rest), answers, resamples)

    better = metrics.times_better(off(1), off(2))
    for stage in ("arrival", "remaining"):
        assert better[stage]["mae"] == pytest.approx(np.full(51, 2.0), rel=1e-5)


def test_a_prompt_in_two_folders_is_judged_once(answers):
    twice = pick(answers, [0, 1, 0, 2, 1])
    assert [each.id for each in one_each(twice).asked] == [each.id for each in answers.asked[:3]]
