"""Predictions for a router: prompts become token ids, which the predictors read."""

from __future__ import annotations

import logging
import math
from typing import Any

from lengthwise.core.prediction import Prediction
from lengthwise.core.query import Query
from lengthwise.online.scorer import Scorer
from lengthwise.ray.asked import Asked

logger = logging.getLogger("ray.serve")

_UNBOUNDED = 2**20
"""Tokens that stand for an answer without a limit."""


class Predicting:
    """Predicts the answer of a request from its prompt; loads what that takes when it is wanted.

    Args:
        model: folder of the model, for its tokenizer.
        probe: folder of the predictors; None predicts nothing.
    """

    def __init__(self, model: str, probe: str | None) -> None:
        self._model, self._probe = model, probe
        self._loaded: tuple[Scorer, Any] | None = None

    def load(self) -> tuple[Scorer, Any]:
        """Predictor and tokenizer.

        Raises:
            UserError: for a predictor that is missing, damaged, or another model's.
        """
        if self._loaded is None:
            from transformers import AutoTokenizer

            assert self._probe is not None
            scorer = Scorer.load(self._probe, self._model)
            scorer.warm_up()
            self._loaded = scorer, AutoTokenizer.from_pretrained(self._model)
        return self._loaded

    def __call__(self, asked: Asked, tokens: int) -> Prediction | None:
        """The prediction of a request whose prompt has about so many tokens."""
        if self._probe is None or not asked.body:
            return None
        scorer, tokenizer = self.load()
        ids = ids_of(asked, tokenizer)
        if ids is None:
            return None
        most = _UNBOUNDED if math.isinf(asked.most) else int(asked.most)
        found = scorer.predictions([Query(asked.id, ids, "", most)])[0]
        return None if found is None else found._replace(source="router")


def ids_of(asked: Asked, tokenizer: Any) -> list[int] | None:
    """The token ids of a prompt; None where only vLLM itself can tell them."""
    if asked.ids is not None:
        return asked.ids
    body = asked.body
    try:
        if isinstance(body.get("prompt"), str):
            return list(tokenizer.encode(body["prompt"]))
        messages = _messages(body)
        if not messages:
            return None
        return list(
            tokenizer.apply_chat_template(
                messages, tools=body.get("tools"), add_generation_prompt=True, return_dict=False
            )
        )
    except Exception as error:
        # Templates raise what they like, and vLLM will say what is wrong with the request.
        logger.debug("lengthwise predicts nothing for a prompt it cannot read: %s", error)
        return None


def _messages(body: dict[str, Any]) -> Any:
    """Messages of a chat; of a response its input, of Anthropic's the system text too."""
    given = body.get("messages", body.get("input"))
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    system = body.get("system", body.get("instructions"))
    if isinstance(system, str) and isinstance(given, list):
        return [{"role": "system", "content": system}, *given]
    return given
