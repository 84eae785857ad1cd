"""``+foresight``: nobody is admitted whose expected memory does not last."""

from __future__ import annotations

from lengthwise.core.policy import Policy
from lengthwise.core.request import Request
from lengthwise.policies.sizes import Sizes
from lengthwise.policies.wrapper import Wrapper


class Foreseeing(Wrapper):
    """The policy's order, with the admission of ``lengthwise``.

    How long an answer will be is taken from the probe where it has spoken, and else learned
    from the requests that finished, so it needs no predictions.
    See :mod:`lengthwise.core.foresight`.
    """

    name = "foresight"
    still = True

    def __init__(self, policy: Policy) -> None:
        super().__init__(policy)
        self.foresees = True
        self._sizes = Sizes()

    def expected(self, request: Request) -> float:
        return self._sizes.remaining(request)

    def leave(self, request: Request) -> None:
        self._policy.leave(request)
        self._sizes.finished(request, request.initial)
