"""Where the ingresses of a route listen."""

from __future__ import annotations

from dataclasses import dataclass, field


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
