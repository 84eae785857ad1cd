"""What an observer adds to the output of a step, now or when the output is fetched."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any


def attach(output: Any, name: str, make: Callable[[], object]) -> None:
    """Put ``make()`` onto a ModelRunnerOutput under this name.

    An asynchronous output gets it when it is fetched, in vLLM's output thread: it stays vLLM's
    own object, for executors ask for its type. Several observers may add to one output.
    """
    if not hasattr(output, "get_output"):
        setattr(output, name, make())
        return
    fetch = output.get_output

    def get_output() -> Any:
        # It is fetched once; until then the output holds itself, and with it GPU memory.
        with suppress(AttributeError):
            del output.get_output
        fetched = fetch()
        setattr(fetched, name, make())
        return fetched

    output.get_output = get_output
