"""A server's averages since its start: how long one step took, and no more."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lengthwise.calibration.calibration import Calibration
from lengthwise.calibration.scrape import Scrape
from lengthwise.errors import UserError
from lengthwise.sim.steps import Linear, Scaled

_SURE, _UNSURE = (0.8, 1.25), (0.7, 1.4)
"""How far steps may be off: with a card's shape behind the average, and without."""


@dataclass(frozen=True)
class Averages:
    """Means since a server's start.

    Attributes:
        name: of the server.
        step: seconds from one token of a request to its next.
        prefill: seconds of a prompt, from its seat to its first token; 0 if not known.
        prompt: tokens of a prompt that were computed.
        tokens: prompt tokens computed in a step.
        decodes: tokens generated in a step.
        context: tokens in the KV caches in a step.
    """

    name: str
    step: float
    prefill: float
    prompt: float
    tokens: float
    decodes: float
    context: float

    @classmethod
    def of(cls, scrape: Scrape, name: str) -> Averages:
        """From one scrape.

        Raises:
            UserError: if no tokens were generated yet.
        """
        step = scrape.histogram(
            "inter_token_latency_seconds",
            "request_time_per_output_token_seconds",
            "time_per_output_token_seconds",
        )
        prompts, outputs = (
            scrape.histogram("request_prompt_tokens"),
            scrape.histogram("request_generation_tokens"),
        )
        if step is None or prompts is None or outputs is None:
            raise UserError(f"{name}: no request has ended: ask again when it has served some")
        prefill = scrape.histogram("request_prefill_time_seconds")
        share = scrape.computed / max(scrape.value("prompt_tokens_total"), 1.0)
        steps = scrape.steps or outputs.total
        decodes = scrape.value("generation_tokens_total") / steps
        context = decodes * (prompts.mean + outputs.mean / 2)
        return cls(
            name,
            step.mean,
            0.0 if prefill is None else prefill.mean,
            prompts.mean * share,
            scrape.computed / steps,
            decodes,
            context,
        )

    def linear(self) -> Calibration:
        """A base and prompts; what decodes and context add at the mean load is in the base."""
        longer = self.prompt - self.tokens
        prefill = max(self.prefill - self.step, 0.0) / longer if longer > 1 else 0.0
        # Prompts cannot take more than half of the average step: the rest is a bound's.
        prefill = min(prefill, 0.5 * self.step / max(self.tokens, 1e-9))
        base = self.step - prefill * self.tokens
        steps = Linear("averages", f"averages of {self.name}", base, prefill, 0.0, 0.0)
        note = (
            f"a step took {1000 * self.step:.3g} ms in the mean since the server's start, with "
            f"{self.decodes:.3g} tokens generated and {self.tokens:.3g} prompt tokens in it: how "
            "it depends on them is not known"
        )
        low, high = _UNSURE
        return Calibration(steps, steps.source, None, "a step", low, high, notes=(note,))

    def scaled(self, card: Calibration) -> Calibration:
        """A card's steps, as many times as long as the average step was."""
        decodes = max(round(self.decodes), 1)
        ours = card.steps.seconds(round(self.tokens), decodes, round(self.context))
        factor = self.step / ours
        note = (
            f"a step took {1000 * self.step:.3g} ms in the mean since the server's start, where "
            f"{card.source} give {1000 * ours:.3g}: all steps were multiplied by {factor:.3f}"
        )
        low, high = _SURE
        return replace(
            card,
            steps=Scaled(card.steps, factor),
            source=f"{card.source}, scaled to the average step of {self.name}",
            fastest=low,
            slowest=high,
            notes=(*card.notes, note),
        )
