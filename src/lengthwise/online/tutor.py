"""The engine's side of learning: it tells the learning process what finished, and never waits."""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from lengthwise.core.text import visible
from lengthwise.errors import UserError
from lengthwise.online.acting import read_acting
from lengthwise.online.claim import Claim, claim
from lengthwise.online.folder import rank_folder, usable
from lengthwise.online.messages import (
    Acts,
    Finished,
    Learn,
    Note,
    Role,
    Steps,
    ToEngine,
)
from lengthwise.online.options import Learning
from lengthwise.online.process import LEARNING, Child
from lengthwise.sim.setup import Setup

logger = logging.getLogger("vllm.lengthwise")

BACKLOG = 512
"""Most finished requests not sent yet; further ones are not learned from."""

PAUSE_S = 1.0
"""Seconds before a process that ended is started again; each time twice as many."""

LONGEST_PAUSE_S = 300.0

_ENGINES = 64
"""Most engines on one machine that learn of one model, each in a folder of its own."""

SETTLED_S = 10.0
"""Seconds after which a process that ends did not end for how it was started."""


@dataclass(frozen=True)
class Pupil:
    """Whom to learn for.

    Attributes:
        model: the served model, a folder or hub name.
        options: how to learn.
        policy: name of the policy that is served.
        setup: the engine's seats and memory.
        states: whether hidden states are kept along answers.
        rank: of the engines of one model, which of them; each learns by itself.
    """

    model: str
    options: Learning
    policy: str
    setup: Setup
    states: bool = False
    rank: int = 0

    def folder(self) -> Path:
        """Where this engine's versions are kept.

        Raises:
            UserError: if there is no such place.
        """
        return rank_folder(self.model, self.options.folder, self.rank)

    def knows(self) -> bool:
        """Whether a version acted when the server stopped."""
        try:
            return bool(read_acting(self.folder()))
        except (OSError, UserError):
            return False


@dataclass
class Counters:
    """What became of finished requests and of the process.

    Attributes:
        told: requests that the process was told of.
        untold: requests that came too fast, or while there was no process.
        starts: of the process.
        acting: the number of the version that acts, of each role; 0 is none.
    """

    told: int = 0
    untold: int = 0
    starts: int = 0
    acting: dict[Role, int] = field(default_factory=lambda: {"prompt": 0, "probe": 0})


class Tutor:
    """Sends finished requests to the learning process, and hands on what acts from now on.

    The process is started by the first finished request, or at once if a version acted when the
    server stopped. If it ends it is started again, after a pause that doubles; what acts goes on
    meanwhile.

    Args:
        pupil: whom to learn for.
        begin: starts a process with its first message.
        clock: seconds.
    """

    def __init__(
        self,
        pupil: Pupil,
        begin: Callable[[Callable[[], Learn]], Child] = lambda first: Child(first, LEARNING),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pupil, self._begin, self._clock = pupil, begin, clock
        self._child: Child | None = None
        self._spare: str | None = None
        self._claimed: Claim | None = None
        self._acting: dict[Role, Acts] = {}
        self._pause, self._again, self._started = PAUSE_S, 0.0, 0.0
        self._closed = False
        self.counters = Counters()
        if pupil.knows():
            self._start()

    @property
    def runs(self) -> bool:
        """Whether the process is there."""
        return self._child is not None

    def finished(self, finished: Finished) -> None:
        """A request is gone."""
        if self._child is None and self._clock() >= self._again:
            self._start()
        self._send(finished)

    def steps(self, steps: Steps) -> None:
        """How long steps of the engine took."""
        if self._child is not None:
            self._child.send(steps)

    def news(self) -> list[Acts]:
        """What acts from now on, since the last call; log lines go to the log."""
        child = self._child
        if child is None:
            return []
        found = [each for message in child.received() for each in self._take(message)]
        if child.ended is not None:
            self._lose(child.ended)
        return found

    @property
    def pid(self) -> int | None:
        """The process's id, if there is one."""
        return None if self._child is None else self._child.pid

    def close(self) -> None:
        """End the process."""
        self._closed = True
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.join()
        if self._claimed is not None:
            self._claimed.free()
        if self._spare is not None:
            shutil.rmtree(self._spare, ignore_errors=True)

    def _start(self) -> None:
        if self._closed:
            return
        self.counters.starts += 1
        self._started = self._clock()
        acting = tuple(self._acting.values())
        self._child = self._begin(lambda: self._first(acting))

    def _first(self, acting: tuple[Acts, ...]) -> Learn:
        """The first message; on a thread, as it looks at the disk."""
        pupil = self._pupil
        return Learn(
            pupil.model,
            str(self._folder()),
            pupil.options,
            pupil.policy,
            pupil.setup,
            pupil.states,
            acting,
        )

    def _folder(self) -> Path:
        if self._spare is not None:
            return Path(self._spare)
        try:
            folder = self._pupil.folder()
            reason = usable(folder)
            if reason is None:
                return self._claim(folder)
        except (OSError, UserError) as error:
            reason = str(error)
        logger.warning(
            "lengthwise: what is learned is not kept (%s): a restart begins anew; "
            "set LENGTHWISE_CACHE to a folder that can be written",
            visible(reason),
        )
        self._spare = tempfile.mkdtemp(prefix="lengthwise-learned-")
        return Path(self._spare)

    def _claim(self, folder: Path) -> Path:
        """The folder, or one below it if another engine on this machine has it already."""
        if self._claimed is None:
            places = (folder, *(folder / f"engine-{i}" for i in range(2, _ENGINES + 1)))
            self._claimed = next(filter(None, map(claim, places)), None)
        if self._claimed is None:
            raise UserError(f"{_ENGINES} engines learn in {folder} already")
        return self._claimed.folder

    def _send(self, finished: Finished) -> None:
        if self._child is None or self._child.unsent >= BACKLOG:
            self.counters.untold += 1
            return
        self.counters.told += 1
        self._child.send(finished)

    def _take(self, message: ToEngine) -> list[Acts]:
        if isinstance(message, Note):
            logger.info("lengthwise: %s", visible(message.line))
        if not isinstance(message, Acts):
            return []
        self.counters.acting[message.role] = message.version
        self._acting[message.role] = message
        return [message]

    def _lose(self, reason: str) -> None:
        self._child = None
        if self._clock() - self._started > SETTLED_S:
            self._pause = PAUSE_S
        self._again = self._clock() + self._pause
        logger.warning(
            "lengthwise: the process that learns is gone (%s); what it has learned goes on acting, "
            "and it is started again in %.0f s or later",
            visible(reason),
            self._pause,
        )
        self._pause = min(2 * self._pause, LONGEST_PAUSE_S)
