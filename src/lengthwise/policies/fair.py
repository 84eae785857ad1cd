"""``+fair``: fair shares between tenants by virtual token counters (VTC, arXiv 2401.00588)."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable

from lengthwise.core.policy import FIRST, Key, Policy
from lengthwise.core.request import Request
from lengthwise.policies.wrapper import Wrapper

Tenant = str | None


class Fair(Wrapper):
    """The tenant that was served least goes first; its requests in the policy's order.

    A counter for each tenant grows by ``prompt_weight`` for a prompt token when its request
    is taken, and by ``output_weight`` for a generated one. Who comes back with nobody
    waiting is lifted to the least of those who wait, so that idleness earns no credit. No
    seat is left empty for fairness' sake.

    Tenants whose counters lie in the same ``quantum`` count as equal, and there the policy
    decides: among them lengths still rule, and a preemptive policy moves seats from one
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
        # Generated tokens that were charged, of everybody in the system.
        self._charged: dict[str, int] = {}
        self._last: Tenant = None

    def key(self, request: Request) -> Key:
        key = self._policy.key(request)
        return key if key == FIRST else (self.counters[request.tenant] // self._quantum, *key)

    def lane(self, request: Request) -> Hashable:
        return request.tenant, self._policy.lane(request)

    def holds(self, request: Request) -> float:
        return 1

    def observe(self, now: float, running: Iterable[Request]) -> None:
        """Charge what was generated since the last time, then lift who came back."""
        seated = list(running)
        for request in seated:
            self._charge(request)
        while self._back:
            self._lift(self._back.pop(0))
        super().observe(now, seated)

    def enters(self, request: Request) -> None:
        if request.id not in self._charged:
            # A slice may come from another instance, which has charged what was before.
            self._charged[request.id] = request.generated
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
        """Its prompt is charged now, so that the next look sees it; once, whatever follows."""
        self._unqueue(request)
        if not request.started:
            self.counters[request.tenant] += self._prompt * request.prompt_tokens
        super().exits(request)

    def leave(self, request: Request) -> None:
        if request.id in self._queued:
            self._unqueue(request)
        self._charge(request)
        del self._charged[request.id]
        super().leave(request)

    def _unqueue(self, request: Request) -> None:
        self._queued.remove(request.id)
        self._waiting[request.tenant] -= 1
        if not self._waiting[request.tenant]:
            del self._waiting[request.tenant]
        self._last = request.tenant

    def _charge(self, request: Request) -> None:
        new = request.generated - self._charged.get(request.id, 0)
        self._charged[request.id] = request.generated
        self.counters[request.tenant] += self._output * new

    def _lift(self, tenant: Tenant) -> None:
        others = self._waiting.keys() - {tenant, *self._back}
        waiting = (self.counters[each] for each in others)
        least = min(waiting, default=self.counters[self._last])
        self.counters[tenant] = max(self.counters[tenant], least)
