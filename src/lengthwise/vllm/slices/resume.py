"""A later slice in the engine: to vLLM a preempted request that comes back.

Its scheduler and worker know how to go on with one: tokens generated before count as
output for penalties, ``min_tokens``, bad words and repetition, and as age for a policy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from lengthwise.errors import UserError
from lengthwise.vllm.piece import Slice, max_tokens

Skip = Callable[[torch.Generator, int, int], None]
"""Advances a request's generator as sampling so many tokens of a vocabulary does."""


def resume(request: Any, piece: Slice) -> None:
    """Give a vLLM request that just came to the scheduler what earlier slices generated."""
    if not piece.generated:
        return
    request.append_output_token_ids(piece.generated)
    request.num_preemptions += 1
    # A first prefill's figures, and vLLM asserts that it finds no more than the prompt.
    request.take_prefill_stats()


def returns(request: Any, max_model_len: int) -> bool:
    """Whether a finished vLLM request is a slice that another one follows."""
    return (
        str(request.get_finished_reason()) == "length"
        and request.num_output_tokens < max_tokens(request)
        and request.num_tokens < max_model_len
    )


def resume_in_worker(runner: Any) -> None:
    """Let a model runner take up slices where the one before ended.

    The V2 runner does by itself: it receives prompt and output apart, and draws by position.

    Raises:
        UserError: if the sampler draws in a way that cannot be continued.
    """
    if not hasattr(runner, "input_batch"):
        return
    from vllm.v1.worker import gpu_model_runner
    from vllm.v1.worker.gpu_input_batch import CachedRequestState

    vocabulary = runner.input_batch.vocab_size
    skip = way_to_skip(runner.sampler.topk_topp_sampler, runner.device, vocabulary)

    class SliceState(CachedRequestState):  # type: ignore[misc]
        """A new request's state in the worker, with the output of its earlier slices."""

        def __post_init__(self) -> None:
            super().__post_init__()
            piece = Slice.of(self.sampling_params)
            if piece is None:
                return
            self.output_token_ids.extend(piece.generated)
            if self.generator is not None:
                skip(self.generator, len(piece.generated), vocabulary)

    gpu_model_runner.CachedRequestState = SliceState


def integers(generator: torch.Generator, tokens: int, vocabulary: int) -> None:
    """Advance a CPU's generator as vLLM does from 0.32: one integer a token."""
    torch.randint(0, 2**31, (tokens,), generator=generator, dtype=torch.long)


def rows(generator: torch.Generator, tokens: int, vocabulary: int) -> None:
    """Advance a CPU's generator as vLLM 0.31 does: a row of noise a token, which takes as long
    here as it took there (1 ms at 49 thousand words)."""
    noise = torch.empty(vocabulary)
    for _ in range(tokens):
        noise.exponential_(generator=generator)


def offset(generator: torch.Generator, tokens: int, vocabulary: int) -> None:
    """Advance a GPU's generator: a row of noise moves its counter by 4, as vLLM itself counts
    where it takes a draw back."""
    generator.set_offset(generator.get_offset() + 4 * tokens)


@torch.inference_mode()
def way_to_skip(sampler: Any, device: torch.device, vocabulary: int) -> Skip:
    """What advances a generator as this sampler's draws do: tried on it.

    Raises:
        UserError: if nothing does: seeded requests would change at each slice's start.
    """

    def generator() -> torch.Generator:
        return torch.Generator(device=device).manual_seed(1)

    real = generator()
    sampler(torch.zeros(1, vocabulary, device=device), {0: real}, None, None)
    for skip in (integers, rows) if device.type == "cpu" else (offset,):
        skipped = generator()
        skip(skipped, 1, vocabulary)
        if torch.equal(real.get_state(), skipped.get_state()):
            return skip
    raise UserError("this vLLM samples seeded requests in a way that slices cannot continue")
