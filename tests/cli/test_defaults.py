"""What the commands do where nothing is said: lengthwise, without a predictor."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lengthwise.cli.main import main
from lengthwise.vllm.hints_middleware import MIDDLEWARE
from lengthwise.vllm.serve import build_command
from lengthwise.vllm.settings import KEY, Settings


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[Any]]:
    """Replaces what a command starts, which takes minutes; gives what it was called with."""

    def replace(target: str) -> list[Any]:
        found: list[Any] = []
        monkeypatch.setattr(target, lambda *given: found.extend(given))
        return found

    return replace


@pytest.mark.parametrize(
    ("flags", "policies"),
    [
        ([], ["stock", "lengthwise"]),
        (["--predictor", "builtin"], ["stock", "lengthwise", "trail"]),
        (["--policies", "stock,sjf", "--predictor", "builtin"], ["stock", "sjf"]),
    ],
)
def test_bench_compares_with_stock_what_can_be_served(
    called: Callable[[str], list[Any]], tmp_path: Path, flags: list[str], policies: list[str]
) -> None:
    given = called("lengthwise.bench.compare.compare")
    assert main(["bench", str(tmp_path), "--prompts", "documents", *flags]) == 0
    plan = given[0]
    assert plan.policies == policies
    assert plan.prompts[0].id == "documents:1"


def test_bench_routers_orders_by_lengthwise(
    called: Callable[[str], list[Any]], tmp_path: Path
) -> None:
    given = called("lengthwise.bench.routers.compare_routers")
    assert main(["bench", "routers", str(tmp_path)]) == 0
    assert given[0].base.policies == ["lengthwise"]


def test_serve_takes_lengthwise_and_no_predictor(called: Callable[[str], list[Any]]) -> None:
    given = called("lengthwise.vllm.serve.serve")
    assert main(["serve", "MODEL", "--max-num-seqs", "4"]) == 0
    assert given == ["MODEL", Settings(), ["--middleware", MIDDLEWARE, "--max-num-seqs", "4"]]


def test_the_server_starts_with_one_flag_and_nothing_trained(
    saved_model: Callable[..., Path], tmp_path: Path
) -> None:
    pytest.importorskip("vllm")
    model = saved_model(tmp_path / "model", {"hi": 1, "[unk]": 0})
    with socket.socket() as free:
        free.bind(("", 0))
        port = str(free.getsockname()[1])
    command = build_command(str(model), Settings(), ["--port", port])
    assert command[command.index("--scheduler-cls") + 1] == "lengthwise.vllm.Scheduler"
    config = json.loads(command[command.index("--additional-config") + 1])
    assert (config[KEY]["policy"], config[KEY]["probe"]) == ("lengthwise", None)


@pytest.mark.parametrize(
    ("flags", "router"),
    [
        ([], "least-work"),
        (["--predictor", "builtin"], "predicted"),
        (["--router", "p2c", "--predictor", "builtin"], "p2c"),
    ],
)
def test_route_reads_predictions_where_there_are_any(
    called: Callable[[str], list[Any]], tmp_path: Path, flags: list[str], router: str
) -> None:
    given = called("lengthwise.ray.app.run")
    assert main(["route", str(tmp_path), *flags]) == 0
    route = given[0]
    assert (route.router, route.settings.policy) == (router, "lengthwise")
    assert route.settings.probe == (flags[-1] if flags else None)
