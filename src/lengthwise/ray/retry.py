"""A request outlives its replica, as long as nothing of it was streamed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

Chunk = dict[str, Any]
TRIES = 5
"""How often a request is sent at most."""


class BrokenError(Exception):
    """A replica died in the middle of an answer, or too many did before it."""


async def answered(
    generate: Callable[[dict[str, Any]], AsyncIterator[Chunk]],
    request: dict[str, Any],
    dead: tuple[type[Exception], ...],
    tries: int = TRIES,
) -> AsyncIterator[Chunk]:
    """The chunks of an answer; sent again if its replica died before the first one.

    The same request goes, so a prediction that joined it stays.

    Args:
        generate: sends a request to some replica.
        dead: what it raises if that one is gone.

    Raises:
        BrokenError: if it died later, or ``tries`` did.
    """
    for _ in range(tries):
        begun = False
        try:
            async for chunk in generate(request):
                begun = True
                yield chunk
            return
        except dead as error:
            if begun:
                raise BrokenError("the replica died in the middle of this answer") from error
    raise BrokenError(f"{tries} replicas died before they began to answer")
