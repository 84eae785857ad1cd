"""Forms of a step's seconds that a log is fitted with: a line, or one bent where cards bend."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lengthwise.calibration.fitting import Sums, fit_most
from lengthwise.calibration.timeline import Timeline
from lengthwise.sim.steps import Linear, Roofline, StepTime

_FREE = (64, 128, 256, 512)
_BETTER = 0.8
"""A bent form is believed if it makes the error of a window this much smaller."""

_ENOUGH = 0.5
"""Share of the prompt tokens that must lie beyond the free ones, to tell what those cost."""

_MOST = 1.25


@dataclass(frozen=True, eq=False)
class Fitted:
    """Seconds of a step as least squares have them.

    A card that reads its weights in a step has time to compute some prompt tokens beside: they
    cost nothing.

    Attributes:
        time: the parts of a step.
        free: prompt tokens of a step that cost nothing; 0 is a line.
        budget: most tokens in a step.
        decodes, context: of an average step.
        sums: what was fitted.
    """

    time: Linear
    free: int
    budget: int
    decodes: float
    context: float
    sums: Sums

    @classmethod
    def of(cls, timeline: Timeline, budget: int, source: str) -> Fitted:
        """The form that explains a log best; a line, if others are not clearly better.

        Raises:
            UserError: if there are too few windows.
        """
        line, *bent = cls.all(timeline, budget, source)
        best = min(bent, key=lambda form: form.time.error, default=line)
        return best if best.time.error < _BETTER * line.time.error else line

    @classmethod
    def all(cls, timeline: Timeline, budget: int, source: str) -> list[Fitted]:
        """A line, then the bent forms that make sense.

        Raises:
            UserError: if there are too few windows.
        """
        forms = [cls._with(timeline, free, budget, source) for free in (0, *_FREE)]
        tokens = _ENOUGH * float(forms[0].sums.prefill.sum())
        return forms[:1] + [
            form for form in forms[1:] if form.bent and float(form.sums.prefill.sum()) >= tokens
        ]

    @classmethod
    def _with(
        cls,
        timeline: Timeline,
        free: int,
        budget: int,
        source: str,
        pull: float | None = None,
    ) -> Fitted:
        sums = timeline.sums(free, budget)
        # Where memory takes the time, decodes cost by their context only.
        fitted = replace(sums, decodes=np.zeros(len(sums))) if free else sums
        time = fit_most(fitted, "requests", source, pull)
        steps = sums.steps.sum()
        decodes, context = float(sums.decodes.sum() / steps), float(sums.context.sum() / steps)
        return cls(time, free, budget, decodes, context, fitted)

    @property
    def bent(self) -> Roofline | None:
        """The bent form; None if the parts do not make one.

        Beyond ``free`` prompt tokens computing takes longer than reading: that says how much of
        the base is reading. Rates are in seconds, so that the card's are 1.
        """
        time = self.time
        reading = time.prefill * (self.free + self.decodes) - time.context * self.context
        if reading <= 0:
            return None
        reading = min(reading, time.base)
        return Roofline(
            time.name,
            time.source,
            weight_bytes=reading,
            kv_bytes=time.context,
            flops=time.prefill,
            bandwidth=1.0,
            peak=1.0,
            efficiency=1.0,
            overhead=time.base - reading,
        )

    @property
    def steps(self) -> StepTime:
        """What the simulator takes."""
        bent = self.bent if self.free else None
        return self.time if bent is None else bent

    def scaled(self, factor: float) -> Fitted:
        """Steps that take ``factor`` times as long."""
        return replace(self, time=self.time.scaled(factor))

    def corrected(self, wanted: Fitted, simulated: Timeline) -> Fitted:
        """Each part times as much as it is off in a log that was simulated with these steps.

        Args:
            wanted: what was fitted to the real log.
            simulated: the simulated one.
        """
        found = self._with(simulated, self.free, self.budget, "simulated", wanted.time.error).time

        def part(name: str) -> float:
            now, want, got = (float(getattr(it, name)) for it in (self.time, wanted.time, found))
            if not (want > 0 and got > 0):
                return now
            return now * min(max(want / got, 1 / _MOST), _MOST)

        time = replace(
            self.time,
            base=part("base"),
            prefill=part("prefill"),
            decode=part("decode"),
            context=part("context"),
        )
        return replace(self, time=time)
