import logging
from types import SimpleNamespace

import pytest

from lengthwise.core.prediction import point
from lengthwise.core.query import Query
from lengthwise.online import client as module
from lengthwise.online.client import RESTARTS, WINDOW, Client
from lengthwise.online.messages import Note, Scored


class Process:
    """A prediction process as the client sees it; tests decide what it does."""

    def __init__(self):
        self.sent, self.inbox, self.ended, self.unsent = [], [Note("is up")], None, 0

    def send(self, message):
        self.sent.append(message)

    def received(self):
        inbox, self.inbox = self.inbox, []
        return inbox

    def answers(self, **tokens):
        found = [point(each, "prompt") for each in tokens.values()]
        self.inbox.append(Scored(list(tokens), found, 0.5))

    def kill(self):
        self.ended = "killed"

    def join(self):
        pass


@pytest.fixture
def world():
    """A client with a clock, and every process it started."""
    started, clock = [], SimpleNamespace(now=0.0)

    def begin():
        started.append(Process())
        return started[-1]

    client = Client(begin, timeout=10.0, clock=lambda: clock.now)
    return SimpleNamespace(client=client, started=started, clock=clock)


def asked(id):
    return Query(id, [1, 2, 3], "", 100)


def test_a_score_comes_back_once(world):
    world.client.submit(asked("a"))
    assert world.client.ready() == []
    assert world.started[0].sent == [asked("a")]
    world.started[0].answers(a=42.0)
    assert world.client.ready() == [("a", point(42.0, "prompt"))]
    assert world.client.ready() == []
    assert world.client.stats()["scored"] == 1
    assert world.client.stats()["seconds"] == 0.5
    assert not world.client.stats()["given_up"]


def test_nothing_is_sent_before_the_process_is_up(world):
    world.started[0].inbox.clear()
    world.client.submit(asked("a"))
    world.client.ready()
    assert world.started[0].sent == []


def test_what_is_under_way_is_bounded_and_the_rest_can_be_taken_back(world):
    for i in range(WINDOW + 10):
        world.client.submit(asked(str(i)))
    world.client.ready()
    assert len(world.started[0].sent) == WINDOW
    for i in range(WINDOW, WINDOW + 10):
        world.client.forget(str(i))
    world.started[0].answers(**{str(i): 1.0 for i in range(WINDOW)})
    world.client.ready()
    assert len(world.started[0].sent) == WINDOW


def test_a_full_queue_drops_the_scoring(world, monkeypatch):
    monkeypatch.setattr(module, "WAITING", 3)
    for i in range(5):
        world.client.submit(asked(str(i)))
    assert world.client.stats()["dropped"] == 2


def test_a_gone_requests_score_is_ignored(world):
    world.client.submit(asked("a"))
    world.client.ready()
    world.client.forget("a")
    world.started[0].answers(a=42.0)
    assert world.client.ready() == []


def unscored(found):
    """Ids that will get no score: told once, as None."""
    assert all(prediction is None for _, prediction in found)
    return {id for id, _ in found}


def test_what_failed_gets_no_score(world, caplog):
    world.client.submit(asked("a"))
    world.client.ready()
    world.started[0].inbox.append(Scored(["a"], [None], 0.1, "ValueError: no\n\x1b[31m"))
    assert unscored(world.client.ready()) == {"a"}
    assert world.client.ready() == []
    assert world.client.stats()["failed"] == 1
    # What a client's text may have put there cannot forge a line of the log or colour it.
    assert r"ValueError: no\n\x1b[31m" in caplog.text


def test_nothing_is_kept_of_requests_that_are_gone(world):
    for i in range(100):
        world.client.submit(asked(str(i)))
        world.client.ready()
        world.started[0].answers(**{str(i): 1.0})
        world.client.ready()
        world.client.forget(str(i))
    kept = (world.client._live, world.client._waiting, world.client._sent)
    assert not any(kept)


def test_a_crash_is_one_line_and_a_new_start(world, caplog):
    world.client.submit(asked("a"))
    world.client.ready()
    world.started[0].ended = "it ended with status -9"
    with caplog.at_level(logging.WARNING):
        world.client.ready()
    assert len(world.started) == 2
    assert [record.getMessage().count("\n") for record in caplog.records] == [0]
    assert "status -9" in caplog.text
    world.client.submit(asked("b"))
    world.client.ready()
    assert world.started[1].sent == [asked("b")], "what it was at is not sent again"


def test_whom_a_crash_took_with_it_is_told(world):
    for id in "ab":
        world.client.submit(asked(id))
    world.client.ready()
    world.client.forget("b")
    world.started[0].ended = "it ended with status -9"
    world.client.submit(asked("c"))
    assert unscored(world.client.ready()) == {"a"}, "c is still to be scored, b is gone"


def test_when_it_is_given_up_nobody_waits_for_a_score_any_more(world):
    for start in range(RESTARTS + 1):
        assert world.client.submit(asked(str(start)))
        world.started[-1].ended = "it ended with status 1"
        lost = unscored(world.client.ready())
    assert lost == {str(start) for start in range(RESTARTS + 1)}
    assert not world.client.submit(asked("later"))


def test_silence_counts_only_while_something_is_asked(world):
    world.client.ready()
    world.clock.now = 1000.0
    world.client.submit(asked("a"))
    world.client.ready()
    world.clock.now = 1009.0
    world.client.ready()
    assert len(world.started) == 1
    world.clock.now = 1011.0
    world.client.ready()
    assert len(world.started) == 2
    assert world.started[0].ended == "killed"


def test_a_long_queue_is_no_silence(world):
    for i in range(WINDOW):
        world.client.submit(asked(str(i)))
    world.client.ready()
    for i in range(WINDOW):
        world.clock.now += 5.0
        world.started[0].answers(**{str(i): 1.0})
        world.client.ready()
    assert len(world.started) == 1


def test_a_process_that_never_comes_up_is_given_up(world):
    world.started[0].inbox.clear()
    world.clock.now = module.START_S + 1
    world.client.ready()
    assert len(world.started) == 2


def test_after_some_new_starts_it_is_left_alone_and_requests_go_on(world, caplog):
    for _ in range(RESTARTS + 1):
        world.started[-1].ended = "it ended with status 1"
        world.client.ready()
    assert len(world.started) == RESTARTS + 1
    assert "not started any more" in caplog.text
    world.client.submit(asked("a"))
    assert world.client.ready() == []
    world.client.forget("a")
    assert world.client.stats()["restarts"] == RESTARTS
    assert world.client.stats()["given_up"]
    world.client.close()


def test_what_the_process_has_to_say_is_a_line_of_the_log(world, caplog):
    with caplog.at_level(logging.INFO):
        world.started[0].inbox.append(Note("bert scores\n\x1b[31m"))
        world.client.ready()
    assert r"bert scores\n\x1b[31m" in caplog.text
