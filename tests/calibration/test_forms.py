import numpy as np
import pytest

from lengthwise.calibration.forms import Fitted
from lengthwise.calibration.timeline import Timeline
from lengthwise.sim.steps import Linear, Roofline, load_profile


def made(time, prompts: int, seed: int = 0) -> Timeline:
    """One request that decodes for long while others, of one token, are computed beside it."""
    rng = np.random.default_rng(seed)
    now, rows = 0.0, []
    for _ in range(300):
        start = now
        output = int(rng.integers(5, 40))
        context, own = 100, (start, output)
        first = now = now + time.seconds(100, 0, 100)
        for _ in range(output - 1):
            prompt = int(rng.integers(20, prompts)) if rng.random() < 0.3 else 0
            context += 1
            began, now = now, now + time.seconds(prompt, 1, context + prompt)
            if prompt:
                rows.append((began, now, now, prompt, 1))
        rows.append((own[0], first, now, 100, output))
    arrival, first_at, finish, prompt_tokens, outputs = np.array(sorted(rows)).T
    none = np.zeros(len(rows))
    return Timeline(arrival, first_at, finish, prompt_tokens, none, outputs)


def test_a_card_is_bent_where_its_reading_hides_prompts():
    truth = load_profile("a100-llama3-8b")
    found = Fitted.of(made(truth, 600), 2048, "test")
    assert isinstance(found.steps, Roofline)
    assert 128 <= found.free <= 256
    for prompt in (0, 100, 300, 600):
        real = truth.seconds(prompt, 1, 200)
        assert found.steps.seconds(prompt, 1, 200) == pytest.approx(real, rel=0.08)
    slow = found.scaled(2.0)
    assert slow.steps.seconds(300, 1, 200) == pytest.approx(2 * found.steps.seconds(300, 1, 200))


def test_a_line_stays_a_line():
    truth = load_profile("cpu-smollm2")
    found = Fitted.of(made(truth, 600), 2048, "test")
    assert isinstance(found.steps, Linear)
    assert found.free == 0
    assert found.steps.seconds(300, 1, 200) == pytest.approx(truth.seconds(300, 1, 200), rel=0.05)


def test_what_a_simulated_log_shows_wrong_is_taken_out():
    truth = load_profile("cpu-smollm2")
    wanted = Fitted.of(made(truth, 600), 2048, "test")
    # The same log, from steps that are a tenth slower: so is the fit, and a tenth is taken off.
    again = wanted.scaled(1.1).corrected(wanted, made(wanted.time.scaled(1.1), 600))
    assert again.time.base == pytest.approx(wanted.time.base, rel=0.02)
