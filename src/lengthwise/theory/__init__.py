"""TRAIL's M/G/1 closed form for any law of size and prediction, and a simulator beside it.

Each name is loaded on first use: SciPy's interpolation takes a second that other commands
need not wait for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lengthwise.theory.density import ExponentialPredictions, JointDensity
    from lengthwise.theory.joint import Joint, Pairs
    from lengthwise.theory.mg1 import FCFS, MG1, PSJF, LimitedSPRPT, Means, spjf, sprpt, srpt
    from lengthwise.theory.observed import ObservedPairs
    from lengthwise.theory.perfect import PerfectPredictions
    from lengthwise.theory.single_server import Estimate, Measured, simulate

__all__ = [
    "FCFS",
    "MG1",
    "PSJF",
    "Estimate",
    "ExponentialPredictions",
    "Joint",
    "JointDensity",
    "LimitedSPRPT",
    "Means",
    "Measured",
    "ObservedPairs",
    "Pairs",
    "PerfectPredictions",
    "simulate",
    "spjf",
    "sprpt",
    "srpt",
]

_HOMES = {
    "density": ("ExponentialPredictions", "JointDensity"),
    "joint": ("Joint", "Pairs"),
    "mg1": ("FCFS", "MG1", "PSJF", "LimitedSPRPT", "Means", "spjf", "sprpt", "srpt"),
    "observed": ("ObservedPairs",),
    "perfect": ("PerfectPredictions",),
    "single_server": ("Estimate", "Measured", "simulate"),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(name)
