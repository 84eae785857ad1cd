import pytest

from lengthwise.calibration.cards import FASTEST, SLOWEST, cards, find_card, from_card
from lengthwise.errors import UserError

# docs/experiments/gpu.md: milliseconds of stock vLLM's step on an H100, 8 billion weights,
# prompts of 128 tokens and answers of 160, so 208 tokens of context in the mean.
MEASURED = ((64, 7.600), (256, 11.960))


@pytest.mark.parametrize(("seats", "milliseconds"), MEASURED)
def test_measured_steps_lie_within_the_interval(seats, milliseconds):
    found = from_card("h100-sxm", "llama-3.1-8b")
    ours = 1000 * found.steps.seconds(0, seats, 208 * seats)
    assert found.fastest * ours < milliseconds < found.slowest * ours
    assert ours == pytest.approx(milliseconds, rel=0.2)


def test_memory_is_what_weights_leave():
    found = from_card("h100-sxm", "llama-3.1-8b")
    assert found.kv_tokens == pytest.approx(450_000, rel=0.02)
    assert found.error is None
    assert (found.fastest, found.slowest) == (FASTEST, SLOWEST)
    assert any("assumed" in note for note in found.notes)


def test_cards_share_a_model():
    alone = from_card("h200", "llama-3.1-70b", gpu_memory_utilization=0.99)
    four = from_card("h200", "llama-3.1-70b", tensor_parallel=4)
    assert four.steps.seconds(0, 64, 64_000) < alone.steps.seconds(0, 64, 64_000) / 2
    assert "4 h200-sxm" in four.source
    # The latent cache of DeepSeek cannot be split: each card keeps all of it.
    eight = from_card("b200", "deepseek-v3", tensor_parallel=8)
    assert eight.steps.kv_bytes == 61 * 576 * 2


def test_matrices_in_8_bits_are_multiplied_faster_where_the_card_can(tmp_path):
    path = tmp_path / "config.json"
    text = '"hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, '
    text += '"intermediate_size": 14336, "vocab_size": 128256, '
    path.write_text("{" + text + '"quantization_config": {"quant_method": "fp8"}}')
    new, old = from_card("h100-sxm", path).steps, from_card("a100", path).steps
    assert new.peak / old.peak == pytest.approx(1978.9 / 312)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("NVIDIA H100 80GB HBM3", "h100-sxm"),
        ("H100 PCIe", "h100-pcie"),
        ("NVIDIA A100-SXM4-80GB", "a100-80gb-sxm"),
        ("Tesla T4", "t4"),
        ("NVIDIA GeForce RTX 4090", "rtx-4090"),
        ("NVIDIA L40S", "l40s"),
        ("mi300x", "mi300x"),
    ],
)
def test_cards_are_found_as_drivers_name_them(name, key):
    assert find_card(name)[0] == key


def test_every_card_is_whole_and_no_name_is_of_two():
    names = [name for key, card in cards().items() for name in (key, *card.names)]
    assert len(names) == len(set(names))
    for card in cards().values():
        assert 2e11 < card.bandwidth < 1e13
        assert 5e13 < card.bf16 < 3e15
        assert card.fp8 is None or 1.9 < card.fp8 / card.bf16 < 2.1
        assert 12 < card.memory_gib < 300
        assert "datasheet" in card.source


def test_what_cannot_be_is_one_line():
    with pytest.raises(UserError, match="no card 'h9'"):
        from_card("h9", "llama-3.1-8b")
    with pytest.raises(UserError, match="does not fit into 1 x l4"):
        from_card("l4", "llama-3.1-70b")
    with pytest.raises(UserError, match="--tensor-parallel must be at least 1"):
        from_card("l4", "llama-3.1-8b", tensor_parallel=0)
    with pytest.raises(UserError, match="share of memory"):
        from_card("l4", "llama-3.1-8b", gpu_memory_utilization=1.5)


@pytest.mark.parametrize(
    ("card", "seats", "budget"),
    [
        ("l4", 256, 2048),
        ("a100-80gb-sxm", 256, 2048),
        ("h100-sxm", 1024, 8192),
        ("b200", 1024, 16384),
    ],
)
def test_seats_are_vllms_own_defaults(card, seats, budget):
    found = from_card(card, "llama-3.1-8b")
    assert (found.seats, found.budget) == (seats, budget)
