from lengthwise.online.forgetting import forget, forget_all
from lengthwise.online.history import Decision, History


def test_a_version_is_gone_and_acts_no_more(versions_in, tmp_path):
    versions = versions_in(tmp_path, 3)
    forget(versions, 3)
    assert versions.numbers() == [1, 2]
    assert versions.orders().barred == {3}
    assert versions.next_number() == 4


def test_all_is_gone_but_what_is_not_ours(versions_in, tmp_path):
    versions = versions_in(tmp_path, 2)
    versions_in(tmp_path / "rank-1", 1)
    History(tmp_path).add(Decision("acts", "prompt", 2, "version 2 acts"))
    for folder in (tmp_path / "samples", tmp_path / "mine", tmp_path / ".version-000003.7.partial"):
        folder.mkdir()
        (folder / "shard-00000.json").write_text("[]")
    (tmp_path / "mine.txt").write_text("")
    (tmp_path / "version-000009").symlink_to(tmp_path / "mine")
    forget_all(tmp_path, versions.model, print)
    kept = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
    assert kept == {
        *("orders.json", "rank-1", "rank-1/orders.json"),
        *("mine", "mine/shard-00000.json", "mine.txt"),
    }
    assert versions.orders().barred == {1, 2, 9}
    assert versions.next_number() == 10


def test_an_empty_folder_can_be_forgotten(tmp_path):
    forget_all(tmp_path, "some", print)
    assert [path.name for path in tmp_path.iterdir()] == ["orders.json"]
