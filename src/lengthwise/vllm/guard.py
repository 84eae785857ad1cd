"""Who may read the live state of a server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

FOREIGN = "another site's page asked: open /lengthwise of this server itself"

_KEYLESS = (
    "without an API key only this machine may read the live state: start the server with "
    "--api-key, or forward its port (ssh -L 8000:localhost:8000 SERVER) and open localhost:8000"
)
REMOTE = f"this came from another machine; {_KEYLESS}"
PROXIED = f"this came through a proxy; {_KEYLESS}"
NAMED = f"this was sent to a name other than localhost; {_KEYLESS}"

_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
"""Headers that proxies add."""


@dataclass(frozen=True)
class Guard:
    """Decides by what a request says of its way here. vLLM itself has checked the API key.

    Attributes:
        keyed: whether the server has an API key.
        uds: whether it listens on a Unix socket, which only this machine can reach.
    """

    keyed: bool
    uds: bool = False

    def refusal(self, client: str | None, headers: Mapping[str, str]) -> str | None:
        """Why a request may not read the state, in one line; None if it may.

        Args:
            client: address that it came from; None where that is not known.
            headers: of the request, their names in lower case.
        """
        if _is_foreign(headers):
            return FOREIGN
        if self.keyed:
            return None
        # A proxy of this machine has a loopback address, whoever is behind it.
        if any(name in headers for name in _FORWARDED):
            return PROXIED
        if not (_is_loopback(client or "") or (self.uds and client is None)):
            return REMOTE
        # A site whose name was made to point at this machine passes for its own server.
        return None if _is_local(headers.get("host", "")) else NAMED


def _is_foreign(headers: Mapping[str, str]) -> bool:
    """Whether a browser sent this for a page of another origin."""
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return True
    origin = headers.get("origin")
    if origin is None:
        return False
    scheme, _, place = origin.partition("://")
    port = {"http": ":80", "https": ":443"}.get(scheme, "")
    return place.removesuffix(port) != headers.get("host", "").removesuffix(port)


def _is_local(host: str) -> bool:
    """Whether a Host header names this machine as only it can be meant."""
    name = host.partition("]")[0].removeprefix("[") if "[" in host else host.partition(":")[0]
    return name.lower() == "localhost" or _is_loopback(name)


def _is_loopback(address: str) -> bool:
    try:
        found = ip_address(address)
    except ValueError:
        return False
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return (mapped or found).is_loopback
