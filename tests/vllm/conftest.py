"""vLLM's released wheels, read over the network: what cannot be installed here can be looked at."""

from __future__ import annotations

import io
import json
import ssl
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import httpx
import pytest

_CHUNK = 2**18
"""Bytes asked for at a time: a wheel's list of files takes three, a module mostly one."""


class Remote(io.RawIOBase):
    """A file behind an HTTP server that gives parts of it.

    Raises:
        httpx.HTTPError: if it does not.
    """

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(
            verify=ssl.create_default_context(), follow_redirects=True, timeout=60.0
        )
        self._url, self._at = url, 0
        first = self._part(0, 1)
        self._size = int(first.headers["content-range"].rpartition("/")[2])

    def close(self) -> None:
        self._client.close()
        super().close()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), self._size - self._at)
        if wanted <= 0:
            return 0
        buffer[:wanted] = self._part(self._at, wanted).content
        self._at += wanted
        return wanted

    def _part(self, start: int, count: int) -> httpx.Response:
        answer = self._client.get(
            self._url, headers={"Range": f"bytes={start}-{start + count - 1}"}
        )
        if answer.status_code != httpx.codes.PARTIAL_CONTENT:
            raise httpx.HTTPError(f"no part of a file, but {answer.status_code}")
        return answer


def pip(*arguments: str) -> str:
    """What pip prints; skips the test with pip's reason if it finds nothing, or no network."""
    command = [sys.executable, "-m", "pip", *arguments]
    command += ["--quiet", "--retries", "1", "--timeout", "20", "--no-deps"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"pip: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}")
    return done.stdout


@pytest.fixture(scope="session")
def wheel(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[str], zipfile.Path]]:
    """``wheel(version)``: the package ``vllm`` in its wheel for GPUs, of which only the files
    that are read are fetched, some of 350 MB."""

    opened = ExitStack()

    @cache
    def found(version: str) -> zipfile.Path:
        wanted = ["--only-binary", ":all:", f"vllm=={version}.*"]
        report = pip("install", "--dry-run", "--ignore-installed", "--report", "-", *wanted)
        url = json.loads(report)["install"][0]["download_info"]["url"]
        if url.startswith("file:"):
            return zipfile.Path(url2pathname(urlsplit(url).path), "vllm/")
        try:
            part = opened.enter_context(io.BufferedReader(Remote(url), _CHUNK))
            return zipfile.Path(zipfile.ZipFile(part), "vllm/")
        except httpx.HTTPError:
            folder = tmp_path_factory.mktemp("wheel")
            pip("download", "--dest", str(folder), *wanted)
            return zipfile.Path(next(Path(folder).glob("*.whl")), "vllm/")

    with opened:
        yield found
