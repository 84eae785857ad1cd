import random
import zipfile

import pytest

from lengthwise.errors import UserError
from lengthwise.online import archive
from lengthwise.online.archive import export, take_in
from lengthwise.online.version import Judged
from lengthwise.online.versions import Versions


@pytest.fixture
def ours(versions_in, tmp_path):
    return versions_in(tmp_path / "ours")


@pytest.fixture
def theirs(versions_in, tmp_path):
    """Another replica's versions; they have more of them."""
    return versions_in(tmp_path / "theirs", 4)


@pytest.fixture
def file(theirs, tmp_path):
    theirs.judge(3, Judged(60, 0.7, 0.65, 0.75, 0.5, 12.5))
    export(theirs, [3, 4], tmp_path / "learned.zip")
    return tmp_path / "learned.zip"


def repacked(file, change):
    """The archive written again; ``change`` gives a file's new name and content."""
    changed = file.with_name("changed.zip")
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(changed, "w") as new:
        for member in old.infolist():
            new.writestr(*change(member.filename, old.read(member)))
    return changed


def test_versions_come_over_under_new_numbers_and_unproven(ours, file):
    added = take_in(ours, file)
    assert [(old, new.number) for old, new in added] == [(3, 3), (4, 4)]
    found = ours.all()
    assert [each.number for each in found] == [1, 2, 3, 4]
    assert [(each.judged, each.acted) for each in found[2:]] == [(None, None)] * 2
    assert found[3].learned == 200
    assert ours.load(4).score([22, 5]) == ours.load(2).score([22, 5])
    assert ours.acting() == {"prompt": 2}


def test_one_of_them_may_be_meant(ours, file):
    assert [new.number for _, new in take_in(ours, file, only=4)] == [3]
    with pytest.raises(UserError, match="holds no version 7"):
        take_in(ours, file, only=7)


def test_another_models_are_refused(tmp_path, file):
    other = Versions(tmp_path / "other", "another-2x8-0", print)
    with pytest.raises(UserError, match="belongs to model") as refused:
        take_in(other, file)
    assert str(file) in str(refused.value)
    assert other.all() == []


def test_what_leads_out_of_the_folder_is_not_read(ours, file, tmp_path):
    def out(name, content):
        return f"../{name}", content

    before = sorted(path for path in tmp_path.rglob("*"))
    with pytest.raises(UserError, match="holds no version"):
        take_in(ours, repacked(file, out))
    assert sorted(path for path in tmp_path.rglob("*")) == sorted(
        [*before, tmp_path / "changed.zip"]
    )


def test_other_files_in_it_are_not_read(ours, file):
    with zipfile.ZipFile(file, "a") as opened:
        opened.writestr("version-000003/run.py", "boom")
        opened.writestr("/etc/version-000003/version.json", "{")
    take_in(ours, file)
    assert {path.name for path in (ours.folder / "version-000003").iterdir()} == {
        "version.json",
        "predictors.json",
        "prompt.safetensors",
    }


def test_what_is_too_large_is_refused_before_it_is_unpacked(ours, file):
    def swell(name, content):
        return name, b" " * 2**21 if name.endswith("version.json") else content

    with pytest.raises(UserError, match="larger than a version's"):
        take_in(ours, repacked(file, swell))


def test_so_are_too_many(ours, file, monkeypatch):
    monkeypatch.setattr(archive, "_MOST", 1)
    with pytest.raises(UserError, match="more than 1 versions"):
        take_in(ours, file)


def test_a_damaged_archive_is_one_line_and_adds_nothing(ours, file, tmp_path):
    content = file.read_bytes()
    draw = random.Random(0)
    damaged = tmp_path / "damaged.zip"
    for _ in range(60):
        spoiled = bytearray(content)
        for _ in range(20):
            spoiled[draw.randrange(len(spoiled))] = draw.randrange(256)
        cut = draw.choice([len(spoiled), draw.randrange(len(spoiled))])
        damaged.write_bytes(bytes(spoiled[:cut]))
        added, said = try_to_take(ours, damaged)
        assert "\n" not in said
        assert [each.number for each in ours.all()] == [1, 2, *added]
        for number in added:
            ours.delete(number)


def try_to_take(versions, file):
    """The new numbers, and what was said if there are none."""
    try:
        return [new.number for _, new in take_in(versions, file)], ""
    except UserError as error:
        return [], str(error)


def test_an_archive_that_cannot_be_written_leaves_nothing(theirs, tmp_path):
    target = tmp_path / "learned.zip"
    with pytest.raises(UserError, match="no version 9"):
        export(theirs, [3, 9], target)
    assert {path.name for path in tmp_path.iterdir()} == {"theirs"}
