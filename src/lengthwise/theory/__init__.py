"""TRAIL's M/G/1 closed form for any law of size and prediction, and a simulator beside it."""

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
