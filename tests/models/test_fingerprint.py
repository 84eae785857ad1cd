import json

import pytest

from lengthwise.errors import UserError
from lengthwise.models.fingerprint import fingerprint, identity


@pytest.fixture
def bins(tmp_path):
    """``bins(name, content)``: a model with weights that are no safetensors."""

    def make(name, content):
        folder = tmp_path / name
        folder.mkdir()
        config = {"model_type": "gpt2", "num_hidden_layers": 2, "hidden_size": 8}
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "pytorch_model.bin").write_bytes(content)
        return str(folder)

    return make


def test_a_model_with_a_fingerprint_is_known_by_it(model_of):
    model = str(model_of({"hi": 1, "[unk]": 0}))
    assert identity(model) == fingerprint(model)


def test_a_model_without_one_is_known_by_its_config_and_files(bins):
    model = bins("one", b"1234")
    with pytest.raises(UserError):
        fingerprint(model)
    assert identity(model).startswith("gpt2-2x8-")
    assert identity(model) == identity(bins("copy", b"5678"))
    assert identity(model) != identity(bins("other", b"12345"))


def test_a_single_file_is_known_by_its_beginning_and_size(tmp_path):
    for name, content in (("a.gguf", b"GGUF1"), ("b.gguf", b"GGUF1"), ("c.gguf", b"GGUF22")):
        (tmp_path / name).write_bytes(content)
    one, copy, other = (identity(str(tmp_path / f"{name}.gguf")) for name in "abc")
    assert one == copy != other
    assert one.startswith("file-")


def test_whatever_else_is_known_by_its_name(tmp_path):
    (tmp_path / "empty").mkdir()
    names = ["no/such-model", str(tmp_path / "nowhere"), str(tmp_path / "empty"), "s3://a/b"]
    assert len({identity(name) for name in names}) == len(names)
    assert identity("no/such-model") == identity("no/such-model")
