"""An OTLP receiver over HTTP: a running vLLM sends its spans here, and the requests are written.

It takes what exporters send, protobuf and JSON, plain or gzipped, within limits, and answers every
other body with an error; nothing that is sent ends it.
"""

from __future__ import annotations

import socket
import threading
import zlib
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

import msgspec

from lengthwise.errors import UserError
from lengthwise.traces.log_lines import NO_JSON
from lengthwise.traces.recorded import Recorded
from lengthwise.traces.spans import Spans

PATH = "/v1/traces"

LARGEST = 32 * 2**20
"""Bytes of a body, packed and unpacked; exporters send batches of at most 512 spans."""

_PATIENCE_S = 20.0
"""How long a connection may take over a request."""

_AT_ONCE = 16
"""Connections that are served at once; further ones wait."""

PROTOBUF = "application/x-protobuf"
JSON = "application/json"

Write = Callable[[Sequence[Recorded]], None]


class RefusedError(Exception):
    """A body that is not taken: the HTTP status, and why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Receiver(ThreadingHTTPServer):
    """Serves until it is closed; rows of accepted bodies go to ``write``, one body at a time.

    Args:
        address: host and port; port 0 is any.
        write: is given the rows of a body. A UserError of it is kept in ``failed``.
        tell: is given a line for the screen.

    Raises:
        UserError: if the address cannot be listened on.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self, address: tuple[str, int], write: Write, tell: Callable[[str], None] = print
    ) -> None:
        self.spans = Spans()
        self.failed: UserError | None = None
        self._write, self._tell = write, tell
        self._one = threading.Lock()
        self._places = threading.BoundedSemaphore(_AT_ONCE)
        self._told: set[str] = set()
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        try:
            super().__init__(address, _Handler)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise UserError(
                f"--listen {address[0]}:{address[1]} cannot be used ({reason}): choose another"
            ) from None

    def __enter__(self) -> Receiver:
        self._thread = threading.Thread(target=self.serve_forever, args=(0.1,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def server_bind(self) -> None:
        """Listen, without asking a name server for this machine's name."""
        TCPServer.server_bind(self)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve one connection, when there is a place."""
        with self._places:
            super().process_request_thread(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that breaks is its client's matter."""

    def once(self, line: str) -> None:
        """Tell a line, the same one once."""
        if line not in self._told:
            self._told.add(line)
            self._tell(line)

    def take(self, document: object) -> None:
        """Write the rows of a document.

        Raises:
            RefusedError: if they cannot be written.
        """
        with self._one:
            rows = list(self.spans.take(document))
            try:
                if rows and self.failed is None:
                    self._write(rows)
            except UserError as error:
                self.failed = error
            if self.failed is not None:
                raise RefusedError(503, "the rows cannot be written")


class _Handler(BaseHTTPRequestHandler):
    server: Receiver
    raw_requestline: bytes
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "lengthwise", ""
    timeout = _PATIENCE_S

    def parse_request(self) -> bool:
        """A gRPC client begins otherwise: say on the screen what to set."""
        if self.raw_requestline.startswith(b"PRI "):
            self.server.once(
                "a client speaks gRPC: start vLLM with "
                "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/protobuf"
            )
            self.close_connection = True
            return False
        return super().parse_request()

    def do_POST(self) -> None:
        """Take a batch of spans."""
        kind = (self.headers.get("Content-Type") or "").partition(";")[0].strip().lower()
        try:
            self.server.take(decoded(kind, self._body()))
        except RefusedError as refused:
            self._answer(refused.status, str(refused).encode(), "text/plain")
        else:
            # An empty ExportTraceServiceResponse.
            self._answer(200, b"{}" if kind == JSON else b"", kind)

    def _body(self) -> bytes:
        """The body, unpacked.

        Raises:
            RefusedError: if it is for another path, too large or damaged; the connection then ends.
        """
        self.close_connection = True
        if self.path.partition("?")[0].rstrip("/") != PATH:
            raise RefusedError(404, f"spans go to {PATH}")
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdecimal() and len(length) < 20):
            raise RefusedError(411, "a body needs its Content-Length")
        if int(length) > LARGEST:
            raise RefusedError(413, f"a body has at most {LARGEST} bytes")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise RefusedError(400, "the body is cut off")
        packing = self.headers.get("Content-Encoding", "identity").strip().lower()
        body = unpacked(packing, body)
        self.close_connection = self.headers.get("Connection", "").lower() == "close"
        return body

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """No access log."""


def unpacked(packing: str, body: bytes) -> bytes:
    """A body without its gzip or deflate.

    Raises:
        RefusedError: if it is packed otherwise, damaged, or larger than ``LARGEST``.
    """
    if packing in ("", "identity"):
        return body
    if packing not in ("gzip", "deflate"):
        raise RefusedError(415, "bodies are plain or gzip")
    unpack = zlib.decompressobj(wbits=47)  # either, by its head
    try:
        plain = unpack.decompress(body, LARGEST + 1)
    except zlib.error:
        raise RefusedError(400, f"the body is no {packing}") from None
    if len(plain) > LARGEST:
        raise RefusedError(413, f"a body has at most {LARGEST} bytes unpacked")
    if not unpack.eof:
        raise RefusedError(400, "the body is cut off")
    return plain


def decoded(kind: str, body: bytes) -> object:
    """A body as OTLP's JSON.

    Raises:
        RefusedError: if it is none.
    """
    if kind == JSON:
        try:
            return msgspec.json.decode(body)
        except NO_JSON:
            raise RefusedError(400, "the body is no JSON") from None
    if kind != PROTOBUF:
        raise RefusedError(415, f"bodies are {PROTOBUF} or {JSON}")
    decode = protobuf()
    try:
        return decode(body)
    except (ValueError, RecursionError, TypeError):
        raise RefusedError(400, "the body is no ExportTraceServiceRequest") from None


def protobuf() -> Callable[[bytes], object]:
    """What decodes OTLP's protobuf message; a damaged one is a ValueError.

    Raises:
        UserError: if its package is not installed.
    """
    try:
        from google.protobuf.json_format import MessageToDict
        from google.protobuf.message import DecodeError
        from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
    except ImportError:
        raise UserError(
            "vLLM sends protobuf, which needs a package: pip install 'lengthwise[record]'"
        ) from None

    def decode(body: bytes) -> object:
        try:
            return MessageToDict(trace_service_pb2.ExportTraceServiceRequest.FromString(body))
        except DecodeError as error:
            raise ValueError(str(error)) from None

    return decode
