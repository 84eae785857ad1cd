"""``+fair``: fair shares between tenants by virtual token counters (VTC, arXiv 2401.00588)."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable

from lengthwise.core.policy import FIRST, Key, Policy
from lengthwise.core.request import Request
from lengthwise.policies.wrapper import Wrapper

Tenant = str | None

_ABSENT = 1024
"""Tenants without a request whose counters are kept; names are the clients' to invent."""


class Fair(Wrapper):
    """The tenant that was served least goes first; its requests in the policy's order.

    A counter for each tenant grows by ``prompt_weight`` for a prompt token when its request
    is admitted, and by ``output_weight`` for a generated token. A tenant that comes back
    with no request waiting is lifted to the lowest counter among waiting tenants, so that
    idleness earns no credit. No seat is left empty for fairness' sake. Of tenants without a request
    only those that left last are remembered; others start as a new tenant does.

    Tenants whose counters lie in the same ``quantum`` count as equal, and there the policy
    decides: among them lengths still count, and a preemptive policy moves seats from one
    tenant to another once in a quantum, not at every token.

    Args:
        policy: orders one tenant's requests.
        quantum: weighted tokens. 1 is VTC's own order.
        prompt_weight, output_weight: VTC's w_p and w_q.

    Raises:
        ValueError: unless the quantum is positive and the weights are not negative.
    """

    name = "fair"

    def __init__(
        self,
        policy: Policy,
        quantum: float = 500.0,
        prompt_weight: float = 1.0,
        output_weight: float = 2.0,
    ) -> None:
        if not 0 < quantum < math.inf or not 0 <= min(prompt_weight, output_weight) < math.inf:
            raise ValueError("a quantum is positive, and weights of tokens are not negative")
        super().__init__(policy)
        self.timed = True
        self.steady = policy.steady and not policy.preemptive
        self.counters: defaultdict[Tenant, float] = defaultdict(float)
        self._quantum = quantum
        self._prompt, self._output = prompt_weight, output_weight
        self._waiting: Counter[Tenant] = Counter()
        self._queued: set[str] = set()
        # Tenants that came back since the last look, in that order.
        self._back: list[Tenant] = []
        # Generated tokens that were charged, of every request in the system.
        self._charged: dict[str, int] = {}
        self._last: Tenant = None
        # Requests in the system, and tenants without any, who left longest ago first.
        self._present: Counter[Tenant] = Counter()
        self._absent: dict[Tenant, None] = {}

    def key(self, request: Request) -> Key:
        key = self._policy.key(request)
        return key if key == FIRST else (self.counters[request.tenant] // self._quantum, *key)

    def lane(self, request: Request) -> Hashable:
        return request.tenant, self._policy.lane(request)

    def holds(self, request: Request) -> float:
        return 1

    def observe(self, now: float, running: Iterable[Request]) -> None:
        """Charge the tokens generated since the last call, then lift returning tenants."""
        seated = list(running)
        for request in seated:
            self._charge(request)
        if self._back:
            self._lift()
        super().observe(now, seated)

    def enters(self, request: Request) -> None:
        if request.id not in self._charged:
            # A slice may come from another instance, which has charged what was before.
            self._charged[request.id] = request.generated
            self._present[request.tenant] += 1
            self._absent.pop(request.tenant, None)
            if request.tenant not in self._waiting:
                self._back.append(request.tenant)
        elif not request.started:
            self.counters[request.tenant] -= self._prompt * request.prompt_tokens
        else:
            self._charge(request)
        self._waiting[request.tenant] += 1
        self._queued.add(request.id)
        super().enters(request)

    def exits(self, request: Request) -> None:
        """Charge the request's prompt now, so that the next look sees it; once only."""
        self._unqueue(request)
        if not request.started:
            self.counters[request.tenant] += self._prompt * request.prompt_tokens
        super().exits(request)

    def leave(self, request: Request) -> None:
        if request.id in self._queued:
            self._unqueue(request)
        if request.id in self._charged:
            self._charge(request)
            del self._charged[request.id]
            self._forget_absent(request.tenant)
        super().leave(request)

    def _forget_absent(self, tenant: Tenant) -> None:
        """One of the tenant's requests is gone; so may be the tenant."""
        self._present[tenant] -= 1
        if self._present[tenant]:
            return
        del self._present[tenant]
        self._absent[tenant] = None
        if len(self._absent) > _ABSENT:
            longest_ago = next(iter(self._absent))
            del self._absent[longest_ago]
            self.counters.pop(longest_ago, None)

    def _unqueue(self, request: Request) -> None:
        self._queued.remove(request.id)
        self._waiting[request.tenant] -= 1
        if not self._waiting[request.tenant]:
            del self._waiting[request.tenant]
        self._last = request.tenant

    def _charge(self, request: Request) -> None:
        if request.id in self._charged:
            new = request.generated - self._charged[request.id]
            self._charged[request.id] = request.generated
            self.counters[request.tenant] += self._output * new

    def _lift(self) -> None:
        """Lift tenants that came back to the lowest waiting counter, in their order."""
        others = self._waiting.keys() - set(self._back)
        least = min((self.counters[each] for each in others), default=None)
        for tenant in dict.fromkeys(self._back):
            if tenant not in self._present:
                continue
            floor = self.counters.get(self._last, 0.0) if least is None else least
            self.counters[tenant] = max(self.counters[tenant], floor)
            if least is None and tenant in self._waiting:
                least = self.counters[tenant]
        self._back.clear()
