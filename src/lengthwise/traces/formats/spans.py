"""OpenTelemetry spans of vLLM as JSON, read as a trace without recording them first."""

from __future__ import annotations

from lengthwise.traces import spans
from lengthwise.traces.columns import Rows
from lengthwise.traces.content import File
from lengthwise.traces.formats.from_servers import lines_of, rows_of
from lengthwise.traces.selection import Selection


class Spans:
    """Spans ``llm_request``, each a request."""

    name = spans.NAME
    expects = f"spans named {spans.SPAN}"

    def fits(self, file: File) -> bool:
        """Whether its first bytes are of a tool that keeps spans."""
        return spans.fits(file.head.encode())

    def read(self, file: File, selection: Selection) -> Rows:
        """The requests among the spans."""
        return rows_of(*spans.rows_in(lines_of(file), file.path))
