import json

import numpy as np
import pytest

from lengthwise.errors import UserError
from lengthwise.evaluate import latency
from lengthwise.evaluate.latency import Trial
from lengthwise.predictors.tracks import Track

QUICK = {"requests": 80, "runs": 3, "seats": 4, "workers": 1}


@pytest.fixture(scope="module")
def worth(answers, tmp_path_factory):
    """Two predictors that speak at arrival: one knows the truth, one believes the opposite."""
    folder = tmp_path_factory.mktemp("tracks")
    top = int(answers.tokens.max()) + 1
    said = {"truth": answers.tokens, "opposite": top - answers.tokens}
    tracks = {}
    for name, totals in said.items():
        lines = [
            Track(float(total), [0], [float(total)]).record(each.id)
            for each, total in zip(answers.asked, totals, strict=True)
        ]
        tracks[name] = folder / f"{name}.jsonl"
        tracks[name].write_text("".join(json.dumps(line) + "\n" for line in lines))
    return latency.worth(tracks, ["truth"], answers, Trial(loads=(0.8,), **QUICK))


def test_every_scenario_has_every_predictor(worth):
    assert list(worth["scenarios"]) == ["burst", "load 0.8"]
    for found in worth["scenarios"].values():
        assert list(found) == ["fcfs", "oracle", "trail@truth", "sjf@truth", "trail@opposite"]
        for figures in found.values():
            assert set(figures) == {*latency.FIGURES, "gain_kept"}


def test_knowing_keeps_the_gain_and_believing_the_opposite_loses_it(worth):
    burst = worth["scenarios"]["burst"]
    assert burst["fcfs"]["gain_kept"]["value"] == 0
    assert burst["oracle"]["gain_kept"]["value"] == 1
    assert burst["trail@truth"]["gain_kept"]["value"] > 0.9
    assert burst["trail@opposite"]["gain_kept"]["value"] < 0
    assert burst["oracle"]["mean_latency_s"]["value"] < burst["fcfs"]["mean_latency_s"]["value"]
    assert burst["sjf@truth"]["preemptions"]["value"] == 0


def test_capacity_is_what_leaves_while_somebody_waits(answers):
    """So a load of 1 keeps all seats busy: seats over the time a request holds one."""
    requests = latency.workload(answers)
    few = latency.capacity(requests, Trial(**QUICK))
    more = latency.capacity(requests, Trial(**QUICK | {"seats": 8}))
    assert few < more < 2 * few
    with pytest.raises(UserError, match="at least 2"):
        Trial(runs=1)
    with pytest.raises(UserError, match="above 16"):
        Trial(requests=16)


def test_the_workload_is_the_held_out_requests(answers):
    requests = latency.workload(answers)
    assert requests.id == tuple(each.id for each in answers.asked)
    assert np.array_equal(requests.output, answers.tokens)
    assert (requests.prompt == 7).all()
