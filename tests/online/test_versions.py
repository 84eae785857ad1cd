import pytest

from lengthwise.models.fingerprint import fingerprint
from lengthwise.online import versions
from lengthwise.predictors.store import Trained, load_prompt_predictor


@pytest.fixture(scope="module")
def predictor(fitted):
    return fitted()


@pytest.fixture
def save(tmp_path, served, predictor):
    def save(number, model=None):
        versions.save(tmp_path, number, predictor, model or fingerprint(served), {"n": number})

    return save


def test_there_is_none_in_a_folder_that_is_not_there(tmp_path, served):
    assert versions.newest(tmp_path / "none", served, "ngrams") is None


def test_the_newest_comes_back(tmp_path, served, save, predictor):
    for number in (1, 2, 10):
        save(number)
    number, found = versions.newest(tmp_path, served, "ngrams")
    assert number == 10
    assert found.score([22, 5]) == pytest.approx(predictor.score([22, 5]), abs=1e-2)


def test_a_damaged_one_is_passed_over(tmp_path, served, save):
    save(1)
    save(2)
    (tmp_path / "version-000002" / "prompt.safetensors").write_bytes(b"cut")
    assert versions.newest(tmp_path, served, "ngrams")[0] == 1


def test_one_of_another_model_or_kind_is_passed_over(tmp_path, served, save):
    save(1)
    save(2, model="another-2x8-0")
    assert versions.newest(tmp_path, served, "ngrams")[0] == 1
    assert versions.newest(tmp_path, served, "bert") is None


def test_one_that_was_being_written_does_not_count(tmp_path, save, monkeypatch):
    save(1)
    with monkeypatch.context() as patch:
        patch.setattr(Trained, "save", _die_halfway)
        with pytest.raises(KeyboardInterrupt):
            save(2)
    assert versions.numbers(tmp_path) == [1]
    save(2)
    assert versions.numbers(tmp_path) == [1, 2]


def _die_halfway(self, folder):
    folder.mkdir()
    (folder / "predictors.json").write_text("{")
    raise KeyboardInterrupt


def test_only_the_latest_are_kept(tmp_path, save):
    for number in range(1, 9):
        save(number)
    assert versions.numbers(tmp_path) == [4, 5, 6, 7, 8]


def test_a_version_is_a_folder_of_trained_predictors(tmp_path, served, save):
    save(3)
    assert load_prompt_predictor(str(tmp_path / "version-000003"), served).name == "ngrams"
