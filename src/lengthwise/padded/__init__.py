"""Systems that serve padded batches to their end, by name: a file, a line below and a test."""

from __future__ import annotations

from collections.abc import Callable

from lengthwise.errors import UserError
from lengthwise.padded.base import Batch, Constants, Limits, Ran, System
from lengthwise.padded.fixed import Fixed
from lengthwise.padded.magnus import Magnus
from lengthwise.padded.scls import SCLS, RoundRobin
from lengthwise.padded.slice_time import BatchTime, SliceTime
from lengthwise.padded.ssjf import SSJF

__all__ = [
    "SYSTEMS",
    "Batch",
    "BatchTime",
    "Constants",
    "Limits",
    "Ran",
    "SliceTime",
    "System",
    "make_system",
]

Make = Callable[[str, Limits, Constants], System]


def _size(limits: Limits, constants: Constants) -> int:
    return constants.size or limits.safe_size


def _vanilla(name: str, limits: Limits, constants: Constants) -> System:
    return Fixed(name, _size(limits, constants))


def _shortest(name: str, limits: Limits, constants: Constants) -> System:
    return SSJF(name, _size(limits, constants), constants.ageing)


def _generation_length(name: str, limits: Limits, constants: Constants) -> System:
    return Magnus(name, limits, constants, _size(limits, constants), highest=False)


def _adaptive_batch(name: str, limits: Limits, constants: Constants) -> System:
    return Magnus(name, limits, constants, highest=False)


def _sls(name: str, limits: Limits, constants: Constants) -> System:
    return Fixed(name, _size(limits, constants), limits.instances)


def _slices(name: str, limits: Limits, constants: Constants) -> System:
    return Fixed(name, _size(limits, constants), limits.instances, constants.slice)


def _similar(name: str, limits: Limits, constants: Constants) -> System:
    return SCLS(
        name,
        limits,
        constants,
        _size(limits, constants),
        RoundRobin(),
        lambda loads: constants.gamma,
    )


def _adaptive_size(name: str, limits: Limits, constants: Constants) -> System:
    return SCLS(name, limits, constants, place=RoundRobin(), interval=lambda loads: constants.gamma)


def _balanced(name: str, limits: Limits, constants: Constants) -> System:
    return SCLS(name, limits, constants, interval=lambda loads: constants.gamma)


SYSTEMS: dict[str, Make] = {
    "vanilla": _vanilla,
    "ssjf": _shortest,
    "glp": _generation_length,
    "abp": _adaptive_batch,
    "magnus": Magnus,
    "sls": _sls,
    "sls+slices": _slices,
    "sls+similar": _similar,
    "sls+adaptive": _adaptive_size,
    "sls+maxmin": _balanced,
    "scls": SCLS,
}
"""SSJF, Magnus's ladder and SCLS's: each step has its predecessor's parts and one more."""


def make_system(name: str, limits: Limits, constants: Constants) -> System:
    """Build a system for these instances.

    Raises:
        UserError: for an unknown name.
    """
    if name not in SYSTEMS:
        raise UserError(f"unknown system of batches {name!r}: choose from {', '.join(SYSTEMS)}")
    return SYSTEMS[name](name, limits, constants)
