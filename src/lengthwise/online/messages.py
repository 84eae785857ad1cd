"""The messages between the engine and its prediction process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lengthwise.core.prediction import Prediction
from lengthwise.core.query import Query
from lengthwise.online.options import Learning


@dataclass(frozen=True)
class Start:
    """What the process serves; the first message.

    Attributes:
        model: the served model, a folder or hub name.
        probe: folder of the trained predictors.
        learning: how to go on learning; None is not to.
    """

    model: str
    probe: str
    learning: Learning | None = None


@dataclass(frozen=True)
class Finished:
    """A finished request, and its prediction.

    Attributes:
        asked: the request.
        tokens: output tokens.
        cut: whether it was cut at a limit, so that ``tokens`` is a lower bound.
        predicted: total tokens predicted at arrival; None if that came too late.
    """

    asked: Query
    tokens: int
    cut: bool
    predicted: float | None = None


@dataclass
class Counters:
    """What learning has done so far.

    Attributes:
        version: number of the predictor in use; 0 is the one that training made.
        learned, held_back: finished requests learned from, and kept to judge by.
        swaps, refusals: new versions put to use, and found no better.
        drifts: changes for the worse in the errors.
    """

    version: int = 0
    learned: int = 0
    held_back: int = 0
    swaps: int = 0
    refusals: int = 0
    drifts: int = 0


@dataclass(frozen=True)
class Scored:
    """Predictions of total output tokens, one for each request id.

    Attributes:
        predictions: None where the predictor failed. Those of one batch share its arrays.
        seconds: of processor and waiting that the process spent on them.
        error: why it failed, if it did.
    """

    ids: Sequence[str]
    predictions: Sequence[Prediction | None]
    seconds: float
    error: str = ""


@dataclass(frozen=True)
class Note:
    """A line for the engine's log, and the counters of learning."""

    line: str
    counters: Counters = field(default_factory=Counters)


@dataclass(frozen=True)
class Stopped:
    """The process cannot go on, and the reason."""

    reason: str


ToService = Start | Query | Finished
ToEngine = Scored | Note | Stopped
