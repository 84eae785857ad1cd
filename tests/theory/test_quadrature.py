import numpy as np
import pytest

from lengthwise.theory.quadrature import Integral, PartialMoments, panels, rule


def test_panels_grow_by_one_factor_between_their_ends():
    edges = panels(np.array([1.0, 2.0]), 16.0, 4)
    np.testing.assert_allclose(edges[0], [1, 2, 4, 8, 16])
    np.testing.assert_allclose(edges[1, [0, -1]], [2, 16])


def test_a_rule_integrates_polynomials_of_degree_fifteen_exactly():
    nodes, weights = rule(np.array([0.0, 0.5, 2.0]))
    assert np.sum(weights * nodes**15) == pytest.approx(2**16 / 16, rel=1e-13)


def test_empty_panels_have_no_weight():
    _, weights = rule(panels(3.0, np.array([3.0, 4.0]), 5))
    assert not weights[0].any()
    assert weights[1].sum() == pytest.approx(1.0)


def test_an_integral_of_steps_is_exact():
    """Jumps at knots, a constant beyond the last, and arguments anywhere."""
    steps = Integral(lambda z: np.where(z < 1, 1.0, np.where(z < 3, 5.0, 2.0)), np.array([0, 1, 3]))
    np.testing.assert_allclose(
        steps(np.array([0, 0.25, 1, 2, 3, 7.0])), [0, 0.25, 1, 6, 11, 19], rtol=1e-14
    )


def test_an_integral_keeps_the_shape():
    square = Integral(lambda z: z**2, np.linspace(0, 4, 9))
    z = np.array([[0.3, 1.7], [2.0, 3.9]])
    np.testing.assert_allclose(square(z), z**3 / 3, rtol=1e-13)


def test_partial_moments_of_an_exponential():
    moments = PartialMoments(lambda x, k: x**k * np.exp(-x), panels(1e-10, 40, 800))
    r = np.array([1e-12, 0.01, 0.7, 3.0, 30.0, np.inf])
    e = np.exp(-r)
    finite = np.where(np.isinf(r), 0.0, r)
    np.testing.assert_allclose(moments(r, 0), 1 - e, atol=1e-7)
    np.testing.assert_allclose(moments(r, 1), 1 - e * (1 + finite), atol=1e-7)
    np.testing.assert_allclose(moments(r, 2), 2 - e * (finite**2 + 2 * finite + 2), atol=1e-7)
