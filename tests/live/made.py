"""Made states of engines, and vLLM's app with the endpoint plug-in that tells them."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

pytest.importorskip("fastapi", reason="the page is served by vLLM")

import uvicorn
from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from lengthwise.live.decision import Decision
from lengthwise.live.state import (
    Bound,
    ClassNow,
    EngineNow,
    LearnerNow,
    PredictorNow,
    RequestNow,
    Totals,
)
from lengthwise.vllm.endpoint import Endpoint

EVIL = "<img src=x onerror=alert(1)>\u202e" + "x" * 90

_FOUND = find_spec("vllm")
VLLM = Path(str(_FOUND and _FOUND.origin)).parent
"""vLLM's sources."""

States = Callable[[], list[EngineNow]]


def engine(number: int = 0, tick: int = 0, waiting: int = 9, **more: Any) -> EngineNow:
    """A busy engine of eight seats, ``tick`` seconds on."""
    seated = [seat(each, tick) for each in range(8)]
    paused = [
        RequestNow(each, "paused", 40, 0, 30, 210.0, 90.0, 640.0, 0.4, 0, "acme", "batch")
        for each in (11, 12)
    ]
    queue = [
        RequestNow(
            20 + each,
            "waiting",
            *(120 + 900 * each, 64 * (each % 2), 0),
            *((None, None, None) if each == 3 else (40.0 * (each + 1), 12.0, 300.0 * (each + 1))),
            *(float(tick + each), 2 * each),
            *(("acme", EVIL, "")[each % 3], ("interactive", "batch", "standard")[each % 3]),
            promoted=each == 0,
        )
        for each in range(min(waiting, 80))
    ]
    given: dict[str, Any] = {
        "running": len(seated),
        "paused": len(paused),
        "waiting": waiting,
        "waiting_by": [4, 2, 1, 0, 1, 1],
        "bound": Bound(0.1, 12300.0, 18400.0, 1240.0, admitted=90_000.0),
        "predictors": [
            PredictorNow("prompt", 212, 61.4, 0.78, 900, 4),
            PredictorNow("probe", 150, 22.0, 0.91, 700, 0),
            PredictorNow("client"),
        ],
        "learner": LearnerNow("acting", 512, 1, 3, 0),
        "classes": [
            ClassNow("interactive", 3, 5, 120, 118, {"ttft": 2}),
            ClassNow("batch", 8, 3, 0, 0),
        ],
        "requests": seated + paused + queue,
        "decisions": decisions(1 + 3 * tick, 24),
    }
    return EngineNow(
        number,
        *("llm/SmolLM2-135M-Instruct", "lengthwise", 1.8e9 + tick, 8),
        longest_wait=3.0 + tick,
        kv_tokens=23_000,
        kv_used=14_700,
        totals=Totals(
            *(1240, 1200, 31, 29, 2, 1190, 4, 3400),
            evicted={"memory": 2, "seat": 1},
            recomputed=812,
            steps=52_000,
            full_steps=31_000,
            scheduler_s=8.4,
            ranking_s=1.2,
        ),
        **{**given, **more},
    )


def seat(number: int, tick: int) -> RequestNow:
    """A request that runs."""
    left = None if number == 2 else max(300.0 - 40 * number - tick, 1.0)
    low, high = (None, None) if left is None else (left / 3, 2.5 * left)
    whose = ("acme", "interactive") if number % 2 else (EVIL, "batch")
    return RequestNow(
        number, "running", 90, 64, 20 * number + tick, left, low, high, 0.5, 1, *whose
    )


def decisions(first: int, count: int) -> list[Decision]:
    """One of each kind in turn; those that finished were predicted more or less well."""

    def made(index: int) -> Decision:
        whose = {"tenant": EVIL, "service": "batch", "prompt": 120, "waited": 4.2}
        base = (index, 1.8e9 + index, ["arrived", "admitted", "paused", "finished"][index % 4])
        match index % 4:
            case 1:
                extra: dict[str, Any] = {"overtook": index % 3, "left": 310.0}
            case 2:
                extra = {"reason": "seat", "winner": index + 6, "left": 310.0, "winner_left": 22.0}
            case 3:
                extra = {"tokens": 3 * index, "predicted": 4.0 * index, "reason": "stop"}
            case _:
                extra = {"left": 310.0}
        return msgspec.convert(
            {
                **dict(zip(("index", "at", "kind"), base, strict=True)),
                **{"number": index, "request": f"cmpl-{index}"},
                **whose,
                **extra,
            },
            Decision,
        )

    return [made(index) for index in range(first, first + count)]


class Client:
    """vLLM's client of its engine cores, as far as it is asked."""

    def __init__(self, states: States) -> None:
        self.states = states
        self.asked: list[tuple[Any, ...]] = []

    @property
    def core_engines(self) -> range:
        """Names of the engines."""
        return range(len(self.states()))

    async def _call_utility_async(self, method: str, *args: Any, engine: int) -> bytes:
        if engine == 0:
            self.asked.append((method, *args))
        return msgspec.json.encode(self.states()[engine])


def app_of(
    client: Client | None,
    key: str | None = None,
    uds: str | None = None,
    scheduler: str = "lengthwise.vllm.Scheduler",
    settings: dict[str, Any] | None = None,
) -> FastAPI:
    """An app as vLLM builds one: routes, CORS for all, the check of the key."""
    everybody = Middleware(CORSMiddleware, allow_origins=["*"], allow_headers=["*"])
    app = FastAPI(middleware=[everybody])
    if key:
        app.add_middleware(_check_of_keys(), tokens=[key])
    plugin = Endpoint()
    given = {"lengthwise": settings or {}}
    args = SimpleNamespace(api_key=key and [key], uds=uds, additional_config=given)
    app.state.args = args
    plugin.attach_router(app)
    config = SimpleNamespace(scheduler_config=SimpleNamespace(scheduler_cls=scheduler))
    engines = client and SimpleNamespace(engine_core=client, vllm_config=config)
    # In a thread of its own: where Chromium is driven, this one has a loop.
    with ThreadPoolExecutor(1) as own:
        own.submit(asyncio.run, plugin.init_state(engines, app.state, args)).result()
    return app


def _check_of_keys() -> Any:
    """vLLM's own, from its file: importing all of vLLM takes seconds."""
    path = VLLM / "entrypoints" / "serve" / "middleware" / "authenticate.py"
    spec = spec_from_file_location("authenticate", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.AuthenticationMiddleware


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The app on a free port of this machine; its address."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", ws="none"))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join()
