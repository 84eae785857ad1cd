import threading
from dataclasses import replace

import pytest

from lengthwise.bench import front
from lengthwise.bench.front import Front
from lengthwise.bench.job import BenchRequest
from lengthwise.errors import UserError

SOME = [BenchRequest(f"q{i}", [3], arrival=50.0) for i in range(9)]


@pytest.fixture
def it(server):
    return Front(server.address, server.replicas, server.use_router)


def test_warming_up_goes_on_until_every_replica_has_served(it, server):
    seen = []
    server.use_router = seen.append
    Front(server.address, 2, server.use_router).warm_up(SOME)
    assert seen == ["round-robin"]
    # One alone, because it is what a router is made with; then two for each replica, at once.
    assert [body["max_tokens"] for body in server.bodies] == [1, 8, 8, 8, 8]


def test_a_replica_that_is_not_there_is_said(server, monkeypatch):
    monkeypatch.setattr(front, "_PATIENCE_S", 0.3)
    with pytest.raises(UserError, match="the 3 replicas were not known within"):
        Front(server.address, 3, server.use_router).warm_up(SOME)


def test_the_router_changes_only_when_all_replicas_are_idle(it, server):
    server.open = 1
    ends = threading.Timer(0.4, lambda: setattr(server, "open", 0))
    ends.start()
    it.use("p2c")
    ends.join()
    assert server.routers == ["p2c"]


def test_replicas_that_stay_busy_are_said(it, server, monkeypatch):
    monkeypatch.setattr(front, "_PATIENCE_S", 0.3)
    server.open = 1
    with pytest.raises(UserError, match="not idle"):
        it.use("p2c")
    assert server.routers == []


def test_no_two_sendings_share_a_prefix_cache(it, server):
    now = [replace(each, arrival=0.0) for each in SOME[:2]]
    it.send(now, 4)
    it.send(now, 4)
    salts = [body["cache_salt"] for body in server.bodies]
    assert salts[0] == salts[1] != salts[2] == salts[3]
