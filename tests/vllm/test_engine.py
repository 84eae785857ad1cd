"""What is checked before vLLM starts."""

import psutil
import pytest

from lengthwise.errors import UserError
from lengthwise.vllm import engine

GIB = 2**30


@pytest.fixture
def model(tmp_path, monkeypatch):
    """A folder with weights of no size, on a machine with 10 GiB left for a CPU's engines."""
    (tmp_path / "model.safetensors").touch()
    monkeypatch.setattr(engine, "is_cpu_build", lambda: True)
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "2")
    left = psutil.virtual_memory()._replace(available=10 * GIB)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: left)
    return str(tmp_path)


def test_engines_that_are_there_at_once_must_fit_together(model):
    engine.check_memory(model, 3)
    with pytest.raises(UserError, match=r"4 engines at once need 11\.0 GiB, 10\.0 GiB are free"):
        engine.check_memory(model, 4)


def test_a_cache_of_another_size_is_not_counted(model):
    engine.check_memory(model, 11, cached=False)
    with pytest.raises(UserError, match="fewer of them"):
        engine.check_memory(model, 12, cached=False)


def test_one_engine_needs_its_weights_and_its_cache(model, monkeypatch):
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "11")
    with pytest.raises(UserError, match=r"of the engine need 11\.0 GiB.*a smaller model"):
        engine.check_memory(model)
