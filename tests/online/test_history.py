import os

import pytest

from lengthwise.online import history
from lengthwise.online.history import Decision, History, read

ACTS = Decision("acts", "prompt", 3, "version 3 acts", requests=60, pairs_right=0.7, seconds=1.5)


@pytest.fixture
def now():
    return [0.0]


@pytest.fixture
def told():
    return []


@pytest.fixture
def kept(tmp_path, now, told):
    return History(tmp_path / "learned", lambda: now[0], told.append)


def test_decisions_come_back_with_their_time(tmp_path, kept, now, told):
    kept.add(ACTS)
    now[0] = 86_400.0
    kept.add(Decision("starts", None, None, "learning starts"))
    first, second = read(tmp_path / "learned")
    assert (first.event, first.role, first.version, first.pairs_right) == ("acts", "prompt", 3, 0.7)
    assert second.time.isoformat() == "1970-01-02T00:00:00+00:00"
    line = (tmp_path / "learned" / "history.jsonl").read_text().splitlines()[1]
    assert line.startswith('{"time":"1970-01-02T00:00:00Z","event":"starts"')
    assert "pairs_right" not in line
    assert told == []


def test_there_is_none_where_nothing_was_decided(tmp_path):
    assert read(tmp_path) == []


@pytest.mark.parametrize("damage", [b"\xff\xfe\n", b"[1]\n", b'{"event": 3}\n', b'{"event": "ac'])
def test_damaged_lines_are_skipped(tmp_path, kept, damage):
    kept.add(ACTS)
    path = tmp_path / "learned" / "history.jsonl"
    path.write_bytes(path.read_bytes() + damage)
    kept.add(ACTS)
    assert [each.event for each in read(tmp_path / "learned")] == ["acts", "acts"]


def test_its_size_is_bounded(tmp_path, kept, monkeypatch):
    monkeypatch.setattr(history, "MOST", 1000)
    for number in range(50):
        kept.add(Decision("acts", "prompt", number, "version"))
    folder = tmp_path / "learned"
    assert {path.name for path in folder.iterdir()} == {"history.jsonl", "history.1.jsonl"}
    assert sum(path.stat().st_size for path in folder.iterdir()) < 2500
    found = [each.version for each in read(folder)]
    assert found == list(range(found[0], 50))


def test_what_cannot_be_written_is_said_once_a_minute(tmp_path, now, told):
    (tmp_path / "file").write_text("")
    kept = History(tmp_path / "file" / "below", lambda: now[0], told.append)
    for now[0] in (0.0, 30.0, 59.0, 61.0, 20.0):  # set back at the end
        kept.add(ACTS)
    assert len(told) == 3
    assert "history.jsonl cannot be written" in told[0]
    assert os.path.getsize(tmp_path / "file") == 0
