"""What fine-tuned predictors share: a backbone with a head, and how it learns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, Self

import torch
from torch import nn
from tqdm import tqdm

from lengthwise.core.query import Query
from lengthwise.errors import UserError
from lengthwise.predictors.backbone import Backbone, load_backbone
from lengthwise.predictors.base import Arrays, Fitting
from lengthwise.predictors.descend import descend

if TYPE_CHECKING:
    from lengthwise.answers.arrays import Answers

Head = Callable[[int], nn.Module]
"""From the width of the backbone's vectors to what comes on top of it."""


class Reader(nn.Module):
    """A backbone and a head: texts in, some numbers each out.

    Args:
        backbone: reads the texts.
        head: [n, width] -> [n, out].
    """

    def __init__(self, backbone: Backbone, head: nn.Module) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head

    @classmethod
    def new(cls, how: Fitting, head: Head) -> Self:
        """A pretrained backbone with a fresh head.

        Raises:
            UserError: if there is no such backbone.
        """
        backbone = load_backbone(how.backbone)
        torch.manual_seed(how.seed)
        return cls(backbone, head(backbone.width))

    @classmethod
    def restore(cls, backbone: str | None, head: Head, arrays: Arrays) -> Self:
        """From the backbone's name and all the weights.

        Raises:
            KeyError, ValueError: if a weight is missing or does not fit.
        """
        body = load_backbone(backbone, pretrained=False)
        reader = cls(body, head(body.width))
        try:
            reader.load_state_dict(
                {name: torch.from_numpy(arrays[name]).float() for name in reader.state_dict()}
            )
        except RuntimeError as error:
            raise ValueError(error) from None
        return reader.eval()

    def forward(self, ids: Sequence[list[int]]) -> torch.Tensor:
        """Outputs for token ids, [n, out]."""
        outputs: torch.Tensor = self.head(self.backbone(ids)).cpu()
        return outputs

    def ids(self, asked: Sequence[Query]) -> list[list[int]]:
        """What it reads of each request."""
        return self.backbone.ids([each.text for each in asked])

    def read(self, asked: Sequence[Query]) -> torch.Tensor:
        """Outputs for requests, [n, out]."""
        with torch.inference_mode():
            return self.forward(self.ids(asked))

    def arrays(self) -> Arrays:
        """All weights; matrices are rounded to half precision."""
        return {
            name: (value.half() if value.ndim > 1 else value).numpy()
            for name, value in self.state_dict().items()
        }


@dataclass(frozen=True)
class Recipe:
    """How to fine-tune.

    Attributes:
        epochs, batch: passes over the prompts, prompts a step.
        rate: AdamW's, of the pretrained weights; it falls to 0 like a cosine.
        head_rate: of the head, which starts from nothing.
        frozen_after: epochs until the backbone stays as it is; None is never.
    """

    epochs: int
    batch: int
    rate: float
    head_rate: float = 1e-3
    frozen_after: int | None = None

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise UserError("training needs at least 1 epoch")

    def told(self, how: Fitting) -> Recipe:
        """With as many epochs as the user wants."""
        return self if how.epochs is None else replace(self, epochs=how.epochs)


def fine_tune(
    reader: Reader,
    fit: Answers,
    tune: Answers,
    recipe: Recipe,
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    error: Callable[[torch.Tensor], float],
) -> None:
    """Fit the reader; it keeps the epoch that did best on ``tune``.

    ``loss`` is of the outputs [b, out] for rows [b] of ``fit``, ``error`` of the outputs
    [m, out] for all of ``tune``.

    Raises:
        UserError: if the answers come without the prompts' texts.
    """
    if not any(each.text for each in fit.asked):
        raise UserError("the prompts have no text to read: say which model was served")
    ids, held = reader.ids(fit.asked), reader.ids(tune.asked)
    steps = -(-len(ids) // recipe.batch)
    bar = tqdm(total=recipe.epochs * steps, desc="fine-tune", unit="step")

    def batches() -> Iterator[torch.Tensor]:
        for at in torch.split(torch.randperm(len(ids)), recipe.batch):
            yield at
            bar.update()

    epochs = count(1)

    def after() -> None:
        # A bar that is turned off counts nothing.
        if next(epochs) == recipe.frozen_after:
            reader.backbone.requires_grad_(False)

    reader.to("cuda" if torch.cuda.is_available() else "cpu")
    descend(
        reader,
        _optimizer(reader, recipe),
        recipe.epochs,
        batches,
        lambda at: loss(reader([ids[i] for i in at]), at),
        lambda: error(reader(held)),
        after,
    )
    bar.close()
    _round(reader.cpu())


def _optimizer(reader: Reader, recipe: Recipe) -> torch.optim.Optimizer:
    return torch.optim.AdamW(
        [
            {"params": reader.backbone.parameters(), "lr": recipe.rate},
            {"params": reader.head.parameters(), "lr": recipe.head_rate},
        ]
    )


def _round(reader: Reader) -> None:
    """To what will be stored: then it is calibrated and judged as it will serve."""
    with torch.no_grad():
        for weight in reader.parameters():
            if weight.ndim > 1:
                weight.copy_(weight.half())
