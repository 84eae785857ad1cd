"""The messages between the engine, the process that scores prompts, and the one that learns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lengthwise.core.prediction import Prediction
from lengthwise.core.query import Query
from lengthwise.online.options import Learning
from lengthwise.online.states import States
from lengthwise.predictors.store import Packed
from lengthwise.sim.setup import Setup

Role = Literal["prompt", "probe"]
"""What a version predicts from: the prompt, or the hidden states along the answer."""

ROLES: tuple[Role, ...] = ("prompt", "probe")


@dataclass(frozen=True)
class Serve:
    """What the scoring process serves; its first message.

    Attributes:
        model: the served model, a folder or hub name.
        probe: folder of the trained predictors.
    """

    model: str
    probe: str


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
    """A line for the engine's log."""

    line: str


@dataclass(frozen=True)
class Stopped:
    """The process cannot go on, and the reason."""

    reason: str


@dataclass(frozen=True)
class Acts:
    """From now on this version predicts, or (None) no learned one does any more.

    Attributes:
        role: what it predicts from.
        version: its number.
        predictor: the version itself.
    """

    role: Role
    version: int
    predictor: Packed | None


@dataclass(frozen=True)
class Learn:
    """Whom the learning process learns for; its first message.

    Attributes:
        model: the served model, a folder or hub name.
        folder: where it keeps versions and samples.
        options: how to learn.
        policy: name of the policy that is served, for the simulator.
        setup: the engine's seats and memory, for the simulator.
        states: whether hidden states are kept along answers, for a probe to learn from.
        acting: what acts already, if the process before this one died.
    """

    model: str
    folder: str
    options: Learning
    policy: str
    setup: Setup
    states: bool = False
    acting: tuple[Acts, ...] = ()


@dataclass(frozen=True)
class Finished:
    """A request that is gone, and what was predicted of it.

    Attributes:
        asked: the request.
        tokens: output tokens.
        cut: whether it was cut at a limit or given up, so that ``tokens`` is a lower bound.
        predicted: total tokens predicted from the prompt by what acted; None if nothing did, or
            if it came too late.
        arrival: seconds on the engine's clock.
        version: the version that acted for prompts when it was predicted; 0 is none.
        states: hidden states along its answer, if they were kept.
    """

    asked: Query
    tokens: int
    cut: bool
    predicted: float | None = None
    arrival: float = 0.0
    version: int = 0
    states: States | None = None


@dataclass(frozen=True)
class Steps:
    """Steps of the engine: [n] rows of prefill tokens, decodes, context tokens and seconds."""

    rows: Sequence[tuple[int, int, int, float]]


ToScorer = Serve | Query
ToLearner = Learn | Finished | Steps
ToService = ToScorer | ToLearner
ToEngine = Scored | Note | Stopped | Acts
