"""Slots for paused requests, where vLLM keeps a slot for each request that holds a KV cache.

vLLM's V2 model runner does (V1 keeps them for scheduled requests only). ``--max-num-seqs`` is
then the slots, and ``--max-num-active-seqs`` how many of them may run: the seats. Without the
second flag both are the same, and a request that loses its seat loses its KV cache too.
"""

from __future__ import annotations

import os

from lengthwise.core.policy import Policy
from lengthwise.vllm.flags import Flags
from lengthwise.vllm.settings import Settings

SLOTS, SEATS = "--max-num-seqs", "--max-num-active-seqs"

_TOKENS = "--max-num-batched-tokens"

_MOST_PAUSED = 1.0
"""Slots for paused requests, to a seat: more only cost memory that their KV caches need."""


def for_pausing(policy: Policy, settings: Settings, given: list[str]) -> list[str]:
    """The user's flags, and those that give a policy that pauses its slots.

    A user who says how many may run has said how many slots are left.
    """
    flags = Flags(given)
    if not (policy.preemptive and settings.pause and _keeps_slots()) or flags.sets(SEATS):
        return given
    seats = flags.number(0, SLOTS) or default_seats(flags)
    slots = seats + int(seats * min(policy.paused_per_seat, _MOST_PAUSED))
    # vLLM wants a token in a step for each slot.
    slots = min(slots, max(flags.number(slots, _TOKENS), seats))
    return [*flags.without(SLOTS), SEATS, str(seats), SLOTS, str(slots)]


def default_seats(flags: Flags) -> int:
    """The requests in a step that vLLM's server allows if nobody says how many."""
    from vllm.engine.arg_utils import EngineArgs
    from vllm.usage.usage_lib import UsageContext

    ranks = flags.number(1, "--tensor-parallel-size", "-tp")
    ranks *= flags.number(1, "--pipeline-parallel-size", "-pp")
    tokens, seats = EngineArgs.get_batch_defaults(ranks)
    doubled = 1 + (flags.value("--performance-mode") == "throughput")
    most = flags.number(doubled * tokens[UsageContext.OPENAI_API_SERVER], _TOKENS)
    return int(min(doubled * seats[UsageContext.OPENAI_API_SERVER], most))


def _keeps_slots() -> bool:
    """Whether the V2 runner serves: it is the default, and nobody has asked for V1."""
    return os.environ.get("VLLM_USE_V2_MODEL_RUNNER", "").strip() != "0"
