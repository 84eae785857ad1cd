"""What holds for all tests; models and predictors as small as they can be and still be read."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from jsonschema import Draft202012Validator
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, pre_tokenizers

from lengthwise.core.bins import Bins
from lengthwise.models.fingerprint import fingerprint
from lengthwise.predictors.baselines import Constant
from lengthwise.predictors.store import Trained
from lengthwise.results.schema import shipped

# No test depends on how fast the machine is, nor on luck: examples are the same every time.
# `make fuzz` looks for new ones (pytest's --hypothesis-profile fuzz).
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
settings.register_profile(
    "fuzz", settings.get_profile("any machine"), derandomize=False, print_blob=True
)
settings.load_profile("any machine")


@pytest.fixture(autouse=True)
def no_learner(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Schedulers in the tests' own process start no learner; tests marked ``learns`` do."""
    if request.node.get_closest_marker("learns") is None:
        monkeypatch.setattr("lengthwise.online.tutor.Tutor._start", lambda self: None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium without a window; tests that need one are skipped where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright (the dev extra)")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("needs Chromium: apt install chromium")
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        yield launched
        launched.close()


TEMPLATE = "{% for m in messages %}{{ m['content'] }}{% endfor %}"


@pytest.fixture(scope="session")
def saved_model() -> Callable[..., Path]:
    """``saved_model(folder, vocabulary, template)``: all that a command reads of a model.

    The vocabulary's word 0 stands for unknown ones; the context is 64 tokens.
    """

    def save(
        folder: Path, vocabulary: dict[str, int], template: str | None = TEMPLATE, seed: int = 1
    ) -> Path:
        from transformers import PreTrainedTokenizerFast

        unknown = next(word for word, number in vocabulary.items() if number == 0)
        words = Tokenizer(models.WordLevel(vocabulary, unknown))
        words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        PreTrainedTokenizerFast(
            tokenizer_object=words, unk_token=unknown, chat_template=template
        ).save_pretrained(folder)
        config = {"model_type": "llama", "num_hidden_layers": 4, "max_position_embeddings": 64}
        (folder / "config.json").write_text(json.dumps(config))
        weights = {"model.norm.weight": np.full(8, seed, np.float32)}
        save_file(weights, folder / "model.safetensors")
        return folder

    return save


@pytest.fixture
def model_of(saved_model: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    """``model_of(vocabulary)``: such a model below the test's folder."""
    return lambda vocabulary, **more: saved_model(tmp_path / "model", vocabulary, **more)


@pytest.fixture(scope="session")
def saved_predictors() -> Callable[[Path, Path], str]:
    """``saved_predictors(folder, model)``: a folder with a predictor that knows one constant."""

    def save(folder: Path, model: Path) -> str:
        bins = Bins.log(4, 64.0).with_overflow()
        shares = np.full(len(bins), 1 / len(bins), np.float32)
        constant = Constant.restore(bins, {}, {"shares": shares})
        Trained(fingerprint(str(model)), None, constant, {}).save(folder)
        return str(folder)

    return save


@pytest.fixture(scope="session")
def checked() -> Callable[[Path], dict[str, Any]]:
    """``checked(folder)``: its results.json, once it has passed the shipped JSON Schema."""
    schema = Draft202012Validator(json.loads(shipped().read_text()))

    def read(folder: Path) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((folder / "results.json").read_text())
        schema.validate(content)
        return content

    return read
