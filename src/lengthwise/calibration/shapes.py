"""A model's shape from its config.json: weights, what a token costs, and its KV cache."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from lengthwise.calibration.weights import Bytes
from lengthwise.errors import UserError, reading

_BATCH = 64
"""Tokens of a step for which the experts that are read are counted."""

# Models whose feed-forward layers have two matrices; all others have a third that gates.
_UNGATED = {"bloom", "falcon", "gpt2", "gpt_bigcode", "gpt_neox", "gptj", "mpt", "opt", "phi"}


@dataclass(frozen=True)
class Shape:
    """What a roofline needs to know of a model.

    Attributes:
        name: of the model.
        weights: how many there are; ``active``: that a token is multiplied by.
        weight_bytes: all of them in memory.
        step_bytes: of them, read in a step; experts by the share that 64 tokens choose.
        kv_bytes: of one token in the KV cache, all layers.
        kv_heads: heads that the KV cache is split by over cards; 1 cannot be split.
        layers: decoder layers.
        fp8: whether matrices are multiplied in 8 bits.
        notes: what was assumed.
    """

    name: str
    weights: float
    active: float
    weight_bytes: float
    step_bytes: float
    kv_bytes: float
    kv_heads: int
    layers: int
    fp8: bool
    notes: tuple[str, ...] = ()


class Fields:
    """A config.json's fields, looked up under the names that models have for them."""

    def __init__(self, name: str, content: Mapping[str, Any]) -> None:
        self.name = name
        inner = content.get("text_config")
        self.content = {**content, **inner} if isinstance(inner, Mapping) else dict(content)

    def whole(self, *names: str, default: int | None = None) -> int:
        """The first of these fields that is there.

        Raises:
            UserError: names the field that is missing, or no whole number.
        """
        for name in names:
            value = self.content.get(name)
            if isinstance(value, bool) or not isinstance(value, int | None):
                raise UserError(f"{self.name}: {name} is {value!r}, not a whole number")
            if value is not None:
                return value
        if default is None:
            raise UserError(
                f"{self.name}: its config has no {names[0]}: give the whole config.json"
            )
        return default


def read_shape(model: Path | str, dtype: str | None = None) -> Shape:
    """The shape of a model: a folder with config.json, such a file, or a shipped name.

    Args:
        dtype: of weights and KV cache (``bfloat16``, ``float16``, ``float32``); the config's
            own if left out.

    Raises:
        UserError: if there is none, or a field is missing.
    """
    path = Path(model)
    if path.is_dir():
        path /= "config.json"
    if path.is_file():
        with reading(path):
            content = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        name = path.parent.name if path.name == "config.json" else path.stem
        return shape_of(name or str(model), content, dtype)
    shipped = _shipped()
    key = str(model).lower().rpartition("/")[2].removesuffix("-instruct")
    if key not in shipped:
        known = ", ".join(sorted(shipped))
        raise UserError(f"no config.json at {model}, nor a model that is known here: {known}")
    return shape_of(key, shipped[key], dtype)


def shape_of(name: str, content: Mapping[str, Any], dtype: str | None = None) -> Shape:
    """The shape of a model by the content of its config.json.

    Raises:
        UserError: names the field that is missing or cannot be.
    """
    fields = Fields(name, content)
    size = Bytes.of(name, fields.content, dtype)
    hidden, layers = (
        fields.whole("hidden_size", "n_embd"),
        fields.whole("num_hidden_layers", "n_layer"),
    )
    attention, kv, kv_heads = _attention(fields, hidden)
    feed, chosen, touched = _feed_forward(fields, hidden, layers)
    vocabulary = fields.whole("vocab_size") * hidden
    tied = bool(fields.content.get("tie_word_embeddings", False))
    embeddings = vocabulary * (1 if tied else 2)
    attention *= layers
    weight_bytes = attention * size.attention + feed * size.experts + embeddings * size.plain
    step_bytes = attention * size.attention + touched * size.experts + vocabulary * size.plain
    return Shape(
        name,
        attention + feed + embeddings,
        attention + chosen + vocabulary,
        weight_bytes,
        step_bytes,
        layers * kv * size.plain,
        kv_heads,
        layers,
        size.fp8,
        (*size.notes, *_notes(fields, feed, touched)),
    )


def _attention(fields: Fields, hidden: int) -> tuple[int, int, int]:
    """Of a layer: weights, values of a token in the KV cache, and heads it is split by."""
    heads = fields.whole("num_attention_heads", "n_head")
    latent = fields.content.get("kv_lora_rank")
    if latent:
        return _latent_attention(fields, hidden, heads, int(latent))
    kv_heads = fields.whole("num_key_value_heads", "num_kv_heads", default=heads)
    size = fields.whole("head_dim", default=hidden // heads)
    weights = 2 * hidden * heads * size + 2 * hidden * kv_heads * size
    return weights, 2 * kv_heads * size, kv_heads


def _latent_attention(fields: Fields, hidden: int, heads: int, latent: int) -> tuple[int, int, int]:
    """DeepSeek's: one compressed vector and the rotated part of the key are all that is kept."""
    rotated = fields.whole("qk_rope_head_dim")
    key, value = fields.whole("qk_nope_head_dim"), fields.whole("v_head_dim")
    query = heads * (key + rotated)
    rank = fields.content.get("q_lora_rank")
    queries = hidden * query if rank is None else (hidden + query) * int(rank)
    keys = hidden * (latent + rotated) + latent * heads * (key + value)
    return queries + keys + heads * value * hidden, latent + rotated, 1


def _feed_forward(fields: Fields, hidden: int, layers: int) -> tuple[float, float, float]:
    """Of all layers: weights, those that a token is multiplied by, and those that a step reads."""
    matrices = 2 if fields.content.get("model_type") in _UNGATED else 3
    one = matrices * hidden
    experts = fields.whole("num_local_experts", "num_experts", "n_routed_experts", default=0)
    if experts < 2:
        width = fields.whole("intermediate_size", "n_inner", "ffn_dim", default=4 * hidden)
        dense = float(layers * one * width)
        return dense, dense, dense
    per_token = fields.whole("num_experts_per_tok", "experts_per_token", "moe_topk")
    width = fields.whole("moe_intermediate_size", "intermediate_size")
    always = fields.whole("n_shared_experts", default=0) * width
    always += fields.whole("shared_expert_intermediate_size", default=0)
    sparse = _sparse_layers(fields, layers)
    dense_width = fields.whole("intermediate_size", default=width)
    common = float(
        (layers - sparse) * one * dense_width + sparse * (one * always + hidden * experts)
    )
    expert = float(sparse * one * width)
    read = experts * (1.0 - (1.0 - per_token / experts) ** _BATCH)
    return common + experts * expert, common + per_token * expert, common + read * expert


def _sparse_layers(fields: Fields, layers: int) -> int:
    """How many layers have experts."""
    later = layers - fields.whole("first_k_dense_replace", default=0)
    every = fields.whole("decoder_sparse_step", "interleave_moe_layer_step", default=1)
    dense = fields.content.get("mlp_only_layers") or ()
    return max(later // max(every, 1) - len(dense), 0)


def _notes(fields: Fields, feed: float, touched: float) -> tuple[str, ...]:
    notes = []
    if touched < feed:
        notes.append(
            f"a step was taken to read {100 * touched / feed:.0f} % of the feed-forward weights: "
            f"the experts that {_BATCH} tokens choose"
        )
    kinds = fields.content.get("layer_types") or ()
    if "sliding_attention" in kinds:
        notes.append(
            "layers with a sliding window were counted as if they kept the whole context: there "
            "is room for more tokens than said"
        )
    return tuple(notes)


def _shipped() -> dict[str, dict[str, Any]]:
    file = resources.files("lengthwise.calibration") / "models.json"
    return msgspec.json.decode(file.read_bytes(), type=dict[str, dict[str, Any]])
