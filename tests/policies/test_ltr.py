from hypothesis import given, settings
from hypothesis import strategies as st

from lengthwise.core.request import Request
from lengthwise.policies import make_policy
from lengthwise.sim.engine import Simulator
from lengthwise.sim.predictors import make_predictor
from lengthwise.sim.setup import Setup
from lengthwise.sim.steps import Linear
from lengthwise.workload import synthetic, with_arrivals

CPU = Linear("cpu", "test", base=0.01, prefill=2e-4, decode=1e-3, context=1e-6)


def test_the_first_score_ranks_for_good():
    policy = make_policy("ltr")
    it = Request("r", 0.0, 0, 10, started=True)
    it.predict(40.0)
    for it.generated in (0, 39, 90):
        assert policy.rank(it) == 40.0
        assert policy.preemptible(it)


def test_it_takes_predictions_of_the_prompt_only():
    assert make_policy("ltr").source == "prompt"


class Watched(Simulator):
    """Compares whoever loses its memory with all who keep theirs."""

    def __init__(self, *args):
        super().__init__(*args)
        self.evict, self.engine.evict = self.engine.evict, self.compare

    def compare(self, job):
        kept = [*self.engine.running, *self.engine.seating.paused]
        ranks = [other.view.initial for other in kept if other is not job]
        assert job.view.initial >= max(ranks, default=0.0), "a better one kept nothing"
        self.evict(job)


def serve(seed, blocks, seats):
    lengths = synthetic(30, "uniform:1:60", "exp:60", seed)
    workload = with_arrivals(lengths, "poisson", 20.0, seed=seed)
    setup = Setup(seats=seats, blocks=blocks, block_size=8, budget=512, margin=0.0)
    predictor = make_predictor("lognormal:0.8")
    return Watched(workload, make_policy("ltr"), predictor, CPU, setup, seed).run()


@settings(max_examples=60)
@given(st.integers(0, 999), st.integers(30, 60), st.sampled_from([3, 6]))
def test_memory_is_taken_from_the_worst_score(seed, blocks, seats):
    serve(seed, blocks, seats)


def test_there_are_pauses_and_evictions_in_that_property():
    outcomes = [serve(seed, 40, seats) for seed in range(4) for seats in (3, 6)]
    assert sum(outcome.pauses for outcome in outcomes) > 10
    assert sum(outcome.evictions for outcome in outcomes) > 10
