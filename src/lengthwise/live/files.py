"""The files of the live page, as the package ships them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

_TYPES: Mapping[str, str] = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}

INDEX = "index.html"


@dataclass(frozen=True)
class PageFile:
    """One file of the page.

    Attributes:
        body: its bytes.
        type: its media type.
        tag: of this content, as HTTP's ETag has it.
    """

    body: bytes
    type: str
    tag: str


def page_files() -> dict[str, PageFile]:
    """Every file of the page by its name.

    Raises:
        OSError: if the package was installed without them.
    """
    found = {}
    for path in (files("lengthwise.live") / "page").iterdir():
        kind = _TYPES.get(path.name.rpartition(".")[2])
        if kind is not None:
            body = path.read_bytes()
            tag = hashlib.sha256(body).hexdigest()[:16]
            found[path.name] = PageFile(body, kind, f'"{tag}"')
    return found
