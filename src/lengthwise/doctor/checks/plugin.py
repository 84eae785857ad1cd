"""Whether vLLM finds our plug-in, and may load it."""

from __future__ import annotations

import os
from importlib.metadata import entry_points

from lengthwise.doctor.asked import Asked
from lengthwise.doctor.check import Check, Finding

GROUP = "vllm.general_plugins"
REINSTALL = "pip install --force-reinstall --no-deps lengthwise (from a checkout: -e .)"


class Plugin(Check):
    """The plug-in that hangs the probe and slices into vLLM's processes."""

    name = "plug-in"

    def look(self, asked: Asked) -> Finding:
        """Ask the entry points, and vLLM's list of those that it may load."""
        if not entry_points(group=GROUP, name="lengthwise"):
            return self.problem(f"vLLM finds no entry point lengthwise of {GROUP}", REINSTALL)
        allowed = os.environ.get("VLLM_PLUGINS")
        if allowed is not None and "lengthwise" not in allowed.split(","):
            more = ",".join(filter(None, [allowed, "lengthwise"]))
            return self.warning(
                f"VLLM_PLUGINS={allowed} leaves it out: lengthwise serve adds it, vllm serve has "
                "no probe, no slices and no metrics",
                f"export VLLM_PLUGINS={more}",
            )
        return self.ok("vLLM finds it" if allowed is None else "VLLM_PLUGINS names it")
