"""``lengthwise collect``: run prompts, keep hidden states and remaining lengths."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file
from tqdm import tqdm

from lengthwise.engine import build_engine
from lengthwise.engine_log import engine_log
from lengthwise.errors import UserError, reading
from lengthwise.predictors.fingerprint import fingerprint
from lengthwise.prompts import Prompt
from lengthwise.terminal import say
from lengthwise.vllm.settings import Settings

_ARRAYS = ("ages", "states", "mean")
_DAMAGED = "delete that shard and run lengthwise collect again"

SHARD = 32
"""Finished requests to a file: what a kill can lose."""


@dataclass(frozen=True)
class Options:
    """How to collect: tokens at most for an answer, seats, layers (0 the embedding)."""

    cap: int = 512
    seats: int = 48
    layers: tuple[int, ...] = ()
    temperature: float = 0.0
    every: int = 8
    seed: int = 0


def collect(model: Path, prompts: list[Prompt], folder: Path, options: Options) -> None:
    """Answer the prompts with the real engine and keep what training needs in ``folder``.

    Prompts already in the folder are skipped, so a killed run goes on where it was.
    Answers that hit the cap are marked censored: their true length is unknown.

    Raises:
        UserError: if the folder holds another model's or other options' data.
    """
    layers = options.layers or default_layers(model)
    _claim(folder, model, options, layers)
    finished = set(finished_ids(folder))
    todo = [prompt for prompt in prompts if prompt.id not in finished]
    if not todo:
        say(f"all {len(prompts)} prompts are answered in {folder}")
        return
    with (
        engine_log(folder / "engine.log") as terminal,
        tqdm(
            total=len(prompts),
            initial=len(prompts) - len(todo),
            desc="collect",
            unit="prompt",
            file=terminal,
        ) as bar,
    ):
        settings = Settings(policy="fcfs", record=list(layers), record_every=options.every)
        engine = build_engine(
            model,
            options.seats,
            additional_config=settings.additional_config(),
            enable_prefix_caching=False,
            # On a CPU vLLM cannot take back what a seeded request drew for half a prompt.
            enable_chunked_prefill=options.temperature == 0,
        )
        _run(engine, todo, folder, options, bar)


def default_layers(model: Path) -> tuple[int, ...]:
    """Five layers from a sixth of the depth to its end: what a sweep chooses from."""
    depth = json.loads((model / "config.json").read_text())["num_hidden_layers"]
    return tuple(
        sorted({max(1, round(depth * part)) for part in (1 / 6, 1 / 3, 1 / 2, 2 / 3, 5 / 6)})
    )


def finished_ids(folder: Path) -> list[str]:
    """Ids of the prompts whose data is safely on disk."""
    return [row["id"] for path in sorted(folder.glob("shard-*.json")) for row in read_rows(path)]


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The requests of one shard: id, prompt token ids, output tokens, censored."""
    with reading(path, _DAMAGED):
        rows: list[dict[str, Any]] = json.loads(path.read_text())
    return rows


def read_meta(folder: Path) -> dict[str, Any]:
    """What the folder's data was collected with.

    Raises:
        UserError: if there is no such data, or it is damaged.
    """
    if not (folder / "meta.json").is_file():
        raise UserError(f"no collected data in {folder}: run lengthwise collect first")
    with reading(folder / "meta.json", _DAMAGED):
        meta: dict[str, Any] = json.loads((folder / "meta.json").read_text())
    return meta


def read_shards(folder: Path) -> list[tuple[dict[str, Any], dict[str, np.ndarray]]]:
    """Every request of a folder with its arrays: ages [n], states [n, L, d], mean [L, d]."""
    found = []
    for path in sorted(folder.glob("shard-*.json")):
        rows = read_rows(path)
        with reading(path.with_suffix(".safetensors"), _DAMAGED):
            arrays = load_file(path.with_suffix(".safetensors"))
            for i, row in enumerate(rows):
                found.append((row, {name: arrays[f"{i}.{name}"] for name in _ARRAYS}))
    return found


def _claim(folder: Path, model: Path, options: Options, layers: tuple[int, ...]) -> None:
    meta = {
        "model": fingerprint(str(model)),
        "layers": list(layers),
        "cap": options.cap,
        "temperature": options.temperature,
        "every": options.every,
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "meta.json"
    if not path.exists():
        # Where the model is, for its tokenizer; another copy of it would do as well.
        path.write_text(json.dumps(meta | {"path": str(model.resolve())}, indent=1))
        return
    there = read_meta(folder)
    odd = next((key for key in meta if there.get(key) != meta[key]), None)
    if odd is not None:
        raise UserError(
            f"{folder} holds data collected with {odd}={there.get(odd)!r}, not {meta[odd]!r}: "
            "choose another --out"
        )


def _run(engine: Any, todo: list[Prompt], folder: Path, options: Options, bar: Any) -> None:
    from vllm import SamplingParams

    tokenizer = engine.get_tokenizer()
    recorder = engine.collective_rpc(lambda worker: worker.lengthwise)[0]
    internal = {}
    for i, prompt in enumerate(todo):
        ids = chat_ids(tokenizer, prompt.text)
        params = SamplingParams(
            temperature=options.temperature, max_tokens=options.cap, seed=options.seed + i
        )
        internal[str(i)] = engine.add_request(str(i), {"prompt_token_ids": ids}, params)
    rows: list[dict[str, Any]] = []
    arrays: dict[str, np.ndarray] = {}
    while engine.has_unfinished_requests():
        for output in engine.step():
            if not output.finished:
                continue
            answer = output.outputs[0]
            ages, states, mean = recorder.take(internal[output.request_id])
            i = len(rows)
            arrays |= {f"{i}.ages": ages, f"{i}.states": states, f"{i}.mean": mean}
            rows.append(
                {
                    "id": todo[int(output.request_id)].id,
                    "prompt_ids": list(output.prompt_token_ids),
                    "output_tokens": len(answer.token_ids),
                    "censored": answer.finish_reason == "length",
                }
            )
            bar.update()
        if len(rows) >= SHARD or (rows and not engine.has_unfinished_requests()):
            _save(folder, rows, arrays)
            rows, arrays = [], {}


def _save(folder: Path, rows: list[dict[str, Any]], arrays: dict[str, np.ndarray]) -> None:
    """The list is renamed into place last: a shard without it does not count."""
    name = f"shard-{len(list(folder.glob('shard-*.json'))):05d}"
    save_file(arrays, folder / f"{name}.safetensors")
    partial = folder / f"{name}.partial"
    partial.write_text(json.dumps(rows))
    partial.rename(folder / f"{name}.json")


def chat_ids(tokenizer: Any, text: str) -> list[int]:
    """Token ids of one user turn in the model's chat template."""
    ids = tokenizer.apply_chat_template(
        [{"role": "user", "content": text}], add_generation_prompt=True, return_dict=False
    )
    return list(ids)
