"""Runs programs in forks of one process that has imported vLLM: most of an engine's start.

``python forks.py``: each line of standard input is a job (JSON); its exit status answers it.
Each job has a process of its own, so nothing that it does to vLLM reaches another.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import runpy
import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any

from lengthwise.vllm.engine import prepare_process

MODULES = (
    *("vllm.v1.engine.llm_engine", "vllm.v1.worker.cpu_worker", "vllm.entrypoints.llm"),
    *("vllm.model_executor.models.llama", "vllm.v1.attention.backends.cpu_attn"),
    *("vllm.v1.core.sched.scheduler", "vllm.v1.structured_output", "vllm.lora.request"),
    *("sklearn.ensemble", "lengthwise.cli.main", "lengthwise.vllm", "lengthwise.vllm.driver"),
)
"""What an engine imports at its start."""


def serve() -> None:
    """Run jobs until standard input ends; in a job's fork, return once it is set up."""
    prepare_process()
    for name in MODULES:
        import_module(name)
    # Collections of garbage, of which an engine's start has several, then skip what is here.
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            work(json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def work(job: dict[str, Any]) -> None:
    """Be the job's process: never returns."""
    os.environ.clear()
    os.environ.update(job["environment"])
    os.chdir(job["folder"])
    for descriptor, path in enumerate(("/dev/null", job["out"], job["err"])):
        file = os.open(path, os.O_WRONLY | os.O_APPEND if descriptor else os.O_RDONLY)
        os.dup2(file, descriptor)
    sys.argv = [job["program"], *job["arguments"]]
    try:
        status = run(job["program"])
    except BaseException:
        traceback.print_exc()
        status = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    # What else Python does at its end takes a second.
    os._exit(status)


def run(program: str) -> int:
    """A script, or the command ``lengthwise``; its exit status."""
    if program == "lengthwise":
        from lengthwise.cli.main import main

        return main()
    sys.path[0] = str(Path(program).parent)
    try:
        runpy.run_path(program, run_name="__main__")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


if __name__ == "__main__":
    serve()
