"""Output length from the prompt alone: hashed n-grams of token ids, and a small MLP.

Waiting requests have no hidden state yet; this ranks them until prefill. It reads
token ids, so it needs no tokenizer where the scheduler runs, and costs microseconds.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lengthwise.core.bins import Bins

BUCKETS = 1 << 14
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


def buckets(prompt_ids: list[int], longest: int = 1024) -> NDArray[np.int64]:
    """Hashed unigrams and bigrams of a prompt's first ``longest`` ids: [m] in [0, BUCKETS)."""
    ids = np.asarray(prompt_ids[:longest], dtype=np.uint64) + np.uint64(1)
    bigrams = ids[:-1] * np.uint64(0x1_0000_01B3) + ids[1:]
    mixed = np.concatenate([ids, bigrams + (np.uint64(1) << np.uint64(40))]) * _MULTIPLIER
    return np.unique(mixed >> np.uint64(64 - 14)).astype(np.int64)


class PromptPredictor(nn.Module):
    """Mean of the n-grams' embeddings → ReLU → bins of total output tokens.

    Args:
        bins: the k bins of total tokens.
        hidden: size of an n-gram's embedding.
    """

    def __init__(self, bins: Bins, hidden: int = 64, dropout: float = 0.0) -> None:
        super().__init__()
        self.bins, self.hidden = bins, hidden
        self.embed = nn.EmbeddingBag(BUCKETS, hidden, mode="mean")
        self.head = nn.Sequential(
            nn.Linear(hidden + 1, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, len(bins)),
        )

    def forward(
        self, grams: torch.Tensor, offsets: torch.Tensor, prompt_tokens: torch.Tensor
    ) -> torch.Tensor:
        """Logits: flat bucket numbers [m], start of each prompt [n], lengths [n] -> [n, k]."""
        length = prompt_tokens.float().log1p()[:, None] - 4.0
        logits: torch.Tensor = self.head(torch.cat([self.embed(grams, offsets), length], dim=1))
        return logits

    @torch.inference_mode()
    def probabilities(self, prompts: list[list[int]]) -> torch.Tensor:
        """Distribution over the bins for each prompt's token ids: [n, k]."""
        grams = [buckets(prompt) for prompt in prompts]
        offsets = np.cumsum([0, *(len(g) for g in grams)])[:-1]
        lengths = torch.tensor([len(prompt) for prompt in prompts])
        logits = self(torch.from_numpy(np.concatenate(grams)), torch.from_numpy(offsets), lengths)
        probabilities: torch.Tensor = logits.softmax(dim=1)
        return probabilities

    def predict(self, prompt_ids: list[int]) -> float:
        """Expected output tokens of one prompt."""
        return float(self.bins.mean(self.probabilities([prompt_ids]).numpy())[0])
