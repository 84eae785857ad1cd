"""Where a result comes from: the command, the versions and the machine."""

from __future__ import annotations

import platform
import shlex
import sys
from contextvars import ContextVar
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from lengthwise import __version__

PACKAGES = ("numpy", "torch", "vllm", "transformers")
"""Whose versions may change a figure."""

COMMAND: ContextVar[str | None] = ContextVar("COMMAND", default=None)
"""The command line under way; None is this process's own."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """What made a result.

    Attributes:
        command: the command line, exactly.
        versions: by name.
        machine: processor, cores, memory.
    """

    command: str
    versions: dict[str, str]
    machine: str


def made() -> Made:
    """This process, on this machine."""
    return Made(command=command(), versions=versions(), machine=machine())


def command() -> str:
    """The command line under way, quoted as a shell reads it."""
    return COMMAND.get() or command_line(sys.argv[1:], sys.argv[0])


def command_line(arguments: list[str], program: str = "lengthwise") -> str:
    """A command of these arguments; of the program's path only the name."""
    return shlex.join([Path(program).name, *arguments])


def versions() -> dict[str, str]:
    """lengthwise, Python, and those of :data:`PACKAGES` that are installed."""
    found = {"lengthwise": __version__, "Python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def machine() -> str:
    """Processor, cores and memory in words, and the operating system."""
    import psutil

    cores = psutil.cpu_count() or 1
    memory = psutil.virtual_memory().total / 2**30
    return f"{_processor()}, {cores} cores, {memory:.0f} GiB of memory, {platform.system()}"


def _processor() -> str:
    """Its name, as far as the operating system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()
