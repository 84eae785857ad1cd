"""Length predictors as scikit-learn's users know them: fit, predict, save, load."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from lengthwise.answers.arrays import Answers
from lengthwise.core.bins import Bins
from lengthwise.core.lengths import Lengths
from lengthwise.core.query import Query
from lengthwise.errors import UserError
from lengthwise.models.fingerprint import fingerprint, model_folder
from lengthwise.models.prompt_text import PromptText
from lengthwise.models.served import chat_ids
from lengthwise.predictors import find_predictor
from lengthwise.predictors.base import Fitting, PromptPredictor
from lengthwise.predictors.store import Trained, read_described, read_predictor

WORDS = "words"
"""Stands for a model's fingerprint where words were counted, not a model's tokens."""

FEWEST = 10
"""Prompts to learn from."""

Prompts = Sequence[str] | Sequence[Sequence[int]]


class LengthRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Predicts how many tokens an answer will have, from its prompt.

    Prompts are texts, or lists of token ids as the served model gets them. With a model,
    texts become its token ids by its chat template. Without one the words of a text stand
    for tokens: that is enough to study predictors, but no model can be served by it.

    Args:
        name: of the predictor, as ``lengthwise train`` has it: ``ngrams``, ``ltr:pairwise``.
        model: folder or hub name of the served model.
        max_tokens: most tokens of an answer; lengths that reach it were cut. None takes the
            longest one that it learns from, as a whole answer.
        epochs, backbone: as for ``lengthwise train``; None is the predictor's own.
        seed: of everything random.

    Attributes:
        predictor_: the fitted predictor.
        max_tokens_: most tokens that it predicts.
    """

    def __init__(
        self,
        name: str = "ngrams",
        model: str | None = None,
        max_tokens: int | None = None,
        epochs: int | None = None,
        backbone: str | None = None,
        seed: int = 0,
    ) -> None:
        self.name = name
        self.model = model
        self.max_tokens = max_tokens
        self.epochs = epochs
        self.backbone = backbone
        self.seed = seed

    def fit(self, prompts: Prompts, lengths: ArrayLike) -> Self:
        """Learn from n prompts and the output tokens [n] of their answers.

        A fifth of the prompts is kept apart for choices and calibration.

        Raises:
            UserError: a ValueError, for prompts, lengths or parameters that cannot be used.
        """
        told = Fitting(epochs=self.epochs, backbone=self.backbone, model=self.model, seed=self.seed)
        kind, how = find_predictor(self.name, told)
        if not issubclass(kind, PromptPredictor) or kind.reads == "truth":
            raise UserError(f"{self.name} does not learn from prompts: it cannot be fitted here")
        tokens = _lengths(lengths, len(_several(prompts)))
        if len(tokens) < FEWEST:
            raise UserError(f"{len(tokens)} prompts are too few to learn from: give {FEWEST}")
        cap = int(tokens.max()) if self.max_tokens is None else _positive(self.max_tokens)
        asked = self._asked(prompts, cap, kind.reads)
        tune = np.arange(len(tokens)) % 5 == 0
        cut = self.max_tokens is not None
        rows: list[Any] = [
            ({"output_tokens": min(each, cap), "censored": cut and each >= cap}, {})
            for each in tokens.tolist()
        ]
        answers = Answers(self._fingerprint(), (), float(cap), asked, rows)
        bins = Bins.log(20, float(cap)).with_overflow()
        self.predictor_ = kind.fit(answers.some(~tune), answers.some(tune), bins, how)
        self.max_tokens_ = cap
        return self

    def predict(self, prompts: Prompts) -> NDArray[np.float64]:
        """Expected output tokens, [n]."""
        return np.asarray(self.predict_lengths(prompts).mean(), dtype=np.float64)

    def predict_quantile(self, prompts: Prompts, level: float) -> NDArray[np.float64]:
        """Tokens that an answer does not exceed with this probability, [n]."""
        if not 0 < level < 1:
            raise UserError(f"a quantile's level is between 0 and 1, not {level}")
        return np.asarray(self.predict_lengths(prompts).quantile(level), dtype=np.float64)

    def predict_lengths(self, prompts: Prompts) -> Lengths:
        """Distributions over output tokens, n."""
        check_is_fitted(self)
        return self.predictor_.lengths(
            self._asked(prompts, self.max_tokens_, self.predictor_.reads)
        )

    def save(self, folder: str | Path) -> None:
        """Write it into a folder, for :meth:`load`, and for ``--predictor`` if it has a model."""
        check_is_fitted(self)
        report = {"predictor": self.name, "max_tokens": self.max_tokens_}
        Trained(self._fingerprint(), None, self.predictor_, report).save(Path(folder))

    @classmethod
    def load(cls, folder: str | Path, model: str | None = None) -> Self:
        """What :meth:`save` or ``lengthwise train`` wrote; ``builtin`` is the shipped one.

        Args:
            model: the served model, to predict from texts; it must be the one it was
                trained for. Token ids need none.

        Raises:
            UserError: if there is none, or it is damaged or another model's.
        """
        where, described = read_described(str(folder))
        if model is not None and described.get("model") != fingerprint(model):
            raise UserError(f"the predictor in {where} was trained for another model than {model}")
        predictor = read_predictor(where, described, "prompt")
        assert isinstance(predictor, PromptPredictor)
        report = described.get("report", {})
        # A trained TRAIL brings a prompt predictor of another kind.
        name = report.get("predictor", predictor.name)
        own = name.partition(":")[0] == predictor.name
        found = cls(name if own else predictor.name, model)
        found.predictor_ = predictor
        found.max_tokens_ = int(report.get("max_tokens", predictor.bins.edges[-1]))
        found._trained_for = described.get("model")
        return found

    def _fingerprint(self) -> str:
        if self.model is not None:
            return fingerprint(self.model)
        return getattr(self, "_trained_for", WORDS)

    def _asked(self, prompts: Prompts, cap: int, reads: str) -> list[Query]:
        """The prompts as predictors read them."""
        given = _several(prompts)
        texts = isinstance(given[0], str)
        ids, words = ([], list(given)) if texts else ([_token_ids(each) for each in given], [])
        if texts and reads != "text":
            ids = self._tokens(words)
        elif not texts and reads == "text":
            words = self._texts(ids)
        return [
            Query(str(i), ids[i] if ids else [], words[i] if words else "", cap)
            for i in range(len(given))
        ]

    def _tokens(self, texts: list[str]) -> list[list[int]]:
        if self.model is not None:
            from transformers import AutoTokenizer

            tokenizer = AutoTokenizer.from_pretrained(model_folder(self.model))
            return [chat_ids(tokenizer, text) for text in texts]
        if self._fingerprint() != WORDS:
            raise UserError("it reads a model's tokens: give the model to load, or token ids")
        return [_words(text) for text in texts]

    def _texts(self, ids: list[list[int]]) -> list[str]:
        if self.model is None:
            raise UserError(f"{self.name} reads texts: give texts, or the model of the token ids")
        decode = PromptText.load(self.model)
        return [decode(each) for each in ids]


def load_predictor(folder: str | Path, model: str | None = None) -> LengthRegressor:
    """A trained predictor of answers' lengths: :meth:`LengthRegressor.load`."""
    return LengthRegressor.load(folder, model)


def _several(prompts: Any) -> list[Any]:
    """Prompts as a list: all texts, or all lists of token ids."""
    if isinstance(prompts, str) or not hasattr(prompts, "__iter__"):
        raise UserError("prompts are a list of texts or of lists of token ids")
    given = list(prompts)
    if not given:
        raise UserError("there are no prompts")
    if len({isinstance(each, str) for each in given}) > 1:
        raise UserError("prompts are all texts, or all lists of token ids: these are mixed")
    return given


def _token_ids(prompt: Any) -> list[int]:
    ids = np.asarray(prompt)
    if ids.ndim != 1 or not len(ids) or ids.dtype.kind not in "iu" or ids.min() < 0:
        raise UserError(f"a prompt is a text, or a list of token ids, not {prompt!r:.60}")
    found: list[int] = ids.tolist()
    return found


def _lengths(lengths: ArrayLike, n: int) -> NDArray[np.int64]:
    try:
        given = np.asarray(lengths, dtype=np.float64)
    except (TypeError, ValueError):
        raise UserError("lengths are numbers of tokens") from None
    if given.shape != (n,):
        raise UserError(f"{n} prompts need as many lengths, not an array of {given.shape}")
    if not np.isfinite(given).all() or (given < 1).any() or (given % 1).any():
        raise UserError("lengths are whole numbers of tokens, from 1 up")
    return given.astype(np.int64)


def _positive(max_tokens: int) -> int:
    if not isinstance(max_tokens, (int, np.integer)) or max_tokens < 1:
        raise UserError(f"max_tokens is a number of tokens from 1 up, not {max_tokens!r}")
    return int(max_tokens)


def _words(text: str) -> list[int]:
    """A number for each word and mark; an empty text is one of its own."""
    return [zlib.crc32(each.encode()) for each in re.findall(r"\w+|[^\w\s]", text.lower())] or [0]
