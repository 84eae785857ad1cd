"""Whether the server will have the live page."""

from __future__ import annotations

import os
from importlib.metadata import entry_points

from lengthwise.doctor.asked import Asked
from lengthwise.doctor.check import Check, Finding
from lengthwise.doctor.checks.plugin import REINSTALL

GROUP = "vllm.endpoint_plugins"


class Page(Check):
    """The endpoint plug-in, which vLLM loads only where VLLM_PLUGINS names it."""

    name = "live page"

    def look(self, asked: Asked) -> Finding | None:
        """Ask the entry points, and whether VLLM_PLUGINS is set."""
        if not asked.settings.page:
            return None
        if not entry_points(group=GROUP, name="lengthwise"):
            return self.warning(f"vLLM finds no entry point lengthwise of {GROUP}", REINSTALL)
        allowed = os.environ.get("VLLM_PLUGINS")
        if allowed is None:
            return self.ok("lengthwise serve has it; vllm serve needs VLLM_PLUGINS=lengthwise")
        if "lengthwise" not in allowed.split(","):
            return self.warning("VLLM_PLUGINS leaves it out", "see plug-in, above")
        return self.ok("at /lengthwise of the server")
