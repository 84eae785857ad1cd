from pathlib import Path

import pytest

from lengthwise.errors import UserError
from lengthwise.models.fingerprint import fingerprint
from lengthwise.online.folder import learned_folder, usable, write_whole


@pytest.fixture
def home(monkeypatch, tmp_path):
    """A user whose home is tmp_path, and who has set nothing."""
    for name in ("LENGTHWISE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_it_is_named_by_the_model_in_the_users_cache(home, served, monkeypatch):
    name = fingerprint(served)
    assert learned_folder(served) == home / ".cache/lengthwise/learned" / name
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert learned_folder(served) == Path("/caches/lengthwise/learned") / name
    monkeypatch.setenv("LENGTHWISE_CACHE", "/mine")
    assert learned_folder(served) == Path("/mine/learned") / name
    assert list(home.iterdir()) == []


def test_a_folder_that_is_given_is_taken(served):
    assert learned_folder(served, "given") == Path("given")


def test_a_strange_model_name_is_one_folder(home, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text('{"model_type": "../../up"}')
    folder = learned_folder(str(tmp_path / "model"))
    assert folder.parent == home / ".cache/lengthwise/learned"
    assert ".." not in folder.parts


def test_without_a_home_one_must_be_named(home, served, monkeypatch):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(UserError, match="LENGTHWISE_CACHE"):
        learned_folder(served)


def test_a_usable_folder_is_made_for_its_user_alone(tmp_path):
    folder = tmp_path / "a" / "b"
    assert usable(folder) is None
    assert folder.stat().st_mode & 0o777 == 0o700
    assert list(folder.iterdir()) == []
    assert usable(folder) is None


def test_an_unusable_folder_says_why(tmp_path):
    (tmp_path / "file").write_text("")
    assert "Not a directory" in usable(tmp_path / "file" / "below")
    assert str(tmp_path) in usable(tmp_path / "file")


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "below" / "file"
    write_whole(path, b"old")
    path.unlink()
    path.mkdir()
    with pytest.raises(OSError, match="directory"):
        write_whole(path, b"new")
    assert list(path.parent.iterdir()) == [path]
