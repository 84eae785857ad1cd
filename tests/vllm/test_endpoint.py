"""The routes of the live page, in an app as vLLM builds it."""

from __future__ import annotations

import ast
import logging
from typing import Any

import pytest
from starlette.testclient import TestClient

from lengthwise.live.state import EngineNow
from lengthwise.vllm.endpoint import DECISIONS, HEADERS, ROWS, STATE, Endpoint, _is_news

from ..live.made import VLLM, Client, app_of, engine

NEAR = ("127.0.0.1", 5000)


def states() -> list[EngineNow]:
    return [engine(0), engine(1)]


def browser(client: Client | None, near: tuple[str, int] = NEAR, **more: Any) -> TestClient:
    return TestClient(app_of(client, **more), "http://localhost:8000", client=near)


@pytest.fixture
def near() -> TestClient:
    return browser(Client(states))


def test_it_has_what_vllm_asks_of_a_plugin() -> None:
    source = (VLLM / "plugins" / "endpoint_plugins" / "interface.py").read_text()
    tree = ast.parse(source)
    asked = next(each for each in tree.body if getattr(each, "name", "") == "EndpointPlugin")
    assert isinstance(asked, ast.ClassDef)
    names = {
        getattr(each, "name", None) or ast.unparse(each.target)
        for each in asked.body[1:]
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.AnnAssign)
    }
    assert names == {"name", "required_tasks", "attach_router", "init_state"}
    assert all(hasattr(Endpoint(), name) for name in names)


def test_the_page_and_its_files(near: TestClient) -> None:
    page = near.get("/lengthwise")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    script = near.get("/lengthwise/main.js")
    assert script.headers["content-type"].startswith("text/javascript")
    again = near.get("/lengthwise/main.js", headers={"if-none-match": script.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    moved = near.get("/lengthwise/", follow_redirects=False)
    assert (moved.status_code, moved.headers["location"]) == (307, "../lengthwise")


def test_there_is_no_page_where_the_settings_have_none() -> None:
    tab = browser(Client(states), settings={"page": False})
    assert [tab.get(path).status_code for path in ("/lengthwise", STATE)] == [404, 404]


@pytest.mark.parametrize("name", ["x.js", "..%2f__init__.py", "%2e%2e/state.py", "index.html.py"])
def test_there_is_no_other_file(near: TestClient, name: str) -> None:
    assert near.get(f"/lengthwise/{name}").status_code == 404


@pytest.mark.parametrize("path", ["/lengthwise", "/lengthwise/page.css", "/lengthwise/x", STATE])
def test_every_answer_is_guarded_by_headers(near: TestClient, path: str) -> None:
    found = near.get(path).headers
    assert {name: found[name] for name in HEADERS} == HEADERS
    assert "unsafe" not in found["content-security-policy"]
    assert "frame-ancestors 'none'" in found["content-security-policy"]


def test_the_state_of_every_engine(near: TestClient) -> None:
    found = near.get(STATE)
    assert found.headers["cache-control"] == "no-store"
    assert [each["engine"] for each in found.json()] == [0, 1]
    first = found.json()[0]
    assert first["words"][0].startswith("r1 admitted after 4.2 s before 1 earlier request")
    assert len(near.get(STATE, params={"rows": 2, "decisions": 1}).json()[0]["requests"]) == 2


@pytest.mark.parametrize(
    ("rows", "decisions"),
    [
        ("-1", "0"),
        ("0", "1.5"),
        ("x", "1"),
        ("", "1"),
        ("1001", "1"),
        ("1", "9" * 5000),
        ("٣", "1"),
    ],
)
def test_numbers_out_of_limits_are_refused(near: TestClient, rows: str, decisions: str) -> None:
    found = near.get(STATE, params={"rows": rows, "decisions": decisions})
    assert found.status_code == 400
    assert "rows up to 1000, decisions up to 1000" in found.json()["error"]


def test_engines_are_asked_few_different_questions() -> None:
    client = Client(states)
    tab = browser(client)
    for number in range(0, 1001, 25):
        assert tab.get(STATE, params={"rows": number, "decisions": number}).status_code == 200
    assert {each[1] for each in client.asked} == {*ROWS}
    assert {each[2] for each in client.asked} == {*DECISIONS}


def test_a_key_opens_it_to_other_machines() -> None:
    far = browser(Client(states), ("10.0.0.7", 5000), key="secret")
    assert far.get("/lengthwise").status_code == 200
    assert far.get(STATE).status_code == 401
    assert far.get(STATE, headers={"authorization": "Bearer wrong"}).status_code == 401
    assert far.get(STATE, headers={"authorization": "Bearer secret"}).status_code == 200


def test_a_key_from_the_environment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "secret")
    assert browser(Client(states), ("10.0.0.7", 5000)).get(STATE).status_code == 200


def test_without_a_key_other_machines_are_refused() -> None:
    found = browser(Client(states), ("10.0.0.7", 5000)).get(STATE)
    assert found.status_code == 403
    assert "--api-key" in found.json()["error"]
    assert found.text.count("\n") == 0


def test_other_sites_are_refused_although_vllm_lets_all_in(near: TestClient) -> None:
    found = near.get(STATE, headers={"origin": "https://evil.example"})
    assert found.headers["access-control-allow-origin"] == "*"
    assert (found.status_code, "requests" in found.text) == (403, False)


def dead() -> list[EngineNow]:
    raise RuntimeError("EngineCore is\ndead")


def test_an_engine_that_fails_is_said_in_a_line() -> None:
    found = browser(Client(dead)).get(STATE)
    assert found.status_code == 503
    assert found.json() == {"error": "the engine gave no answer: EngineCore is dead"}


def test_servers_without_our_scheduler_say_so() -> None:
    stock = browser(Client(states), scheduler="vllm.v1.core.sched.scheduler.Scheduler").get(STATE)
    assert stock.status_code == 503
    assert "--scheduler-cls lengthwise.vllm.Scheduler" in stock.json()["error"]
    assert browser(None).get(STATE).json() == {"error": "this server has no engine"}


def test_what_fails_at_the_start_is_logged_and_stops_nobody(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> Any:
        raise OSError("no such file")

    monkeypatch.setattr("lengthwise.vllm.endpoint.page_files", broken)
    monkeypatch.setattr("lengthwise.vllm.endpoint.Guard", broken)
    logger = logging.getLogger("vllm.lengthwise")
    monkeypatch.setattr(logger, "propagate", True)
    logger.addHandler(caplog.handler)
    try:
        assert browser(Client(states)).get("/lengthwise").status_code == 404
    finally:
        logger.removeHandler(caplog.handler)
    assert "there is no live page" in caplog.text
    assert "the live page has no data" in caplog.text


@pytest.mark.parametrize(
    ("path", "status", "kept"),
    [
        (f"{STATE}?rows=100", 200, False),
        (f"/base{STATE}", 200, False),
        (STATE, 503, True),
        (f"/v1/models?x={STATE}", 200, True),
        ("/v1/completions", 200, True),
    ],
)
def test_the_access_log_does_not_fill_with_updates(path: str, status: int, kept: bool) -> None:
    line = logging.LogRecord("uvicorn.access", 20, "", 1, '%s - "%s %s HTTP/%s" %d', None, None)
    line.args = ("127.0.0.1:5", "GET", path, "1.1", status)
    assert _is_news(line) is kept
