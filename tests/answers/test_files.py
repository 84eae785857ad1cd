"""Finished answers on disk: soon, whole, and found again."""

import numpy as np
import pytest

from lengthwise.answers.files import SHARD, Shards, finished_ids, read_shards
from lengthwise.errors import UserError


class Clock:
    """Seconds that pass only when a test says so."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def finish(shards, number):
    row = {"id": f"p:{number}", "prompt_ids": [1], "output_tokens": 2, "censored": False}
    shards.add(row, np.arange(2), np.full((2, 1, 4), number), np.full((1, 4), number))


def saved(folder):
    """Ids on disk, as a run after a kill would find them."""
    return finished_ids(folder)


def test_a_finished_answer_waits_no_longer_than_it_may(tmp_path, clock):
    shards = Shards(tmp_path, 5.0, clock)
    finish(shards, 0)
    clock.now = 4.0
    finish(shards, 1)
    shards.save_if_due()
    assert saved(tmp_path) == []
    clock.now = 5.0
    shards.save_if_due()
    assert saved(tmp_path) == ["p:0", "p:1"]
    # The next one's wait begins when it finishes, not when others were saved.
    clock.now = 90.0
    finish(shards, 2)
    shards.save_if_due()
    clock.now = 94.9
    shards.save_if_due()
    assert saved(tmp_path) == ["p:0", "p:1"]
    clock.now = 95.0
    shards.save_if_due()
    assert saved(tmp_path) == ["p:0", "p:1", "p:2"]


def test_many_are_saved_at_once_however_soon(tmp_path, clock):
    shards = Shards(tmp_path, 5.0, clock)
    for number in range(SHARD):
        shards.save_if_due()
        assert saved(tmp_path) == []
        finish(shards, number)
    shards.save_if_due()
    assert len(saved(tmp_path)) == SHARD


def test_nothing_finished_makes_no_file(tmp_path, clock):
    shards = Shards(tmp_path, 0.0, clock)
    shards.save_if_due()
    shards.save()
    assert list(tmp_path.iterdir()) == []


def test_arrays_come_back_with_their_rows(tmp_path, clock):
    shards = Shards(tmp_path, 0.0, clock)
    for number in range(3):
        finish(shards, number)
        shards.save_if_due()
    found = read_shards(tmp_path)
    assert [row["id"] for row, _ in found] == ["p:0", "p:1", "p:2"]
    assert [arrays["mean"][0, 0] for _, arrays in found] == [0, 1, 2]


def test_what_a_kill_left_half_written_does_not_count_and_is_written_over(tmp_path, clock):
    (tmp_path / "shard-00000.safetensors").write_bytes(b"half")
    (tmp_path / "shard-00000.partial").write_text("[{")
    assert saved(tmp_path) == []
    shards = Shards(tmp_path, 0.0, clock)
    finish(shards, 0)
    shards.save_if_due()
    assert [row["id"] for row, _ in read_shards(tmp_path)] == ["p:0"]


@pytest.mark.parametrize("rows", ["{", "[3]", '{"id": 1}', '[{"id": "p:1"}]'])
def test_a_damaged_shard_is_named(tmp_path, rows):
    (tmp_path / "shard-00000.json").write_text(rows)
    with pytest.raises(UserError, match=r"shard-00000\.json cannot be read .*: delete that shard"):
        finished_ids(tmp_path)
