"""Files of requests as people have them: traces, logs, results, prompts."""

from lengthwise.traces.read import read_trace, read_workload
from lengthwise.traces.selection import Selection
from lengthwise.traces.trace import LeftOut, Observed, Trace

__all__ = ["LeftOut", "Observed", "Selection", "Trace", "read_trace", "read_workload"]
