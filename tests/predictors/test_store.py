import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from lengthwise.core import Bins
from lengthwise.core.query import Query
from lengthwise.errors import UserError
from lengthwise.models.fingerprint import fingerprint
from lengthwise.predictors.ngrams import BUCKETS, Ngrams
from lengthwise.predictors.probe import Probe
from lengthwise.predictors.scored import Curve
from lengthwise.predictors.store import Trained, load_probe, load_prompt_predictor
from lengthwise.predictors.trail import Trail

LOADERS = pytest.mark.parametrize("load", [load_probe, load_prompt_predictor])


def weights(seed=0):
    made = torch.Generator().manual_seed(seed)
    return {
        "model.embed_tokens.weight": torch.randn(40, 8, generator=made),
        "model.layers.0.mlp.up_proj.weight": torch.randn(16, 8, generator=made),
        "model.layers.0.input_layernorm.weight": torch.randn(8, generator=made),
        "model.norm.weight": torch.randn(8, generator=made),
    }


def model(folder, tensors, shards=1, **config):
    folder.mkdir()
    shape = {"model_type": "llama", "num_hidden_layers": 1, "hidden_size": 8}
    (folder / "config.json").write_text(json.dumps(shape | config))
    names = sorted(tensors)
    for i in range(shards):
        part = {name: tensors[name] for name in names[i::shards]}
        save_file(part, folder / f"model-{i}.safetensors")
    return str(folder)


@pytest.fixture
def served(tmp_path):
    return model(tmp_path / "served", weights())


@pytest.fixture
def trained(served):
    torch.manual_seed(0)
    bins = Bins.log(5, 100)
    refinement = {"alpha": 0.3, "prior": [0.5, 0.2, 0.1, 0.1, 0.1]}
    probe = Probe(3, 8, bins, "full", refinement, hidden=16, dropout=0.2)
    probe.shift.fill_(0.5)
    probe.scale.fill_(2.0)
    draw = np.random.default_rng(0)
    curve = Curve(np.array([-3, -1, 1, 3], np.float32), np.array([1, 0, 0, -1], np.float32))
    prompt = Ngrams(
        Bins.equal(4, 80),
        curve,
        idf=draw.uniform(1, 5, BUCKETS).astype(np.float32),
        weight=draw.normal(size=BUCKETS).astype(np.float32),
        intercept=0.4,
    )
    return Trained(fingerprint(served), Trail(probe.eval()), prompt, {"mae": 1.5})


@pytest.fixture
def saved(trained, tmp_path):
    trained.save(tmp_path / "trained")
    return tmp_path / "trained"


def change(tensors, name, row):
    changed = {key: value.clone() for key, value in tensors.items()}
    changed[name][row] += 0.5
    return changed


def test_the_fingerprint_names_the_shape(served):
    assert fingerprint(served).startswith("llama-1x8-")


def test_the_fingerprint_of_a_text_model_in_a_larger_one(tmp_path, served):
    inner = {"model_type": "llama", "num_hidden_layers": 1, "hidden_size": 8}
    outer = model(tmp_path / "outer", weights(), model_type="vision", text_config=inner)
    assert fingerprint(outer) == fingerprint(served)


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("model.norm.weight", 7),
        ("model.layers.0.input_layernorm.weight", 0),
        ("model.embed_tokens.weight", 31),
    ],
)
def test_the_fingerprint_changes_with_a_weight(tmp_path, served, name, row):
    other = model(tmp_path / "other", change(weights(), name, row))
    assert fingerprint(other) != fingerprint(served)


@pytest.mark.parametrize("shards", [2, 4])
def test_the_fingerprint_stays_when_the_files_are_resharded(tmp_path, served, shards):
    assert fingerprint(model(tmp_path / "other", weights(), shards)) == fingerprint(served)


def test_a_folder_without_weights_is_no_model(tmp_path):
    with pytest.raises(UserError, match=r"config\.json"):
        fingerprint(str(tmp_path))


def test_an_unknown_model_is_one_line(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        fingerprint(str(tmp_path / "nowhere"))


def test_a_damaged_model_file_is_the_users_error(tmp_path, served):
    (tmp_path / "served" / "model-0.safetensors").write_bytes(b"cut")
    with pytest.raises(UserError, match="served"):
        fingerprint(served)


@torch.inference_mode()
def test_the_probe_comes_back_as_it_was(trained, saved, served):
    probe = load_probe(str(saved), served)
    was = trained.probe.probe
    kept = ("layer", "width", "inputs", "refinement", "hidden")
    assert [getattr(probe, name) for name in kept] == [getattr(was, name) for name in kept]
    np.testing.assert_allclose(probe.bins.edges, was.bins.edges, atol=1e-4)
    np.testing.assert_allclose(probe.bins.values, was.bins.values, atol=1e-4)
    assert not probe.training
    features = torch.randn(20, 11)
    np.testing.assert_allclose(probe(features), was(features), atol=0.01)
    assert probe(features).std() > 0.05


def test_the_prompt_predictor_comes_back_as_it_was(trained, saved, served):
    prompt = load_prompt_predictor(str(saved), served)
    asked = [Query("a", [1, 2, 3], "", 80), Query("b", [500, 4], "", 80)]
    was = trained.prompt.lengths(asked).probabilities
    np.testing.assert_allclose(prompt.lengths(asked).probabilities, was, atol=0.01)
    assert np.abs(was[0] - was[1]).max() > 0.03


def test_the_report_is_kept_beside_them(saved):
    assert json.loads((saved / "predictors.json").read_text())["report"] == {"mae": 1.5}


@LOADERS
def test_another_models_predictors_are_refused(load, tmp_path, saved):
    other = model(tmp_path / "other", weights(seed=1))
    with pytest.raises(UserError, match="belongs to model") as caught:
        load(str(saved), other)
    assert fingerprint(other) in str(caught.value)


@LOADERS
@pytest.mark.parametrize("damage", ["garbage", "cut", "missing", "other shapes"])
def test_damaged_weights_are_the_users_error(load, saved, served, damage):
    for path in saved.glob("*.safetensors"):
        if damage == "garbage":
            path.write_bytes(b"\xff" * 50)
        elif damage == "cut":
            path.write_bytes(path.read_bytes()[:-10])
        elif damage == "missing":
            path.unlink()
        else:
            save_file({"mlp.0.weight": torch.zeros(2, 2)}, path)
    with pytest.raises(UserError, match="train again") as caught:
        load(str(saved), served)
    assert "\n" not in str(caught.value)


@LOADERS
def test_a_missing_folder_says_how_to_get_one(load, tmp_path, served):
    with pytest.raises(UserError, match="lengthwise train"):
        load(str(tmp_path / "nowhere"), served)


@LOADERS
def test_a_cut_description_is_the_users_error(load, saved, served):
    path = saved / "predictors.json"
    path.write_text(path.read_text()[:40])
    with pytest.raises(UserError, match="cannot be read"):
        load(str(saved), served)
