from types import SimpleNamespace

from lengthwise.vllm.steps import Compositions, StepLog, composition


class Scheduler:
    """As vLLM's: it has counted a step's tokens as computed when the step is known."""

    def __init__(self):
        self.requests = {
            "prompt": SimpleNamespace(num_computed_tokens=30, num_prompt_tokens=50),
            "decode": SimpleNamespace(num_computed_tokens=61, num_prompt_tokens=20),
        }

    def schedule(self):
        return SimpleNamespace(num_scheduled_tokens={"prompt": 30, "decode": 1})


def test_a_steps_tokens_are_told_apart():
    scheduler = Scheduler()
    assert composition(scheduler, scheduler.schedule()) == (30, 1, 60)


def test_steps_add_up_in_windows_of_five_seconds():
    scheduler = Scheduler()
    log = StepLog(Compositions(scheduler))
    for start in (0.5, 4.9, 5.0, 21.0):
        scheduler.schedule()
        log.saw(start, 0.25)
    assert log.windows == [
        [0.0, 2, 60, 2, 120, 0.5],
        [5.0, 1, 30, 1, 60, 0.25],
        [20.0, 1, 30, 1, 60, 0.25],
    ]


def test_a_step_that_scheduled_nothing_does_not_count():
    log = StepLog(Compositions(Scheduler()))
    log.saw(1.0, 0.001)
    assert log.windows == []
