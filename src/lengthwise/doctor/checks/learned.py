"""Whether what was learned while serving can be read, and is the model's."""

from __future__ import annotations

from lengthwise.doctor.asked import Asked
from lengthwise.doctor.check import Check, Finding
from lengthwise.models.fingerprint import identity
from lengthwise.online.folder import learned_folder
from lengthwise.online.options import Learning
from lengthwise.online.versions import Versions


class Learned(Check):
    """The versions that are kept of the model's predictors, and which of them act."""

    name = "learned versions"

    def look(self, asked: Asked) -> Finding | None:
        """Read each of them."""
        if asked.model is None or not asked.settings.learns:
            return None
        folder = learned_folder(asked.model, Learning.of(asked.settings.learning).folder)
        if not folder.is_dir():
            return self.ok("none yet: the first server that learns makes them")
        skipped: list[str] = []
        versions = Versions(folder, identity(asked.model), skipped.append)
        found = versions.all()
        if skipped:
            return self.warning(
                f"{len(skipped)} of {len(found) + len(skipped)} are skipped: {skipped[0]}",
                f"lengthwise predictors list {asked.model} --folder {folder}",
            )
        acting = ", ".join(f"{role} {number}" for role, number in versions.acting().items())
        return self.ok(f"{len(found)} in {folder}; acting: {acting or 'none'}")
