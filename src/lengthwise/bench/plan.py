"""What a bench compares, and all that can be wrong with it before an engine starts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lengthwise.bench.job import STOCKS, BenchRequest, settings_of
from lengthwise.core.checks import at_least, positive
from lengthwise.core.service import Classes
from lengthwise.errors import UserError
from lengthwise.models.served import ENGINE_CONTEXT, Tokenized, TooLong, check_model
from lengthwise.policies import make_policy
from lengthwise.predictors.store import check_there
from lengthwise.results import setups
from lengthwise.results.promises import described, kept
from lengthwise.results.record import Labels, Size
from lengthwise.traces.arrival_times import trace
from lengthwise.vllm.engine import engine_name
from lengthwise.vllm.settings import Settings
from lengthwise.workload import arrival_times as arrivals
from lengthwise.workload.prompts import Prompt

NO_PREDICTORS = "none"
"""What stands after the @ of a policy that is told nothing, as in the simulator."""

LEARNED = "learned"
"""What stands after the @ of a policy that learns while it serves, from nothing."""


@dataclass(frozen=True)
class BenchPlan:
    """What to compare.

    Attributes:
        policies: names, ``stock`` for vLLM's own scheduler; ``policy@FOLDER`` uses the
            predictors of that folder, ``policy@none`` none.
        probe: folder of the predictors where a policy names none.
        rates: requests per second; None is a burst.
        loads: rates as shares of the capacity: what the burst under the first policy
            finishes while every seat is taken.
        cv: coefficient of variation of the gaps; 1 is Poisson.
        trace: file with arrival times instead of random ones.
        until: also measure the seconds until this many requests have finished.
        too_long: what becomes of prompts that the model's context has no room for.
    """

    model: Path
    prompts: list[Prompt]
    policies: list[str]
    probe: str | None
    seats: int = 8
    cap: int = 512
    rates: list[float | None] = field(default_factory=lambda: [None])
    loads: list[float] = field(default_factory=list)
    cv: float = 1.0
    trace: Path | None = None
    seed: int = 0
    kv_blocks: int | None = None
    block_size: int = 32
    settings: dict[str, Any] = field(default_factory=dict)
    until: int | None = None
    too_long: TooLong = "leave-out"

    def check_numbers(self) -> None:
        """Refuse what no engine takes.

        Raises:
            UserError: for a number out of range, no prompts, or a folder without predictors.
        """
        given = {"seats": self.seats, "max_tokens": self.cap, "block_size": self.block_size}
        at_least(1, **given, kv_blocks=self.kv_blocks, until=self.until)
        at_least(0, seed=self.seed)
        positive(cv=self.cv)
        if self.seats > ENGINE_CONTEXT:
            raise UserError(f"--seats is {ENGINE_CONTEXT} at most: a step has no more tokens")
        if self.probe is not None:
            # Also where no policy reads it: whoever gives a folder means it.
            check_there(self.probe)
        if not self.prompts:
            raise UserError("no prompts are left: leave out --held-out, or give more")

    def check(self) -> None:
        """Refuse what vLLM cannot serve, in one process of its own for each policy.

        Raises:
            UserError: for a number out of range, an unknown policy, one without predictors
                or with another model's, or a model, trace or prompts that do not do.
        """
        self.check_numbers()
        for spec in self.policies:
            _, folder = with_predictors(self, spec)
            if folder is None and needs_predictor(spec):
                raise UserError(
                    f"policy {spec} predicts: give it --predictor (see lengthwise train)"
                )
        if self.loads and None not in self.rates:
            raise UserError("loads are shares of a burst's throughput: keep the burst in the rates")
        if self.loads and len(self.prompts) <= self.seats:
            raise UserError("every request had a seat at once: more of them show the capacity")
        self.check_arrivals()
        loaded = set()
        for settings in self.engine_settings():
            kind = settings.probe, make_policy(settings.policy).source
            if kind not in loaded:
                loaded.add(kind)
                settings.check(str(self.model))
        check_model(self.model)

    @property
    def classes(self) -> Classes | None:
        """The service classes of its prompts; None if there are none."""
        return kept(self.settings)

    def engine_settings(self) -> list[Settings]:
        """The plug-in's settings for each policy but vLLM's own."""
        given = [with_predictors(self, spec) for spec in self.policies]
        return [
            settings_of(policy, folder, self.settings)
            for policy, folder in given
            if policy not in STOCKS
        ]

    def check_arrivals(self) -> None:
        """Refuse rates, or a trace, that are no arrival times.

        Raises:
            UserError: with the reason.
        """
        for rate in self.rates:
            arrival_times(self, rate)


def source_of(spec: str) -> str:
    """The prediction that a policy of the bench uses; vLLM's own uses none."""
    name = spec.partition("@")[0]
    return "none" if name in STOCKS else make_policy(name).source


def needs_predictor(spec: str) -> bool:
    """Whether a policy of the bench orders nothing without the predictors of a folder."""
    name = spec.partition("@")[0]
    if source_of(spec) not in ("prompt", "probe"):
        return False
    return make_policy(name).needs_predictions


def with_predictors(plan: BenchPlan, spec: str) -> tuple[str, str | None]:
    """Policy and predictors' folder of ``policy``, ``policy@FOLDER`` or ``policy@none``.

    ``policy@learned`` has none at first.
    """
    name, at, folder = spec.partition("@")
    if folder in (NO_PREDICTORS, LEARNED):
        return name, None
    return name, folder if at else plan.probe


def learns(spec: str) -> bool:
    """Whether it is ``policy@learned``."""
    return spec.partition("@")[2] == LEARNED


def settings_for(plan: BenchPlan, spec: str, out: Path) -> dict[str, Any]:
    """The plug-in's settings of a run; one that learns keeps what it learns in a folder of its own.

    Args:
        out: the bench's folder.
    """
    if not learns(spec):
        return plan.settings
    folder = out.resolve() / spec.replace(":", "-")
    return {**plan.settings, "learn": True, "learning": {"folder": str(folder)}}


def engine_arguments(plan: BenchPlan) -> dict[str, Any]:
    """vLLM's arguments for its KV memory."""
    engine: dict[str, Any] = {"block_size": plan.block_size}
    if plan.kv_blocks is not None:
        engine["num_gpu_blocks_override"] = plan.kv_blocks
    return engine


def tokenized(plan: BenchPlan, context: int) -> tuple[BenchPlan, list[BenchRequest]]:
    """The plan with the prompts that fit into the context, and these as requests.

    A request has its token ids in the model's chat template, and whose it is.

    Raises:
        UserError: if no prompt fits, or the KV memory does not hold the longest.
    """
    found = Tokenized.of(plan.model, plan.prompts, plan.cap, context, plan.too_long)
    longest = max(len(ids) for _, ids in found.requests) + plan.cap
    # vLLM keeps one block for itself.
    if plan.kv_blocks is not None and (plan.kv_blocks - 1) * plan.block_size < longest:
        raise UserError(
            f"--kv-blocks {plan.kv_blocks} of {plan.block_size} tokens cannot hold the longest "
            f"request of {longest} tokens: raise it, or lower --max-tokens"
        )
    found.tell()
    requests = [
        BenchRequest(
            prompt.id,
            ids,
            tenant=prompt.tenant,
            priority=prompt.priority,
            max_tokens=prompt.max_tokens,
        )
        for prompt, ids in found.requests
    ]
    return replace(plan, prompts=[prompt for prompt, _ in found.requests]), requests


def arrival_times(plan: BenchPlan, rate: float | None) -> list[float]:
    """When the plan's prompts arrive at a rate, in seconds."""
    n = len(plan.prompts)
    if plan.trace is not None:
        return trace(plan.trace, n, rate)
    return arrivals.burst(n) if rate is None else arrivals.gamma(n, rate, plan.cv, plan.seed)


def labels_of(
    plan: BenchPlan, spec: str, rate: float | None, load: float | None
) -> tuple[Labels, Size]:
    """What a run was."""
    name, folder = with_predictors(plan, spec)
    if learns(spec):
        folder = LEARNED
    labels = Labels(
        policy=name,
        predictors=None if source_of(spec) == "none" else folder,
        engine=engine_name(),
        model=plan.model.name,
        rate=rate,
        load=load,
        seed=plan.seed,
    )
    return labels, Size(seats=plan.seats, cap=plan.cap)


def shared_setup(plan: BenchPlan) -> dict[str, Any]:
    """The setup that every kind of bench has (:class:`setups.Served`)."""
    return {
        "model": plan.model.name,
        "prompts": len(plan.prompts),
        "policies": plan.policies,
        "rates": plan.rates,
        "seats": plan.seats,
        "cap": plan.cap,
        "seed": plan.seed,
        "until": plan.until,
        "probe": plan.probe,
        "cv": plan.cv,
        "trace": plan.trace and str(plan.trace),
        "classes": described(plan.classes),
    }


def scheduling_setup(plan: BenchPlan) -> dict[str, Any]:
    """What a bench of vLLM adds (:class:`setups.Bench`)."""
    return {
        **shared_setup(plan),
        "loads": plan.loads,
        "kv_blocks": plan.kv_blocks,
        "block_size": plan.block_size,
        "settings": plan.settings,
    }


def setup_of(plan: BenchPlan) -> setups.Bench:
    """What all runs share, for results.json."""
    return setups.Bench(**scheduling_setup(plan))
