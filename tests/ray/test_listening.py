"""Where a route listens, by vLLM's own flags."""

from __future__ import annotations

import pytest

from lengthwise.ray.listening import is_loopback, listening


def test_keys_and_certificates_are_vllm_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "three")
    flags = ["--api-key", "one", "two", "--ssl-keyfile", "key.pem", "--ssl-certfile=cert.pem"]
    found = listening("127.0.0.1", 8000, flags)
    assert found.keys == ["one", "two"]
    assert found.tls == {"ssl_keyfile": "key.pem", "ssl_certfile": "cert.pem"}
    assert listening("127.0.0.1", 8000, []).keys == ["three"]
    monkeypatch.delenv("VLLM_API_KEY")
    assert listening("127.0.0.1", 8000, []).keys == []


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("", False)],
)
def test_loopback(host: str, local: bool) -> None:
    assert is_loopback(host) is local
