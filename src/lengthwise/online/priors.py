"""Expected lengths that others send along, believed as far as each sender has been right."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace

import numpy as np

from lengthwise.core.arrays import Floats
from lengthwise.core.prediction import Prediction, point
from lengthwise.online.pairs import KnownLengths, Share

_LATEST = 100
"""Finished requests of a source that count."""

_FEWEST = 20
"""Finished requests of a source before it is judged."""

_EVERY = 10
"""Finished requests of a source between two judgements."""

_SOURCES = 500
"""Most sources that are judged, and as many that are not yet: names are the clients' to invent,
and who invents many drives out no source that has shown something."""

_STEP = math.log(1.25)
_GRID = _STEP * np.arange(64)
"""Logarithms of expected tokens for which a source's calibration is kept, up to a million."""

_WIDTH = math.log(1.5)
"""Standard deviation of the kernel: about so far apart two numbers still mean the same."""

_MEAN = 3.0
"""Finished requests as which the source's mean counts, wherever little was said."""


@dataclass(frozen=True)
class Worth:
    """What the expected lengths of a source have been worth of late.

    Attributes:
        source: the client's name for itself; empty if it has none.
        router: whether these are routers' predictions.
        right: pairs of requests that they order right, as a share.
        gain: how many more these are than by our own predictions; a request without one
            counts as half right.
    """

    source: str
    router: bool
    right: Share
    gain: Share

    def believed(self, beside_ours: bool) -> bool:
        """Whether they are used, beside our own prediction of a request or without one.

        A client's are once they were better by more than a standard error, a router's until
        they were worse by more.
        """
        gain = self.gain.value if beside_ours else self.right.value - 0.5
        doubt = self.gain.error if beside_ours else self.right.error
        if math.isnan(gain):
            return self.router
        return gain >= -doubt if self.router else gain > doubt


@dataclass(frozen=True, slots=True)
class _Outcome:
    """A finished request: tokens that were said, that we predicted (or NaN), and that came."""

    said: float
    ours: float
    tokens: int
    cut: bool


class _Source:
    """The latest finished requests of one source, and what they show."""

    __slots__ = ("_calibrated", "_latest", "_new", "_router", "name", "worth")

    def __init__(self, name: str, router: bool) -> None:
        self.name, self._router = name, router
        self.worth: Worth | None = None
        self._latest: deque[_Outcome] = deque(maxlen=_LATEST)
        self._new = 0
        self._calibrated: list[float] = []

    def add(self, outcome: _Outcome) -> None:
        """A request of it finished."""
        self._latest.append(outcome)
        self._new += 1
        if self._new >= (_FEWEST if self.worth is None else _EVERY):
            self._judge()

    def calibrated(self, said: float) -> float:
        """Tokens that came, on average, where about so many were said."""
        at = round(math.log(max(said, 1.0)) / _STEP)
        return self._calibrated[min(at, len(_GRID) - 1)]

    def _judge(self) -> None:
        self._new = 0
        said = np.array([each.said for each in self._latest])
        ours = np.array([each.ours for each in self._latest])
        tokens = np.array([each.tokens for each in self._latest])
        cut = np.array([each.cut for each in self._latest])
        known = KnownLengths(tokens, cut)
        right = known.right(said)
        gain = replace(right, value=right.value - 0.5)
        if not np.isnan(ours).all():
            gain = known.gain(said, ours)
        self.worth = Worth(self.name, self._router, right, gain)
        if not self._router:
            self._calibrated = self._means(said, tokens, cut).tolist()

    def _means(self, said: Floats, tokens: Floats, cut: Floats) -> Floats:
        """Mean tokens by what was said, on the grid: the source's own mean if nothing near was."""
        lengths = tokens.astype(np.float64)
        if self._calibrated and cut.any():
            # More was to come than a cut answer has; at least what is expected of such a one.
            before = [self.calibrated(each.said) for each in self._latest]
            lengths[cut] = np.maximum(lengths, before)[cut]
        off = (_GRID[:, None] - np.log(said)) / _WIDTH
        weight = np.exp(-0.5 * off * off)
        total = weight @ lengths + _MEAN * lengths.mean()
        found: Floats = total / (weight.sum(axis=1) + _MEAN)
        return found


class Priors:
    """The expected lengths that clients and routers send, each source by its own record.

    A client's number means what came when that client said about as much. It is used once
    what a client says orders its requests better than our own predictions do (or than nothing,
    where there are none), and no longer when it does not. What a router predicted is used as it
    is, until it was worse.

    Memory is bounded: the latest sources, and the latest finished requests of each.
    """

    def __init__(self) -> None:
        self._judged: dict[tuple[str, bool], _Source] = {}
        self._new: dict[tuple[str, bool], _Source] = {}

    def prediction(
        self, source: str, said: Prediction, ours: Prediction | None
    ) -> Prediction | None:
        """What to take a new request for: what was said of it, or our own prediction.

        Args:
            source: the client's name for itself, or empty.
            said: what came with the request, made by a client or a router.
            ours: our own prediction; None if there is none, or not yet.
        """
        found = self._judged.get(_key(source, said))
        if said.source == "router":
            trusted = found is None or found.worth is None or _believed(found.worth, ours)
            return said if trusted else ours
        if found is None or found.worth is None or not _believed(found.worth, ours):
            return ours
        return point(found.calibrated(said.tokens), "client")

    def finished(
        self, source: str, said: Prediction, ours: Prediction | None, tokens: int, cut: bool
    ) -> None:
        """A request is gone of which this was said and predicted, after so many output tokens.

        Args:
            cut: whether it was cut or given up, so that ``tokens`` is a lower bound.
        """
        if tokens < 1:
            return
        key = _key(source, said)
        found = self._judged.pop(key, None) or self._new.pop(key, None) or _Source(*key)
        predicted = math.nan if ours is None else ours.tokens
        found.add(_Outcome(max(said.tokens, 1.0), predicted, tokens, cut))
        among = self._new if found.worth is None else self._judged
        among[key] = found
        if len(among) > _SOURCES:
            del among[next(iter(among))]

    def worth(self, most: int = 10) -> list[Worth]:
        """What the sources are worth whose requests finished last, the last one first."""
        latest = list(self._judged.values())[: -most - 1 : -1]
        return [each.worth for each in latest if each.worth is not None]

    def __len__(self) -> int:
        """How many sources are remembered."""
        return len(self._judged) + len(self._new)


def _key(source: str, said: Prediction) -> tuple[str, bool]:
    # A router's predictions are its own, whosever request it is.
    router = said.source == "router"
    return ("" if router else source), router


def _believed(worth: Worth, ours: Prediction | None) -> bool:
    return worth.believed(beside_ours=ours is not None)
