"""Whether spans can be sent where vLLM is told to send them."""

from __future__ import annotations

import os
import socket
from contextlib import closing
from urllib.parse import urlsplit

from lengthwise.doctor.asked import Asked
from lengthwise.doctor.check import Check, Finding
from lengthwise.doctor.packages import installed

PACKAGES = ("opentelemetry-sdk", "opentelemetry-api", "opentelemetry-exporter-otlp")
PROTOCOL = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"
PORTS = {"grpc": 4317, "http/protobuf": 4318}
"""By protocol, the port that collectors listen on."""

_PATIENCE_S = 3.0


class Tracing(Check):
    """The packages, the protocol, and the collector of ``--otlp-traces-endpoint``."""

    name = "tracing"

    def look(self, asked: Asked) -> Finding:
        """Connect to the endpoint, if there is one."""
        endpoint = asked.flags.value("--otlp-traces-endpoint")
        if endpoint is None:
            return self.ok("no --otlp-traces-endpoint: no spans are sent")
        missing = [name for name in PACKAGES if installed(name) is None]
        if missing:
            return self.problem(
                f"vLLM refuses --otlp-traces-endpoint without {missing[0]}",
                f"pip install {' '.join(PACKAGES)}",
            )
        protocol = os.environ.get(PROTOCOL, "grpc")
        if protocol not in PORTS:
            return self.problem(
                f"{PROTOCOL}={protocol}: vLLM speaks {' and '.join(PORTS)}",
                f"export {PROTOCOL}=http/protobuf",
            )
        return self._reached(endpoint, protocol)

    def _reached(self, endpoint: str, protocol: str) -> Finding:
        at = urlsplit(endpoint if "//" in endpoint else f"//{endpoint}")
        try:
            place = (at.hostname or "localhost", at.port or PORTS[protocol])
            with closing(socket.create_connection(place, _PATIENCE_S)):
                return self.ok(f"{endpoint} takes connections ({protocol})")
        except (OSError, ValueError) as error:
            return self.warning(
                f"{endpoint} takes no connection ({error}): spans will be lost",
                "start the collector, or lengthwise record --listen HOST:4318 --out FILE",
            )
