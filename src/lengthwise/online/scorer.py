"""A prompt predictor that never fails: where it does, there is no prediction."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import replace

from lengthwise.core.lengths import Lengths
from lengthwise.core.prediction import Prediction, each_of
from lengthwise.core.query import Query
from lengthwise.models.prompt_text import PromptText
from lengthwise.predictors.base import PromptPredictor


class Scorer:
    """Predicts the output tokens of requests as they arrive.

    Args:
        predictor: what predicts; may be replaced by a better one at any time.
        text: gives the user's text back from token ids; None if it reads none.
    """

    def __init__(self, predictor: PromptPredictor, text: PromptText | None = None) -> None:
        self.predictor, self.text = predictor, text
        self.error = ""
        # Tokenizers are not made for two threads at a time.
        self._one = threading.Lock()

    @classmethod
    def load(cls, probe: str, model: str) -> Scorer:
        """The predictor in a folder, checked against the served model.

        Raises:
            UserError: if there is none, or damaged, or another model's.
        """
        from lengthwise.predictors.store import load_prompt_predictor

        predictor = load_prompt_predictor(probe, model)
        return cls(predictor, PromptText.load(model) if predictor.reads == "text" else None)

    def warm_up(self) -> None:
        """Make the first call, which sets up threads and caches, before a request waits for it."""
        self.tokens([Query("", [1, 2], "", 1)])
        self.error = ""

    def read(self, asked: Sequence[Query]) -> list[Query]:
        """The same requests, with the users' texts if the predictor reads them."""
        if self.text is None:
            return list(asked)
        return [replace(each, text=self.text(each.prompt_ids)) for each in asked]

    def lengths(self, asked: Sequence[Query]) -> Lengths:
        """Distributions of total output tokens; raises what the predictor raises."""
        read = self.read(asked)
        with self._one:
            return self.predictor.lengths(read)

    def predictions(self, asked: Sequence[Query]) -> list[Prediction | None]:
        """Predictions of total tokens; None where the predictor fails (``error`` says why)."""
        try:
            found = each_of(self.lengths(asked), "prompt")
        except Exception as error:
            self.error = f"{type(error).__name__}: {error}".splitlines()[0]
            if len(asked) == 1:
                return [None]
            # One bad request must not take the others' predictions away.
            return [self.predictions([each])[0] for each in asked]
        if None in found:
            self.error = "it predicts what is not a number"
        return found

    def tokens(self, asked: Sequence[Query]) -> list[float]:
        """Expected output tokens of each; NaN where there is no prediction."""
        return [math.nan if each is None else each.tokens for each in self.predictions(asked)]
