"""One life of a process beside the engine, seen from there; no call here ever waits.

A plain subprocess, not ``multiprocessing``: that would import the engine's main module
again, vLLM and all, and is forbidden to daemonic processes.
"""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

from lengthwise.errors import UserError
from lengthwise.online.messages import Stopped, ToEngine, ToService

SCORING = (sys.executable, "-m", "lengthwise.online.service")
"""The process that scores prompts."""

LEARNING = (sys.executable, "-m", "lengthwise.online.learning")
"""The process that learns from finished requests."""

_ENVIRONMENT = {
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
    "TQDM_DISABLE": "1",
}


class Child:
    """The process, and two threads that talk to it.

    Args:
        first: makes the first message, on a thread, so that it may take its time.
        program: the command; it is given the number of the connection's file.
    """

    def __init__(self, first: Callable[[], ToService], program: tuple[str, ...]) -> None:
        self._outbox: queue.SimpleQueue[ToService | None] = queue.SimpleQueue()
        self._inbox: deque[ToEngine] = deque()
        self._first, self._program = first, program
        self._unwanted = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self.ended: str | None = None
        self._thread = threading.Thread(target=self._live, name="lengthwise-child", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int | None:
        """The process's id; None before there is one."""
        return None if self._process is None else self._process.pid

    def send(self, message: ToService) -> None:
        """Queue a message for the pipe; the caller limits the number under way."""
        self._outbox.put(message)

    @property
    def unsent(self) -> int:
        """Messages that have not gone out yet."""
        return self._outbox.qsize()

    def received(self) -> list[ToEngine]:
        """Messages received since the last call."""
        return [self._inbox.popleft() for _ in range(len(self._inbox))]

    def kill(self) -> None:
        """End it; ``ended`` is set a little later."""
        self._unwanted.set()
        if self._process is not None:
            self._process.kill()

    def join(self) -> None:
        """Wait for its end, after :meth:`kill`: for tests and shutdown."""
        self._thread.join()

    def _live(self) -> None:
        ours, theirs = Pipe()
        with ours:
            try:
                with theirs:
                    first = self._first()
                    self._process = process = self._spawn(theirs.fileno())
            except (OSError, UserError) as error:
                self.ended = f"it cannot be started: {error}"
                return
            if self._unwanted.is_set():
                process.kill()
            writer = threading.Thread(target=self._write, args=(ours, first), daemon=True)
            writer.start()
            reason = self._read(ours)
            process.kill()
            status = process.wait()
            self._outbox.put(None)
            writer.join()
        self.ended = reason or f"it ended with status {status}"

    def _spawn(self, file: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*self._program, str(file)],
            pass_fds=[file],
            stdin=subprocess.DEVNULL,
            # The program that started the engine may read its standard output.
            stdout=subprocess.DEVNULL,
            env={**os.environ, **_ENVIRONMENT},
            # Ctrl-C is the engine's to handle.
            start_new_session=True,
        )

    def _read(self, ours: Connection[Any, Any]) -> str:
        """Read until the process is gone; the reason it gave, or an empty text."""
        reason = ""
        try:
            while True:
                message = ours.recv()
                if isinstance(message, Stopped):
                    reason = message.reason
                else:
                    self._inbox.append(message)
        except (EOFError, OSError):
            return reason

    def _write(self, ours: Connection[Any, Any], first: ToService) -> None:
        try:
            ours.send(first)
            while (message := self._outbox.get()) is not None:
                ours.send(message)
        except OSError:
            return
