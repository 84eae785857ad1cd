"""Trained predictors for systems of batches, and Magnus's continuous learning."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from lengthwise.answers.arrays import Answers
from lengthwise.core.query import Query
from lengthwise.core.request import Request
from lengthwise.errors import UserError
from lengthwise.models.fingerprint import fingerprint
from lengthwise.online.messages import Finished
from lengthwise.online.outcomes import answers_of
from lengthwise.online.scorer import Scorer
from lengthwise.predictors.base import Fitting, LengthPredictor
from lengthwise.predictors.magnus import Magnus, relearn

LEARN_S = 180.0
"""Seconds between two rounds of learning (arXiv 2406.04785)."""


class Measured:
    """The oracle: lengths that an earlier run of the same requests had."""

    def __init__(self, tokens: Mapping[str, int]) -> None:
        self._tokens = tokens

    def predict(self, request: Request) -> float:
        """The answer's length."""
        return float(self._tokens[request.id])

    def finished(self, request: Request, now: float) -> None:
        """It knows."""


class Scored:
    """A trained predictor of prompts; one that fails leaves requests unpredicted."""

    def __init__(self, scorer: Scorer, asked: Mapping[str, Query]) -> None:
        self._scorer, self._asked = scorer, asked

    def predict(self, request: Request) -> float | None:
        """Expected output tokens."""
        tokens = self._scorer.tokens([self._asked[request.id]])[0]
        return None if math.isnan(tokens) else tokens

    def finished(self, request: Request, now: float) -> None:
        """Nothing is learned."""


class Learning(Scored):
    """Magnus learns: every 180 s from what it mispredicted by 10 tokens and 10 % (there).

    Args:
        scorer: with Magnus's forest.
        known: what the forest was trained on.
        model: the served model.
        cap: most tokens of an answer.
    """

    def __init__(
        self, scorer: Scorer, asked: Mapping[str, Query], known: Answers, model: Path, cap: int
    ) -> None:
        super().__init__(scorer, asked)
        self._known, self._model, self._cap = known, fingerprint(str(model)), cap
        self._outcomes: list[Finished] = []
        self._last = 0.0
        self.rounds = 0

    def finished(self, request: Request, now: float) -> None:
        """Remember it; grow the forest again if it is time."""
        tokens = request.generated
        asked = self._asked[request.id]
        cut = tokens >= min(self._cap, asked.max_tokens)
        self._outcomes.append(Finished(asked, tokens, cut, request.initial))
        if now - self._last >= LEARN_S:
            self._last = now
            self._learn()

    def _learn(self) -> None:
        finished = answers_of(self._outcomes, self._scorer, self._model)
        self._outcomes = []
        predictor = self._scorer.predictor
        assert isinstance(predictor, Magnus)
        self._scorer.predictor, grown = relearn(
            predictor, self._known, finished, Fitting(variant=_variant(predictor))
        )
        self.rounds += grown is not self._known
        self._known = grown


def _variant(predictor: Magnus) -> str:
    """What the forest reads: everything, the instruction, or the length only."""
    read = set(predictor.inputs.projections)
    return "" if "input" in read else "instruction" if read else "length"


def refuse_to_learn(predictor: LengthPredictor) -> None:
    """Refuse a predictor that does not learn as Magnus's does.

    Raises:
        UserError: names the predictor that does.
    """
    if not isinstance(predictor, Magnus):
        raise UserError(
            f"--learn-from is Magnus's continuous learning, and these predictors are "
            f"{predictor.name}: run lengthwise train magnus"
        )


def learning(
    scorer: Scorer, asked: Mapping[str, Query], folders: list[Path], model: Path, cap: int
) -> Learning:
    """Continuous learning on top of folders that ``lengthwise collect`` filled.

    Raises:
        UserError: if the predictor is not Magnus's, or the folders hold nothing.
    """
    refuse_to_learn(scorer.predictor)
    known = Answers.read(folders, scorer.text)
    return Learning(scorer, asked, known, model, cap)
