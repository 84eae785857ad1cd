import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor

from lengthwise.predictors.forest import Forest


def rows(n, seed):
    draw = np.random.default_rng(seed)
    features = draw.normal(size=(n, 5)).astype(np.float32)
    # Equal values on both sides of a threshold are where rounding would show.
    features[:, 3] = features[:, 3].round(1)
    return features, 100 * features[:, 0] + 20 * np.sign(features[:, 3]) + draw.normal(size=n)


@pytest.fixture(scope="module")
def forest():
    return Forest.fit(*rows(300, seed=0), seed=0, n_estimators=50)[0]


@pytest.mark.parametrize("options", [{}, {"max_depth": 1}, {"min_samples_leaf": 7}])
def test_it_says_what_scikit_learn_says(options):
    grown = RandomForestRegressor(n_estimators=20, random_state=3, **options)
    grown.fit(*rows(200, seed=0))
    for seed in (0, 1):
        features, _ = rows(200, seed)
        np.testing.assert_allclose(
            Forest.of(grown).predict(features), grown.predict(features), rtol=1e-12
        )


def test_a_forest_of_bare_roots_says_the_mean():
    forest, _ = Forest.fit(np.zeros((20, 2), np.float32), np.full(20, 7.0), 0, n_estimators=30)
    np.testing.assert_allclose(forest.predict(np.ones((3, 2), np.float32)), 7.0)


def test_one_row_is_said_as_among_others(forest):
    features, _ = rows(40, seed=1)
    alone = np.concatenate([forest.predict(row[None]) for row in features])
    np.testing.assert_array_equal(alone, forest.predict(features))


def test_nothing_asked_is_nothing_said(forest):
    assert forest.predict(np.zeros((0, 5), np.float32)).shape == (0,)


def test_out_of_the_bag_it_is_as_unsure_as_on_new_rows():
    features, targets = rows(300, seed=0)
    forest, unseen = Forest.fit(features, targets, 0, n_estimators=200)
    fresh, truth = rows(300, seed=1)
    seen, out, new = (
        np.abs(said - true).mean()
        for said, true in (
            (forest.predict(features), targets),
            (unseen, targets),
            (forest.predict(fresh), truth),
        )
    )
    assert out == pytest.approx(new, rel=0.2)
    assert seen < 0.7 * out


def test_what_is_saved_comes_back(forest):
    features, _ = rows(40, seed=1)
    again = Forest.restore(forest.arrays())
    np.testing.assert_array_equal(again.predict(features), forest.predict(features))


def test_arrays_are_of_stated_types(forest):
    kinds = {
        name.removeprefix("forest."): str(value.dtype) for name, value in forest.arrays().items()
    }
    assert kinds == dict.fromkeys(("roots", "feature", "left", "right"), "int32") | dict.fromkeys(
        ("threshold", "value"), "float64"
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [("left", 0), ("right", 10**6), ("roots", -1), ("roots", 10**6), ("left", -5)],
)
def test_a_walk_that_would_not_end_is_refused(forest, name, value):
    arrays = {key: array.copy() for key, array in forest.arrays().items()}
    arrays[f"forest.{name}"][0] = value
    with pytest.raises(ValueError, match="tree"):
        Forest.restore(arrays)


def test_arrays_of_different_lengths_are_refused(forest):
    with pytest.raises(ValueError, match="nodes"):
        Forest.restore(forest.arrays() | {"forest.value": np.zeros(3)})
    with pytest.raises(KeyError):
        Forest.restore({})
