"""Who may read the live state."""

from __future__ import annotations

import pytest

from lengthwise.vllm.guard import FOREIGN, NAMED, PROXIED, REMOTE, Guard

LOCAL = {"host": "localhost:8000"}
FAR = {"host": "gpu.example:8000"}


@pytest.mark.parametrize("client", ["127.0.0.1", "127.8.0.1", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1:8000", "[::1]:8000"])
def test_this_machine_may_read_without_a_key(client: str, host: str) -> None:
    assert Guard(keyed=False).refusal(client, {"host": host}) is None


@pytest.mark.parametrize("client", ["10.0.0.7", "::ffff:10.0.0.7", "2001:db8::1", "", "x", None])
def test_other_machines_need_a_key(client: str | None) -> None:
    assert Guard(keyed=False).refusal(client, LOCAL) == REMOTE
    assert Guard(keyed=True).refusal(client, FAR) is None


def test_a_unix_socket_is_this_machine() -> None:
    assert Guard(keyed=False, uds=True).refusal(None, LOCAL) is None
    assert Guard(keyed=False, uds=True).refusal("10.0.0.7", LOCAL) == REMOTE


@pytest.mark.parametrize("name", ["x-forwarded-for", "forwarded", "x-real-ip", "via"])
def test_whoever_comes_through_a_proxy_needs_a_key(name: str) -> None:
    headers = {**LOCAL, name: "127.0.0.1"}
    assert Guard(keyed=False).refusal("127.0.0.1", headers) == PROXIED
    assert Guard(keyed=False, uds=True).refusal(None, headers) == PROXIED
    assert Guard(keyed=True).refusal("127.0.0.1", headers) is None


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "[", "0.0.0.0"]
)
def test_names_that_may_be_rebound_are_refused_without_a_key(host: str) -> None:
    assert Guard(keyed=False).refusal("127.0.0.1", {"host": host}) == NAMED


@pytest.mark.parametrize(
    "more",
    [
        {"origin": "https://evil.example"},
        {"origin": "http://localhost:3000"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
@pytest.mark.parametrize("keyed", [True, False])
def test_pages_of_other_origins_are_refused(more: dict[str, str], keyed: bool) -> None:
    assert Guard(keyed).refusal("127.0.0.1", {**LOCAL, **more}) == FOREIGN


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "gpu.example", "origin": "https://gpu.example"},
        {"host": "gpu.example:443", "origin": "https://gpu.example"},
        {"host": "gpu.example:8000", "origin": "http://gpu.example:8000"},
        {"host": "gpu.example", "sec-fetch-site": "same-origin"},
        {"host": "gpu.example", "sec-fetch-site": "none"},
    ],
)
def test_its_own_page_may_read(headers: dict[str, str]) -> None:
    assert Guard(keyed=True).refusal("10.0.0.7", headers) is None


@pytest.mark.parametrize("line", [FOREIGN, REMOTE, PROXIED, NAMED])
def test_a_refusal_is_one_line_that_says_what_to_do(line: str) -> None:
    assert "\n" not in line
    assert "open" in line
