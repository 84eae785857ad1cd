import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from lengthwise.errors import UserError
from lengthwise.models.token_embeddings import token_embeddings

VOCABULARY, WIDTH = 5000, 64


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    table = 3 * torch.randn(VOCABULARY, WIDTH, generator=torch.manual_seed(0)) + 1
    save_file({"model.embed_tokens.weight": table.bfloat16()}, folder / "model.safetensors")
    return str(folder)


def test_embeddings_are_centred_and_scaled(model):
    found = token_embeddings(model)
    assert found.shape == (VOCABULARY, WIDTH)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-5)
    assert found.std() == pytest.approx(1, rel=0.01)


def test_a_large_table_is_projected_to_what_fits_always_alike(model):
    most = 4 * VOCABULARY * 32 + 100
    found = token_embeddings(model, most)
    assert found.shape == (VOCABULARY, 32)
    assert found.std() == pytest.approx(1, rel=0.01)
    np.testing.assert_array_equal(found, token_embeddings(model, most))


def test_who_was_near_stays_near(tmp_path):
    """Tokens of two families: means of a family's halves are nearer than those of others."""
    draw = torch.manual_seed(0)
    table = torch.randn(VOCABULARY, WIDTH, generator=draw)
    table[::2, 0] += 3
    save_file({"wte.weight": table}, tmp_path / "model.safetensors")
    found = token_embeddings(str(tmp_path), 4 * VOCABULARY * 16)
    even, odd = found[::2], found[1::2]
    within = np.linalg.norm(even[:1000].mean(axis=0) - even[1000:].mean(axis=0))
    assert np.linalg.norm(even.mean(axis=0) - odd.mean(axis=0)) > 5 * within


def test_a_table_of_equal_rows_is_zero(tmp_path):
    save_file({"wte.weight": torch.ones(10, 4)}, tmp_path / "model.safetensors")
    assert not token_embeddings(str(tmp_path)).any()


def test_a_model_without_embeddings_is_refused(tmp_path):
    save_file({"norm.weight": torch.ones(3)}, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match="no token embeddings"):
        token_embeddings(str(tmp_path))


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x08\x00\x00\x00\x00\x00\x00\x00{}"])
def test_damaged_weights_are_refused(tmp_path, content):
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(UserError):
        token_embeddings(str(tmp_path))
