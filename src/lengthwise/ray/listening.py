"""Where the ingresses of a route listen."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from ipaddress import ip_address

from lengthwise.vllm.flags import Flags

_TLS = ("ssl_keyfile", "ssl_certfile", "ssl_ca_certs")


@dataclass(frozen=True)
class Listening:
    """Where an ingress listens, and to whom.

    Attributes:
        keys: API keys, without which nothing below ``/v1`` is served; none: all is.
        tls: uvicorn's own ``ssl_keyfile``, ``ssl_certfile`` and the like.
    """

    host: str
    port: int
    keys: list[str] = field(default_factory=list)
    tls: dict[str, str] = field(default_factory=dict)


def listening(host: str, port: int, flags: list[str]) -> Listening:
    """As the flags have it that ``vllm serve`` has for keys and certificates."""
    read = Flags(flags)
    keys = read.values("--api-key") or [os.environ.get("VLLM_API_KEY", "")]
    tls = {name: read.value(f"--{name.replace('_', '-')}") for name in _TLS}
    found = {name: value for name, value in tls.items() if value is not None}
    return Listening(host, port, [key for key in keys if key], found)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
