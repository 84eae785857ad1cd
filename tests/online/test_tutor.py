"""The engine's side of the learning process: with processes as tests want them, then real ones."""

import logging
import os
import signal
from dataclasses import replace
from types import SimpleNamespace

import pytest

from lengthwise.online import tutor as module
from lengthwise.online.acting import write_acting
from lengthwise.online.folder import learned_folder
from lengthwise.online.messages import Acts, Note, Steps
from lengthwise.online.options import Learning
from lengthwise.online.process import LEARNING, Child
from lengthwise.online.tutor import BACKLOG, Pupil, Tutor
from lengthwise.sim.setup import Setup

pytestmark = pytest.mark.learns

SETUP = Setup(seats=4, budget=256, blocks=2000)


class Process:
    """A learning process as the tutor sees it; tests decide what it does."""

    def __init__(self, first):
        self.first, self.sent, self.inbox, self.ended = first, [], [], None
        self.unsent, self.pid, self.killed = 0, 1, False

    def send(self, message):
        self.sent.append(message)

    def received(self):
        inbox, self.inbox = self.inbox, []
        return inbox

    def kill(self):
        self.killed = True

    def join(self):
        pass


@pytest.fixture
def pupil(served, tmp_path):
    return Pupil(served, Learning(folder=str(tmp_path / "kept")), "lengthwise", SETUP)


@pytest.fixture
def world(pupil):
    started, clock = [], SimpleNamespace(now=0.0)

    def begin(first):
        started.append(Process(first))
        return started[-1]

    tutor = Tutor(pupil, begin, lambda: clock.now)
    return SimpleNamespace(tutor=tutor, started=started, clock=clock)


def test_the_first_finished_request_starts_the_process(world, outcomes):
    assert world.started == []
    assert world.tutor.news() == []
    one, two = outcomes(2)
    world.tutor.finished(one)
    world.tutor.finished(two)
    world.tutor.steps(Steps([(1, 2, 3, 0.1)]))
    (process,) = world.started
    assert process.sent == [one, two, Steps([(1, 2, 3, 0.1)])]
    first = process.first()
    assert (first.model, first.policy, first.setup) == (
        world.tutor._pupil.model,
        "lengthwise",
        SETUP,
    )


def test_where_a_version_acted_before_it_starts_at_once(pupil, world):
    write_acting(pupil.folder(), {"prompt": 3})
    started = []
    Tutor(pupil, lambda first: started.append(Process(first)) or started[-1])
    assert len(started) == 1


def test_what_acts_is_handed_on_and_lines_go_to_the_log(world, outcomes, caplog):
    world.tutor.finished(outcomes(1)[0])
    acts = Acts("prompt", 2, None)
    world.started[0].inbox = [Note("a line\n\x1b[31m"), acts]
    with caplog.at_level(logging.INFO):
        assert world.tutor.news() == [acts]
    assert r"a line\n\x1b[31m" in caplog.text
    assert world.tutor.counters.acting == {"prompt": 2, "probe": 0}


def test_a_killed_process_is_one_line_and_its_successor_knows_what_acts(world, outcomes, caplog):
    one, two, three = outcomes(3)
    world.tutor.finished(one)
    acts = Acts("prompt", 2, None)
    world.started[0].inbox = [acts]
    world.tutor.news()
    world.started[0].ended = "it ended with status -9"
    assert world.tutor.news() == []
    world.tutor.finished(two)
    assert len(world.started) == 1, "not at once"
    assert world.tutor.counters.untold == 1
    world.clock.now += module.PAUSE_S
    world.tutor.finished(three)
    assert world.started[1].sent == [three]
    assert world.started[1].first().acting == (acts,)
    assert [record.getMessage().count("status -9") for record in caplog.records] == [1]


def test_one_that_ends_again_and_again_is_started_less_and_less(world, outcomes):
    (one,) = outcomes(1)
    for _ in range(2000):
        world.tutor.finished(one)
        if world.tutor._child is not None:
            world.started[-1].ended = "it ended with status 1"
        world.tutor.news()
        world.clock.now += 1.0
    assert 8 <= len(world.started) <= 16
    world.clock.now += module.LONGEST_PAUSE_S
    world.tutor.finished(one)
    world.clock.now += module.SETTLED_S + 1
    world.started[-1].ended = "it ended with status -9"
    world.tutor.news()
    before = len(world.started)
    world.clock.now += module.PAUSE_S
    world.tutor.finished(one)
    assert len(world.started) == before + 1, "one that worked for a while is started soon"


def test_what_is_not_sent_yet_is_bounded(world, outcomes):
    one, two = outcomes(2)
    world.tutor.finished(one)
    world.started[0].unsent = BACKLOG
    world.tutor.finished(two)
    assert world.started[0].sent == [one]
    assert world.tutor.counters.untold == 1


def test_a_folder_that_cannot_be_written_is_one_line(world, outcomes, tmp_path, caplog):
    (tmp_path / "kept").write_text("in the way")
    world.tutor.finished(outcomes(1)[0])
    spare = world.started[0].first().folder
    assert world.started[0].first().folder == spare != str(tmp_path / "kept")
    assert [record.getMessage().count("is not kept") for record in caplog.records] == [1]
    world.tutor.close()
    assert not os.path.exists(spare)


def test_engines_of_one_model_do_not_share_a_folder(pupil, served):
    (pupil.folder()).mkdir(parents=True)
    one, two = (Tutor(pupil, Process) for _ in range(2))
    first, second = (tutor._first(()).folder for tutor in (one, two))
    assert first == str(pupil.folder())
    assert second == str(pupil.folder() / "engine-2")
    one.close()
    assert Tutor(pupil, Process)._first(()).folder == first, "free again"
    two.close()


def test_ranks_have_folders_of_their_own(pupil):
    assert replace(pupil, rank=2).folder() == pupil.folder() / "rank-2"


def test_without_a_folder_it_is_the_models_in_the_cache(pupil, monkeypatch, tmp_path):
    monkeypatch.setenv("LENGTHWISE_CACHE", str(tmp_path / "cache"))
    plain = replace(pupil, options=Learning())
    assert plain.folder() == learned_folder(pupil.model)
    assert plain.folder().is_relative_to(tmp_path / "cache")


def test_a_real_process_learns_at_low_priority_and_goes_on_after_a_kill(
    pupil, outcomes, monkeypatch, until
):
    monkeypatch.setattr(module, "PAUSE_S", 0.0)
    options = replace(pupil.options, kind="ngrams", first=40, judges=20, held_back=0.2, every=1000)
    tutor = Tutor(replace(pupil, options=options), lambda first: Child(first, LEARNING))
    news = []
    for each in outcomes(60):
        tutor.finished(each)
    tutor.steps(Steps([(10, 1 + i % 4, 50 + i, 0.02 + 0.001 * (i % 4)) for i in range(80)]))
    pid = until(lambda: tutor.pid)
    until(lambda: os.getpriority(os.PRIO_PROCESS, pid) == 19)
    versions = pupil.folder()
    until(lambda: news.extend(tutor.news()) or list(versions.glob("version-*")))
    os.kill(pid, signal.SIGKILL)
    until(lambda: tutor.news() is not None and tutor._child is None)
    for i, each in enumerate(outcomes(60, seed=1)):
        tutor.finished(replace(each, arrival=float(i)))
    tutor.steps(Steps([(10, 1 + i % 4, 50 + i, 0.02 + 0.001 * (i % 4)) for i in range(80)]))
    assert tutor.counters.starts == 2
    acts = until(lambda: news.extend(tutor.news()) or news)
    assert acts[0].role == "prompt"
    assert acts[0].predictor.kind == "ngrams"
    second = tutor.pid
    tutor.close()
    until(lambda: not os.path.exists(f"/proc/{second}"))
