"""Whether the server will have the live page."""

from __future__ import annotations

import os
from importlib.metadata import entry_points

from lengthwise.doctor.asked import Asked
from lengthwise.doctor.check import Check, Finding
from lengthwise.doctor.checks.plugin import REINSTALL
from lengthwise.vllm.allowed import ENDPOINTS, NAME, VARIABLE


class Page(Check):
    """The endpoint plug-in, which vLLM loads only where VLLM_PLUGINS names it."""

    name = "live page"

    def look(self, asked: Asked) -> Finding | None:
        """Ask the entry points, and whether VLLM_PLUGINS is set."""
        if not asked.settings.page:
            return None
        if not entry_points(group=ENDPOINTS, name=NAME):
            return self.warning(f"vLLM finds no entry point lengthwise of {ENDPOINTS}", REINSTALL)
        allowed = os.environ.get(VARIABLE)
        if allowed is None:
            return self.ok(f"lengthwise serve has it; vllm serve needs {VARIABLE}={NAME}")
        if NAME not in allowed.split(","):
            return self.warning(f"{VARIABLE} leaves it out", "see plug-in, above")
        return self.ok("at /lengthwise of the server")
