import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from lengthwise.errors import UserError
from lengthwise.workload import Workload, draw, fitted, resample, synthetic


def rng():
    return np.random.default_rng(7)


def workload(prompt, output, prefix=()):
    arrays = [np.array(each, dtype=np.int64) for each in (prompt, output, prefix)]
    return Workload(np.arange(len(prompt)) * 1.0, *arrays, name="toy")


def correlated(n=20_000, rho=0.6):
    one, other = rng().standard_normal((2, n))
    prompt = np.exp(5.0 + 0.8 * one)
    output = np.exp(6.0 + 0.5 * (rho * one + np.sqrt(1 - rho**2) * other))
    return workload(np.rint(prompt), np.rint(output))


@pytest.mark.parametrize(
    ("law", "mean", "deviation"),
    [
        ("constant:100", 100, 0),
        ("exp:200", 200, 200),
        ("gamma:200:2", 200, 400),
        ("gamma:200:0.5", 200, 100),
        ("lognormal:200:1.0", 200, 200 * np.sqrt(np.e - 1)),
        ("uniform:1:512", 256.5, np.sqrt((512**2 - 1) / 12)),
    ],
)
def test_a_law_has_its_moments(law, mean, deviation):
    found = draw(law, 200_000, rng())
    assert found.dtype == np.int64
    assert found.mean() == pytest.approx(mean, rel=0.01)
    assert found.std() == pytest.approx(deviation, rel=0.04)


def test_both_ends_of_uniform_are_drawn():
    assert np.unique(draw("uniform:3:5", 100, rng())).tolist() == [3, 4, 5]


positive = st.floats(0.01, 1e4).map(str)


@given(
    st.one_of(
        st.builds("exp:{}".format, positive),
        st.builds("constant:{}".format, positive),
        st.builds("gamma:{}:{}".format, positive, st.floats(0.05, 20).map(str)),
        st.builds("lognormal:{}:{}".format, positive, st.floats(0.01, 5).map(str)),
    )
)
def test_every_length_is_at_least_a_token(law):
    found = draw(law, 50, rng())
    assert found.shape == (50,)
    assert found.min() >= 1


@pytest.mark.parametrize(
    ("law", "message"),
    [
        ("zipf:2", "no law 'zipf:2': choose from constant, exp"),
        ("exp", "should read exp:MEAN"),
        ("exp:1:2", "should read exp:MEAN"),
        ("exp:many", "should read exp:MEAN"),
        ("exp:0", "positive"),
        ("exp:-3", "positive"),
        ("exp:nan", "positive"),
        ("exp:inf", "positive"),
        ("lognormal:5", "should read lognormal:MEAN:SIGMA"),
        ("uniform:5:2", "the lower first"),
    ],
)
def test_a_bad_law_says_how_it_should_read(law, message):
    with pytest.raises(UserError, match=message):
        draw(law, 3, rng())


def test_synthetic_requests_follow_both_laws_independently():
    found = synthetic(50_000, "exp:300", "lognormal:200:0.5", seed=1)
    assert found.prompt.mean() == pytest.approx(300, rel=0.02)
    assert found.output.mean() == pytest.approx(200, rel=0.02)
    assert abs(spearmanr(found.prompt, found.output).statistic) < 0.02
    assert found.arrival[-1] == 0


@given(st.lists(st.tuples(*[st.integers(1, 99)] * 2), min_size=1, max_size=9), st.integers(1, 40))
def test_resampling_keeps_records_whole(pairs, n):
    prompt, output = zip(*pairs, strict=True)
    found = resample(workload(prompt, output, prefix=prompt), n, seed=3)
    assert len(found) == n
    assert set(zip(found.prompt.tolist(), found.output.tolist(), strict=True)) <= set(pairs)
    assert found.prefix.tolist() == found.prompt.tolist()
    assert found.arrival.tolist() == [0.0] * n


def test_resampling_draws_all_records_alike():
    found = resample(workload([1, 2, 3, 4], [1, 1, 1, 1]), 40_000, seed=3)
    counts = np.bincount(found.prompt)[1:]
    assert counts == pytest.approx([10_000] * 4, rel=0.05)


@pytest.mark.parametrize("law", ["lognormal", "gamma"])
def test_a_fit_keeps_the_means_and_the_rank_correlation(law):
    real = correlated()
    found = fitted(real, 50_000, seed=5, law=law)
    for name in ("prompt", "output"):
        ours, theirs = getattr(found, name), getattr(real, name)
        assert ours.mean() == pytest.approx(theirs.mean(), rel=0.03)
        assert 1 <= ours.min() <= ours.max() <= theirs.max()
    wanted = spearmanr(real.prompt, real.output).statistic
    assert spearmanr(found.prompt, found.output).statistic == pytest.approx(wanted, abs=0.02)


def test_a_log_normal_fit_has_the_logarithms_moments():
    found = np.log(fitted(correlated(), 50_000, seed=5).output)
    assert found.mean() == pytest.approx(6.0, abs=0.02)
    assert found.std() == pytest.approx(0.5, rel=0.03)


def test_a_gamma_fit_has_the_gammas_moments():
    lengths = rng().gamma(2.0, 150.0, 20_000) + 1
    found = fitted(workload(lengths, lengths), 50_000, seed=5, law="gamma").output
    assert found.mean() == pytest.approx(301, rel=0.02)
    assert found.std() == pytest.approx(150 * np.sqrt(2), rel=0.03)


@pytest.mark.parametrize("law", ["lognormal", "gamma"])
def test_a_constant_is_fitted_by_itself(law):
    found = fitted(workload([50, 50], [3, 9]), 20, seed=1, law=law)
    assert found.prompt.tolist() == [50] * 20


def test_only_known_laws_are_fitted():
    with pytest.raises(UserError, match="choose from lognormal, gamma"):
        fitted(correlated(100), 10, seed=1, law="cauchy")


SOURCES = {
    "resample": lambda n, seed: resample(correlated(500), n, seed),
    "fitted": lambda n, seed: fitted(correlated(500), n, seed),
    "gamma": lambda n, seed: fitted(correlated(500), n, seed, "gamma"),
    "synthetic": lambda n, seed: synthetic(n, "exp:50", "exp:50", seed),
}


@pytest.mark.parametrize("source", SOURCES)
def test_the_seed_decides(source):
    once, again, other = (SOURCES[source](30, seed) for seed in (1, 1, 2))
    assert once.output.tolist() == again.output.tolist()
    assert once.output.tolist() != other.output.tolist()


@pytest.mark.parametrize("source", SOURCES)
def test_no_requests_is_no_workload(source):
    with pytest.raises(UserError, match="at least 1 request"):
        SOURCES[source](0, 1)
