"""The whole learner, in one process: requests in, decisions and predictors out."""

from dataclasses import replace

import numpy as np
import pytest

from lengthwise.errors import UserError
from lengthwise.models.fingerprint import identity
from lengthwise.online import history
from lengthwise.online.learner import Learner
from lengthwise.online.messages import Acts, Learn, Note, Steps
from lengthwise.online.options import Learning
from lengthwise.online.orders import NONE
from lengthwise.online.states import States
from lengthwise.online.version import Version
from lengthwise.online.versions import Versions
from lengthwise.sim.setup import Setup

OPTIONS = Learning(
    kind="ngrams", first=60, every=120, judges=30, window=50, held_back=0.2, seconds=1e9
)
SPEED = Steps([(i % 7 * 10, 1 + i % 8, 50 * (i % 9), 0.02 + 5e-4 * (1 + i % 8)) for i in range(80)])


class World:
    """A learner, what it sent, and the engine as far as it matters: what acts predicts."""

    def __init__(
        self, model, folder, options=OPTIONS, states=False, acting=(), policy="lengthwise"
    ):
        self.sent, self.now = [], 0.0
        setup = Setup(seats=4, budget=256, blocks=2000)
        start = Learn(model, str(folder), options, policy, setup, states, acting)
        self.learner = Learner(start, self.sent.append, lambda: self.now, lambda: 1e9 + self.now)
        self.learner.resume()
        self.learner.add(SPEED)

    def serve(self, finished, wait=True):
        """Requests finish one after the other; ``wait`` until a version that is due is made."""
        for each in finished:
            self.now += 1.0
            self.learner.add(replace(each, arrival=self.now, version=self.acting("prompt")))
            self.learner.turn()
            if wait and self.learner._thread is not None:
                self.learner._thread.join()
                self.learner.turn()

    def acting(self, role):
        acting = self.learner.contests[role].acting
        return 0 if acting is None else acting.number

    @property
    def acts(self):
        return [(each.role, each.version) for each in self.sent if isinstance(each, Acts)]

    @property
    def lines(self):
        return [each.line for each in self.sent if isinstance(each, Note)]


@pytest.fixture
def world(served, tmp_path):
    return World(served, tmp_path)


def events(folder):
    return [each.event for each in history.read(folder)]


def test_a_version_that_is_worth_it_acts_and_says_why(world, outcomes, tmp_path):
    world.serve(outcomes(150))
    assert world.acts[0] == ("prompt", 1)
    assert world.acting("prompt") == 1
    assert world.lines[0].startswith("prompt version 1 is in the shadow: ngrams, learned from")
    assert "prompt version 1 acts:" in world.lines[1]
    assert "without it; simulated against now: mean " in world.lines[1]
    versions = Versions(tmp_path, identity(world.learner._start.model), print)
    assert versions.acting() == {"prompt": 1}
    judged = versions.read(1).judged
    assert judged.pairs_right > 0.6 > judged.instead == 0.5
    decision = next(each for each in history.read(tmp_path) if each.event == "acts")
    assert decision.version == 1
    assert decision.mean_ratio < 0.99


def test_what_acts_predicts_as_it_was_made(world, outcomes):
    world.serve(outcomes(150))
    (acts,) = [each for each in world.sent if isinstance(each, Acts)]
    predictor = acts.predictor.predictor()
    long, short = (
        [each.asked for each in outcomes(40, seed=5) if (each.tokens > 50) == is_long]
        for is_long in (True, False)
    )
    assert predictor.lengths(long).mean().min() > predictor.lengths(short).mean().max()


def test_a_version_that_is_worth_nothing_never_acts(world, outcomes, tmp_path):
    rng = np.random.default_rng(0)
    nothing = [
        replace(each, tokens=int(np.exp(rng.normal(3.5, 1.0))) + 1) for each in outcomes(300)
    ]
    world.serve(nothing)
    assert not world.acts
    assert sum("stays in the shadow" in line for line in world.lines) >= 1
    assert "made" in events(tmp_path)
    assert "acts" not in events(tmp_path)


def test_nothing_acts_before_the_engines_speed_is_known(served, tmp_path, outcomes):
    world = World(served, tmp_path)
    world.learner._steps.clear()
    world.serve(outcomes(150))
    assert not world.acts
    world.learner.add(SPEED)
    world.serve(outcomes(30, seed=9))
    assert world.acts


def test_where_the_simulator_sees_no_gain_it_stays_in_the_shadow(served, tmp_path, outcomes):
    world = World(served, tmp_path)
    # With a seat for each nobody waits for anybody.
    world.learner._start = replace(
        world.learner._start, setup=Setup(seats=4096, budget=100_000, blocks=200_000)
    )
    world.serve(outcomes(170))
    assert not world.acts
    assert any("simulated: mean 1.00" in line for line in world.lines)


def test_a_turn_of_the_traffic_takes_it_out_and_a_new_version_acts(world, outcomes, tmp_path):
    world.serve(outcomes(200))
    assert world.acting("prompt")
    turned = outcomes(60, seed=3, turned=True)
    world.serve(turned)
    assert ("prompt", 0) in world.acts, "within its window"
    assert any("is taken out: it orders" in line for line in world.lines)
    world.serve(outcomes(400, seed=4, turned=True))
    assert world.acting("prompt") > 1
    assert [each for each in events(tmp_path) if each in ("acts", "out")][:3] == [
        "acts",
        "out",
        "acts",
    ]


def test_drift_is_one_line_and_the_past_forgotten(world, outcomes):
    world.serve(outcomes(200))
    longer = [replace(each, tokens=each.tokens * 20) for each in outcomes(150, seed=3)]
    world.serve(longer)
    assert sum("lengths have drifted" in line for line in world.lines) >= 1


def test_a_restart_goes_on_with_what_acted(served, tmp_path, outcomes):
    first = World(served, tmp_path)
    first.serve(outcomes(150))
    first.learner.samples._shards.save()
    again = World(served, tmp_path)
    assert again.acts == [("prompt", 1)]
    assert "goes on with prompt version 1" in again.lines[0]
    assert again.learner.samples.seen == 150


def test_a_new_process_takes_over_from_a_killed_one_without_a_word(served, tmp_path, outcomes):
    first = World(served, tmp_path)
    first.serve(outcomes(150))
    (acts,) = [each for each in first.sent if isinstance(each, Acts)]
    again = World(served, tmp_path, acting=(acts,))
    assert not again.acts
    assert again.acting("prompt") == 1
    again.serve(outcomes(60, seed=3, turned=True))
    assert again.acts == [("prompt", 0)]


def test_orders_are_followed_while_it_serves(world, outcomes, tmp_path):
    world.serve(outcomes(150))
    versions = Versions(tmp_path, identity(world.learner._start.model), print)
    versions.order(versions.orders().pin("prompt", NONE))
    world.serve(outcomes(3, seed=7))
    assert world.acts[-1] == ("prompt", 0)
    world.serve(outcomes(200, seed=8))
    assert world.acting("prompt") == 0, "by order"
    versions.order(versions.orders().pin("prompt", 1))
    world.serve(outcomes(3, seed=9))
    assert world.acts[-1] == ("prompt", 1)
    world.serve(outcomes(100, seed=10, turned=True))
    assert world.acting("prompt") == 1, "what is pinned is not taken out"
    versions.order(versions.orders().unpin("prompt"))
    world.serve(outcomes(3, seed=11))
    versions.order(versions.orders().bar(1))
    world.serve(outcomes(3, seed=12))
    assert world.acting("prompt") == 0
    assert [each for each in events(tmp_path) if each in ("pinned", "barred", "unpinned")] == [
        "pinned",
        "pinned",
        "unpinned",
        "barred",
    ]


def test_a_rollback_lets_the_one_before_act_again(world, outcomes, tmp_path, fitted):
    world.serve(outcomes(150))
    versions = Versions(tmp_path, identity(world.learner._start.model), print)
    number = versions.next_number()
    versions.save(Version(number, "prompt", "ngrams", 1e9, 10, 1.0), fitted())
    versions.order(versions.orders().pin("prompt", number))
    world.serve(outcomes(3, seed=7))
    assert world.acting("prompt") == number
    versions.order(versions.orders().bar(number))
    world.serve(outcomes(3, seed=8))
    assert world.acting("prompt") == 1


def test_a_damaged_version_that_is_ordered_is_a_line(world, outcomes, tmp_path):
    world.serve(outcomes(150))
    versions = Versions(tmp_path, identity(world.learner._start.model), print)
    versions.order(versions.orders().pin("prompt", 99))
    world.serve(outcomes(3, seed=7))
    assert world.acting("prompt") == 1
    assert any("prompt version 99 cannot act" in line for line in world.lines)


def test_a_version_that_cannot_be_made_is_a_line(world, outcomes, monkeypatch):
    def fails(*args, **kwargs):
        raise MemoryError("no room")

    monkeypatch.setattr("lengthwise.online.from_prompts.fit_prompt", fails)
    world.serve(outcomes(70))
    assert any("no prompt version could be made (MemoryError: no room)" in e for e in world.lines)


def test_a_full_disk_is_a_line_and_versions_act_all_the_same(world, outcomes, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    for name in ("save", "judge", "act"):
        monkeypatch.setattr(Versions, name, full)
    monkeypatch.setattr("lengthwise.answers.files.save_file", full)
    monkeypatch.setattr("lengthwise.online.history.History._append", full)
    world.serve(outcomes(150))
    assert world.acting("prompt")
    assert len(world.lines) < 12
    world.serve(outcomes(200, seed=1))
    made = [line.split()[2] for line in world.lines if "is in the shadow: " in line]
    assert len(made) == len(set(made)) > 1, "each has a number of its own"


def test_a_clock_that_jumps_is_a_line(world, outcomes):
    world.serve(outcomes(5))
    world.learner._wall = lambda: 2e9 + world.now
    world.serve(outcomes(5))
    assert sum("clock jumped by 1000000000 s" in line for line in world.lines) == 1


def test_a_request_without_a_token_tells_nothing(world, outcomes):
    world.serve([replace(each, tokens=0) for each in outcomes(5)])
    assert world.learner.samples.seen == 0


def with_states(finished, seed):
    """States of which one number says how much is left, and a second layer says nothing."""
    rng = np.random.default_rng(seed)
    found = []
    for each in finished:
        ages = np.unique(np.minimum([0, 1, 2, 4, 8, 16, 32, 64], each.tokens - 1))
        values = rng.normal(size=(len(ages), 2, 6))
        values[:, 1, 0] = np.log1p(each.tokens - ages)
        found.append(replace(each, states=States((2, 5), ages, values.astype(np.float16))))
    return found


def varied(finished, seed):
    """Prompts tell less of these lengths, the states tell all."""
    rng = np.random.default_rng(seed)
    tokens = [int(each.tokens * rng.choice([0.2, 3.0])) + 1 for each in finished]
    return [replace(each, tokens=n, cut=False) for each, n in zip(finished, tokens, strict=True)]


def test_a_probe_is_learned_too_and_acts_where_it_is_worth_it(served, tmp_path, outcomes):
    world = World(served, tmp_path, replace(OPTIONS, epochs=8), states=True, policy="trail")
    world.serve(with_states(varied(outcomes(500), 1), 0))
    assert world.acting("prompt")
    assert world.acting("probe")
    assert any("in the shadow: trail on layer 5" in line for line in world.lines)
    acts = next(each for each in world.sent if isinstance(each, Acts) and each.role == "probe")
    assert acts.predictor.predictor().probe.layer == 5


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"kind": "bert"}, "kind is one of embeddings, ngrams, prompt-length, not 'bert'"),
        ({"held_back": 1.0}, "held_back is a share between 0 and 1"),
        ({"first": 3}, "first must be at least 10"),
        ({"mib": 0}, "mib must be at least 1"),
        ({"seconds": 0}, "seconds must be above 0"),
        ({"every": "soon"}, "must be numbers"),
        ({"evry": 3}, "evry"),
    ],
)
def test_options_that_cannot_be_meant_are_one_line(given, says):
    with pytest.raises(UserError, match=says):
        Learning.of(given)


def test_a_request_that_cannot_be_predicted_tells_nothing(world, outcomes, monkeypatch):
    world.serve(outcomes(150))

    def fails(asked):
        raise ValueError("no")

    monkeypatch.setattr(world.learner.contests["prompt"].predictor, "lengths", fails)
    world.serve(outcomes(30, seed=1, turned=True))
    assert world.acting("prompt") == 1


def test_a_version_that_cannot_be_judged_is_not_tried_any_more(world, outcomes, monkeypatch):
    def fails(*args):
        raise ValueError("no\nsuch thing")

    monkeypatch.setattr("lengthwise.online.contest.KnownLengths", fails)
    world.serve(outcomes(150))
    failed = [line for line in world.lines if "cannot be judged (ValueError: no)" in line]
    made = [line for line in world.lines if "is in the shadow: " in line]
    assert 1 <= len(failed) <= len(made)
    assert not world.acts
