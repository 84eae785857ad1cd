"""vLLM's request log, read as a trace without recording it first."""

from __future__ import annotations

from lengthwise.traces import vllm_log
from lengthwise.traces.columns import Rows
from lengthwise.traces.content import File
from lengthwise.traces.formats.from_servers import lines_of, rows_of
from lengthwise.traces.selection import Selection


class VllmLog:
    """The log of one server; its texts are dropped line by line."""

    name = vllm_log.NAME
    expects = "request lines of vLLM at level DEBUG"

    def fits(self, file: File) -> bool:
        """Whether its first lines are vLLM's."""
        return vllm_log.fits(file.head.encode())

    def read(self, file: File, selection: Selection) -> Rows:
        """The requests that begin and end in it."""
        return rows_of(*vllm_log.rows_in(lines_of(file), file.path.stat().st_mtime))
