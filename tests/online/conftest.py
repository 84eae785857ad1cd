import json
import time

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from lengthwise.core import Bins
from lengthwise.core.query import Query
from lengthwise.models.fingerprint import fingerprint
from lengthwise.online.messages import Finished
from lengthwise.online.versions import Version, Versions
from lengthwise.predictors.base import Fitting
from lengthwise.predictors.ngrams import Ngrams
from lengthwise.predictors.store import Trained

SHORT, LONG = 11, 22

# As in the learning process: more threads than processors would wait for one another.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def until():
    """``until(found)``: what ``found()`` says once it is true; the limit ends a test that hangs."""

    def wait(found, seconds=600.0):
        end = time.monotonic() + seconds
        while not (seen := found()):
            assert time.monotonic() < end, "it took too long"
            time.sleep(0.02)
        return seen

    return wait


@pytest.fixture(scope="session")
def bins():
    return Bins.log(12, 256).with_overflow()


@pytest.fixture(scope="session")
def served(tmp_path_factory):
    """A served model as far as predictors look at it."""
    folder = tmp_path_factory.mktemp("model")
    (folder / "config.json").write_text(
        json.dumps({"model_type": "llama", "num_hidden_layers": 1, "hidden_size": 4})
    )
    save_file({"model.norm.weight": torch.ones(4)}, folder / "model.safetensors")
    return str(folder)


@pytest.fixture(scope="session")
def outcomes():
    """``outcomes(n, seed)``: finished requests whose first word says: short or long.

    With ``turned`` it says the opposite; ``predicted`` is what had been said of each.
    """

    def make(n, seed=0, turned=False, predicted=None, max_tokens=256):
        draw = np.random.default_rng(seed)
        found = []
        for i in range(n):
            long = bool(draw.integers(2))
            tokens = int(draw.integers(90, 130) if long else draw.integers(5, 15))
            word = LONG if long != turned else SHORT
            ids = [word, *draw.integers(100, 10_000, size=6).tolist()]
            asked = Query(f"{seed}-{i}", ids, "", max_tokens)
            most = min(tokens, max_tokens)
            found.append(Finished(asked, most, tokens > max_tokens, predicted))
        return found

    return make


@pytest.fixture(scope="session")
def fitted(outcomes, bins, made_answers):
    """``fitted(...)``: n-grams learned from such requests."""

    def fit(n=200, seed=100, **changes):
        answers = made_answers(outcomes(n, seed, **changes))
        return Ngrams.fit(answers, answers, bins, Fitting())

    return fit


@pytest.fixture(scope="session")
def made_answers(bins):
    from lengthwise.answers.arrays import Answers

    def make(outcomes):
        rows = [
            ({"output_tokens": each.tokens, "censored": each.cut, "prompt_ids": []}, {})
            for each in outcomes
        ]
        return Answers("made", (), 256.0, [each.asked for each in outcomes], rows)

    return make


@pytest.fixture(scope="session")
def saved(served, fitted, tmp_path_factory):
    """A folder with a trained predictor of the served model."""
    folder = tmp_path_factory.mktemp("saved")
    Trained(fingerprint(served), None, fitted(), {}).save(folder)
    return str(folder)


@pytest.fixture
def versions_in(served, fitted):
    """``versions_in(folder, n)``: n versions of n-grams in a folder, the last of them acting."""

    def make(folder, n=2):
        versions = Versions(folder, fingerprint(served), print, clock=lambda: 1000.0)
        for number in range(1, n + 1):
            versions.save(Version(number, "prompt", "ngrams", 5.0, 200, 0.5), fitted())
            versions.act("prompt", number)
        return versions

    return make
