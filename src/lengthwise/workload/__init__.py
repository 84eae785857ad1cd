"""What the simulator serves: traces and made-up requests, as arrays of numbers."""

from lengthwise.workload.application_laws import applications
from lengthwise.workload.arrivals import with_arrivals
from lengthwise.workload.laws import draw, fitted, resample, synthetic
from lengthwise.workload.workload import Workload

__all__ = [
    "Workload",
    "applications",
    "draw",
    "fitted",
    "resample",
    "synthetic",
    "with_arrivals",
]
