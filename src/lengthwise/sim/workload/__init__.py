"""What the simulator serves: traces and made-up requests, as arrays of numbers."""

from lengthwise.sim.workload.applications import applications
from lengthwise.sim.workload.arrivals import with_arrivals
from lengthwise.sim.workload.core import Workload
from lengthwise.sim.workload.lengths import draw, fitted, resample, synthetic
from lengthwise.sim.workload.reader import read_workload

__all__ = [
    "Workload",
    "applications",
    "draw",
    "fitted",
    "read_workload",
    "resample",
    "synthetic",
    "with_arrivals",
]
