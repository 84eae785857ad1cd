"""Whether all that lengthwise builds on is in the installed vLLM."""

from __future__ import annotations

from lengthwise.doctor.asked import Asked
from lengthwise.doctor.check import Check, Finding
from lengthwise.vllm import surface


class Surfaces(Check):
    """The classes and calls of vLLM that lengthwise uses, looked up in its sources."""

    name = "surfaces"

    def look(self, asked: Asked) -> Finding | None:
        """Name the first surface that does not fit; those that no policy can do without first."""
        root = surface.installed()
        if root is None:
            return None
        found = surface.fits(root)
        lacking = [each for each in found if each.missing]
        lacking.sort(key=lambda each: each.surface not in surface.ORDER)
        if not lacking:
            return self.ok(f"all {len(found)} are there")
        mend = f"pip install 'vllm=={surface.KNOWN[-1]}.*'; {surface.WORKS}"
        said = f"vLLM's {lacking[0]}"
        if lacking[0].surface in surface.ORDER:
            return self.problem(said, mend)
        return self.warning(said, mend)
