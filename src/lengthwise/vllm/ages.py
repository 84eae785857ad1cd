"""At which ages of an answer hidden states are kept: dense at first, then ever farther apart.

What is left of an answer changes as slowly as it grows, so late positions are many and alike.
"""

from __future__ import annotations

import math
import zlib

GROWTH = 1.5
"""Most that an age is of the one kept before it, rounded up: 24 ages reach some 10,000 tokens. With
1.25 they reach 360, and a probe errs by 1 % less (``lengthwise.studies.sampled``)."""


def offset_of(request_id: str) -> float:
    """Where between two steps of the scale a request's ages lie, from 0 up to 1.

    It is as good as random, and the same wherever it is asked.
    """
    return zlib.crc32(request_id.encode()) / 2**32


def next_age(age: int, offset: float, growth: float = GROWTH) -> int:
    """The first age after this one that is kept of a request with this offset.

    They are the powers ``growth ** (k + offset)`` rounded up, and all while those are closer than
    a token: over many requests each age is kept of some.
    """
    if age < 1:
        return age + 1
    power = math.floor(math.log(age, growth) - offset) + 1
    return max(age + 1, math.ceil(math.pow(growth, power + offset)))
