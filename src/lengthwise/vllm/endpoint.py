"""vLLM's endpoint plug-in: the live page at ``/lengthwise``, its data below ``/v1``.

vLLM loads it only if ``VLLM_PLUGINS`` names it. Whatever fails here is logged and answered;
it never ends the server.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lengthwise.live.files import INDEX, PageFile, page_files
from lengthwise.live.told import as_json
from lengthwise.vllm.asking import Asking, NoAnswerError
from lengthwise.vllm.guard import Guard
from lengthwise.vllm.ours import is_ours, served_with, settings_in

logger = logging.getLogger("vllm.lengthwise")

STATE = "/v1/lengthwise/state"

ROWS = (0, 25, 50, 100, 200, 400, 1000)
DECISIONS = (0, 50, 200, 1000)
"""Engines are asked for one of these numbers, the least that suffices, so that few different
questions are asked; the last is the most that a client gets."""

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'"
)

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True)
class Live:
    """What the routes of one server need.

    Attributes:
        asking: asks the engines; None if there are none to be asked.
        missing: why there are none, in one line.
    """

    guard: Guard
    asking: Asking | None
    missing: str = "this server has no engine"


class Endpoint:
    """vLLM's interface of an endpoint plug-in (``vllm.plugins.endpoint_plugins``)."""

    name = "lengthwise"
    required_tasks = ("generate",)

    def __init__(self) -> None:
        self._files: dict[str, PageFile] = {}

    def attach_router(self, app: Any) -> None:
        """Add the routes to vLLM's FastAPI app."""
        try:
            if not settings_in(served_with(app)).get("page", True):
                return
            self._files = page_files()
            routes = {
                "/lengthwise": self._page,
                "/lengthwise/": _to_page,
                "/lengthwise/{name}": self._file,
                STATE: _state,
            }
            for path, handler in routes.items():
                app.add_api_route(path, handler, methods=["GET"], include_in_schema=False)
        except Exception:
            logger.exception("lengthwise: there is no live page")

    async def init_state(self, engine_client: Any, state: Any, args: Any) -> None:
        """Tell the routes whom to ask, and who may ask them."""
        try:
            state.lengthwise = _live(engine_client, args)
            logging.getLogger("uvicorn.access").addFilter(_is_news)
        except Exception:
            logger.exception("lengthwise: the live page has no data")

    async def _page(self, request: Request) -> Response:
        return _sent(request, self._files.get(INDEX))

    async def _file(self, request: Request, name: str) -> Response:
        return _sent(request, self._files.get(name))


async def _to_page(request: Request) -> Response:
    """The page's address has no slash at its end: its links are relative to it."""
    return Response(status_code=307, headers={"Location": "../lengthwise", **HEADERS})


async def _state(request: Request) -> Response:
    """The state of every engine, as a list of :class:`lengthwise.live.told.EngineTold`."""
    live: Live | None = getattr(request.app.state, "lengthwise", None)
    if live is None:
        return _refused(503, "the live page did not start: see the server's log")
    client = None if request.client is None else request.client.host
    if line := live.guard.refusal(client, request.headers):
        return _refused(403, line)
    rows = _number(request.query_params.get("rows", "50"), ROWS)
    decisions = _number(request.query_params.get("decisions", "50"), DECISIONS)
    if rows is None or decisions is None:
        most = f"rows up to {ROWS[-1]}, decisions up to {DECISIONS[-1]}"
        return _refused(400, f"rows and decisions are whole numbers from 0: {most}")
    if live.asking is None:
        return _refused(503, live.missing)
    return await _answer(live.asking, rows, decisions)


async def _answer(asking: Asking, rows: int, decisions: int) -> Response:
    try:
        found = await asking.states(_least(rows, ROWS), _least(decisions, DECISIONS))
        body = as_json(found, rows, decisions)
    except NoAnswerError as error:
        line = " ".join(str(error).split())[:300]
        return _refused(503, f"the engine gave no answer: {line}")
    except Exception:
        logger.exception("lengthwise: the live state could not be told")
        return _refused(503, "the live state could not be told: see the server's log")
    head = {"Cache-Control": "no-store", **HEADERS}
    return Response(body, media_type="application/json", headers=head)


def _live(engine_client: Any, args: Any) -> Live:
    """What the routes need, from what vLLM hands to its plug-ins."""
    keys = getattr(args, "api_key", None) or [os.environ.get("VLLM_API_KEY")]
    guard = Guard(keyed=any(keys), uds=bool(getattr(args, "uds", None)))
    if engine_client is None:
        return Live(guard, None)
    if not is_ours(engine_client.vllm_config.scheduler_config.scheduler_cls):
        given = "start it with --scheduler-cls lengthwise.vllm.Scheduler"
        return Live(guard, None, f"this server schedules without lengthwise: {given}")
    return Live(guard, Asking(engine_client.engine_core))


def _sent(request: Request, file: PageFile | None) -> Response:
    """A file of the page, or that the browser has it already."""
    if file is None:
        return _refused(404, "the live page has no such file")
    head = {"ETag": file.tag, "Cache-Control": "no-cache", **HEADERS}
    if file.tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=head)
    return Response(file.body, headers={"Content-Type": file.type, **head})


def _refused(status: int, line: str) -> Response:
    head = {"Cache-Control": "no-store", **HEADERS}
    return JSONResponse({"error": line}, status_code=status, headers=head)


def _number(text: str, levels: tuple[int, ...]) -> int | None:
    """A whole number up to the last level; None if the text is none."""
    if not (text.isascii() and text.isdecimal() and len(text) < 6):
        return None
    return int(text) if int(text) <= levels[-1] else None


def _least(asked: int, levels: tuple[int, ...]) -> int:
    return next(level for level in levels if level >= asked)


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a line of the access log tells more than that a page was kept up to date."""
    match record.args:
        case (_, "GET", str(path), _, 200):
            return not path.partition("?")[0].endswith(STATE)
    return True
