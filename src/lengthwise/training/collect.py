"""``lengthwise collect``: run prompts, keep hidden states and remaining lengths."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from lengthwise.answers.files import Shards, finished_ids, read_meta
from lengthwise.core.checks import at_least, folder_for, not_negative
from lengthwise.errors import UserError
from lengthwise.models.fingerprint import fingerprint
from lengthwise.models.served import (
    ENGINE_CONTEXT,
    Tokenized,
    TooLong,
    check_model,
    context_of,
    depth_of,
)
from lengthwise.predictors.layers import LAST, in_order, spread_layers
from lengthwise.results.terminal import say
from lengthwise.vllm.driver import Driver
from lengthwise.vllm.engine import check_memory, check_vllm
from lengthwise.vllm.engine_log import engine_log
from lengthwise.vllm.settings import Settings
from lengthwise.workload.prompts import Prompt

SAVE_S = 5.0
"""Seconds that a finished answer waits for others to be saved with: with a step of the engine on
top, a kill loses at most ten seconds of them."""


@dataclass(frozen=True)
class Options:
    """How to collect.

    Attributes:
        cap: most tokens of an answer.
        seats: most requests in one step.
        layers: whose states to keep, 0 the embedding; none for the default ones.
        temperature: of sampling; 0 is greedy.
        every: tokens between two kept states.
        save_s: seconds that a finished answer waits for others to be saved with.
        too_long: what becomes of prompts that the model's context has no room for.

    Raises:
        UserError: for a number out of range.
    """

    cap: int = 512
    seats: int = 48
    layers: tuple[int, ...] = ()
    temperature: float = 0.0
    every: int = 8
    seed: int = 0
    save_s: float = SAVE_S
    too_long: TooLong = "leave-out"

    def __post_init__(self) -> None:
        at_least(1, max_tokens=self.cap, seats=self.seats)
        at_least(0, seed=self.seed)
        not_negative(temperature=self.temperature, save_every=self.save_s)
        if self.seats > ENGINE_CONTEXT:
            raise UserError(f"--seats is {ENGINE_CONTEXT} at most: a step has no more tokens")


@dataclass(frozen=True)
class Job:
    """What is to be collected, checked: nothing was written or started yet.

    Attributes:
        meta: what the data is collected with, as the folder keeps it.
        tokenized: the prompts that are not in the folder yet.
        finished: how many are.
    """

    model: Path
    folder: Path
    options: Options
    meta: dict[str, Any]
    tokenized: Tokenized
    finished: int

    @classmethod
    def of(cls, model: Path, prompts: list[Prompt], folder: Path, options: Options) -> Job:
        """All that can be known before the engine starts.

        Raises:
            UserError: if the folder holds another model's or other options' data, or the
                model or the prompts do not do.
        """
        if not prompts:
            raise UserError("no prompts are left: leave out --held-out, or give more")
        folder_for(folder)
        check_model(model)
        meta = _meta(model, options)
        _check_claim(folder, meta)
        check_vllm(_settings(meta, options))
        check_memory(str(model))
        context = context_of(model)
        fitting = Tokenized.of(model, prompts, options.cap, context, options.too_long)
        done = set(finished_ids(folder))
        todo = [each for each in fitting.requests if each[0].id not in done]
        finished = len(fitting.requests) - len(todo)
        return cls(model, folder, options, meta, Tokenized(todo, fitting.notes), finished)

    def run(self) -> None:
        """Answer the prompts with the real engine and keep what training needs.

        Answers that hit the cap are marked censored: their true length is unknown.
        """
        self.tokenized.tell()
        _claim(self.folder, self.meta, self.model)
        todo, total = self.tokenized.requests, len(self.tokenized.requests) + self.finished
        if not todo:
            say(f"all {total} prompts are answered in {self.folder}")
            return
        with (
            engine_log(self.folder / "engine.log") as terminal,
            tqdm(
                total=total, initial=self.finished, desc="collect", unit="prompt", file=terminal
            ) as bar,
        ):
            options = self.options
            settings = _settings(self.meta, options)
            driver = Driver(
                self.model,
                options.seats,
                settings,
                enable_prefix_caching=False,
                # On a CPU vLLM cannot take back what a seeded request drew for half a prompt.
                enable_chunked_prefill=options.temperature == 0,
            )
            _run(driver, todo, Shards(self.folder, options.save_s), options, bar)


def collect(model: Path, prompts: list[Prompt], folder: Path, options: Options) -> None:
    """Answer the prompts and keep what training needs in ``folder``.

    Prompts already in the folder are skipped, so a killed run goes on where it was.

    Raises:
        UserError: as :meth:`Job.of`.
    """
    Job.of(model, prompts, folder, options).run()


def default_layers(model: Path) -> tuple[int, ...]:
    """Five layers from a sixth of the depth to its end: what a sweep chooses from."""
    return spread_layers(depth_of(model), 5)


def _settings(meta: dict[str, Any], options: Options) -> Settings:
    return Settings("fcfs", record=meta["layers"], record_every=options.every)


def _meta(model: Path, options: Options) -> dict[str, Any]:
    # The tap gives states in the order of the layers, each once.
    layers = in_order(options.layers) or default_layers(model)
    depth = depth_of(model)
    odd = next((layer for layer in layers if not (0 <= layer <= depth or layer == LAST)), None)
    if odd is not None:
        raise UserError(
            f"--layers {odd}: the model has layers 0 (the embedding) to {depth}, and last"
        )
    return {
        "model": fingerprint(str(model)),
        "layers": list(layers),
        "cap": options.cap,
        "temperature": options.temperature,
        "every": options.every,
    }


def _check_claim(folder: Path, meta: dict[str, Any]) -> None:
    if not (folder / "meta.json").exists():
        return
    there = read_meta(folder)
    odd = next((key for key in meta if there.get(key) != meta[key]), None)
    if odd is not None:
        raise UserError(
            f"{folder} holds data collected with {odd}={there.get(odd)!r}, not {meta[odd]!r}: "
            "choose another --out"
        )


def _claim(folder: Path, meta: dict[str, Any], model: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "meta.json"
    if not path.exists():
        # Where the model is, for its tokenizer; another copy of it would do as well.
        path.write_text(json.dumps(meta | {"path": str(model.resolve())}, indent=1))


def _run(
    driver: Driver, todo: list[tuple[Prompt, list[int]]], shards: Shards, options: Options, bar: Any
) -> None:
    from vllm import SamplingParams

    recorder = driver.recorder()
    internal = {}
    for i, (prompt, ids) in enumerate(todo):
        params = SamplingParams(
            temperature=options.temperature,
            max_tokens=prompt.cap(options.cap),
            seed=options.seed + i,
        )
        internal[str(i)] = driver.add(str(i), ids, params)
    while driver.busy:
        for output in driver.step():
            if not output.finished:
                continue
            answer = output.outputs[0]
            row = {
                "id": todo[int(output.request_id)][0].id,
                "prompt_ids": list(output.prompt_token_ids),
                "output_tokens": len(answer.token_ids),
                "censored": answer.finish_reason == "length",
            }
            shards.add(row, *recorder.take(internal[output.request_id]))
            bar.update()
        shards.save_if_due()
    shards.save()
