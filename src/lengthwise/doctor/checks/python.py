"""Whether the packages run with this Python."""

from __future__ import annotations

import platform

from lengthwise.doctor.asked import Asked
from lengthwise.doctor.check import Check, Finding
from lengthwise.doctor.packages import installed, python_of, vllm_packages


class Python(Check):
    """The version of Python, as lengthwise and vLLM ask for it."""

    name = "python"

    def look(self, asked: Asked) -> Finding:
        """Compare it with what the packages say of themselves."""
        version = platform.python_version()
        for package in ("lengthwise", *vllm_packages()):
            if installed(package) is None:
                continue
            wanted = python_of(package)
            if not wanted.contains(version, prereleases=True):
                return self.problem(
                    f"{version}, but {package} runs with {wanted}",
                    "python3.12 -m venv .venv, and install both there",
                )
        return self.ok(version)
