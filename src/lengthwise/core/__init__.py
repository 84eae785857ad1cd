"""Requests, policies, queues and refinement: no engine, no third-party code but NumPy."""

from lengthwise.core.bins import Bins
from lengthwise.core.lanes import Lanes, waiting_queue
from lengthwise.core.policy import COMMITTED, UNPREDICTED, Policy
from lengthwise.core.prediction import Prediction
from lengthwise.core.queue import RankQueue
from lengthwise.core.refine import Refiner
from lengthwise.core.request import Request

__all__ = [
    "COMMITTED",
    "UNPREDICTED",
    "Bins",
    "Lanes",
    "Policy",
    "Prediction",
    "RankQueue",
    "Refiner",
    "Request",
    "waiting_queue",
]
