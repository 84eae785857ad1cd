"""The user's text, from the token ids that a served model receives."""

from __future__ import annotations

from itertools import takewhile
from typing import Any

from lengthwise.errors import UserError
from lengthwise.models.fingerprint import model_folder


class PromptText:
    """Decodes prompts and cuts the chat template off.

    Schedulers see token ids only, so predictors of text learn from the same: what they
    read is decoded here both in training and in serving.

    Args:
        tokenizer: of the served model, as transformers has it.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._head, self._tail = "", ""
        if getattr(tokenizer, "chat_template", None):
            one, other = (self._decode(self._chat(text)) for text in ("apple", "Zebra"))
            self._head = _common(one, other)
            self._tail = _common(one[::-1], other[::-1])[::-1]

    @classmethod
    def load(cls, model: str) -> PromptText:
        """The text of prompts to this model.

        Raises:
            UserError: if it has no tokenizer.
        """
        from transformers import AutoTokenizer

        folder = model_folder(model)
        try:
            return cls(AutoTokenizer.from_pretrained(folder))
        except (OSError, ValueError) as error:
            raise UserError(f"model {model!r} has no tokenizer in {folder}") from error

    def __call__(self, prompt_ids: list[int]) -> str:
        """What the user wrote; several turns stay as they are, with the template's words."""
        text = self._decode(prompt_ids)
        return text.removeprefix(self._head).removesuffix(self._tail).strip()

    def _decode(self, ids: list[int]) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=True))

    def _chat(self, text: str) -> list[int]:
        turn = [{"role": "user", "content": text}]
        return list(
            self._tokenizer.apply_chat_template(turn, add_generation_prompt=True, return_dict=False)
        )


def _common(one: str, other: str) -> str:
    """The longest text with which both begin."""
    same = takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return "".join(first for first, _ in same)
