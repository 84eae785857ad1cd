"""Predictors that know the answers: bounds for the judge, never for a server.

They read what an answer turned out to be, so nothing that schedules may import them, and
none of them can be saved.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Self
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from lengthwise.answers.files import read_meta, read_rows
from lengthwise.core.bins import Bins
from lengthwise.core.lengths import Lengths
from lengthwise.core.query import limits
from lengthwise.errors import UserError
from lengthwise.predictors.base import Arrays, Fitting, LengthPredictor, Reads
from lengthwise.predictors.points import points

if TYPE_CHECKING:
    from lengthwise.answers.arrays import Answers


class _Knowing(LengthPredictor):
    """Predicts each answer's total tokens from the true length, once, as a single number."""

    reads: ClassVar[Reads] = "truth"

    @abstractmethod
    def totals(self, answers: Answers) -> NDArray[np.floating]:
        """Expected output tokens of each answer, [n]."""

    def first(self, answers: Answers) -> Lengths:
        """All mass at the expected tokens, [n]."""
        return points(self.totals(answers), limits(answers.asked))

    def state(self) -> NoReturn:
        """Never.

        Raises:
            UserError: always.
        """
        raise UserError(_never(self.name))

    @classmethod
    def restore(cls, bins: Bins, settings: dict[str, Any], arrays: Arrays) -> NoReturn:
        """Never.

        Raises:
            UserError: always.
        """
        raise UserError(_never(cls.name))


class Oracle(_Knowing):
    """The true length; an answer cut at the cap ends there."""

    name: ClassVar[str] = "oracle"

    def __init__(self, bins: Bins) -> None:
        self.bins = bins

    @classmethod
    def fit(cls, fit: Answers, tune: Answers, bins: Bins, how: Fitting) -> Self:
        """There is nothing to learn."""
        return cls(bins)

    def totals(self, answers: Answers) -> NDArray[np.floating]:
        """True output tokens, [n]."""
        return answers.tokens.astype(np.float32)


class NoisyOracle(_Knowing):
    """The true length times a log-normal factor with median 1; the variant is sigma.

    A prompt always has the same factor.

    Args:
        bins: unused, but every predictor has some.
        sigma: standard deviation of the factor's logarithm, from 0.
        seed: of the factors.
    """

    name: ClassVar[str] = "noisy-oracle"
    variants: ClassVar[tuple[str, ...]] = ("0.5", "0.1", "0.25", "1.0", "2.0")

    def __init__(self, bins: Bins, sigma: float, seed: int = 0) -> None:
        self.bins, self.sigma, self.seed = bins, sigma, seed

    @classmethod
    def fit(cls, fit: Answers, tune: Answers, bins: Bins, how: Fitting) -> Self:
        """There is nothing to learn."""
        return cls(bins, float(how.variant or cls.variants[0]), how.seed)

    def totals(self, answers: Answers) -> NDArray[np.floating]:
        """True output tokens times the prompts' factors, at least 1, [n]."""
        normal = np.array([self._normal(each.id) for each in answers.asked])
        noisy: NDArray[np.float64] = np.maximum(answers.tokens * np.exp(self.sigma * normal), 1.0)
        return noisy

    def _normal(self, id: str) -> float:
        return float(np.random.default_rng([self.seed, crc32(id.encode())]).standard_normal())


class AnotherSeed(_Knowing):
    """The length of another sampled answer to the same prompt: the most a prompt predicts.

    Args:
        bins: unused, but every predictor has some.
        tokens: output tokens of the other run, by prompt id.
    """

    name: ClassVar[str] = "another-seed"

    def __init__(self, bins: Bins, tokens: Mapping[str, int]) -> None:
        self.bins, self._tokens = bins, tokens

    @classmethod
    def read(cls, bins: Bins, folders: Sequence[Path], model: str) -> Self:
        """The other run, as collected from the same model into ``folders``.

        Raises:
            UserError: if there is no such data, or it is of another model.
        """
        tokens: dict[str, int] = {}
        for folder in folders:
            other = read_meta(folder)["model"]
            if other != model:
                raise UserError(f"{folder} holds answers of {other}, not of {model}")
            for path in sorted(folder.glob("shard-*.json")):
                tokens |= {row["id"]: row["output_tokens"] for row in read_rows(path)}
        return cls(bins, tokens)

    @classmethod
    def fit(cls, fit: Answers, tune: Answers, bins: Bins, how: Fitting) -> Self:
        """Not from one run.

        Raises:
            UserError: always.
        """
        raise UserError(f"{cls.name} needs a second run: collect the same prompts with --seed 1")

    def totals(self, answers: Answers) -> NDArray[np.floating]:
        """Output tokens of the other run, [n].

        Raises:
            UserError: if it has no such prompt.
        """
        missing = [each.id for each in answers.asked if each.id not in self._tokens]
        if missing:
            raise UserError(
                f"the other run has no answer to {missing[0]} and {len(missing) - 1} more prompts: "
                "let lengthwise collect run on the same prompts"
            )
        found = [self._tokens[each.id] for each in answers.asked]
        return np.array(found, dtype=np.float32)


def _never(name: str) -> str:
    return f"{name} knows the answers beforehand: it can be judged, but not saved or served"
