import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from lengthwise.theory import (
    ExponentialPredictions,
    JointDensity,
    ObservedPairs,
    PerfectPredictions,
)

R = np.array([0.003, 0.1, 0.5, 1.0, 2.0, 6.0, 20.0])

POSITIVE = st.floats(0.01, 100.0)
PAIRS = st.lists(st.tuples(POSITIVE, st.sampled_from([0.5, 1.0, 3.0]) | POSITIVE), min_size=1)


@pytest.fixture(scope="module")
def noisy():
    return ExponentialPredictions(stats.expon())


def outstanding(x, y, r, c):
    """The definition: the longest run of service of a job that is ahead of rank r."""
    return np.maximum(x - np.minimum(np.maximum(y - r, 0), c * y), 0) ** 2


def test_exponential_predictions_have_the_bessel_moments(noisy):
    root = 2 * np.sqrt(R)
    for power, total in ((0, 1), (1, 1), (2, 2)):
        bessel = total - 2 * R ** ((power + 1) / 2) * special.kv(power + 1, root)
        np.testing.assert_allclose(noisy.below(R, power), bessel, atol=1e-7)


def test_a_density_by_function_is_the_same_law(noisy):
    by_function = JointDensity(
        lambda x, y: np.exp(-x - y / x) / x, sizes=(1e-9, 40), predictions=(1e-9, 1500)
    )
    for power in range(3):
        np.testing.assert_allclose(
            by_function.below(R, power), noisy.below(R, power), rtol=1e-5, atol=1e-7
        )
    for c in (0.0, 0.3, 1.0):
        np.testing.assert_allclose(
            by_function.outstanding(R, c), noisy.outstanding(R, c), rtol=1e-5
        )


@pytest.mark.parametrize("c", [0.0, 0.2, 0.8, 1.0])
def test_outstanding_is_its_definition_under_exponential_predictions(noisy, c):
    """Against a midpoint rule on the quantiles of X and R / X."""
    levels = (np.arange(1500) + 0.5) / 1500
    x, noise = np.meshgrid(-np.log(levels), -np.log(levels))
    found = noisy.outstanding(R, c)
    expected = [np.mean(outstanding(x, x * noise, r, c)) for r in R]
    np.testing.assert_allclose(found, expected, rtol=6e-3)


@pytest.mark.parametrize("c", [0.0, 0.2, 0.8, 1.0])
def test_outstanding_with_perfect_predictions_is_the_formula_for_exp(c):
    e, k = np.exp(-R), R / (1 - c) if c < 1 else None
    expected = 2 - e * (R**2 + 2 * R + 2) + R**2 * e
    if k is not None:
        expected += np.exp(-k) * ((1 - c) ** 2 * (k**2 + 2 * k + 2) - R**2)
    found = PerfectPredictions(stats.expon()).outstanding(R, c)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)


@given(PAIRS, st.floats(0.001, 200.0) | st.sampled_from([0.5, 1.0, 3.0]), st.floats(0.0, 1.0))
def test_a_sample_sums_its_definitions(pairs, r, c):
    x, y = np.array(pairs).T
    law = ObservedPairs(x, y)
    at = np.array([r])
    np.testing.assert_allclose(
        law.outstanding(at, c), np.mean(outstanding(x, y, r, c)), rtol=1e-9, atol=1e-9
    )
    for power in range(3):
        np.testing.assert_allclose(law.below(at, power), np.mean(x**power * (y < r)), rtol=1e-12)
        np.testing.assert_allclose(law.upto(at, power), np.mean(x**power * (y <= r)), rtol=1e-12)


def test_weights_stand_for_repeated_pairs():
    law = ObservedPairs([1.0, 4.0], [2.0, 3.0], weights=[3, 1])
    same = ObservedPairs([1.0, 1.0, 1.0, 4.0], [2.0, 2.0, 2.0, 3.0])
    assert law.moment(2) == same.moment(2) == 4.75
    np.testing.assert_allclose(law.outstanding(R, 0.5), same.outstanding(R, 0.5))


def laws():
    return [
        PerfectPredictions(stats.uniform(0.5, 1.0)),
        PerfectPredictions(stats.weibull_min(0.5, scale=0.5)),
        ExponentialPredictions(stats.gamma(2.0)),
        ObservedPairs([1.0, 5.0, 2.0], [2.0, 3.0, 3.0], [1, 2, 3]),
    ]


@pytest.mark.parametrize("law", laws(), ids=lambda law: type(law).__name__)
@pytest.mark.parametrize("c", [0.0, 0.4, 1.0])
def test_pairs_carry_the_moments_and_the_kink(law, c):
    pairs = law.pairs(c)
    x, y, _ = pairs
    for power in range(3):
        assert pairs.mean(x**power) == pytest.approx(law.moment(power), rel=1e-6)
        assert pairs.mean(x**power * (y < 2.5)) == pytest.approx(law.below(2.5, power), rel=0.05)
    sizes, predictions = law.sample(200_000, np.random.default_rng(1))
    kinked = np.maximum(sizes - c * predictions, 0)
    error = 4 * kinked.std() / np.sqrt(len(kinked))
    assert pairs.mean(np.maximum(x - c * y, 0)) == pytest.approx(kinked.mean(), abs=error + 1e-12)


@pytest.mark.parametrize(
    ("sizes", "second"),
    [
        (stats.expon(), 2.0),
        (stats.uniform(0.0, 2.0), 4 / 3),
        (stats.weibull_min(0.5, scale=0.5), 6.0),
        (stats.lognorm(1.0, scale=np.exp(-0.5)), np.e),
    ],
)
def test_moments_of_the_sizes(sizes, second):
    for law in (PerfectPredictions(sizes), ExponentialPredictions(sizes)):
        assert law.moment(0) == pytest.approx(1.0, abs=1e-6)
        assert law.moment(1) == pytest.approx(1.0, abs=1e-6)
        assert law.moment(2) == pytest.approx(second, rel=1e-6)


def test_a_heavy_tail_is_integrated_to_its_end():
    """Pareto of exponent 2.5: a third of E[X²] lies beyond nine times the least size."""
    assert PerfectPredictions(stats.pareto(2.5)).moment(2) == pytest.approx(5.0, rel=1e-4)


def test_a_density_is_sampled_as_it_integrates():
    """Lognormal noise around the size; compared by moments and by order."""
    noise = stats.lognorm(0.5)
    law = JointDensity(
        lambda x, y: np.exp(-x) * noise.pdf(y / x) / x, sizes=(1e-9, 40), predictions=(1e-10, 400)
    )
    x, y = law.sample(100_000, np.random.default_rng(2))
    assert x.mean() == pytest.approx(law.moment(1), abs=4 * x.std() / np.sqrt(len(x)))
    for r in (0.3, 1.0, 4.0):
        part = x * (y < r)
        error = 4 * part.std() / np.sqrt(len(x))
        assert part.mean() == pytest.approx(float(law.below(r, 1)), abs=error)
    assert stats.kstest(np.log(y / x) / 0.5, "norm").pvalue > 0.001
    assert stats.kstest(x, "expon").pvalue > 0.001


def test_given_a_size_the_predictions_are_conditional(noisy):
    pairs = noisy.given(2.0, 0.5)
    assert set(pairs.sizes) == {2.0}
    assert pairs.mean(pairs.predictions) == pytest.approx(2.0, rel=1e-8)
    assert pairs.mean(np.maximum(2.0 - 0.5 * pairs.predictions, 0)) == pytest.approx(
        2.0 - 0.5 * 2.0 * (1 - np.exp(-2.0)), rel=1e-8
    )


def test_given_a_size_observed_twice():
    pairs = ObservedPairs([1.0, 2.0, 1.0], [5.0, 6.0, 7.0], [1, 1, 3]).given(1.0, 0.5)
    assert pairs.mean(pairs.predictions) == pytest.approx(6.5)


@pytest.mark.parametrize(
    ("law", "size"),
    [
        (PerfectPredictions(stats.uniform(0.5, 1.0)), 2.0),
        (ExponentialPredictions(stats.uniform(0.5, 1.0)), 2.0),
        (ObservedPairs([1.0], [1.0]), 2.0),
    ],
    ids=["perfect", "exponential", "observed"],
)
def test_a_size_that_does_not_occur_is_refused(law, size):
    with pytest.raises(ValueError, match="no job of size 2"):
        law.given(size, 0.5)


@pytest.mark.parametrize("law", [PerfectPredictions, ExponentialPredictions])
@pytest.mark.parametrize(
    ("sizes", "says"),
    [(stats.norm(3, 1), "below 0"), (stats.pareto(1.5), "finite second moment")],
)
def test_size_laws_that_have_no_answer_are_refused(law, sizes, says):
    with pytest.raises(ValueError, match=says):
        law(sizes)


def test_a_density_that_is_not_one_is_refused():
    with pytest.raises(ValueError, match=r"integrates to 2\b"):
        JointDensity(lambda x, y: 2 + 0 * x * y, (1e-9, 1.0), (1e-9, 1.0))
    with pytest.raises(ValueError, match="bounds"):
        JointDensity(lambda x, y: x * y, (0.0, 1.0), (1e-9, 1.0))


@pytest.mark.parametrize(
    "arguments",
    [([], []), ([1.0], [1.0, 2.0]), ([0.0], [1.0]), ([1.0], [np.nan]), ([1.0], [1.0], [-1.0])],
)
def test_samples_that_make_no_law_are_refused(arguments):
    with pytest.raises(ValueError, match="sizes, predictions and weights"):
        ObservedPairs(*arguments)
