import pytest

from lengthwise.bench.scoring import _until_up
from lengthwise.errors import UserError
from lengthwise.online.client import RESTARTS, Client
from lengthwise.vllm.arrivals import HandedOnPredictor, ProcessPredictor


class Ended:
    """A process that ends as soon as it is started."""

    ended, unsent = "it ended with status 1", 0

    def received(self):
        return []


def test_a_process_that_does_not_start_is_said(caplog, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    started = []

    def begin():
        started.append(Ended())
        return started[-1]

    with pytest.raises(UserError, match="does not start"):
        _until_up(HandedOnPredictor(ProcessPredictor(Client(begin, 10.0))))
    assert len(started) == RESTARTS + 1
    assert "not started any more" in caplog.text
