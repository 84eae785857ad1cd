"""``+priority``: the client's priority class first, inside a class the policy."""

from __future__ import annotations

from collections.abc import Hashable

from lengthwise.core.policy import FIRST, Key
from lengthwise.core.request import Request
from lengthwise.policies.wrapper import Wrapper


class Prioritised(Wrapper):
    """The lower value of vLLM's ``priority`` field goes first; 0 where the client sends none.

    A class waits for all classes before it; ``+bound`` after this wrapper keeps it from
    starving. Committed requests still run to their end.
    """

    name = "priority"
    still = True

    def key(self, request: Request) -> Key:
        key = self._policy.key(request)
        return key if key == FIRST else (request.priority, *key)

    def lane(self, request: Request) -> Hashable:
        return request.priority, self._policy.lane(request)
