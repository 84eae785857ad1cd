"""What a bench of padded batches compares, and what can be wrong with it before it starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lengthwise.answers.files import read_meta
from lengthwise.bench import plan as plans
from lengthwise.core.checks import at_least
from lengthwise.errors import UserError
from lengthwise.models.served import check_model
from lengthwise.online.scorer import Scorer
from lengthwise.padded import SYSTEMS, Constants, Limits, SliceTime, make_system
from lengthwise.padded.slice_time import LEAST_ROWS, STEPS

ORACLE = "oracle"

ENDLESS = 1 << 30
"""Tokens: this engine has no context of its own, only the model has."""

NO_TIME = SliceTime((0, 0, 0, 1), (0, 0, 0, 1))


@dataclass(frozen=True)
class PaddedPlan:
    """What to compare, beside what the bench of vLLM takes.

    Attributes:
        base: model, prompts, systems, predictors, rates; ``system@FOLDER`` has its own
            predictors, ``system@oracle`` reads the lengths of an unreported first run.
        instances: processes, each with its model.
        memory: KV tokens of each; 0 is ``base.seats`` of the longest requests.
        constants: of the systems.
        learn: collected folders, for Magnus to go on learning from; or none.
        slice_time: a file of an earlier run; else the instances are profiled.
    """

    base: plans.BenchPlan
    instances: int = 1
    memory: int = 0
    constants: Constants = field(default_factory=Constants)
    learn: Sequence[Path] = ()
    slice_time: Path | None = None

    def check(self) -> None:
        """Refuse what no instance could serve.

        Raises:
            UserError: for a number out of range, an unknown system, one without predictors
                or with another model's, or a model, trace or file that does not do.
        """
        base = self.base
        base.check_numbers()
        at_least(1, instances=self.instances)
        at_least(0, kv_tokens=self.memory)
        check(base.policies, base.probe)
        if base.loads:
            raise UserError("--loads go with vLLM: give --rates to padded batches")
        base.check_arrivals()
        if self.slice_time is not None:
            SliceTime.load(self.slice_time)
        for folder in self.learn:
            read_meta(folder)
        for probe in dict.fromkeys(probe_of(base, spec) for spec in base.policies):
            if probe is not None and probe != ORACLE:
                predictor = Scorer.load(probe, str(base.model)).predictor
                if self.learn:
                    from lengthwise.bench.padded_lengths import refuse_to_learn

                    refuse_to_learn(predictor)
        check_model(base.model)


def check(specs: Sequence[str], probe: str | None) -> None:
    """Refuse what no run could serve.

    Raises:
        UserError: for an unknown system, one of another engine, or one without predictors.
    """
    tiny = Limits(1, 1, 1, NO_TIME)
    for spec in specs:
        name, at, _ = spec.partition("@")
        if name not in SYSTEMS:
            raise UserError(
                f"policy {name} does not run whole batches: use lengthwise bench policies, "
                f"or choose from {', '.join(SYSTEMS)}"
            )
        if make_system(name, tiny, Constants()).source != "none" and not at and probe is None:
            raise UserError(f"policy {spec} predicts: give it --predictor (see lengthwise train)")


def probe_of(base: plans.BenchPlan, spec: str) -> str | None:
    """The predictors' folder of ``system`` or ``system@FOLDER``; None if it predicts nothing."""
    name, _, folder = spec.partition("@")
    source = make_system(name, Limits(1, 1, 1, NO_TIME), Constants()).source
    return (folder or base.probe) if source != "none" else None


def profiled(seats: int, longest: int, memory: int) -> list[tuple[int, int]]:
    """Sizes and lengths of the batches that an instance is profiled with.

    Raises:
        UserError: if the memory holds too few of them.
    """
    sizes = sorted({1, 2, max(seats // 2, 1), seats, 2 * seats})
    lengths = [max(longest // each, 1) for each in (16, 4, 2)]
    grid = [(n, length) for n in sizes for length in lengths if n * (length + STEPS) <= memory]
    if len(grid) < LEAST_ROWS:
        raise UserError(
            f"a memory of {memory} tokens holds too few batches to profile an instance: "
            "raise --kv-tokens or --seats, or give --slice-time"
        )
    return grid
