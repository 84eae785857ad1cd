from zlib import crc32

import numpy as np
import pytest

from lengthwise.answers.arrays import Answers
from lengthwise.core.query import Query


def words(text):
    """Made token ids: one a word, always the same."""
    return [crc32(word.encode()) % 1000 for word in text.split()]


@pytest.fixture(scope="session")
def made_answers():
    """Answers in memory, to prompts with these texts and of so many tokens.

    Prompt ids are ``words(text)`` unless given; answers of ``cap`` tokens are censored;
    states are noise, collected every eighth token.
    """

    def make(texts, tokens, prompts=None, templates=None, cap=512, layers=(1,), width=4, seed=0):
        draw = np.random.default_rng(seed)
        asked, rows = [], []
        for i, (text, total) in enumerate(zip(texts, tokens, strict=True)):
            ids = words(text) if prompts is None else list(prompts[i])
            name = "made" if templates is None else templates[i]
            ages = np.arange(0, max(int(total), 1), 8, dtype=np.int32)
            shape = (len(ages), len(layers), width)
            arrays = {
                "ages": ages,
                "states": draw.normal(size=shape).astype(np.float16),
                "mean": draw.normal(size=shape[1:]).astype(np.float16),
            }
            row = {
                "id": f"{name}:{seed}-{i}",
                "prompt_ids": ids,
                "output_tokens": int(total),
                "censored": bool(total >= cap),
            }
            asked.append(Query(row["id"], ids, text, cap, name))
            rows.append((row, arrays))
        return Answers("made-1x4-0", tuple(layers), float(cap), asked, rows)

    return make


VOCABULARY = [*("[PAD]", "[UNK]", "[CLS]"), *(f"level{i}" for i in range(8))]
FILLERS = [f"word{i}" for i in range(30)]


@pytest.fixture(scope="session")
def ruled(made_answers):
    """n answers whose length follows from the prompt's last word; level 7 is cut at the cap."""

    def make(n, seed):
        draw = np.random.default_rng(seed)
        levels = draw.integers(0, 8, n)
        fillers = [draw.choice(FILLERS, draw.integers(1, 8)).tolist() for _ in levels]
        texts = [" ".join([*some, f"level{i}"]) for some, i in zip(fillers, levels, strict=True)]
        return made_answers(texts, 25 * levels + 25, cap=200, seed=seed)

    return make


def _saved(model, folder):
    """A model's folder, with a tokenizer of whole words."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    ids = {word: i for i, word in enumerate([*VOCABULARY, *FILLERS])}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A", special_tokens=[("[CLS]", ids["[CLS]"])]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", model_max_length=64
    ).save_pretrained(folder)
    model.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory):
    """The folder of a random encoder, 32 wide."""
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(VOCABULARY) + len(FILLERS),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.2,
    )
    return _saved(BertModel(config), tmp_path_factory.mktemp("models") / "bert")


@pytest.fixture(scope="session")
def tiny_opt(tmp_path_factory):
    """The folder of a random decoder, 32 wide."""
    import torch
    from transformers import OPTConfig, OPTModel

    torch.manual_seed(0)
    config = OPTConfig(
        vocab_size=len(VOCABULARY) + len(FILLERS),
        hidden_size=32,
        word_embed_proj_dim=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        ffn_dim=64,
        max_position_embeddings=64,
        init_std=0.2,
        pad_token_id=0,
    )
    return _saved(OPTModel(config), tmp_path_factory.mktemp("models") / "opt")
