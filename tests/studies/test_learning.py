import numpy as np
import pytest

from lengthwise.studies.learning import Traffic, learn, mean_latency


@pytest.fixture(scope="module")
def courses(tmp_path_factory):
    """Traffic of each kind, and what acted in its course."""
    from safetensors.numpy import save_file

    model = tmp_path_factory.mktemp("model")
    (model / "config.json").write_text('{"model_type": "llama"}')
    save_file({"model.norm.weight": np.ones(4, np.float32)}, model / "model.safetensors")
    found = {}
    for kind in ("telling", "worthless", "turning"):
        traffic = Traffic.of(kind, 800, seed=1)
        found[kind] = traffic, learn(traffic, str(model), seed=1)
    return found


def ratio(traffic, course):
    nothing = np.full(len(course.predicted), np.nan)
    with_it, without = (
        mean_latency(traffic.workload, each, "lengthwise") for each in (course.predicted, nothing)
    )
    return with_it / without


def test_what_prompts_tell_is_learned_and_lowers_the_mean(courses):
    traffic, course = courses["telling"]
    assert course.changes[0][0] < 300
    assert ratio(traffic, course) < 0.9


def test_where_prompts_tell_nothing_nothing_acts_and_nothing_is_lost(courses):
    traffic, course = courses["worthless"]
    assert course.changes == []
    assert ratio(traffic, course) == 1.0


def test_where_they_turn_it_is_taken_out_within_a_hundred_requests(courses):
    traffic, course = courses["turning"]
    out = next(at for at, version in course.changes if not version)
    assert 400 < out <= 500
    assert ratio(traffic, course) < 1.0
