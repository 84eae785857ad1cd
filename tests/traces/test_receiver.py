"""The receiver: what exporters send is taken, whatever else is sent is answered and survived."""

from __future__ import annotations

import gzip
import json
import socket
import sys
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lengthwise.errors import UserError
from lengthwise.traces import receiver
from lengthwise.traces.receiver import Receiver, protobuf
from lengthwise.traces.recorded import Recorded

pytest.importorskip("opentelemetry.proto", reason="needs the extra record")


def document(id: str, output: int = 7) -> dict[str, Any]:
    said = {"gen_ai.usage.prompt_tokens": 5, "gen_ai.usage.completion_tokens": output}
    attributes = [{"key": key, "value": {"intValue": value}} for key, value in said.items()]
    span = {"name": "llm_request", "traceId": "0a" * 16, "spanId": id, "attributes": attributes}
    span |= {"startTimeUnixNano": "1790000000000000000", "endTimeUnixNano": "1790000001000000000"}
    return {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}


def packed(id: str, output: int = 7) -> bytes:
    from google.protobuf.json_format import ParseDict
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    body: bytes = ParseDict(document(id, output), ExportTraceServiceRequest()).SerializeToString()
    return body


class World:
    def __init__(self) -> None:
        self.rows: list[Recorded] = []
        self.said: list[str] = []
        self.full = False

    def write(self, rows: Sequence[Recorded]) -> None:
        if self.full:
            raise UserError("the disk is full")
        self.rows += rows


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture(scope="module")
def server(world: World) -> Iterator[Receiver]:
    with Receiver(("127.0.0.1", 0), world.write, world.said.append) as started:
        yield started


@pytest.fixture(scope="module")
def client(server: Receiver) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{server.server_address[1]}") as made:
        yield made


def post(client: httpx.Client, body: bytes, kind: str, **headers: str) -> int:
    answer = client.post("/v1/traces", content=body, headers={"Content-Type": kind, **headers})
    return answer.status_code


def test_what_exporters_send_is_taken(world: World, client: httpx.Client) -> None:
    body = json.dumps(document("0b" * 8, 8)).encode()
    assert post(client, packed("0a" * 8, 7), "application/x-protobuf") == 200
    assert post(client, body, "application/json; charset=utf-8") == 200
    gz, deflate = {"Content-Encoding": "gzip"}, {"Content-Encoding": "deflate"}
    assert (
        post(client, gzip.compress(packed("0c" * 8, 9), mtime=0), "application/x-protobuf", **gz)
        == 200
    )
    body = zlib.compress(json.dumps(document("0d" * 8, 10)).encode())
    assert post(client, body, "application/json", **deflate) == 200
    assert post(client, packed("0a" * 8, 7), "application/x-protobuf") == 200  # sent again
    assert [row.output_tokens for row in world.rows] == [7, 8, 9, 10]
    assert world.rows[0].finish_s == 1790000001.0


@pytest.mark.parametrize(
    ("body", "kind", "packing", "status"),
    [
        (b"{", "application/json", "", 400),
        (b"[" * 100_000, "application/json", "", 400),
        (b"\xff\xfe", "application/x-protobuf", "", 400),
        (b"{}", "text/html", "", 415),
        (b"{}", "application/json", "zstd", 415),
        (b"no gzip", "application/json", "gzip", 400),
        (gzip.compress(b"{}", mtime=0)[:-9], "application/json", "gzip", 400),
        (gzip.compress(b" " * 4000, mtime=0), "application/json", "gzip", 413),
        (b" " * 4000, "application/json", "", 413),
    ],
)
def test_bad_bodies_are_refused(
    world: World,
    client: httpx.Client,
    monkeypatch: pytest.MonkeyPatch,
    body: bytes,
    kind: str,
    packing: str,
    status: int,
) -> None:
    if status == 413:
        monkeypatch.setattr(receiver, "LARGEST", 2000)
    assert post(client, body, kind, **{"Content-Encoding": packing} if packing else {}) == status


def test_other_paths_and_methods(client: httpx.Client) -> None:
    assert client.post("/v1/metrics", content=b"{}").status_code == 404
    assert client.get("/v1/traces").status_code == 501


def sent(server: Receiver, content: bytes) -> bytes:
    """What the server answers to bytes on a connection."""
    with socket.create_connection(server.server_address[:2], timeout=20) as connection:
        connection.sendall(content)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(4096):
            answer += piece
    return answer


def test_bodies_without_a_length_or_cut_off(server: Receiver) -> None:
    head = b"POST /v1/traces HTTP/1.1\r\nContent-Type: application/json\r\n"
    assert b" 411 " in sent(server, head + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    assert b" 411 " in sent(server, head + b"Content-Length: -5\r\n\r\n")
    assert b" 413 " in sent(server, head + b"Content-Length: 99999999999\r\n\r\n")
    assert b" 400 " in sent(server, head + b"Content-Length: 50\r\n\r\n{}")


def test_a_grpc_client_is_told_of_on_the_screen(world: World, server: Receiver) -> None:
    for _ in range(2):
        sent(server, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    assert len([line for line in world.said if "http/protobuf" in line]) == 1


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=80), whole=st.booleans())
def test_nothing_that_is_sent_ends_it(
    client: httpx.Client, server: Receiver, content: bytes, whole: bool
) -> None:
    if whole:
        assert post(client, content, "application/x-protobuf") in (200, 400)
    else:
        sent(server, content)
    assert post(client, b"{}", "application/json") == 200


def test_a_row_that_cannot_be_written_ends_the_recording() -> None:
    world = World()
    world.full = True
    with Receiver(("127.0.0.1", 0), world.write) as server:
        address = f"http://127.0.0.1:{server.server_address[1]}/v1/traces"
        headers = {"Content-Type": "application/json"}
        answer = httpx.post(address, content=json.dumps(document("0a" * 8)), headers=headers)
    assert answer.status_code == 503
    assert str(server.failed) == "the disk is full"


def test_an_address_in_use_is_refused(server: Receiver) -> None:
    port = server.server_address[1]
    with pytest.raises(UserError, match=f"--listen 127.0.0.1:{port} cannot be used"):
        Receiver(("127.0.0.1", port), lambda rows: None)


def test_a_missing_package_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.proto.collector.trace.v1", None)
    with pytest.raises(UserError, match=r"lengthwise\[record\]"):
        protobuf()
