"""TRAIL's probe: a small MLP from hidden states to bins of remaining tokens."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import nn

from lengthwise.core.bins import Bins
from lengthwise.core.refine import Refiner

Inputs = Literal["paper", "full"]
Head = Literal["softmax", "hazard"]


class Probe(nn.Module):
    """Linear(d, 512) → ReLU → Linear(512, k) → softmax (arXiv 2410.01035, section 3.2).

    Inputs of kind ``paper`` are the layer's mean over the prompt before the first
    token and its output at the current token afterwards. ``full`` is the current
    token's output, the prompt's outlook, and the numbers of generated and prompt tokens.

    The outlook is one number: a linear map of the output at the prompt's last token,
    fitted to the rank of the whole answer's length. Without it the prompt's information
    would fade from the current token's state; all d numbers would be learned by heart.

    Args:
        layer: decoder layer it reads, 1 the first, or ``LAST``.
        width: d, the model's hidden size.
        bins: the k bins of remaining tokens.
        inputs: kind of its inputs, ``full`` or ``paper``.
        outlook: the linear map, [d]; zeros until trained.
        refinement: how its output is refined: arguments of :class:`Refiner`.
        head: ``softmax``, or ``hazard``: each output is the chance that the answer ends in
            a bin, given that it gets there.
    """

    shift: torch.Tensor
    scale: torch.Tensor
    outlook: torch.Tensor

    def __init__(
        self,
        layer: int,
        width: int,
        bins: Bins,
        inputs: Inputs = "full",
        refinement: dict[str, Any] | None = None,
        hidden: int = 512,
        dropout: float = 0.0,
        head: Head = "softmax",
    ) -> None:
        super().__init__()
        self.layer, self.width, self.bins, self.inputs = layer, width, bins, inputs
        self.refinement, self.hidden, self.head = refinement or {}, hidden, head
        size = width if inputs == "paper" else width + 3
        self.register_buffer("shift", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))
        self.register_buffer("outlook", torch.zeros(width))
        self.mlp = nn.Sequential(
            nn.Linear(size, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, len(bins))
        )

    def features(
        self,
        current: torch.Tensor,
        prompt_mean: torch.Tensor,
        prompt_end: torch.Tensor,
        generated: torch.Tensor,
        prompt_tokens: torch.Tensor,
    ) -> torch.Tensor:
        """Inputs of the MLP, not yet normalised: three of [n, d], two of [n] -> [n, size]."""
        if self.inputs == "paper":
            return torch.where(generated[:, None] == 0, prompt_mean, current)
        counts = torch.stack([generated, prompt_tokens], dim=1).float().log1p()
        return torch.cat([current, counts, (prompt_end @ self.outlook)[:, None]], dim=1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Logits over the bins: [n, size] -> [n, k]."""
        logits: torch.Tensor = self.mlp((features - self.shift) / self.scale)
        if self.head == "softmax":
            return logits
        # log P(bin i) = log h_i + Σ_{j<i} log(1 - h_j); an answer in the last bin ends there.
        ends = nn.functional.logsigmoid(logits[:, :-1])
        goes_on = nn.functional.logsigmoid(-logits[:, :-1]).cumsum(dim=1)
        none = torch.zeros_like(logits[:, :1])
        return torch.cat([ends, none], dim=1) + torch.cat([none, goes_on], dim=1)

    def refiner(self) -> Refiner:
        """The refinement this probe was tuned with."""
        return Refiner(self.bins, **self.refinement)
