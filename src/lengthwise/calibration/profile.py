"""Seconds of a step from a profile: shipped, or of ``lengthwise calibrate``."""

from __future__ import annotations

import math

from lengthwise.calibration.calibration import Calibration
from lengthwise.calibration.cards import FASTEST, SLOWEST
from lengthwise.sim.steps import Linear, load_profile

_MEASURED = (0.9, 1.1)
"""A machine is as fast as when it was measured, within this."""


def from_profile(name: str) -> Calibration:
    """A profile by its name or file.

    Raises:
        UserError: if there is none, or it cannot be read.
    """
    steps = load_profile(name)
    if isinstance(steps, Linear):
        error = None if math.isnan(steps.error) else steps.error
        low, high = _MEASURED
        notes = (f"measured: {steps.source}",)
    else:
        error, low, high = None, FASTEST, SLOWEST
        notes = ("calculated from a datasheet, not measured",)
    return Calibration(steps, f"the profile {name}", error, "a step", low, high, notes=notes)
