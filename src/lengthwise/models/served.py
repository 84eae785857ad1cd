"""What can be known of a served model before an engine loads it: files, context, prompts."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from safetensors import safe_open

from lengthwise.errors import UserError, reading
from lengthwise.models.fingerprint import model_folder
from lengthwise.workload.prompts import Prompt

ENGINE_CONTEXT = 2048
"""Most tokens of prompt and answer in the engines that collect, bench and route build."""

_CONTEXTS = (
    *("max_position_embeddings", "n_positions", "max_seq_len", "seq_length"),
    *("max_sequence_length", "max_seq_length", "model_max_length"),
)
"""Names of a model's context in its config.json, in vLLM's order."""

TooLong = Literal["leave-out", "refuse"]
"""What to do with prompts that the model's context has no room for."""


def check_model(model: str | Path) -> None:
    """Refuse a folder that no engine could load.

    Raises:
        UserError: if config, weights or tokenizer are missing or damaged.
    """
    folder = model_folder(str(model))
    config_of(folder)
    shards = sorted(folder.glob("*.safetensors"))
    if not shards and not any(folder.glob("*.bin")):
        raise UserError(f"model {folder}: no weights in it, *.safetensors or *.bin")
    for shard in shards:
        # A file cut short is noticed by its header, which says how long it is.
        with reading(f"weights {shard}", "copy the model again"), safe_open(shard, "numpy"):
            pass
    if not any(folder.glob("tokenizer*")) and not any(folder.glob("vocab*")):
        raise UserError(f"model {folder}: no tokenizer in it")


def config_of(model: Path) -> dict[str, Any]:
    """The text model's config.

    Raises:
        UserError: if there is none.
    """
    path = model / "config.json"
    if not path.is_file():
        raise UserError(f"model {model}: no config.json in it")
    with reading(path, "copy the model again"):
        config: dict[str, Any] = dict(json.loads(path.read_text()))
        return dict(config.get("text_config", config))


def context_of(model: Path, most: int = ENGINE_CONTEXT) -> int:
    """Most tokens of prompt and answer together: the model's, and at most an engine's.

    Raises:
        UserError: if the model has no config.
    """
    config = config_of(model)
    known = (config[name] for name in _CONTEXTS if isinstance(config.get(name), int))
    return min(next(known, most), most)


def load_tokenizer(model: Path) -> Any:
    """The model's own tokenizer.

    Raises:
        UserError: if there is none, or it is damaged.
    """
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(model)
    except Exception as error:
        # The tokenizers library raises bare exceptions.
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"the tokenizer in {model} cannot be read ({reason})") from None


def chat_ids(tokenizer: Any, text: str) -> list[int]:
    """Token ids of one user turn in the model's chat template; of the text, if it has none."""
    if not getattr(tokenizer, "chat_template", None):
        return list(tokenizer.encode(text))
    ids = tokenizer.apply_chat_template(
        [{"role": "user", "content": text}], add_generation_prompt=True, return_dict=False
    )
    return list(ids)


@dataclass(frozen=True)
class Tokenized:
    """Prompts as token ids, all of which fit, and what the user should know of the others."""

    requests: list[tuple[Prompt, list[int]]]
    notes: list[str]

    @classmethod
    def of(
        cls,
        model: Path,
        prompts: Sequence[Prompt],
        cap: int,
        context: int,
        too_long: TooLong = "leave-out",
    ) -> Tokenized:
        """Prompts in the model's chat template; without one as they are.

        Args:
            cap: most tokens of an answer.
            context: most tokens of prompt and answer together.

        Raises:
            UserError: if a prompt is too long and that is to be refused, or none remains.
        """
        room = context - cap
        if room < 1:
            raise UserError(
                f"--max-tokens {cap} leaves no room for prompts in the model's context of "
                f"{context} tokens"
            )
        tokenizer = load_tokenizer(model)
        ids = [(prompt, chat_ids(tokenizer, prompt.text)) for prompt in prompts]
        fitting = [each for each in ids if len(each[1]) <= room]
        notes = []
        if not getattr(tokenizer, "chat_template", None):
            notes.append(f"model {model.name} has no chat template: prompts are served as they are")
        if len(fitting) < len(ids):
            left = len(ids) - len(fitting)
            what = "1 prompt" if left == 1 else f"{left} prompts"
            longer = f"longer than the model's context of {context} tokens less --max-tokens"
            if too_long == "refuse" or not fitting:
                prompt, longest = max(ids, key=lambda each: len(each[1]))
                raise UserError(
                    f"{what if fitting else f'{what} and no other'}: {longer}, the longest "
                    f"{prompt.id} with {len(longest)}: lower --max-tokens, or leave them out"
                )
            notes.append(f"{what} left out: {longer}")
        return cls(fitting, notes)

    def tell(self) -> None:
        """Say on standard error what the user should know."""
        for note in self.notes:
            print(f"lengthwise: {note}", file=sys.stderr)


def depth_of(model: Path) -> int:
    """How many layers a model has.

    Raises:
        UserError: if its config.json does not say so.
    """
    depth = config_of(model).get("num_hidden_layers", config_of(model).get("n_layer"))
    if not isinstance(depth, int):
        raise UserError(f"model {model}: its config.json does not say how many layers it has")
    return depth
