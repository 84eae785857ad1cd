"""Whether the decision log can be written, and has room."""

from __future__ import annotations

from pathlib import Path

from lengthwise.doctor.asked import Asked
from lengthwise.doctor.check import Check, Finding
from lengthwise.doctor.disk import free_mib
from lengthwise.errors import UserError
from lengthwise.live.log import KEPT


class DecisionLog(Check):
    """The file of ``--lengthwise-log``, and how many spans are wanted."""

    name = "decision log"

    def look(self, asked: Asked) -> Finding | None:
        """Ask whether it can be written; it is not made."""
        settings = asked.settings
        try:
            settings.check_told()
        except UserError as error:
            return self.problem(str(error), "give --lengthwise-log FILE in a folder of yours")
        if settings.log is None:
            return None
        free, most = free_mib(Path(settings.log)), (KEPT + 1) * settings.log_mib
        if free < most:
            return self.warning(
                f"{settings.log}: {free:.0f} MiB are free on its disk, with its rotated files it "
                f"takes {most:.0f}",
                f"--lengthwise-log-mib {max(1.0, free / (2 * KEPT)):.0f}, or another disk",
            )
        return self.ok(f"{settings.log} can be written, {free / 2**10:.1f} GiB free")
