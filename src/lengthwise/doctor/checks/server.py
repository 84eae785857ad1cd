"""Whether a server that runs is vLLM, with our scheduler in it."""

from __future__ import annotations

import os
import re
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from lengthwise.doctor.asked import Asked
from lengthwise.doctor.check import Check, Finding
from lengthwise.errors import UserError

_PATIENCE_S = 10.0

_MOST = 16 * 2**20
"""Bytes of an answer that are read."""

_VLLM = re.compile(r"^vllm:\w+[{ ]", re.MULTILINE)
_UP = re.compile(r"^lengthwise_up(?:\{[^}]*\})? (\S+)", re.MULTILINE)


class Server(Check):
    """The server of ``--url``, asked over HTTP; the key of VLLM_API_KEY is sent if it is set."""

    name = "server"

    def look(self, asked: Asked) -> Finding | None:
        """Read its metrics and, where they say nothing of us, ask for the live state."""
        if asked.url is None:
            return None
        address = checked(asked.url)
        try:
            status, text = _get(f"{address}/metrics")
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            return self.problem(
                f"{address} does not answer ({reason})", "lengthwise serve MODEL starts one"
            )
        ups = [float(each) for each in _UP.findall(text)]
        if ups and not min(ups):
            return self.problem(
                f"{address}: an engine of it does not answer",
                "look into the server's log; restart it",
            )
        if ups:
            return self.ok(f"{address} is vLLM with lengthwise, and its engines answer")
        if not _VLLM.search(text):
            return self.problem(
                f"{address} is no server of vLLM, or has no metrics (status {status})",
                "give the address of vLLM itself, without a path",
            )
        return self._asked(address)

    def _asked(self, address: str) -> Finding:
        status, _ = _get(f"{address}/v1/lengthwise/state")
        if status == 200:
            return self.ok(f"{address} is vLLM with lengthwise")
        if status in (401, 403):
            return self.warning(
                f"{address} is vLLM, and does not tell what schedules (status {status})",
                "VLLM_API_KEY=KEY lengthwise doctor --url ADDRESS, on the machine of the server",
            )
        return self.problem(
            f"{address} is vLLM, but lengthwise is not in it, or not its metrics and page",
            "lengthwise serve MODEL, or vllm serve MODEL --scheduler-cls lengthwise.vllm.Scheduler",
        )


def checked(url: str) -> str:
    """The address of a server, without a slash at its end.

    Raises:
        UserError: if it is none.
    """
    if not re.fullmatch(r"https?://[^/\s?#@]+/?", url):
        raise UserError(f"--url {url}: give an address such as http://127.0.0.1:8000")
    return url.rstrip("/")


def _get(url: str) -> tuple[int, str]:
    key = os.environ.get("VLLM_API_KEY")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        with urlopen(Request(url, headers=headers), timeout=_PATIENCE_S) as answer:
            return answer.status, answer.read(_MOST).decode(errors="replace")
    except HTTPError as error:
        return error.code, ""
    except URLError:
        raise
