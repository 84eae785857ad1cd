import numpy as np
import pytest
from scipy import integrate, stats

from lengthwise.theory import (
    FCFS,
    PSJF,
    ExponentialPredictions,
    JointDensity,
    LimitedSPRPT,
    ObservedPairs,
    PerfectPredictions,
    spjf,
    sprpt,
    srpt,
)

CUTOFFS = (0.0, 0.2, 0.5, 0.8, 1.0)

PERFECT = {
    0.5: (1.7127, 1.5851, 1.4702, 1.4288, 1.4254),
    0.7: (2.3122, 2.1136, 1.9397, 1.8794, 1.8746),
    0.9: (4.1969, 3.8918, 3.6400, 3.5584, 3.5521),
}
EXPONENTIAL = {
    0.5: (1.7948, 1.7029, 1.6726, 1.6616, 1.6583),
    0.7: (2.5726, 2.4259, 2.3886, 2.3735, 2.3688),
    0.9: (5.3610, 5.1383, 5.1223, 5.1047, 5.0985),
}
# Simulated, to 0.1 %.
MEMORY = dict(zip(CUTOFFS, (0.900, 1.235, 1.812, 1.951, 1.967), strict=True))


def entries(table):
    return [(load, c, t) for load, row in table.items() for c, t in zip(CUTOFFS, row, strict=True)]


@pytest.fixture(scope="module")
def perfect():
    return PerfectPredictions(stats.expon())


@pytest.fixture(scope="module")
def noisy():
    return ExponentialPredictions(stats.expon())


@pytest.mark.parametrize(("load", "c", "expected"), entries(PERFECT))
def test_the_table_of_perfect_predictions(perfect, load, c, expected):
    assert LimitedSPRPT(load, perfect, c).means.response == pytest.approx(expected, abs=6e-5)


@pytest.mark.parametrize(("load", "c", "expected"), entries(EXPONENTIAL))
def test_the_table_of_exponential_predictions(noisy, load, c, expected):
    assert LimitedSPRPT(load, noisy, c).means.response == pytest.approx(expected, abs=6e-5)


@pytest.mark.parametrize(("c", "expected"), MEMORY.items())
def test_the_memory_of_exponential_predictions(noisy, c, expected):
    assert LimitedSPRPT(0.9, noisy, c).means.memory == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("c", [0.3, 1.0])
def test_the_memory_of_perfect_predictions_by_another_integrator(perfect, c):
    """Age a is held for da / (1 - load(x - a)) while preemptible, for da afterwards."""

    def held(a, x):
        rest = x - a
        load = 0.9 * (1 - np.exp(-rest) * (1 + rest)) if a < c * x else 0.0
        return np.exp(-x) * a / (1 - load)

    parts = [(lambda x: 0.0, lambda x: c * x), (lambda x: c * x, lambda x: x)]
    expected = sum(integrate.dblquad(held, 0, 40, *ends)[0] for ends in parts)
    found = LimitedSPRPT(0.9, perfect, c).means.memory
    assert found == pytest.approx(0.9 * expected, rel=1e-6)


@pytest.mark.parametrize("c", CUTOFFS)
@pytest.mark.parametrize("load", [0.3, 0.9])
def test_preemptions_of_perfect_predictions(perfect, load, c):
    expected = load * (c - 1 / (2 - c) + 0.5)
    assert LimitedSPRPT(load, perfect, c).means.preemptions == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("load", [0.5, 0.7, 0.9])
def test_fcfs_is_pollaczek_khinchine(perfect, noisy, load):
    for joint in (perfect, noisy):
        means = FCFS(load, joint).means
        assert means.response == pytest.approx(1 / (1 - load), rel=1e-6)
        assert means.preemptions == 0
        assert means.memory == pytest.approx(load, rel=1e-6)


def test_srpt_is_schrage_and_miller_for_uniform_sizes():
    """E[T(x)] written out with load(x) = λ x² / 4 and an independent integrator."""
    rate = 0.8

    def response(x):
        stretch = integrate.quad(lambda t: 1 / (1 - rate * t**2 / 4), 0, x)[0]
        second = x**3 / 6 + x**2 * (1 - x / 2)
        return rate * second / 2 / (1 - rate * x**2 / 4) ** 2 + stretch

    queue = srpt(rate, stats.uniform(0, 2))
    for x in (0.1, 1.0, 1.9):
        assert queue.response_of_size(x) == pytest.approx(response(x), rel=1e-6)
    expected = integrate.quad(lambda x: response(x) / 2, 0, 2)[0]
    assert queue.means.response == pytest.approx(expected, rel=1e-6)


def test_spjf_is_the_priority_formula_of_cobham(noisy):
    """The wait of a prediction r is λ E[X²] / 2 / (1 - load(r))²."""
    r = np.array([0.1, 1.0, 5.0])
    free = 1 - 0.9 * noisy.below(r, 1)
    np.testing.assert_allclose(spjf(0.9, noisy).waiting(r), 0.9 / free**2, rtol=1e-5)
    np.testing.assert_allclose(spjf(0.9, noisy).residence(np.full(3, 2.0), r), 2.0)


def test_psjf_with_perfect_predictions_of_exponential_sizes():
    x = np.array([0.5, 2.0])
    rho = 0.7 * (1 - np.exp(-x) * (1 + x))
    second = 2 - np.exp(-x) * (x**2 + 2 * x + 2)
    found = PSJF(0.7, PerfectPredictions(stats.expon())).response(x, x)
    np.testing.assert_allclose(found, 0.35 * second / (1 - rho) ** 2 + x / (1 - rho), rtol=1e-6)


def test_predictions_that_say_nothing_make_spjf_fcfs():
    """Any order that ignores sizes and never interrupts has the mean response of FCFS."""
    law = JointDensity(lambda x, y: np.exp(-x) + 0 * y, (1e-9, 40.0), (0.5, 1.5))
    means = spjf(0.8, law).means
    assert means.response == pytest.approx(5.0, rel=1e-5)
    assert means.preemptions == 0
    assert means.memory == pytest.approx(0.8, rel=1e-5)


def test_sharp_predictions_come_close_to_perfect_ones(perfect):
    noise = stats.norm(0, 0.1)
    law = JointDensity(
        lambda x, y: np.exp(-x) * noise.pdf(np.log(y / x)) / y, (1e-9, 40.0), (1e-9, 60.0)
    )
    for c in (0.0, 0.5, 1.0):
        sharp, exact = LimitedSPRPT(0.9, law, c).means, LimitedSPRPT(0.9, perfect, c).means
        assert exact.response < sharp.response < 1.02 * exact.response


@pytest.mark.parametrize("c", [0.3, 1.0])
def test_responses_by_size_average_to_the_mean(noisy, c):
    queue = LimitedSPRPT(0.7, noisy, c)
    sizes, weights = np.polynomial.laguerre.laggauss(10)
    by_size = [queue.response_of_size(x) for x in sizes]
    assert float(by_size @ weights) == pytest.approx(queue.means.response, rel=2e-3)


def test_the_mean_is_that_of_the_responses(noisy):
    queue = LimitedSPRPT(0.9, noisy, 0.5)
    pairs = noisy.pairs(0.5)
    some = slice(None, None, 997)
    x, r = pairs.sizes[some], pairs.predictions[some]
    np.testing.assert_allclose(queue.response(x, r), queue.waiting(r) + queue.residence(x, r))
    assert (queue.response(x, r) >= x * (1 - 1e-12)).all()


def test_more_preemption_helps_and_costs_memory(noisy):
    """What the paper's appendix shows: from C = 0 to 1 response falls, memory rises."""
    means = [LimitedSPRPT(0.9, noisy, c).means for c in np.linspace(0, 1, 6)]
    responses, preemptions, memory = zip(*means, strict=True)
    assert (np.diff(responses) < 0).all()
    assert (np.diff(preemptions) > 0).all()
    assert (np.diff(memory) > 0).all()


def test_time_scales_with_work():
    """Sizes in other units change times alike and preemptions not at all."""
    one = sprpt(0.8, ExponentialPredictions(stats.gamma(2.0, scale=0.5))).means
    many = sprpt(0.008, ExponentialPredictions(stats.gamma(2.0, scale=50.0))).means
    assert many.response == pytest.approx(100 * one.response, rel=1e-5)
    assert many.preemptions == pytest.approx(one.preemptions, rel=1e-5)
    assert many.memory == pytest.approx(100 * one.memory, rel=1e-5)


@pytest.mark.parametrize("c", [0.0, 0.5, 1.0])
def test_a_large_sample_has_the_means_of_its_law(noisy, c):
    levels = (np.arange(20_000) + 0.5) / 20_000
    rng = np.random.default_rng(3)
    sizes = -np.log(levels)
    sample = ObservedPairs(sizes, sizes * -np.log(rng.permutation(levels)))
    found, expected = (LimitedSPRPT(0.7, law, c).means for law in (sample, noisy))
    np.testing.assert_allclose(found, expected, rtol=0.01)


def test_a_sample_with_tied_predictions_by_hand():
    """Sizes 1 and 3, both predicted 2, at rate 0.25 and C = 1/2.

    Everybody waits like FCFS plus the effect of commitment: no arrival is ever predicted
    below the remaining 2 - a, so nobody is interrupted and the queue is FCFS.
    """
    law = ObservedPairs([1.0, 3.0], [2.0, 2.0])
    found, fcfs = LimitedSPRPT(0.25, law, 0.5).means, FCFS(0.25, law).means
    np.testing.assert_allclose(found, fcfs, atol=1e-12)
    assert found.response == pytest.approx(2 + 0.25 * 5 / 2 / 0.5)


@pytest.mark.parametrize("rate", [0.0, -1.0, 1.0, 2.0, np.nan])
def test_a_load_outside_zero_to_one_is_refused(perfect, rate):
    with pytest.raises(ValueError, match="load"):
        FCFS(rate, perfect)


@pytest.mark.parametrize("c", [-0.1, 1.1, np.nan])
def test_c_outside_zero_to_one_is_refused(perfect, c):
    with pytest.raises(ValueError, match="between 0 and 1"):
        LimitedSPRPT(0.5, perfect, c)
