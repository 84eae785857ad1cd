"""What a bench hands to the process of a run, and what it gets back: JSON files between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from lengthwise.policies import make_policy
from lengthwise.results.files import RequestRow
from lengthwise.results.record import Seen, Work
from lengthwise.results.timings import Timing
from lengthwise.vllm.settings import Settings

STOCK = "stock"
"""The policy of a run that uses vLLM's own scheduler."""

STOCK_PRIORITY = "stock-priority"
"""The same with ``--scheduling-policy priority``."""

STOCKS = (STOCK, STOCK_PRIORITY)


@dataclass(frozen=True)
class BenchRequest:
    """A request as the bench sends it.

    Attributes:
        prompt_ids: token ids in the model's chat template.
        arrival: seconds from the start of the run.
        tokens: its output tokens in an earlier run, for the oracle predictor alone.
        tenant, priority: as its client sends them.
        max_tokens: most tokens of its answer, if its prompt's file says so.
    """

    id: str
    prompt_ids: list[int]
    arrival: float = 0.0
    tokens: int | None = None
    tenant: str | None = None
    priority: int = 0
    max_tokens: int | None = None

    def cap(self, most: int) -> int:
        """Most tokens of its answer: its own, and no more than ``most``."""
        return most if self.max_tokens is None else min(self.max_tokens, most)

    def row(self, timing: Timing, **more: Any) -> RequestRow:
        """Its line in the run's file of requests."""
        return RequestRow(
            id=self.id,
            arrival=timing.arrival,
            first=timing.first,
            finish=timing.finish,
            longest_gap=timing.longest_gap,
            tokens=timing.tokens,
            prompt_tokens=len(self.prompt_ids),
            tenant=self.tenant,
            priority=self.priority,
            **more,
        )


@dataclass(frozen=True)
class Job:
    """Everything that one run needs.

    Attributes:
        policy: its name; ``stock`` is vLLM's own scheduler.
        probe: folder of the trained predictors.
        engine: further arguments of vLLM's engine.
        settings: of the scheduler, beside policy and probe.
        position: line of its progress bar.
        until: see :mod:`lengthwise.results.until`.
    """

    policy: str
    model: str
    probe: str | None
    seats: int
    cap: int
    rate: float | None
    seed: int
    requests: list[BenchRequest]
    engine: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    position: int = 0
    until: int | None = None

    @property
    def oracle(self) -> bool:
        """Whether its policy reads true lengths."""
        return self.policy not in STOCKS and make_policy(self.policy).source == "oracle"

    def save(self, path: Path) -> None:
        """Write it for :meth:`load`."""
        path.write_bytes(msgspec.json.encode(self))

    @classmethod
    def load(cls, path: Path) -> Job:
        """Read what :meth:`save` wrote."""
        return msgspec.json.decode(path.read_bytes(), type=cls)


@dataclass(frozen=True)
class JobOutcome:
    """What came of a job.

    Attributes:
        seen, work: the run's figures.
        timings: of each request, with its answer.
        windows: what the steps held and took (:mod:`lengthwise.vllm.steps`).
    """

    seen: Seen
    work: Work
    timings: list[Timing]
    windows: Sequence[Sequence[float]] = ()

    def save(self, path: Path) -> None:
        """Write it for :meth:`load`."""
        path.write_bytes(msgspec.json.encode(self))

    @classmethod
    def load(cls, path: Path) -> JobOutcome:
        """Read what :meth:`save` wrote."""
        return msgspec.json.decode(path.read_bytes(), type=cls)


def settings_of(policy: str, folder: str | None, given: dict[str, Any]) -> Settings:
    """The plug-in's settings in a bench: nothing is learned, so that all runs are alike."""
    return Settings(policy=policy, probe=folder, **{"learn": False, **given})
