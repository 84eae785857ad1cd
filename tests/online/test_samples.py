from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lengthwise.core.query import Query
from lengthwise.online import samples as module
from lengthwise.online.messages import Finished
from lengthwise.online.options import Learning
from lengthwise.online.samples import LONGEST, Samples
from lengthwise.online.states import States

OPTIONS = Learning(uniform=40, recent=20, held_back=0.3)


class Told(list):
    def __call__(self, line):
        self.append(line)


def finished(i, prompt=None, states=None):
    ids = [i, i + 1, 7] if prompt is None else prompt
    return Finished(Query(str(i), ids, "", 64), 5 + i % 9, i % 4 == 0, 3.5, float(i), 2, states)


def states(n=4, layers=(3, -1), d=8, seed=0):
    values = np.random.default_rng(seed).normal(size=(n, len(layers), d)).astype(np.float16)
    return States(layers, np.arange(n, dtype=np.int64), values)


def make(folder=None, options=OPTIONS, told=None, now=100.0):
    return Samples(options, folder, Told() if told is None else told, lambda: now)


def same(one, other):
    a, b = one.whole(), other.whole()
    assert replace(a, states=None) == replace(b, states=None)
    assert (a.states is None) == (b.states is None)
    if a.states is not None:
        assert a.states.layers == b.states.layers
        np.testing.assert_array_equal(a.states.ages, b.states.ages)
        np.testing.assert_array_equal(a.states.values, b.states.values)
    assert (one.number, one.seconds, one.held_back) == (
        other.number,
        other.seconds,
        other.held_back,
    )


def test_a_sample_is_what_finished():
    kept = make()
    there = finished(3, states=states())
    sample = kept.add(there)
    assert sample.whole() == there
    assert sample.whole(states=False) == replace(there, states=None)


@given(st.integers(0, 200))
def test_memory_is_bounded_and_what_is_held_back_is_never_learned_from(n):
    kept = make()
    held_back = {
        sample.number for sample in map(kept.add, map(finished, range(n))) if sample.held_back
    }
    learned = kept.learned_from()
    assert len(learned) <= OPTIONS.uniform + OPTIONS.recent
    assert not held_back & {sample.number for sample in learned}
    assert [each.number for each in learned] == sorted(each.number for each in learned)
    assert kept.seen == n


def test_states_are_bounded_in_bytes():
    size = states().nbytes
    options = replace(OPTIONS, mib=1, positions=4, recent=5000)
    kept = make(options=options)
    for i in range(2**20 // size + 3000):
        kept.add(finished(i, states=states()))
    total = sum(each.finished.states.nbytes for each in kept._stateful.items())
    assert 2**19 < total <= 2**20


def test_what_a_version_has_not_learned_from():
    now = [1000.0]
    kept = Samples(OPTIONS, None, Told(), lambda: now[0])
    for i in range(10):
        kept.add(finished(i))
    now[0] = 5000.0
    for i in range(10, 20):
        kept.add(finished(i))
    late = kept.unseen(15, 3600.0, states=False)
    assert {16, 17, 18, 19, 20} <= {each.number for each in late}
    assert all(each.number > 15 for each in late if not each.held_back)
    assert {each.number for each in late if each.held_back} >= {
        each.number for each in kept._prompts.latest() if each.held_back and each.number > 10
    }
    assert all(each.number > 10 for each in late), "what is held back counts for an hour"


def test_a_prompt_that_is_too_long_is_left_out():
    kept = make()
    assert kept.add(finished(1, prompt=[5] * (LONGEST + 1))) is None
    assert kept.add(finished(1, prompt=[5] * LONGEST)) is not None


def test_one_version_is_learned_from_so_many_tokens_at_most(monkeypatch):
    monkeypatch.setattr(module, "FIT_TOKENS", 30)
    kept = make()
    for i in range(40):
        kept.add(finished(i))
    learned = kept.learned_from()
    assert 0 < sum(each.prompt_tokens for each in learned) <= 30
    assert learned[-1].number > 30, "the latest"


def test_a_restart_goes_on_with_what_is_on_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_SAVE_S", 0.0)
    before = make(tmp_path)
    for i in range(12):
        before.add(finished(i, states=states(seed=i) if i % 3 == 0 else None))
        before.save()
    after = make(tmp_path)
    after.resume()
    assert after.seen == 12
    for one, other in zip(before._prompts.items(), after._prompts.items(), strict=True):
        same(one, other)
    for one, other in zip(before._stateful.items(), after._stateful.items(), strict=True):
        same(one, other)


def test_a_damaged_file_costs_a_line_and_no_more(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_SAVE_S", 0.0)
    before = make(tmp_path)
    for i in range(6):
        before.add(finished(i, states=states()))
        before.save()
    (tmp_path / "shard-00001.json").write_text("[{}]")
    (tmp_path / "shard-00003.safetensors").write_bytes(b"no")
    told = Told()
    after = make(tmp_path, told=told)
    after.resume()
    assert {each.number for each in after._prompts.items()} == {1, 3, 5, 6}
    assert len(told) == 2


def test_disk_is_bounded_and_the_newest_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_SAVE_S", 0.0)
    kept = make(tmp_path, replace(OPTIONS, mib=1))
    wide = states(n=24, d=2048)
    for i in range(20):
        kept.add(finished(i, states=wide))
        kept.save()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 2**20 + 2 * wide.nbytes
    after = make(tmp_path)
    after.resume()
    assert after.seen == 20


def test_a_full_disk_costs_a_line(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "_SAVE_S", 0.0)
    monkeypatch.setattr("lengthwise.answers.files.save_file", full)
    told = Told()
    kept = make(tmp_path, told=told)
    for i in range(5):
        kept.add(finished(i))
        kept.save()
    assert len(told) == 1
    assert "No space left" in told[0]
    assert len(kept.learned_from()) > 0


@pytest.mark.parametrize("predicted", [None, 4.0])
def test_a_request_without_a_prediction_is_kept_too(predicted, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_SAVE_S", 0.0)
    kept = make(tmp_path)
    kept.add(replace(finished(1), predicted=predicted))
    kept.save()
    after = make(tmp_path)
    after.resume()
    assert [each.finished.predicted for each in after._prompts.items()] == [predicted]
