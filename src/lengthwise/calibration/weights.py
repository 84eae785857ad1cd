"""Bytes of a weight: by its type, and by how the model was quantized."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lengthwise.errors import UserError

_TYPES = {"bfloat16": 2.0, "float16": 2.0, "half": 2.0, "float32": 4.0, "float": 4.0}

_SCALES = 0.25
"""Bits a weight beside its own where it has less than 8: scales and zeros of its group."""


@dataclass(frozen=True)
class Bytes:
    """Bytes of a weight.

    Attributes:
        plain: of embeddings and of values in the KV cache.
        attention, experts: of the matrices of attention, and of feed-forward layers.
        fp8: whether matrices are multiplied in 8 bits.
        notes: what was assumed.
    """

    plain: float
    attention: float
    experts: float
    fp8: bool
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, name: str, config: Mapping[str, Any], dtype: str | None) -> Bytes:
        """By a config.json's ``dtype`` and ``quantization_config``.

        Raises:
            UserError: for a type or a quantization that is not known.
        """
        given = dtype or config.get("dtype") or config.get("torch_dtype")
        notes: tuple[str, ...] = ()
        if not given:
            notes = (f"{name} names no dtype: 2 bytes a weight were assumed",)
        plain = _TYPES.get(str(given or "bfloat16").removeprefix("torch."))
        if plain is None:
            raise UserError(f"{name}: no dtype {given!r}: choose from {', '.join(_TYPES)}")
        if plain == 4.0 and dtype is None:
            # vLLM serves checkpoints of 32 bits in 16.
            plain, notes = 2.0, (f"{name} is stored in 32 bits and served in 16",)
        quantized = config.get("quantization_config")
        if not quantized:
            return cls(plain, plain, plain, False, notes)
        bits = _bits(name, quantized)
        each = bits / 8 if bits >= 8 else (bits + _SCALES) / 8
        left = " ".join(map(str, quantized.get("modules_to_not_convert") or ()))
        attention = plain if "self_attn" in left else each
        notes += (f"{bits} bits a weight ({quantized.get('quant_method')})",)
        return cls(plain, attention, each, _is_fp8(quantized), notes)


def _bits(name: str, quantized: Mapping[str, Any]) -> int:
    """Bits of a quantized weight."""
    method = str(quantized.get("quant_method", "")).lower()
    if method in ("fp8", "fbgemm_fp8"):
        return 8
    if method == "mxfp4":
        return 4
    if method in ("bitsandbytes", "bnb"):
        return 4 if quantized.get("load_in_4bit") else 8
    found = quantized.get("bits", quantized.get("w_bit"))
    for group in (quantized.get("config_groups") or {}).values():
        found = found or (group.get("weights") or {}).get("num_bits")
    if not isinstance(found, int):
        raise UserError(
            f"{name}: the bits of a weight are not in its quantization_config ({method or 'no'} "
            "method): add a field bits"
        )
    return found


def _is_fp8(quantized: Mapping[str, Any]) -> bool:
    """Whether inputs are in 8 bits too, so that matrices are multiplied in 8 bits."""
    if "fp8" in str(quantized.get("quant_method", "")).lower():
        return True
    groups = (quantized.get("config_groups") or {}).values()
    return any((group.get("input_activations") or {}).get("num_bits") == 8 for group in groups)
