"""Files of requests as people have them: traces, logs, results, prompts."""

from lengthwise.traces.trace import LeftOut, Observed, Trace

__all__ = ["LeftOut", "Observed", "Trace"]
