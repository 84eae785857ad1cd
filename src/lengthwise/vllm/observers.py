"""Which layers the settings want to be tapped, and who looks at them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from lengthwise.online.options import Learning
from lengthwise.predictors.layers import in_order
from lengthwise.vllm.recorder import Recorder
from lengthwise.vllm.settings import Settings
from lengthwise.vllm.tap import Watcher


@dataclass(frozen=True)
class Observers:
    """What is tapped in a worker.

    Attributes:
        layers: in the order of the tap; none if no hidden states are needed.
        watchers: look at their states.
        recorder: the one of them that keeps states for ``lengthwise collect``.
    """

    layers: tuple[int, ...]
    watchers: tuple[Watcher, ...]
    recorder: Recorder | None = None


def make_observers(
    settings: Settings, model: str, width: int, device: Any, learned: Collection[int] = ()
) -> Observers:
    """The observers that the settings ask for.

    Args:
        model: the served one, whose probe it must be.
        width: size of its states (d).
        device: the worker's.
        learned: the layers that a probe is learned from.

    Raises:
        UserError: if the given probe cannot be loaded, or is another model's.
    """
    from lengthwise.predictors.store import load_probe
    from lengthwise.vllm.current_probe import CurrentProbe
    from lengthwise.vllm.observing import Observing
    from lengthwise.vllm.sampled import Sampling

    probe = None
    if settings.probing:
        assert settings.probe is not None
        probe = load_probe(settings.probe, model)
    given = () if probe is None else (probe.layer,)
    layers = in_order((*settings.record, *given, *learned))
    watchers: list[Watcher] = []
    recorder = Recorder(settings.record_every) if settings.record else None
    if recorder is not None:
        watchers.append(Observing(recorder, layers, settings.record))
    if probe is not None or learned:
        watchers.append(CurrentProbe(layers, width, device, settings.interval, probe))
    if learned:
        learning = Learning.of(settings.learning)
        watchers.append(Sampling(layers, learning.at_once, learning.positions))
    return Observers(layers, tuple(watchers), recorder)
