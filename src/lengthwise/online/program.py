"""A process that serves the engine: its loop, which never lets the engine's end fill up."""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, Protocol

from lengthwise.online.messages import Stopped, ToEngine, ToService

Inbox = queue.SimpleQueue[Any]
"""Messages of the engine that are not handled yet."""


class Server(Protocol):
    """What a process does with the engine's messages."""

    def turn(self, inbox: Inbox) -> None:
        """Handle what has arrived; may wait for more."""


def run(build: Callable[[Any, Callable[[ToEngine], None]], Server]) -> None:
    """Serve the engine at the other end of the connection until it is gone.

    Args:
        build: makes the server of the first message and of what sends messages to the engine,
            from any thread.
    """
    connection: Connection[ToEngine, ToService] = Connection(int(sys.argv[1]))
    _step_back()
    lock = threading.Lock()

    def send(message: ToEngine) -> None:
        with lock:
            connection.send(message)

    try:
        start = connection.recv()
        inbox: Inbox = queue.SimpleQueue()
        threading.Thread(target=_listen, args=(connection, inbox), daemon=True).start()
        server = build(start, send)
        while True:
            server.turn(inbox)
    except (EOFError, BrokenPipeError, ConnectionError):
        os._exit(0)
    except Exception as error:
        with suppress(OSError):
            send(Stopped(f"{type(error).__name__}: {error}".splitlines()[0]))
        os._exit(1)


def _listen(connection: Connection[ToEngine, ToService], inbox: Inbox) -> None:
    """Empties the connection; ends with it."""
    try:
        while True:
            inbox.put(connection.recv())
    except (EOFError, OSError):
        # The engine is gone; nothing waits for what is being computed here.
        os._exit(0)


def _step_back() -> None:
    """One thread, on any core: the engine may have bound itself to some."""
    import torch

    torch.set_num_threads(1)
    with suppress(OSError, AttributeError):
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
