"""What Magnus's forest reads of a prompt: the input's length and compressed embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Literal

import numpy as np

from lengthwise.core.bins import Floats
from lengthwise.core.query import Query
from lengthwise.predictors.base import Arrays

if TYPE_CHECKING:
    from lengthwise.predictors.backbone import Backbone

Part = Literal["instruction", "input"]
Compression = Literal["groups", "pca"]

SIZES: dict[Part, int] = {"instruction": 4, "input": 16}
"""Dimensions that compression leaves of each embedding (arXiv 2406.04785)."""


def parts(text: str) -> dict[Part, str]:
    """Instruction and user input: before the first blank line, and after it.

    A prompt without one comes from no application: all of it is both.
    """
    instruction, _, rest = text.partition("\n\n")
    return {"instruction": instruction, "input": rest or instruction}


def input_tokens(asked: Sequence[Query]) -> Floats:
    """Tokens of the user inputs, [n]: the inputs' shares of the prompts, by characters."""
    counts = [
        len(each.prompt_ids) * len(parts(each.text)["input"]) / max(len(each.text), 1)
        for each in asked
    ]
    return np.array(counts, dtype=np.float32)


def projection(embeddings: Floats, size: int, compression: Compression) -> Floats:
    """The matrix [width, size] that compresses embeddings [n, width] like these.

    ``groups`` takes means of neighbouring dimensions, ``pca`` principal components; of
    few prompts or narrow embeddings there are fewer than ``size``. Trees need no centering.
    """
    n, width = embeddings.shape
    if compression == "pca":
        from sklearn.decomposition import PCA

        pca = PCA(min(n, width, size), random_state=0).fit(embeddings)
        components: Floats = pca.components_.T.astype(np.float32)
        return components
    groups = np.array_split(np.arange(width), min(width, size))
    matrix = np.zeros((width, len(groups)), dtype=np.float32)
    for column, group in enumerate(groups):
        matrix[group, column] = 1 / len(group)
    return matrix


class Inputs:
    """Prompts → [n, f]: the input's tokens, and each part's compressed embedding.

    Args:
        backbone: that embeds sentences: a Hugging Face name or folder, or None.
        projections: [width, size] of the parts that are read.
    """

    def __init__(self, backbone: str | None, projections: Mapping[Part, Floats]) -> None:
        self.backbone, self.projections = backbone, dict(projections)

    @cached_property
    def _encoder(self) -> Backbone:
        from lengthwise.predictors.backbone import load_backbone

        return load_backbone(self.backbone)

    def fit(self, asked: Sequence[Query], read: Sequence[Part], compression: Compression) -> Floats:
        """Learn to compress these parts; what the forest reads of the prompts, [n, f]."""
        embedded = self._embed(asked, read)
        self.projections = {
            part: projection(found, SIZES[part], compression) for part, found in embedded.items()
        }
        return self._join(asked, embedded)

    def __call__(self, asked: Sequence[Query]) -> Floats:
        """What the forest reads, [n, f].

        Raises:
            UserError: if the backbone is missing.
        """
        return self._join(asked, self._embed(asked, list(self.projections)))

    def arrays(self) -> Arrays:
        """For a predictor's state."""
        return {f"projection.{part}": matrix for part, matrix in self.projections.items()}

    @classmethod
    def restore(cls, backbone: str | None, arrays: Arrays) -> Inputs:
        """From a predictor's state."""
        named = {part: f"projection.{part}" for part in SIZES}
        return cls(backbone, {part: arrays[name] for part, name in named.items() if name in arrays})

    def _embed(self, asked: Sequence[Query], read: Sequence[Part]) -> dict[Part, Floats]:
        texts = {part: [parts(each.text)[part] for each in asked] for part in read}
        # An application's requests share their instruction; a prompt of one part is both.
        distinct = {text: row for row, text in enumerate(dict.fromkeys(chain(*texts.values())))}
        if not distinct:
            return {}
        found = self._encoder.encode(list(distinct))
        return {part: found[[distinct[text] for text in each]] for part, each in texts.items()}

    def _join(self, asked: Sequence[Query], embedded: Mapping[Part, Floats]) -> Floats:
        compressed = [found @ self.projections[part] for part, found in embedded.items()]
        return np.column_stack([input_tokens(asked), *compressed]).astype(np.float32)
