"""What predictors are judged on: answers, resamples of them, and a baseline."""

from __future__ import annotations

from dataclasses import dataclass

from lengthwise.answers.arrays import Answers
from lengthwise.evaluate.metrics import Said, Table, constant_median, judge
from lengthwise.predictors.base import LengthPredictor
from lengthwise.results.bootstrap import Resamples


@dataclass(frozen=True)
class HeldOut:
    """Answers to judge on, the same for every predictor.

    Attributes:
        answers: one a prompt.
        resamples: of them.
        constant: figures of the constant median, which learned nothing.
    """

    answers: Answers
    resamples: Resamples
    constant: dict[str, Table]

    @classmethod
    def of(cls, fit: Answers, answers: Answers, b: int, seed: int) -> HeldOut:
        """The first answer to each prompt, b resamples; the constant is that of ``fit``."""
        held = one_each(answers)
        resamples = Resamples.of(len(held), b, seed)
        return cls(held, resamples, judge(constant_median(fit, held), held, resamples))

    def predictions_for(self, predictor: LengthPredictor) -> Said:
        """Its predictions for the answers."""
        return Said(*predictor.both(self.answers))

    def judge(self, said: Said) -> dict[str, Table]:
        """All figures, by stage."""
        return judge(said, self.answers, self.resamples)


def one_each(answers: Answers) -> Answers:
    """The first answer to each prompt: several folders may have the same ones."""
    first: dict[str, int] = {}
    for number, each in enumerate(answers.asked):
        first.setdefault(each.id, number)
    return pick(answers, list(first.values()))


def pick(answers: Answers, numbers: list[int]) -> Answers:
    """Some answers, in this order."""
    asked = [answers.asked[number] for number in numbers]
    rows = [answers.rows[number] for number in numbers]
    return Answers(answers.model, answers.layers, answers.cap, asked, rows)
