import json

import pytest

from lengthwise.calibration.shapes import read_shape, shape_of
from lengthwise.errors import UserError

# Billions of weights as the models' makers give them: all, and those of one token.
PUBLISHED = {
    "llama-3.1-8b": (8.03, None),
    "llama-3.1-70b": (70.6, None),
    "llama-3.2-1b": (1.24, None),
    "llama-3.2-3b": (3.21, None),
    "qwen2.5-7b": (7.61, None),
    "qwen2.5-32b": (32.5, None),
    "qwen2.5-72b": (72.7, None),
    "qwen3-8b": (8.2, None),
    "qwen3-32b": (32.8, None),
    "qwen3-30b-a3b": (30.5, 3.3),
    "mistral-7b": (7.25, None),
    "mixtral-8x7b": (46.7, 12.9),
    "deepseek-v3": (671, 37),
    "gpt-oss-20b": (20.9, 3.6),
    "gpt-oss-120b": (116.8, 5.1),
}
SMALL = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 128,
    "vocab_size": 100,
    "torch_dtype": "bfloat16",
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_shipped_models_have_the_weights_that_are_published(name):
    shape = read_shape(name)
    everything, active = PUBLISHED[name]
    assert shape.weights / 1e9 == pytest.approx(everything, rel=0.01)
    if active is not None:
        assert shape.active / 1e9 == pytest.approx(active, rel=0.1)


def test_bytes_of_a_small_model():
    shape = shape_of("small", SMALL)
    attention = 64 * 64 * 2 + 2 * 64 * 32
    weights = 2 * (attention + 3 * 64 * 128) + 2 * 100 * 64
    assert shape.weights == weights
    assert shape.weight_bytes == 2 * weights
    assert shape.step_bytes == 2 * (weights - 100 * 64)
    assert shape.kv_bytes == 2 * 2 * 2 * 16 * 2
    assert shape.kv_heads == 2


def test_a_folder_a_file_and_a_model_within_another_are_read(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"text_config": SMALL}))
    assert read_shape(tmp_path).weights == shape_of("x", SMALL).weights
    assert read_shape(tmp_path / "config.json").name == tmp_path.name
    assert read_shape("meta-llama/Llama-3.1-8B-Instruct").name == "llama-3.1-8b"


@pytest.mark.parametrize(
    ("quantized", "bits"),
    [
        ({"quant_method": "fp8"}, 8),
        ({"quant_method": "awq", "bits": 4}, 4.25),
        ({"quant_method": "gptq", "bits": 8}, 8),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, 4.25),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {"group_0": {"weights": {"num_bits": 8}}},
            },
            8,
        ),
    ],
)
def test_quantized_matrices_take_fewer_bytes(quantized, bits):
    shape = shape_of("small", {**SMALL, "quantization_config": quantized})
    matrices = shape.weights - 2 * 100 * 64
    assert shape.weight_bytes == pytest.approx(matrices * bits / 8 + 2 * 2 * 100 * 64)
    assert shape.kv_bytes == shape_of("small", SMALL).kv_bytes
    assert any("bits a weight" in note for note in shape.notes)


def test_experts_that_few_tokens_choose_are_not_all_read():
    content = {**SMALL, "num_experts": 256, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
    shape = shape_of("experts", content)
    assert shape.active < shape.weights / 5
    assert shape.step_bytes < shape.weight_bytes / 2
    assert any("experts" in note for note in shape.notes)
    dense = shape_of("experts", {**content, "first_k_dense_replace": 1})
    assert dense.weights < shape.weights


def test_layers_with_a_sliding_window_are_noted():
    assert any("sliding window" in note for note in read_shape("gpt-oss-20b").notes)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"hidden_size": None}, "its config has no hidden_size"),
        ({"vocab_size": "many"}, "vocab_size is 'many'"),
        ({"torch_dtype": "int3"}, "no dtype 'int3'"),
        ({"quantization_config": {"quant_method": "odd"}}, "bits of a weight"),
        ({"kv_lora_rank": 8}, "no qk_rope_head_dim"),
        ({"num_experts": 8}, "no num_experts_per_tok"),
    ],
)
def test_a_config_without_what_is_needed_names_the_field(change, says):
    with pytest.raises(UserError, match=says):
        shape_of("small", {**SMALL, **change})


def test_no_model_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"no config.json at .*llama-3.1-8b"):
        read_shape("nothing-here")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UserError, match="cannot be read"):
        read_shape(tmp_path)
