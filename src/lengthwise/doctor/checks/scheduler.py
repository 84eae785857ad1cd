"""Whether our scheduler can be imported as vLLM does it."""

from __future__ import annotations

import os
import subprocess
import sys

from lengthwise.doctor.asked import Asked
from lengthwise.doctor.check import Check, Finding
from lengthwise.doctor.packages import vllm_packages

PATIENCE_S = 300.0
"""Seconds that the import may take."""

PROGRAM = "from lengthwise.vllm import Scheduler"


class Scheduler(Check):
    """The class lengthwise.vllm.Scheduler, in a process of its own: a crash is seen too."""

    name = "scheduler"

    def look(self, asked: Asked) -> Finding | None:
        """Import it with all of vLLM that it needs."""
        if not vllm_packages():
            return None
        quiet = {**os.environ, "VLLM_LOGGING_LEVEL": "ERROR"}
        try:
            done = subprocess.run(
                [sys.executable, "-c", PROGRAM],
                capture_output=True,
                env=quiet,
                text=True,
                timeout=PATIENCE_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return self.problem(f"its import takes more than {PATIENCE_S:g} s", self._by_hand())
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if line.strip()]
            why = said[-1] if said else f"it ended with status {done.returncode}"
            return self.problem(f"it cannot be imported ({why.strip()})", self._by_hand())
        return self.ok("lengthwise.vllm.Scheduler can be imported")

    def _by_hand(self) -> str:
        return f'python -c "{PROGRAM}" shows all of it'
