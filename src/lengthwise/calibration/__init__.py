"""How fast an engine is, from what an operator has: a datasheet, a log, metrics, a trace."""

from lengthwise.calibration.calibration import Calibration

__all__ = ["Calibration"]
