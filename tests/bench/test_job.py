"""What goes to a run's process and what comes back."""

from pathlib import Path

from lengthwise.bench.job import BenchRequest, Job, JobOutcome
from lengthwise.results.record import Seen, Work
from lengthwise.results.timings import Timing

REQUESTS = [BenchRequest("a", [1, 2], 0.5, 7, "x", 3), BenchRequest("b", [4])]


def test_a_job_survives_the_way_to_its_process(tmp_path: Path) -> None:
    settings = {"pause": False, "margin": 8.0, "record": [1]}
    engine = {"block_size": 32}
    job = Job("trail:0.5", "m", None, 4, 64, 1.5, 0, REQUESTS, engine, settings, 1, 9)
    job.save(tmp_path / "job")
    assert Job.load(tmp_path / "job") == job


def test_an_outcome_survives_the_way_back(tmp_path: Path) -> None:
    served = Timing("a", 0.5)
    served.saw(1.0, [5], False)
    served.saw(2.0, [5, 6], True)
    timings = [served, Timing("b", 0.0)]
    outcome = JobOutcome(Seen(requests=2, finished=1), Work(steps=3), timings, [[0.0, 1, 2.5]])
    outcome.save(tmp_path / "outcome")
    found = JobOutcome.load(tmp_path / "outcome")
    assert found == outcome
    assert found.work.preemptions is outcome.work.preemptions


def test_a_requests_line_says_whose_it_was() -> None:
    served = Timing("a", 0.5)
    served.saw(1.0, [5], True)
    row = REQUESTS[0].row(served, replica="r1")
    assert (row.id, row.arrival, row.first, row.finish) == ("a", 0.5, 1.0, 1.0)
    assert (row.tokens, row.prompt_tokens, row.tenant, row.priority) == (1, 2, "x", 3)
    assert row.replica == "r1"
