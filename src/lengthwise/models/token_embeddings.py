"""What a model reads each token as, in bounded memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

from lengthwise.errors import UserError, reading
from lengthwise.models.fingerprint import model_folder

MOST = 256 << 20
"""Most bytes of a table. Larger ones (V x d = 128,000 x 4,096 has 2 GB) are projected to fewer
dimensions; reading one then takes these and a chunk."""

_CHUNK = 2048
"""Tokens read at once."""

_NAMES = ("embed_tokens.weight", "wte.weight", "word_embeddings.weight", "embed_in.weight")
"""Names of the input embeddings: Llama and its kin, GPT-2, BLOOM, GPT-NeoX."""

Floats = NDArray[np.float32]


def token_embeddings(model: str, most: int = MOST) -> Floats:
    """The input embeddings of the tokens: [V, d], centred, mean square 1.

    A table of more than ``most`` bytes is projected at random, always in the same way, to as
    many dimensions as fit: distances and means survive it nearly unchanged (Johnson and
    Lindenstrauss 1984).

    Raises:
        UserError: if the model's weights hold no embeddings that can be read.
    """
    with reading(f"embeddings of model {model!r}"):
        for file in sorted(model_folder(model).glob("*.safetensors")):
            with safe_open(file, framework="pt") as weights:
                for name in weights.keys():  # noqa: SIM118 (safe_open is no mapping)
                    if name.endswith(_NAMES):
                        return _standard(_table(weights.get_slice(name), most))
    raise UserError(f"model {model!r} has no token embeddings under a name that is known")


def _table(rows: Any, most: int) -> Floats:
    vocabulary, width = rows.get_shape()
    fits = min(max(most // (4 * vocabulary), 1), width)
    draw = np.random.default_rng(0)
    projection = None if fits == width else draw.standard_normal((width, fits), dtype=np.float32)
    table = np.empty((vocabulary, fits), dtype=np.float32)
    for start in range(0, vocabulary, _CHUNK):
        chunk = rows[start : start + _CHUNK].float().numpy()
        table[start : start + _CHUNK] = chunk if projection is None else chunk @ projection
    return table


def _standard(table: Floats) -> Floats:
    """In place: a copy would double the memory."""
    table -= table.mean(axis=0, dtype=np.float64).astype(np.float32)
    flat = table.reshape(-1)
    table /= max(float(np.sqrt(flat @ flat / flat.size)), 1e-9)
    return table
