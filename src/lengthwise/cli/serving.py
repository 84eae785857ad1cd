"""The flags of ``lengthwise serve`` that are lengthwise's own; ``doctor`` takes the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lengthwise.cli import flags
from lengthwise.cli.front import Front, front, page
from lengthwise.cli.service import classes

if TYPE_CHECKING:
    from lengthwise.core.service import Classes
    from lengthwise.vllm.settings import Settings


@dataclass(frozen=True)
class Serving:
    """How a server is to schedule, learn, and tell what it does."""

    policy: str
    predictor: str | None
    slice: int | None
    scoring: str
    learn: flags.Learn
    classes: str | None
    front: Front
    page: str
    telling: flags.Telling

    def settings(self, service: Classes | None) -> Settings:
        """The plug-in's settings.

        Args:
            service: what the file of ``--classes`` has, as far as it was read.
        """
        from lengthwise.policies import with_targets
        from lengthwise.vllm.settings import Settings

        policy = self.policy if self.classes is None else with_targets(self.policy)
        return Settings(
            policy=policy if self.slice is None else f"{policy}+slice:{self.slice}",
            probe=self.predictor,
            scoring=self.scoring,
            classes={} if service is None else service.plain(),
            page=self.page == "on",
            **self.learn.settings(),
            **self.front.settings(),
            **self.telling.settings(),
        )


serving = flags.bundle(
    Serving,
    flags.text(
        "--policy", "lengthwise", "NAME", "E.g. lengthwise, lengthwise:0.1, trail, sjf, fcfs."
    ),
    flags.predictor(),
    flags.whole("--slice", None, "Most tokens served at a time."),
    flags.text("--scoring", "auto", "WHERE", "New prompts on a thread, in a process, or auto."),
    flags.learn,
    classes,
    front,
    page,
    flags.telling,
)
