"""Flags that say how fast an engine is, and what they stand for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lengthwise.cli import flags, values
from lengthwise.core import checks
from lengthwise.errors import UserError

if TYPE_CHECKING:
    from lengthwise.calibration import Calibration
    from lengthwise.calibration.engine_log import EngineLog
    from lengthwise.calibration.server import Server
    from lengthwise.traces.trace import Trace

_WAYS = (
    "--engine-log FILE (vLLM's own log), --metrics URL (of the running server), --card CARD with "
    "--model CONFIG (datasheets), or --profile FILE (of lengthwise calibrate)"
)


@dataclass(frozen=True)
class Speed:
    """Flags that say how fast an engine is, and how large.

    One of a profile, an engine's log, a server's metrics and a card is taken; with metrics, a
    card gives the shape that they scale. Without any, the times of the requests themselves.
    """

    profile: str | None
    engine_log: Path | None
    metrics: str | None
    watch: float
    card: str | None
    model: str | None
    tensor_parallel: int
    seats: int | None
    budget: int | None
    kv_tokens: int | None
    block_size: int | None

    @cached_property
    def server(self) -> Server | None:
        """What ``--metrics`` names, looked at once; a server for ``--watch`` seconds.

        Raises:
            UserError: if it does not answer, or is no vLLM.
        """
        from lengthwise.calibration.server import poll, read_metrics

        if self.metrics is None:
            return None
        checks.not_negative(watch=self.watch)
        if "://" in self.metrics:
            return poll(self.metrics, self.watch)
        return read_metrics(Path(self.metrics))

    @cached_property
    def log(self) -> EngineLog | None:
        """What ``--engine-log`` names, read once.

        Raises:
            UserError: if it cannot be read, or no engine sums itself up in it.
        """
        from lengthwise.calibration.engine_log import read_engine_log

        return None if self.engine_log is None else read_engine_log(self.engine_log)

    def calibration(self, trace: Trace | None) -> Calibration:
        """How fast the engine is, by the flags that were given, else by the trace's own times.

        Seats, budget, KV memory and block size that were given stand above what was found.

        Raises:
            UserError: if flags do not go together, or nothing says how fast it is.
        """
        checks.at_least(1, seats=self.seats, budget=self.budget, kv_tokens=self.kv_tokens)
        checks.at_least(1, block_size=self.block_size, tensor_parallel=self.tensor_parallel)
        self._check()
        found = self._found(trace)
        return replace(
            found,
            seats=self.seats or found.seats,
            budget=self.budget or found.budget,
            kv_tokens=self.kv_tokens or found.kv_tokens,
            block_size=self.block_size or found.block_size,
        )

    def _check(self) -> None:
        ways = {"--profile": self.profile, "--engine-log": self.engine_log}
        given = [flag for flag, value in {**ways, "--metrics": self.metrics}.items() if value]
        if len(given) > 1:
            raise UserError(f"{' and '.join(given)} both say how fast the engine is: give one")
        if (self.card is None) != (self.model is None):
            raise UserError(
                "--card and --model go together: the card's datasheet, the model's config"
            )
        if self.card is not None and given and given != ["--metrics"]:
            raise UserError(f"--card and {given[0]} both say how fast the engine is: give one")

    def _found(self, trace: Trace | None) -> Calibration:
        if self.profile is not None:
            from lengthwise.calibration.profile import from_profile

            return from_profile(self.profile)
        if self.log is not None:
            return self.log.calibration()
        if self.server is not None:
            return self.server.calibration(self._of_card())
        of_card = self._of_card()
        if of_card is not None:
            return of_card
        if trace is None or trace.observed is None:
            raise UserError(f"nothing says how fast the engine is: give {_WAYS}")
        from lengthwise.calibration.from_requests import from_requests

        return from_requests(trace, self.seats, self.budget, self.kv_tokens, self.block_size or 16)

    def _of_card(self) -> Calibration | None:
        if self.card is None or self.model is None:
            return None
        from lengthwise.calibration.cards import from_card

        return from_card(self.card, self.model, tensor_parallel=self.tensor_parallel)


card = flags.text(
    "--card", None, "CARD", "Calculate from a card's datasheet: h100-sxm, a100-80gb-pcie, l4 ..."
)

tensor_parallel = flags.whole("--tensor-parallel", 1, "Cards that share the model, with --card.")

speed = flags.bundle(
    Speed,
    flags.text(
        "--profile",
        None,
        "NAME",
        "Step times: a shipped profile, or a file of lengthwise calibrate. Without this and the "
        "next flags: from the requests' own times, if they are served in order of arrival.",
    ),
    click.option(
        "--engine-log",
        type=values.PATH,
        metavar="FILE",
        help="Step times from vLLM's own log (its line every ten seconds), gzipped or not.",
    ),
    flags.text(
        "--metrics",
        None,
        "URL",
        "Step times from a running vLLM, or a saved /metrics; VLLM_API_KEY is sent. With --card "
        "and --model its average step scales the card's.",
    ),
    flags.number("--watch", 60.0, "Seconds to look at the server of --metrics; 0 looks once."),
    card,
    flags.text(
        "--model", None, "CONFIG", "With --card: config.json, its folder, or llama-3.1-8b ..."
    ),
    tensor_parallel,
    flags.whole("--seats", None, "Most requests in a step (vLLM's max_num_seqs), if known."),
    flags.whole("--budget", None, "Most tokens in a step (max_num_batched_tokens), if known."),
    flags.whole("--kv-tokens", None, "Tokens of KV memory, if known: vLLM's log says it."),
    flags.whole("--block-size", None, "Tokens in a block of KV memory, if known."),
)
