"""Whether a vLLM that lengthwise knows is installed, once."""

from __future__ import annotations

from lengthwise.doctor.asked import Asked
from lengthwise.doctor.check import Check, Finding
from lengthwise.doctor.packages import installed, vllm_packages
from lengthwise.vllm import surface


class Vllm(Check):
    """The installed vLLM and its version."""

    name = "vllm"

    def look(self, asked: Asked) -> Finding:
        """Ask for its packages and its files; it is not imported."""
        found = vllm_packages()
        if not found:
            return self.problem(
                "vLLM is not installed", "pip install 'lengthwise[vllm]', or make for CPUs"
            )
        said = " and ".join(f"{name} {installed(name)}" for name in found)
        if len(found) > 1:
            return self.problem(
                f"{said} are both installed, and each overwrote files of the other",
                f"pip uninstall -y {' '.join(found)}, then install one of them",
            )
        version = installed(found[0]) or ""
        if surface.installed() is None:
            return self.problem(
                f"{said}: its files are gone", f"pip install --force-reinstall {found[0]}"
            )
        if ".".join(version.split(".")[:2]) not in surface.KNOWN:
            return self.warning(
                f"{said} is new to lengthwise; {surface.WORKS}",
                f"pip install '{found[0]}=={surface.KNOWN[-1]}.*' if the surfaces below do not fit",
            )
        return self.ok(said)
