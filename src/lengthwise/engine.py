"""vLLM engines as collect, bench and the tests build them, and the process they need."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from lengthwise.errors import UserError


def prepare_process() -> None:
    """Set what vLLM's CPU engine reads from the environment, before vLLM is imported."""
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "2")
    os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", f"0-{(os.cpu_count() or 1) - 1}")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def preload_libraries() -> None:
    """Start this command again with tcmalloc and Intel's OpenMP preloaded, if they are here.

    The CPU engine is markedly slower without them, and LD_PRELOAD is read only when a
    process starts.
    """
    wanted = [Path(sys.prefix) / "lib/libiomp5.so"]
    wanted += sorted(Path("/usr/lib").glob("*/libtcmalloc_minimal.so.4"))
    present = [str(path) for path in wanted if path.is_file()]
    loaded = os.environ.get("LD_PRELOAD", "")
    if not present or all(path in loaded for path in present) or os.name != "posix":
        return
    os.environ["LD_PRELOAD"] = ":".join([*present, *loaded.split(":")]).rstrip(":")
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def build_engine(model: str | Path, seats: int, **overrides: Any) -> Any:
    """A vLLM engine in this process, eager, float32 on the CPU.

    Args:
        model: folder of the model.
        seats: most requests in one step (vLLM's max_num_seqs).
        overrides: further vLLM engine arguments.

    Raises:
        UserError: if vLLM is missing or there is not enough memory for it.
    """
    prepare_process()
    try:
        from vllm.engine.arg_utils import EngineArgs
        from vllm.platforms import current_platform
        from vllm.v1.engine.llm_engine import LLMEngine
    except ImportError as error:
        raise UserError(f"vLLM cannot be imported ({error}): pip install 'lengthwise[vllm]'") from None
    arguments: dict[str, Any] = {
        "model": str(model),
        "max_num_seqs": seats,
        "max_model_len": 2048,
        "max_num_batched_tokens": 2048,
        "enforce_eager": True,
        "enable_prefix_caching": True,
        **overrides,
    }
    if current_platform.is_cpu():
        # bfloat16 is emulated on AVX2 and more than ten times slower.
        arguments.setdefault("dtype", "float32")
    try:
        return LLMEngine.from_engine_args(EngineArgs(**arguments))
    except (ValueError, MemoryError) as error:
        raise UserError(f"vLLM did not start: {str(error).splitlines()[0]}") from error
