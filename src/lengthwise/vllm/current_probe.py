"""The probe that the worker asks now, which the scheduler may change while requests are served."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from lengthwise.predictors.probe import Probe
from lengthwise.predictors.store import Packed
from lengthwise.vllm.observing import Observing
from lengthwise.vllm.refining import Refining
from lengthwise.vllm.step import Step

logger = logging.getLogger("vllm.lengthwise")

NEW_PROBE = "lengthwise_probe"
"""Name of a :class:`NewProbe` on vLLM's SchedulerOutput, pickled to the worker with one step."""


@dataclass(frozen=True)
class NewProbe:
    """From this step on the worker asks this probe.

    Attributes:
        version: its number, which its predictions carry.
        packed: the predictor that it is of; None: none is asked any more.
    """

    version: int
    packed: Packed | None

    @property
    def layer(self) -> int | None:
        """The layer that it reads; None without a probe."""
        layer: int | None = None if self.packed is None else self.packed.settings.get("layer")
        return layer

    def probe(self) -> Probe | None:
        """The probe itself, on the host.

        Raises:
            ValueError: if what is packed is none, or is damaged.
        """
        if self.packed is None:
            return None
        from lengthwise.predictors.trail import Trail

        try:
            predictor = self.packed.predictor()
        except (KeyError, TypeError, RuntimeError) as error:
            raise ValueError(f"it is damaged: {error!r}") from None
        if not isinstance(predictor, Trail):
            raise ValueError(f"{self.packed.kind} reads no hidden states")
        return predictor.probe


class CurrentProbe:
    """Watcher that asks the probe of the moment, if there is one.

    Another probe begins with the requests whose prompts end from then on: of the others it has
    not seen what it reads.

    Args:
        tapped: the layers whose states the steps have, in their order.
        width: size of a state (d).
        device: the worker's.
        interval: of :class:`Refining`.
        first: the probe to begin with, on the host; its version is 0.
    """

    def __init__(
        self,
        tapped: Sequence[int],
        width: int,
        device: Any,
        interval: int = 1,
        first: Probe | None = None,
    ) -> None:
        self._tapped, self._width = tapped, width
        self._device, self._interval = torch.device(device), interval
        self._refining: Refining | None = None
        self._observing: Observing | None = None
        if first is not None:
            self._ask(first, version=0)

    @property
    def awake(self) -> bool:
        """Whether there is a probe."""
        return self._observing is not None

    def begin(self, scheduler_output: Any) -> None:
        """A step is about to run, perhaps with another probe."""
        new: NewProbe | None = getattr(scheduler_output, NEW_PROBE, None)
        if new is not None:
            self._change(new)
        if self._observing is not None:
            self._observing.begin(scheduler_output)

    def _change(self, new: NewProbe) -> None:
        """Ask this one; nobody hears the one before any more, even if this one cannot be asked."""
        self._refining = self._observing = None
        try:
            probe = new.probe()
            if probe is not None:
                self._check(probe)
                self._ask(probe, new.version)
        except ValueError as error:
            logger.warning("lengthwise: version %d of the probe: %s", new.version, error)

    def _check(self, probe: Probe) -> None:
        if probe.layer not in self._tapped:
            raise ValueError(f"it reads layer {probe.layer}; tapped are {list(self._tapped)}")
        if probe.width != self._width:
            raise ValueError(f"it reads states of {probe.width} numbers, not {self._width}")

    def _ask(self, probe: Probe, version: int) -> None:
        self._refining = Refining(probe.to(self._device), self._interval, version)
        self._observing = Observing(self._refining, self._tapped, [probe.layer])

    def see(self, step: Step, wanted: bool) -> None:
        """Ask it about all that sample in this step, if that is wanted."""
        if self._observing is None or self._refining is None:
            return
        if not self._observing.look(step, wanted) and wanted:
            # The scheduler waits for an answer, whoever it is of.
            self._refining.nobody()

    def output(self, output: Any) -> Any:
        """The output, with predictions if the step was wanted."""
        return output if self._refining is None else self._refining.output(output)
