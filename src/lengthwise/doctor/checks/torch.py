"""Whether PyTorch is the one that vLLM was built for."""

from __future__ import annotations

from lengthwise.doctor.asked import Asked
from lengthwise.doctor.check import Check, Finding
from lengthwise.doctor.packages import installed, needs, vllm_packages


class Torch(Check):
    """The version of PyTorch: vLLM's kernels load with one only."""

    name = "torch"

    def look(self, asked: Asked) -> Finding | None:
        """Compare it with what vLLM's package asks for."""
        version, found = installed("torch"), vllm_packages()
        if version is None:
            return self.problem("PyTorch is not installed", "pip install torch")
        if not found:
            return None
        wanted = needs(found[0], "torch")
        if wanted is not None and not wanted.contains(version, prereleases=True):
            hint = (
                " from PyTorch's CPU index (PIP_EXTRA_INDEX_URL)" if "+cpu" in str(wanted) else ""
            )
            return self.problem(
                f"{version}, but {found[0]} {installed(found[0])} was built for torch{wanted}",
                f"pip install 'torch{wanted}'{hint}",
            )
        return self.ok(version)
