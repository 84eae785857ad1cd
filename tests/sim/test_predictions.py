"""Policies and routers of one's own that read distributions, in the simulator."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lengthwise.core import Bins, Policy, Prediction, Request
from lengthwise.core.lengths import Lengths
from lengthwise.core.policy import Source
from lengthwise.errors import UserError
from lengthwise.policies import make_policy
from lengthwise.predictors.tracks import Shapes, Track
from lengthwise.routing import Flight, Instance, Router, make_router
from lengthwise.sim.cluster import Cluster, Layout
from lengthwise.sim.engine import Simulator
from lengthwise.sim.predictors import Recorded, make_predictor
from lengthwise.sim.setup import Setup
from lengthwise.sim.steps import load_profile
from lengthwise.traces import read_workload
from lengthwise.workload import Workload

BINS = Bins.of(np.array([0.0, 20.0, 60.0, 100.0, 400.0]))
SURE, RISKY = [0.0, 1.0, 0.0, 0.0], [0.9, 0.0, 0.0, 0.1]
TIME = load_profile("cpu-smollm2")


class ByQuantile(Policy):
    """Serves first what ends soonest with a probability of 95 %."""

    name = "by-quantile"
    source: Source = "probe"
    preemptive = True

    def __init__(self) -> None:
        self.seen: list[Prediction] = []

    def rank(self, request: Request) -> float:
        assert request.prediction is not None
        self.seen.append(request.prediction)
        return request.prediction.quantile(0.95)

    def preemptible(self, request: Request) -> bool:
        return True


def track(shares: list[float], ages: Sequence[int] = (), left: Sequence[list[float]] = ()) -> Track:
    """A request whose distributions these are; its points are their means."""
    first = Lengths.of(BINS, np.array([shares], np.float32), np.array([500.0]))
    later = np.array(left, np.float32).reshape(len(ages), len(BINS))
    remaining = Lengths.of(BINS, later, 500.0 - np.array(ages, float))
    means = remaining.mean().tolist()
    return Track(float(first.mean()[0]), list(ages), means, Shapes.of(first, remaining))


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def writing(tracks: dict[str, Track], output: int = 30, plain: bool = False) -> Path:
        path = tmp_path / f"tracks-{plain}.jsonl"
        kept = {id: replace(one, shapes=None) if plain else one for id, one in tracks.items()}
        lines = [one.record(id, prompt_tokens=5, output_tokens=output) for id, one in kept.items()]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return path

    return writing


def served(policy: Policy, path: Path, workload: Workload | None = None) -> Sequence[str]:
    """Ids in the order in which they finish on one seat, having arrived together."""
    workload = workload or read_workload(path)
    burst = replace(workload, arrival=np.zeros(len(workload)))
    predictor = make_predictor(f"recorded:{path}")
    outcome = Simulator(burst, policy, predictor, TIME, Setup(seats=1)).run()
    return [workload.id[i] for i in np.argsort(outcome.finish)]


def test_a_policy_ranks_by_a_quantile_that_points_do_not_have(
    write: Callable[..., Path],
) -> None:
    """The risky one is shorter in the mean, and longer at 95 %."""
    path = write({"sure": track(SURE), "risky": track(RISKY)})
    tokens = Recorded.load(path).tracks
    assert tokens["risky"].arrival < tokens["sure"].arrival
    assert served(make_policy("trail"), path) == ["risky", "sure"]
    policy = ByQuantile()
    assert served(policy, path) == ["sure", "risky"]
    assert all(each.batch is not None and each.source == "prompt" for each in policy.seen)


def test_later_distributions_replace_the_first_one(write: Callable[..., Path]) -> None:
    """Served first for its prompt's sake, it is found risky and loses its seat."""
    path = write({"a": track(SURE, [4], [RISKY]), "b": track([0.0, 0.9, 0.1, 0.0])})
    policy = ByQuantile()
    assert served(policy, path) == ["b", "a"]
    assert {each.source for each in policy.seen} == {"prompt", "probe"}
    [first] = {each.tokens for each in policy.seen if each.source == "probe" and each.age == 4}
    assert first == pytest.approx(34.0)
    for each in policy.seen:
        since = each.age + each.since - (4 if each.source == "probe" else 0)
        shares = np.array([RISKY if each.source == "probe" else SURE], np.float32)
        given = Lengths.of(BINS, shares).after(np.array([since]))
        if each.tokens in (34.0, 40.0) and since:
            assert each.quantile(0.95) == pytest.approx(given.quantile(0.95)[0])


@pytest.mark.parametrize("policy", ["sjf", "sprpt", "trail", "trail-early", "ltr", "magnus"])
def test_old_policies_rank_alike_with_and_without_distributions(
    write: Callable[..., Path], policy: str
) -> None:
    draw = np.random.default_rng(0)
    tracks = {
        f"{i}": track(
            draw.dirichlet(np.ones(4)).tolist(), [0, 4, 12], draw.dirichlet(np.ones(4), 3).tolist()
        )
        for i in range(30)
    }
    whole, points = (write(tracks, plain=plain) for plain in (False, True))
    assert Recorded.load(points).lengths(read_workload(points), np.zeros(30)) is None
    assert served(make_policy(policy), whole) == served(make_policy(policy), points)


def test_a_file_has_distributions_everywhere_or_nowhere(write: Callable[..., Path]) -> None:
    path = write({"a": track(SURE), "b": replace(track(SURE), shapes=None)})
    with pytest.raises(UserError, match="all of them distributions over the same bins"):
        make_predictor(f"recorded:{path}")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"edges": [0, 1]}, "1 bins need as many values"),
        ({"edges": [3, 2, 1, 0, 0]}, "increasing"),
        ({"arrival": [0.0] * 4}, "nor all 0"),
        ({"arrival": [1.0] * 3}, "must be 4 numbers"),
        ({"remaining": [[1.0] * 4] * 2}, "must be 1 x 4 numbers"),
        ({"remaining": [[1.0, 1.0, -1.0, 1.0]]}, "not be negative"),
        ({"remaining": None}, "line 1"),
    ],
)
def test_bad_distributions_name_the_line(
    write: Callable[..., Path], change: dict[str, object], says: str
) -> None:
    path = write({"a": track(SURE, [0], [SURE])})
    line = json.loads(path.read_text())
    line["distributions"] |= change
    path.write_text(json.dumps(line))
    with pytest.raises(UserError, match=f"line 1: .*{says}" if "line" not in says else says):
        make_predictor(f"recorded:{path}")


class Careful(Router):
    """Keeps what may become long away from the first instance."""

    name = "careful"
    predicts = True

    def choose(self, flight: Flight, instances: Sequence[Instance], now: float) -> Instance:
        assert flight.prediction is not None
        long = flight.prediction.probability_to_end_within(100) < 0.95
        return instances[1 if long else 0]


def test_a_router_sees_distributions_too(write: Callable[..., Path]) -> None:
    path = write({"sure": track(SURE), "risky": track(RISKY), "short": track([1.0, 0, 0, 0])})
    workload = replace(read_workload(path), arrival=np.array([0.0, 0.1, 0.2]))
    sent = []

    class Noting(Careful):
        def choose(self, flight: Flight, instances: Sequence[Instance], now: float) -> Instance:
            chosen = super().choose(flight, instances, now)
            sent.append((workload.id[int(flight.id)], chosen.key))
            return chosen

    for router in (Noting(), make_router("predicted")):
        cluster = Cluster(
            workload,
            lambda: make_policy("fcfs"),
            router,
            make_predictor(f"recorded:{path}"),
            TIME,
            Setup(seats=2),
            Layout(2),
        )
        assert np.isfinite(cluster.run().total.finish).all()
    assert dict(sent) == {"sure": 0, "risky": 1, "short": 0}


def test_an_oracles_prediction_is_one_by_the_oracle() -> None:
    class Looking(ByQuantile):
        source: Source = "oracle"

    policy = Looking()
    workload = Workload(np.zeros(2), np.full(2, 5), np.array([40, 9]))
    Simulator(workload, policy, make_predictor("oracle"), TIME, Setup(seats=1)).run()
    assert {(each.source, each.tokens) for each in policy.seen} == {
        ("oracle", 40.0),
        ("oracle", 9.0),
    }
    assert all(each.batch is None for each in policy.seen)
