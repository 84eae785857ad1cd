"""Whether processes can share their metrics."""

from __future__ import annotations

import os
from pathlib import Path

from lengthwise.doctor.asked import Asked
from lengthwise.doctor.check import Check, Finding

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


class MetricsFolder(Check):
    """The folder of PROMETHEUS_MULTIPROC_DIR: there, writable, and empty before a start."""

    name = "metrics folder"

    def look(self, asked: Asked) -> Finding:
        """Look into it, if the variable is set; vLLM makes one of its own where it needs one."""
        named = os.environ.get(VARIABLE)
        if named is None:
            return self.ok(f"{VARIABLE} is not set: vLLM makes a folder where it needs one")
        folder = Path(named)
        if not folder.is_dir():
            return self.problem(f"{VARIABLE}={named}: no such folder", f"mkdir -p {named}")
        if not os.access(folder, os.W_OK | os.X_OK):
            return self.problem(f"{VARIABLE}={named} is not writable", f"chmod u+rwx {named}")
        old = sum(1 for _ in folder.glob("*.db"))
        if old and asked.url is None:
            return self.warning(
                f"{VARIABLE}={named} has {old} files of an earlier server, whose figures count on",
                f"rm {named}/*.db",
            )
        return self.ok(f"{named} is there and writable")
