import json
import math
import resource
import threading
from dataclasses import replace

import pytest

from lengthwise.errors import UserError
from lengthwise.online.orders import Orders
from lengthwise.online.version import Judged, Version
from lengthwise.online.versions import KEPT, Versions, acting_layer
from lengthwise.predictors.store import Packed

MODEL = "llama-1x4-0"
JUDGED = Judged(60, 0.7, 0.65, 0.75, 0.5, 12.5, (3.0, 4.5), (2.0, 9.0))


@pytest.fixture(scope="module")
def predictor(fitted):
    return fitted()


@pytest.fixture
def told():
    return []


@pytest.fixture
def now():
    """The clock's hand: a list of one number."""
    return [1000.0]


@pytest.fixture
def versions(tmp_path, told, now):
    return Versions(tmp_path / "learned", MODEL, told.append, clock=lambda: now[0])


@pytest.fixture
def save(versions, predictor):
    """``save(number, ...)``: a version of the n-grams, whatever role it is said to have."""

    def save(number, role="prompt", **changes):
        version = Version(number, role, "ngrams", 5.0, 200, 0.5, **changes)
        versions.save(version, predictor)
        return version

    return save


def numbers(versions):
    return [each.number for each in versions.all()]


def test_there_are_none_in_a_folder_that_is_not_there(versions, told):
    assert versions.all() == []
    assert versions.acting() == {}
    assert versions.orders() == Orders()
    assert versions.next_number() == 1
    assert acting_layer(versions.folder) is None
    assert told == []
    assert not versions.folder.exists()


def test_a_version_comes_back_as_it_was(versions, save, predictor):
    version = save(3, judged=JUDGED)
    assert versions.all() == [version]
    assert versions.load(3).score([22, 5]) == pytest.approx(predictor.score([22, 5]), abs=1e-2)
    assert versions.next_number() == 4
    assert (versions.folder.stat().st_mode & 0o777) == 0o700


def test_one_that_cannot_be_read_is_skipped_with_one_line(versions, save, told):
    for number in range(1, 6):
        save(number)
    folder = versions.folder
    (folder / "version-000002" / "prompt.safetensors").write_bytes(b"cut")
    (folder / "version-000003" / "version.json").write_text('{"number": 3}')
    (folder / "version-000004" / "predictors.json").write_text("[1]")
    (folder / "version-000005" / "predictors.json").unlink()
    assert numbers(versions) == numbers(versions) == [1]
    assert [line.split(" is skipped")[0] for line in told] == [f"version {n}" for n in (2, 3, 4, 5)]
    for number in range(2, 7):
        with pytest.raises(UserError):
            versions.load(number)


def test_one_of_another_model_is_skipped(versions, save, told):
    save(1)
    other = Versions(versions.folder, "another-2x8-0", told.append)
    assert other.all() == []
    assert "belongs to model llama-1x4-0" in told[0]
    assert other.next_number() == 2


def test_a_predictor_that_does_not_fit_its_role_is_refused(versions, save):
    save(1, role="probe", layer=2)
    with pytest.raises(UserError, match="no predictor of that role"):
        versions.load(1)


def test_one_whose_writing_is_killed_does_not_count(versions, save, monkeypatch):
    class KilledError(BaseException):
        pass

    def die(*_):
        raise KilledError

    save(1)
    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.rename", die)
        with pytest.raises(KilledError):
            save(2)
    assert numbers(versions) == [1]
    save(2)
    assert numbers(versions) == [1, 2]


def test_what_a_killed_writer_left_goes_with_the_next_version(versions, save, now):
    save(1)
    left = versions.folder / ".version-000002.1.partial"
    left.mkdir()
    now[0] = left.stat().st_mtime + 10
    save(2)
    assert left.exists()
    now[0] += 7200
    save(3)
    assert not left.exists()


def test_a_full_disk_is_an_error_and_leaves_nothing(versions, save):
    save(1)
    before = sorted(versions.folder.iterdir())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError):  # noqa: PT011 (whatever the system says)
            save(2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sorted(versions.folder.iterdir()) == before


def test_a_number_is_taken_once(versions, save):
    save(1)
    with pytest.raises(FileExistsError):
        save(1)


def test_the_last_of_each_role_are_kept_and_what_acts_or_is_pinned(versions, save):
    for number in (1, 2, 3):
        save(number)
    save(4, role="probe", layer=1)
    versions.act("prompt", 1)
    versions.order(Orders().pin("prompt", 3))
    for number in range(5, 12):
        save(number)
    assert numbers(versions) == [1, 3, 4, *range(12 - KEPT, 12)]


def test_numbers_are_not_used_again(versions, save):
    save(1)
    versions.act("prompt", 1)
    versions.order(Orders().bar(7))
    versions.delete(1)
    assert numbers(versions) == []
    assert versions.next_number() == 8


def test_judging_changes_nothing_else(versions, save):
    version = save(1)
    versions.judge(1, JUDGED)
    (found,) = versions.all()
    assert found.judged == JUDGED
    assert found.made == version.made
    with pytest.raises(UserError, match="no version 2"):
        versions.judge(2, JUDGED)


@pytest.mark.parametrize("off", [{"low": math.nan}, {"predicted": (1.0, math.inf)}])
def test_figures_that_are_no_numbers_leave_the_version_as_it_was(versions, save, off):
    version = save(1)
    with pytest.raises(UserError, match="no numbers"):
        versions.judge(1, replace(JUDGED, **off))
    assert versions.all() == [version]


def test_what_acts_is_noted_for_each_role(versions, save, now):
    save(1)
    save(2, role="probe", layer=7)
    versions.act("prompt", 1)
    versions.act("probe", 2)
    assert versions.acting() == {"prompt": 1, "probe": 2}
    assert acting_layer(versions.folder) == 7
    assert versions.read(1).acted == now[0]
    versions.act("probe", None)
    assert versions.acting() == {"prompt": 1}
    assert acting_layer(versions.folder) is None
    assert json.loads((versions.folder / "acting.json").read_text()) == {"prompt": 1, "probe": None}


def test_the_one_before_is_what_acted_last_and_may_act(versions, save, now):
    for number in (1, 2, 3, 4):
        save(number)
    assert versions.previous("prompt") is None
    for number in (1, 3, 4):
        now[0] += 1
        versions.act("prompt", number)
    assert versions.previous("prompt") == 3
    versions.order(Orders().bar(3))
    assert versions.previous("prompt") == 1
    assert versions.previous("probe") is None


def test_the_candidate_is_the_newest_if_it_may_act_and_never_did(versions, save):
    assert versions.candidate("prompt") is None
    save(1)
    save(2, role="probe", layer=1)
    assert (versions.candidate("prompt"), versions.candidate("probe")) == (1, 2)
    versions.act("prompt", 1)
    assert versions.candidate("prompt") is None
    versions.order(Orders().bar(2))
    assert versions.candidate("probe") is None
    save(3)
    assert versions.candidate("prompt") == 3


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"pinned": {"tail": 3}}', '{"barred": "x"}'])
def test_damaged_orders_are_none_at_all(versions, told, content):
    versions.order(Orders().pin("prompt", 3).bar(4))
    assert versions.orders() == Orders({"prompt": 3}, frozenset({4}))
    (versions.folder / "orders.json").write_text(content)
    assert versions.orders() == versions.orders() == Orders()
    assert len(told) == 1


@pytest.mark.parametrize("content", ["", "[1]", '{"prompt": "x"}', '{"tail": 3}'])
def test_a_damaged_note_of_what_acts_says_that_nothing_does(versions, save, told, content):
    save(1)
    (versions.folder / "acting.json").write_text(content)
    assert versions.acting() == versions.acting() == {}
    assert len(told) == 1
    versions.act("prompt", 1)
    assert versions.acting() == {"prompt": 1}


def test_orders_change_as_they_are_given():
    orders = Orders().bar(3, 4).pin("prompt", 3).pin("probe", 0)
    assert orders == Orders({"prompt": 3, "probe": 0}, frozenset({4}))
    assert orders.unpin("probe") == Orders({"prompt": 3}, frozenset({4}))
    assert orders.bar(3) == Orders({"probe": 0}, frozenset({3, 4}))


def test_readers_see_whole_files_while_one_writes(versions, save):
    save(1)
    save(2)
    done = threading.Event()

    def read():
        while not done.is_set():
            assert versions.acting().get("prompt") in (None, 1, 2)
            assert numbers(versions) == [1, 2]

    failed = []

    def reader():
        try:
            read()
        except AssertionError as error:
            failed.append(error)

    thread = threading.Thread(target=reader)
    thread.start()
    for i in range(50):
        versions.act("prompt", 1 + i % 2)
    done.set()
    thread.join()
    assert failed == []


def test_a_version_is_what_the_predictor_was(versions, save, predictor):
    save(1)
    loaded, kept = Packed.of(versions.load(1)), Packed.of(predictor)
    assert (loaded.kind, loaded.settings) == (kept.kind, kept.settings)
