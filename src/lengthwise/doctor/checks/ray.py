"""Whether Ray is there for several replicas, in a version that was run."""

from __future__ import annotations

from lengthwise.doctor.asked import Asked
from lengthwise.doctor.check import Check, Finding
from lengthwise.doctor.packages import installed, needs


class Ray(Check):
    """Ray Serve, which only ``lengthwise route`` needs."""

    name = "ray"

    def look(self, asked: Asked) -> Finding:
        """Compare it with what the extra asks for."""
        version = installed("ray")
        if version is None:
            return self.ok(
                "not installed; lengthwise route needs it: pip install 'lengthwise[ray]'"
            )
        wanted = needs("lengthwise", "ray", "ray") if installed("lengthwise") else None
        if wanted is not None and not wanted.contains(version, prereleases=True):
            return self.warning(
                f"{version}, but lengthwise route was run with {wanted}",
                "pip install 'lengthwise[ray]'",
            )
        return self.ok(version)
