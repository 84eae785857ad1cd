"""The real process: started, killed, stopped and left alone."""

import os
import pickle
import queue
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from lengthwise.core.query import Query
from lengthwise.errors import UserError
from lengthwise.online.client import WINDOW, Client
from lengthwise.online.messages import Note, Scored, Serve, Stopped
from lengthwise.online.process import SCORING, Child
from lengthwise.online.service import BATCH, Service


def asked(id, word=22):
    return Query(str(id), [word, 5, 6], "", 256)


@pytest.fixture
def wait_for(until):
    """``wait_for(client, n)``: n predictions, by request id."""

    def wait(client, n):
        found = {}
        until(lambda: found.update(client.ready()) or len(found) >= n)
        return found

    return wait


@pytest.fixture(scope="module")
def start(served, saved):
    return Serve(served, saved)


@pytest.fixture
def clock():
    """Stands still until a test moves it."""
    return SimpleNamespace(now=0.0)


@pytest.fixture
def client(start, clock, until):
    client = Client(lambda: Child(lambda: start, SCORING), timeout=1.0, clock=lambda: clock.now)
    until(lambda: client.ready() or client.up)
    yield client
    client.close()


def alive(pid):
    """Whether there is such a process; what nobody waits for yet is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_requests_are_scored_and_after_a_crash_or_a_stop_again(
    client, clock, caplog, until, wait_for
):
    for i in range(3 * BATCH):
        client.submit(asked(i, 11 if i % 2 else 22))
    found = wait_for(client, 3 * BATCH)
    assert all(found[str(i + 1)] < found[str(i)] for i in range(0, 3 * BATCH, 2))
    first = client.child.pid
    assert os.getpriority(os.PRIO_PROCESS, first) == os.getpriority(os.PRIO_PROCESS, 0)

    os.kill(first, signal.SIGKILL)
    until(lambda: client.ready() or client.restarts == 1)
    assert "status -9" in caplog.text
    client.submit(asked("after a crash"))
    assert list(wait_for(client, 1)) == ["after a crash"]

    second = client.child.pid
    os.kill(second, signal.SIGSTOP)
    for i in range(200):
        client.submit(Query(str(i), list(range(5000)), "", 256))
    # More than the pipe can hold for a process that is stuck: yet the call comes back.
    assert client.ready() == []
    assert client.child.unsent > 0
    clock.now += 1.0
    assert client.ready() == []
    clock.now += 0.1
    assert {id for id, _ in client.ready()} == {str(i) for i in range(WINDOW)}
    assert client.restarts == 2
    assert "silent" in caplog.text
    until(lambda: not alive(second))
    # What was under way is lost, what was behind it is scored by the next one.
    assert len(wait_for(client, 200 - WINDOW)) == 200 - WINDOW


def test_it_knows_no_vllm_and_ends_with_the_engine(start, until):
    code = (
        "import signal, sys, time; from lengthwise.online.process import SCORING, Child\n"
        "from lengthwise.online.messages import Serve\n"
        f"child = Child(lambda: Serve({start.model!r}, {start.probe!r}), SCORING)\n"
        "while not child.received(): time.sleep(0.02)\n"
        "import lengthwise.online.service\n"
        "assert 'vllm' not in sys.modules\n"
        "print(child.pid, flush=True); signal.pause()"
    )
    engine = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    with engine:
        pid = int(engine.stdout.readline())
        assert alive(pid)
        engine.kill()
    until(lambda: not alive(pid))


def test_what_keeps_it_from_starting_is_said(start, until):
    """By a process that says that much and ends."""
    last_words = pickle.dumps(Stopped("UserError: no trained predictors")).hex()
    code = (
        "import sys; from multiprocessing.connection import Connection\n"
        f"Connection(int(sys.argv[1])).send_bytes(bytes.fromhex('{last_words}'))"
    )
    child = Child(lambda: start, (sys.executable, "-c", code))
    assert until(lambda: child.ended) == "UserError: no trained predictors"
    child.join()


def test_a_folder_without_predictors_is_refused_at_once(served, tmp_path):
    with pytest.raises(UserError, match="no trained predictors"):
        Service(Serve(served, str(tmp_path)), lambda message: None)


def test_a_command_that_is_not_there_is_an_end_too(start, until):
    child = Child(lambda: start, ("/no/such/python",))
    assert "cannot be started" in until(lambda: child.ended)


@pytest.fixture
def service(start):
    said = []
    return Service(start, said.append), said, queue.SimpleQueue()


def test_what_piled_up_is_one_batch_but_not_more(service):
    serving, said, inbox = service
    for i in range(BATCH + 2):
        inbox.put(asked(i))
    serving.turn(inbox)
    serving.turn(inbox)
    assert [type(message) for message in said] == [Note, Scored, Scored]
    assert [len(message.ids) for message in said[1:]] == [BATCH, 2]
