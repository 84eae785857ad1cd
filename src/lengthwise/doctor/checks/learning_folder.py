"""Whether what is learned can be kept."""

from __future__ import annotations

import os

from lengthwise.core.checks import folder_for
from lengthwise.doctor.asked import Asked
from lengthwise.doctor.check import Check, Finding
from lengthwise.doctor.disk import free_mib
from lengthwise.errors import UserError
from lengthwise.online.folder import learned_folder
from lengthwise.online.options import Learning

ROOM_MIB = 512
"""Free MiB below which there is a warning: hidden states take 256 at most by default."""


class LearningFolder(Check):
    """The folder of what is learned while serving: writable, and room on its disk."""

    name = "learning folder"

    def look(self, asked: Asked) -> Finding | None:
        """Ask whether it can be made or written to; it is not made."""
        if asked.model is None or not asked.settings.learns:
            return None
        folder = learned_folder(asked.model, Learning.of(asked.settings.learning).folder)
        other = f"lengthwise serve {asked.model} --learn FOLDER (or --learn off)"
        try:
            folder_for(folder, "learn")
        except UserError as error:
            return self.problem(str(error), other)
        free = free_mib(folder)
        if free < ROOM_MIB:
            return self.warning(
                f"{folder}: {free:.0f} MiB are free on its disk, learning may take {ROOM_MIB}",
                f"{other}, on a disk with room",
            )
        where = "writable" if os.path.isdir(folder) else "can be made"
        return self.ok(f"{folder}: {where}, {free / 2**10:.1f} GiB free")
