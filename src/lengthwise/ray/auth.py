"""The API key, checked before anything of a request is read, as vLLM's own server checks it."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Sequence

from lengthwise.ray.routes import GUARDED

Headers = Iterable[tuple[bytes, bytes]]


class Keys:
    """The keys that open the server; without any, everything is open.

    Args:
        keys: as ``--api-key`` has them.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._hashes = [_hash(key.encode()) for key in keys]

    @property
    def any(self) -> bool:
        """Whether there are keys at all."""
        return bool(self._hashes)

    def open(self, method: str, path: str, headers: Headers) -> bool:
        """Whether a request may pass."""
        if not self._hashes or method == "OPTIONS" or not path.startswith(GUARDED):
            return True
        given = next((value for name, value in headers if name == b"authorization"), b"")
        scheme, _, key = given.partition(b" ")
        said = _hash(key)
        # Each of them, so that the time tells nothing.
        found = [secrets.compare_digest(said, each) for each in self._hashes]
        return scheme.lower() == b"bearer" and any(found)


def _hash(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
