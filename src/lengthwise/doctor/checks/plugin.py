"""Whether vLLM finds our plug-in, and may load it."""

from __future__ import annotations

import os
from importlib.metadata import entry_points

from lengthwise.doctor.asked import Asked
from lengthwise.doctor.check import Check, Finding
from lengthwise.vllm.allowed import NAME, VARIABLE

GROUP = "vllm.general_plugins"
REINSTALL = "pip install --force-reinstall --no-deps lengthwise (from a checkout: -e .)"


class Plugin(Check):
    """The plug-in that hangs the probe and slices into vLLM's processes."""

    name = "plug-in"

    def look(self, asked: Asked) -> Finding:
        """Ask the entry points, and vLLM's list of those that it may load."""
        if not entry_points(group=GROUP, name=NAME):
            return self.problem(f"vLLM finds no entry point lengthwise of {GROUP}", REINSTALL)
        allowed = os.environ.get(VARIABLE)
        if allowed is not None and NAME not in allowed.split(","):
            more = ",".join(filter(None, [allowed, NAME]))
            return self.warning(
                f"{VARIABLE}={allowed} leaves it out: lengthwise serve adds it, vllm serve has "
                "no probe, no slices and no metrics",
                f"export {VARIABLE}={more}",
            )
        return self.ok("vLLM finds it" if allowed is None else f"{VARIABLE} names it")
