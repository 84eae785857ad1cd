"""Gradient descent that keeps the epoch that did best on prompts it does not learn from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn


def descend(
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    epochs: int,
    batches: Callable[[], Iterable[Any]],
    loss: Callable[[Any], torch.Tensor],
    validate: Callable[[], float],
    after: Callable[[], object] = lambda: None,
    cosine: bool = True,
) -> float:
    """Epochs over the batches; keeps the weights of the best one on ``validate`` (less is better).

    ``after`` is called at each epoch's end, for a progress bar. With ``cosine`` the rate
    falls to 0.
    """
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs) if cosine else None
    best, kept = float("inf"), module.state_dict()
    for _ in range(epochs):
        module.train()
        for batch in batches():
            optimizer.zero_grad()
            loss(batch).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        if schedule is not None:
            schedule.step()
        module.eval()
        with torch.inference_mode():
            error = validate()
        if error < best:
            best = error
            kept = {name: value.clone() for name, value in module.state_dict().items()}
        after()
    module.load_state_dict(kept)
    module.eval()
    return best
