from types import SimpleNamespace

import pytest
import torch

from lengthwise.errors import UserError
from lengthwise.vllm.piece import KEY, Slice
from lengthwise.vllm.slices.resume import integers, resume, returns, rows, way_to_skip


class Request:
    """What resuming needs of vLLM's own request."""

    def __init__(self, generated, max_tokens=20, reason="length", whole=90):
        facts = {KEY: {"generated": list(generated), "max_tokens": whole}}
        self.sampling_params = SimpleNamespace(extra_args=facts)
        self.output, self.num_preemptions, self.max_tokens = [], 0, max_tokens
        self.prefill_stats, self.reason = object(), reason

    def append_output_token_ids(self, tokens):
        self.output.extend(tokens)

    def take_prefill_stats(self):
        self.prefill_stats = None

    def get_finished_reason(self):
        return self.reason

    @property
    def num_output_tokens(self):
        return len(self.output)

    @property
    def num_tokens(self):
        return 10 + len(self.output)


def test_a_later_slice_comes_to_the_scheduler_as_a_preempted_request():
    it = Request([5, 6, 7])
    resume(it, Slice.of(it.sampling_params))
    assert (it.output, it.num_preemptions, it.prefill_stats) == ([5, 6, 7], 1, None)


def test_a_first_slice_comes_as_a_new_one():
    it = Request([])
    stats = it.prefill_stats
    resume(it, Slice.of(it.sampling_params))
    assert (it.output, it.num_preemptions, it.prefill_stats) == ([], 0, stats)


@pytest.mark.parametrize(
    ("reason", "tokens", "expected"),
    [("length", 20, True), ("length", 90, False), ("stop", 20, False), ("abort", 20, False)],
)
def test_a_request_returns_only_if_its_slice_was_the_limit(reason, tokens, expected):
    it = Request([], reason=reason)
    it.output = list(range(tokens))
    assert returns(it, 500) is expected


def test_a_request_that_fills_the_context_does_not_return():
    it = Request([])
    it.output = list(range(20))
    assert not returns(it, 30)


def one_integer(logits, generators, k, p):
    """As vLLM's sampler draws on a CPU."""
    for generator in generators.values():
        torch.randint(0, 2**31, (1,), generator=generator, dtype=torch.long)


def one_row(logits, generators, k, p):
    """As it did in 0.31."""
    for generator in generators.values():
        torch.empty(logits.shape[-1]).exponential_(generator=generator)


def two_rows(logits, generators, k, p):
    """As no vLLM does."""
    one_row(logits, generators, k, p)
    one_row(logits, generators, k, p)


CPU = torch.device("cpu")


@pytest.mark.parametrize("tokens", [0, 1, 7, 640])
@pytest.mark.parametrize(("sampler", "way"), [(one_integer, integers), (one_row, rows)])
def test_skipping_draws_leaves_the_generator_where_drawing_does(sampler, way, tokens):
    skip = way_to_skip(sampler, CPU, 1000)
    assert skip is way
    drawn, skipped = (torch.Generator().manual_seed(3) for _ in range(2))
    for _ in range(tokens):
        sampler(torch.zeros(1, 1000), {0: drawn}, None, None)
    skip(skipped, tokens, 1000)
    assert torch.equal(drawn.get_state(), skipped.get_state())


def test_a_sampler_that_draws_otherwise_is_refused():
    with pytest.raises(UserError, match="cannot continue"):
        way_to_skip(two_rows, CPU, 1000)
