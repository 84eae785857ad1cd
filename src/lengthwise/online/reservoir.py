"""Which finished requests are learned from: a bounded sample of all, and the latest."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Sequence
from typing import Generic, TypeVar

import numpy as np

T = TypeVar("T")


def prompt_key(prompt_ids: Sequence[int]) -> str:
    """A name for a prompt, the same in every process: 32 hexadecimal digits."""
    return hashlib.sha256(np.asarray(prompt_ids, dtype=np.int64).tobytes()).hexdigest()[:32]


def in_share(key: str, share: float, salt: str) -> bool:
    """Whether a prompt belongs to a share of all prompts; other salts give other shares."""
    digest = hashlib.sha256(f"{salt}:{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2.0**64


class Reservoir(Generic[T]):
    """A uniform sample of all that was added (Vitter 1985, algorithm R), and the latest.

    Args:
        uniform: size of the sample.
        recent: how many of the latest are kept besides.
        seed: of the sampling.
    """

    def __init__(self, uniform: int, recent: int, seed: int = 0) -> None:
        self._size, self.seen = uniform, 0
        self._sample: list[tuple[int, T]] = []
        self._recent: deque[tuple[int, T]] = deque(maxlen=recent)
        self._random = np.random.default_rng(seed)

    def add(self, item: T) -> None:
        """Add one; it may replace another in the sample."""
        entry = (self.seen, item)
        self.seen += 1
        self._recent.append(entry)
        if len(self._sample) < self._size:
            self._sample.append(entry)
            return
        slot = int(self._random.integers(self.seen))
        if slot < self._size:
            self._sample[slot] = entry

    def forget(self, kept: int | None = None) -> None:
        """Keep only the latest, or ``kept`` of them: the sampling begins again with these."""
        items = self.latest()
        self._sample, self.seen = [], 0
        self._recent.clear()
        for item in items[-kept:] if kept else items:
            self.add(item)

    def items(self) -> list[T]:
        """Sample and latest in order of arrival, each once."""
        return [item for _, item in sorted({**dict(self._sample), **dict(self._recent)}.items())]

    def latest(self) -> list[T]:
        """The latest, in order of arrival."""
        return [item for _, item in self._recent]

    def __len__(self) -> int:
        return len({number for number, _ in (*self._sample, *self._recent)})
