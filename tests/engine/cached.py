"""What ``lengthwise`` makes of vLLM's prefix cache, with a stub for the model.

``python cached.py MODEL OUT.json``. A conversation's second turn begins with its first.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from lengthwise.vllm import Scheduler, StockScheduler
from lengthwise.vllm.engine import prepare_process
from lengthwise.vllm.settings import Settings
from lengthwise.vllm.stub import Stub, stub_config

FIRST = list(range(2, 802))
SECOND = [*FIRST, *range(5000, 5030)]
OTHER, SHORTER, LARGE = ([start] * n for start, n in ((6000, 830), (7000, 400), (8000, 900)))


class Served:
    """One seat; requests in the order of their admission."""

    def __init__(self, config: Any, blocks: int, policy: str = "lengthwise") -> None:
        ours = None if policy == "stock" else Settings(policy=policy, learn=False)
        self.stub = Stub(StockScheduler if ours is None else Scheduler, config, blocks, ours)
        self.scheduler = self.stub.scheduler
        self.order: list[str] = []

    def add(self, name: str, prompt: list[int], **params: Any) -> None:
        self.scheduler.add_request(self.stub.request(name, prompt, answer=3, **params))

    def step(self) -> None:
        self.order += [new.req_id for new in self.stub.step().scheduled_new_reqs]

    def finish(self) -> None:
        while self.scheduler.requests:
            self.step()

    def cached(self, name: str) -> int:
        return int(self.scheduler._views[name].cached_tokens)


def conversation(config: Any, **params: Any) -> dict[str, Any]:
    """The second turn waits behind shorter prompts that are new."""
    served = Served(config, blocks=200)
    served.add("first", FIRST)
    served.finish()
    served.add("busy", [3])
    served.step()
    served.add("shorter", SHORTER)
    served.add("other", OTHER)
    served.add("second", SECOND, **params)
    cached = served.cached("second")
    served.finish()
    return {"cached": cached, "order": served.order}


def evicted(config: Any) -> dict[str, Any]:
    """While the second turn waits, another request takes its prefix's memory."""
    served = Served(config, blocks=60)
    served.add("first", FIRST)
    served.finish()
    served.add("large", LARGE)
    served.step()
    served.add("shorter", SHORTER)
    served.add("second", SECOND)
    before = served.cached("second")
    while "shorter" not in served.order:
        served.step()
    after = served.cached("second")
    served.finish()
    return {"before": before, "after": after, "order": served.order}


def counted(config: Any, policy: str) -> dict[str, Any]:
    """What vLLM counts of its cache, one request after the other, and its free blocks."""
    served = Served(config, blocks=100, policy=policy)
    made, original = [], served.scheduler.make_stats

    def make_stats(*args: Any, **kwargs: Any) -> Any:
        made.append(original(*args, **kwargs))
        return made[-1]

    served.scheduler.make_stats = make_stats
    for name, prompt in {"1": FIRST, "2": SECOND, "3": SHORTER, "4": SECOND, "5": OTHER}.items():
        served.add(name, prompt)
        served.finish()
    free = served.scheduler.kv_cache_manager.block_pool.free_block_queue.get_all_free_blocks()
    caches = [stats.prefix_cache_stats for stats in made]
    counts = {of: sum(getattr(it, of) for it in caches) for of in ("requests", "queries", "hits")}
    return {"counts": counts, "free": [block.block_id for block in free]}


def main(model: str) -> dict[str, Any]:
    sizes = {"seats": 1, "budget": 128, "context": 1024}
    config = stub_config(model, caching=True, **sizes)
    return {
        "conversation": conversation(config),
        "without": conversation(stub_config(model, **sizes)),
        "skipped": conversation(config, prompt_logprobs=1),
        "evicted": evicted(config),
        "counted": {each: counted(config, each) for each in ("stock", "fcfs", "lengthwise")},
    }


if __name__ == "__main__":
    prepare_process()
    Path(sys.argv[2]).write_text(json.dumps(main(sys.argv[1])))
