import csv
import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lengthwise.errors import UserError
from lengthwise.predictors.errors import TRAIL, ErrorModel, fit_error_model
from lengthwise.sim.predictors import Errors, make_predictor
from lengthwise.workload import Workload, draw

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
N = 50_000


def rng(seed=11):
    return np.random.default_rng(seed)


def workload(*output):
    return Workload(np.zeros(len(output)), np.full(len(output), 9), np.array(output))


def predict(spec, *output, seed=11):
    return make_predictor(spec).at_arrival(workload(*output), rng(seed))


def shared(name):
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{path} does not exist")
    return path


def test_nothing_known_is_nan():
    assert np.isnan(predict("none", 5, 6)).all()


def test_the_oracle_knows():
    assert predict("oracle", 5, 600).tolist() == [5, 600]


def test_a_constant_is_the_median_or_the_one_given():
    assert predict("constant", 5, 6, 100).tolist() == [6, 6, 6]
    assert predict("constant:200", 5, 6).tolist() == [200, 200]


def test_log_normal_errors_have_median_1_and_the_spread():
    errors = np.log(predict("lognormal:0.5", *[10_000] * N) / 10_000)
    assert np.median(errors) == pytest.approx(0.0, abs=0.02)
    assert errors.std() == pytest.approx(0.5, rel=0.02)


def test_what_a_log_normal_prediction_says_of_the_length_is_true():
    """As often as the posterior says, the length is below its quantiles; nothing is drawn anew."""
    output = np.minimum(rng().lognormal(4.5, 1.2, 20_000), 3000).astype(int) + 1
    traffic = workload(*output)
    predictor = make_predictor("lognormal:0.8")
    said = predictor.at_arrival(traffic, rng(3))
    drawn = output * rng(3).lognormal(0, 0.8, len(said))
    np.testing.assert_array_equal(said, np.maximum(drawn, 1))
    lengths = predictor.lengths(traffic, said)
    assert lengths is not None
    for level in (0.1, 0.5, 0.9):
        assert (output <= lengths.quantile(level)).mean() == pytest.approx(level, abs=0.03)
    # Also among those of which much or little was predicted.
    for some in (said > 500, said < 30):
        assert lengths.mean()[some].mean() == pytest.approx(output[some].mean(), rel=0.08)


def test_one_length_only_leaves_no_doubt():
    traffic = workload(7, 7, 7)
    predictor = make_predictor("lognormal:0.8+refined")
    lengths = predictor.lengths(traffic, np.array([1.0, 7.0, 4000.0]))
    assert lengths is not None
    assert lengths.mean() == pytest.approx([7.5] * 3, abs=1.0)
    assert make_predictor("exponential").lengths(traffic, np.ones(3)) is None


def test_exponential_predictions_have_the_true_length_as_mean_and_deviation():
    found = predict("exponential", *[1000] * N)
    assert found.mean() == pytest.approx(1000, rel=0.02)
    assert found.std() == pytest.approx(1000, rel=0.02)


@pytest.mark.parametrize("spec", ["lognormal:3", "exponential", "lognormal:3+refined"])
def test_no_prediction_is_below_a_token(spec):
    found = predict(spec, *[1] * 1000)
    assert found.min() == 1.0
    assert found.max() > 1.0


def confusion(folder, **fields):
    given = {"edges": [0, 10, 100, 400], "matrix": [[1, 0, 0], [2, 1, 1], [0, 0, 5]], **fields}
    path = folder / "confusion.json"
    path.write_text(json.dumps(given))
    return f"confusion:{path}"


def test_a_confusion_matrix_gives_its_shares(tmp_path):
    found = predict(confusion(tmp_path), *[5] * 10, *[50] * N, *[250, 4000])
    assert found[:10].tolist() == [5.0] * 10
    assert found[-2:].tolist() == [250.0, 250.0]
    values, counts = np.unique(found[10:-2], return_counts=True)
    assert values.tolist() == [5.0, 55.0, 250.0]
    assert counts / N == pytest.approx([0.5, 0.25, 0.25], abs=0.01)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"matrix": [[1, 0], [0, 1]]}, "3 bins need a matrix of 3 rows"),
        ({"matrix": [[1, 0], [0]]}, "confusion matrix"),
        ({"matrix": [[1, 0, 0], [0, 0, 0], [0, 0, 1]]}, "nor all 0"),
        ({"matrix": [[1, 0, 0], [0, -1, 2], [0, 0, 1]]}, "not be negative"),
        ({"matrix": "x"}, "confusion matrix"),
        ({"matrix": {"a": 1}}, "not arrays of numbers"),
        ({"edges": [0, 10, 5, 20]}, "increasing"),
        ({"edges": [0, 10, 20, float("nan")]}, "finite"),
    ],
)
def test_a_bad_confusion_matrix_is_refused(tmp_path, fields, message):
    with pytest.raises(UserError, match=message):
        make_predictor(confusion(tmp_path, **fields))


@pytest.mark.parametrize(
    ("text", "message"), [('{"edges": [0, 1]}', "no matrix"), ("[1]", "not arrays"), ("", "cannot")]
)
def test_a_confusion_file_needs_both_fields(tmp_path, text, message):
    path = tmp_path / "c.json"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        make_predictor(f"confusion:{path}")


def ssjf(folder, *pairs):
    path = folder / "pairs.csv"
    path.write_text("output_tokens,pred_5class\n" + "".join(f"{a},{b}\n" for a, b in pairs))
    return f"ssjf:{path}"


def test_ssjf_takes_the_class_of_a_real_request_about_as_long(tmp_path):
    spec = ssjf(tmp_path, (400, 3), (10, 0), (100, 1), (104, 3), (500, 3))
    low, high = 100.0, (400 + 104 + 500) / 3
    assert set(predict(spec, *[102] * 50)) == {low, high}
    assert predict(spec, 10, 1).tolist() == [10, 10]
    assert predict(spec, 500, 9999).tolist() == [high, high]
    assert predict(spec, 30, 35, 200).min() >= 10


def test_ssjf_errors_are_those_of_the_real_predictor():
    path = shared("ssjf_lmsys_lengths.csv.gz")
    with gzip.open(path, "rt") as lines:
        rows = np.array(
            [(int(row["output_tokens"]), int(row["pred_5class"])) for row in csv.DictReader(lines)]
        )
    true, classes = rows[::4].T
    found = predict(f"ssjf:{path}", *true)
    means = np.array([rows[rows[:, 1] == each, 0].mean() for each in range(5)])
    assert np.isin(found.round(6), means.round(6)).all()
    real = np.abs(means[classes] - true).mean()
    assert np.abs(found - true).mean() == pytest.approx(real, rel=0.05)


def test_a_file_gives_the_first_requests_predictions(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text('id,predicted\n1,12.5\n2,""\n3,0.25\n4,7\n')
    found = predict(f"file:{path}", 1, 1, 1)
    assert found == pytest.approx([12.5, np.nan, 1.0], nan_ok=True)
    path = tmp_path / "p.jsonl"
    path.write_text('{"predicted": 12.5}\n{"predicted": null}\n')
    assert predict(f"file:{path}", 1, 1) == pytest.approx([12.5, np.nan], nan_ok=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("predicted\n1\n", "has 1 predictions, 2 are needed"),
        ("predicted\n1\nmany\n", "line 3: predicted is not a number"),
        ("predicted\n1\nnan\n", "line 3: predicted is not a number"),
        ("tokens\n1\n2\n", "line 2: no predicted"),
        ("predicted\n", "no records"),
    ],
)
def test_a_bad_file_of_predictions_is_named(tmp_path, text, message):
    path = tmp_path / "p.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        predict(f"file:{path}", 1, 1)


def test_a_bad_ssjf_line_is_named(tmp_path):
    with pytest.raises(UserError, match="line 3: output_tokens is not a number"):
        make_predictor(ssjf(tmp_path, (1, 1), ("x", 1)))


@pytest.mark.parametrize(
    ("spec", "source"),
    [
        ("none", "none"),
        ("oracle", "oracle"),
        ("constant", "prompt"),
        ("exponential", "prompt"),
        ("lognormal:1", "prompt"),
        ("refined", "probe"),
        ("exponential+refined", "probe"),
    ],
)
def test_a_predictor_names_its_source_and_whether_it_refines(spec, source):
    predictor = make_predictor(spec)
    assert predictor.source == source
    assert predictor.refines == (source == "probe")
    assert (predictor.start(workload(1, 2, 3), rng()) is not None) == predictor.refines


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("magic", "unknown predictor 'magic': choose from confusion, constant"),
        ("", "unknown predictor ''"),
        ("magic+refined", "unknown predictor 'magic'"),
        ("oracle:3", "'oracle' takes no argument"),
        ("lognormal", "'lognormal' takes one argument"),
        ("lognormal:", "'lognormal' takes one argument"),
        ("lognormal:wide", "positive number, not 'wide'"),
        ("lognormal:-1", "positive"),
        ("constant:nan", "positive"),
        ("ssjf:nowhere.csv", r"nowhere\.csv cannot be read"),
        ("refined:nowhere.json", r"error model nowhere\.json cannot be read"),
    ],
)
def test_a_bad_spec_says_what_is_wrong(spec, message):
    with pytest.raises(UserError, match=message):
        make_predictor(spec)


@given(
    st.sampled_from(["none", "oracle", "constant", "constant:3", "lognormal:2", "exponential"]),
    st.lists(st.integers(1, 10**6), min_size=1, max_size=9),
    st.integers(0, 99),
)
def test_every_request_has_one_prediction_decided_by_the_seed(spec, output, seed):
    found = predict(spec, *output, seed=seed)
    assert found.shape == (len(output),)
    assert found.dtype == np.float64
    assert np.isnan(found).all() if spec == "none" else (found >= 1).all()
    np.testing.assert_array_equal(found, predict(spec, *output, seed=seed))


# The refining probe.

TWO = ErrorModel((0, 50), (0.3, -0.2), (1.0, 0.8), (0.6, 0.2), (0.9, 0.97))


def test_a_refined_predictor_leaves_arrivals_to_the_prompts():
    assert np.isnan(predict("refined", 5, 6)).all()
    assert predict("constant:50+refined", 5, 6).tolist() == [50, 50]


def log_errors(errors, age, true, generator, n=N):
    """Errors of n requests' logarithms at one age: what is left after slope and truth."""
    index, ages = np.arange(n), np.full(n, age)
    found = errors.remaining(index, np.full(n, true), ages, generator)
    slope = TWO.slope[int(age >= 50)]
    return np.log(found) - slope * np.log(true)


def test_refined_errors_have_each_ages_moments_and_fade_over_tokens():
    generator = rng()
    errors = Errors(TWO, N, generator)
    before = log_errors(errors, 3, 1e6, generator)
    later = log_errors(errors, 8, 1e6, generator)
    old = log_errors(errors, 500, 1e6, generator)
    older = log_errors(errors, 520, 1e6, generator)
    for found, bias, spread in (
        (before, 0.3, 0.6),
        (later, 0.3, 0.6),
        (old, -0.2, 0.2),
        (older, -0.2, 0.2),
    ):
        assert found.mean() == pytest.approx(bias, abs=0.02)
        assert found.std() == pytest.approx(spread, rel=0.02)
    assert np.corrcoef(before, later)[0, 1] == pytest.approx(0.9**5, abs=0.02)
    assert np.corrcoef(old, older)[0, 1] == pytest.approx(0.97**20, abs=0.02)
    assert np.corrcoef(later, old)[0, 1] == pytest.approx(0.0, abs=0.02)


def test_many_small_steps_are_one_large_one():
    generator = rng()
    errors = Errors(TWO, N, generator)
    first = log_errors(errors, 0, 1e6, generator)
    for age in range(1, 11):
        last = log_errors(errors, age, 1e6, generator)
    assert np.corrcoef(first, last)[0, 1] == pytest.approx(0.9**10, abs=0.02)


def test_requests_err_apart_from_each_other():
    generator = rng()
    errors = Errors(TWO, 2 * N, generator)
    found = log_errors(errors, 0, 1e6, generator, 2 * N)
    assert np.corrcoef(found[:N], found[N:])[0, 1] == pytest.approx(0.0, abs=0.02)


def test_only_the_requests_asked_for_move_on():
    generator = rng()
    errors = Errors(TWO, 3, generator)
    true, ages = np.full(3, 100.0), np.zeros(3, np.int64)
    every = np.arange(3)
    start = errors.remaining(every, true, ages, generator)
    errors.remaining(np.array([1]), true[:1], np.array([20]), generator)
    again = errors.remaining(every, true, np.array([0, 20, 0]), generator)
    assert again[[0, 2]].tolist() == start[[0, 2]].tolist()
    assert again[1] != start[1]


@given(st.integers(0, 99), st.lists(st.integers(1, 3000), min_size=1, max_size=9))
def test_refined_predictions_are_at_least_a_token_and_decided_by_the_seed(seed, true):
    def run():
        generator = rng(seed)
        errors = make_predictor("refined").start(workload(*true), generator)
        ages = np.arange(len(true)) * 40
        return errors.remaining(np.arange(len(true)), np.array(true, float), ages, generator)

    found = run()
    assert (found >= 1).all()
    assert found.tolist() == run().tolist()


def sampled(model, n, generator):
    """Predictions every 8 tokens of n requests of this model, by request, then age."""
    lengths = draw("lognormal:400:0.8", n, generator)
    errors = Errors(model, n, generator)
    rows = []
    for age in range(0, int(lengths.max()), 8):
        index = np.flatnonzero(lengths > age)
        true = (lengths[index] - age).astype(np.float64)
        ages = np.full(len(index), age)
        rows.append((true, errors.remaining(index, true, ages, generator), ages, index))
    true, predicted, ages, index = (np.concatenate(column) for column in zip(*rows, strict=True))
    order = np.lexsort((ages, index))
    return true[order], predicted[order], ages[order], index[order]


def test_a_fit_finds_the_model_that_made_the_predictions():
    model = ErrorModel((0, 100), (2.0, 1.5), (0.8, 0.9), (0.4, 0.2), (0.98, 0.99))
    found = fit_error_model(*sampled(model, 3000, rng()), ages=(0, 100))
    assert found.ages == (0, 100)
    assert found.bias == pytest.approx(model.bias, abs=0.06)
    assert found.slope == pytest.approx(model.slope, abs=0.02)
    assert found.spread == pytest.approx(model.spread, rel=0.05)
    assert found.rho == pytest.approx(model.rho, abs=0.003)


def test_ages_with_few_predictions_take_all_of_them():
    true, predicted, age, request = sampled(TRAIL, 200, rng())
    found = fit_error_model(true, predicted, age, request, ages=(0, 1, 10_000_000))
    whole = fit_error_model(true, predicted, age, request, ages=(0,))
    assert found.spread[2] == pytest.approx(whole.spread[0])
    assert found.rho[2] == pytest.approx(whole.rho[0], abs=0.01)


def test_perfect_and_single_predictions_can_be_fitted():
    true = np.array([30.0, 20.0, 10.0, 400.0])
    found = fit_error_model(true, true, np.array([0, 8, 16, 0]), np.array([1, 1, 1, 2]), ages=(0,))
    assert found.spread[0] == pytest.approx(0.0, abs=1e-9)
    assert found.slope[0] == pytest.approx(1.0)
    one = fit_error_model(true[:1], 2 * true[:1], np.array([0]), np.array([5]), ages=(0,))
    assert one.bias[0] == pytest.approx(np.log(2))


@pytest.mark.parametrize(
    "change",
    [
        {"age": [8, 0, 0]},
        {"age": [0, 0, 0]},
        {"age": [-1, 8, 0]},
        {"request": [1, 2, 1]},
        {"request": [1, 1]},
        {"predicted": [1.0, np.nan, 1.0]},
        {"true_remaining": [], "predicted": [], "age": [], "request": []},
    ],
)
def test_only_sorted_finite_predictions_are_fitted(change):
    rows = {
        "true_remaining": [9.0, 1.0, 5.0],
        "predicted": [9.0, 2.0, 4.0],
        "age": [0, 8, 0],
        "request": [1, 1, 2],
    }
    with pytest.raises(ValueError, match="predictions must be"):
        fit_error_model(**{name: np.array(each) for name, each in (rows | change).items()})


parameters = st.floats(-3, 3)
buckets = st.tuples(
    parameters, parameters, st.floats(0, 3), st.floats(0, 1, exclude_min=True, exclude_max=True)
)


@given(st.dictionaries(st.integers(1, 10**6), buckets, max_size=5), buckets)
def test_a_saved_model_is_the_one_loaded(tmp_path_factory, rest, first):
    ages = (0, *sorted(rest))
    columns = zip(first, *(rest[age] for age in ages[1:]), strict=True)
    model = ErrorModel(ages, *columns)
    path = tmp_path_factory.mktemp("model") / "m.json"
    model.save(path)
    assert ErrorModel.load(path) == model
    assert make_predictor(f"refined:{path}").model == model


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ages": [1]}, "ages must increase from 0"),
        ({"ages": []}, "ages must increase from 0"),
        ({"ages": [0, 0]}, "ages must increase from 0"),
        ({"ages": [0, 8]}, "2 ages need as many"),
        ({"spread": [-1.0]}, "not negative"),
        ({"rho": [1.0]}, "within 0 and 1"),
        ({"rho": [0.0]}, "within 0 and 1"),
        ({"bias": 0.0}, "not lists"),
        ({"bias": [None]}, "error model"),
        ({"slope": [[1.0]]}, "not lists"),
    ],
)
def test_a_bad_model_is_refused(tmp_path, change, message):
    path = tmp_path / "m.json"
    TRAIL.save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError, match=message):
        ErrorModel.load(path)


def test_the_default_errs_as_much_as_the_authors_probe():
    with gzip.open(shared("alpaca_eval_output_lengths.csv.gz"), "rt") as lines:
        lengths = np.array(
            [
                min(int(row["tok_llama3"]), 512)
                for row in csv.DictReader(lines)
                if row["model"] == "Meta-Llama-3-8B-Instruct"
            ]
        )
    generator = rng()
    errors = Errors(TRAIL, len(lengths), generator)
    missed = []
    for age in range(512):
        index = np.flatnonzero(lengths > age)
        true = (lengths[index] - age).astype(np.float64)
        found = errors.remaining(index, true, np.full(len(index), age), generator)
        missed.append(np.abs(found - true))
    assert np.concatenate(missed).mean() == pytest.approx(33.87, rel=0.05)
