"""Which observer the settings ask for."""

from __future__ import annotations

from typing import Any

from lengthwise.vllm.settings import Settings
from lengthwise.vllm.tap import Observer


def make_observer(settings: Settings, model: str, device: Any) -> tuple[list[int], Observer] | None:
    """Layers to tap and the observer of them; None if no hidden states are needed."""
    if settings.record:
        from lengthwise.vllm.recorder import Recorder

        return settings.record, Recorder(settings.record_every)
    if not settings.probing:
        return None
    assert settings.probe is not None
    from lengthwise.predictors.store import load_probe
    from lengthwise.vllm.refining import Refining

    probe = load_probe(settings.probe, model)
    return [probe.layer], Refining(probe.to(device), settings.interval)
