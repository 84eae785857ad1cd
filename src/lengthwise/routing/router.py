"""The one shape of every router across instances."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from lengthwise.routing.instance import Flight, Instance


class Router(ABC):
    """Chooses the instance of a request; sees predictions, never a true length.

    Attributes:
        name: what the command line calls it.
        predicts: whether it reads predictions.
        collect: seconds for which requests are gathered before they are dispatched together.
    """

    name: ClassVar[str]
    predicts: ClassVar[bool] = False
    collect: float = 0.0

    @abstractmethod
    def choose(self, flight: Flight, instances: Sequence[Instance], now: float) -> Instance:
        """One of the instances (all alive, at least one) for the request."""

    def order(self, flights: Sequence[Flight]) -> Sequence[Flight]:
        """The order in which gathered requests are dispatched; by default that of arrival."""
        return flights
