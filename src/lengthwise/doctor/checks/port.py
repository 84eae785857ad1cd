"""Whether the server can listen where it is told to."""

from __future__ import annotations

from lengthwise.doctor.asked import Asked
from lengthwise.doctor.check import Check, Finding
from lengthwise.errors import UserError
from lengthwise.vllm.serve import check_place


class Port(Check):
    """The host and port of the server, unless it runs already."""

    name = "port"

    def look(self, asked: Asked) -> Finding | None:
        """Bind it for a moment."""
        if asked.url is not None or asked.flags.sets("--headless", "--uds"):
            return None
        port = asked.flags.value("--port") or "8000"
        try:
            check_place(asked.flags)
        except UserError as error:
            other = int(port) + 1 if port.isdecimal() and int(port) < 65535 else 8001
            return self.problem(str(error), f"ss -ltnp shows who has it; or --port {other}")
        return self.ok(f"{port} is free")
