"""A later slice in the engine: to vLLM a preempted request that comes back.

Its scheduler and worker know how to go on with one: tokens generated before count as
output for penalties, ``min_tokens``, bad words and repetition, and as age for a policy.
"""

from __future__ import annotations

from typing import Any

import torch

from lengthwise.errors import UserError
from lengthwise.vllm.piece import Slice, max_tokens


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

    check_draws(runner.sampler.topk_topp_sampler, runner.device)

    class SliceState(CachedRequestState):  # type: ignore[misc]
        """A new request's state in the worker, with the output of its earlier slices."""

        def __post_init__(self) -> None:
            super().__post_init__()
            piece = Slice.of(self.sampling_params)
            if piece is None:
                return
            self.output_token_ids.extend(piece.generated)
            if self.generator is not None:
                skip_draws(self.generator, len(piece.generated))

    gpu_model_runner.CachedRequestState = SliceState


def skip_draws(generator: torch.Generator, tokens: int) -> None:
    """Advance a request's generator as sampling so many tokens does.

    On a CPU vLLM draws one integer a token; elsewhere a row of noise, which moves the
    counter by 4, as vLLM itself counts where it takes a draw back.
    """
    if generator.device.type == "cpu":
        torch.randint(0, 2**31, (tokens,), generator=generator, dtype=torch.long)
    else:
        generator.set_offset(generator.get_offset() + 4 * tokens)


@torch.inference_mode()
def check_draws(sampler: Any, device: torch.device, vocabulary: int = 1024) -> None:
    """Compare :func:`skip_draws` with what this sampler really draws.

    Raises:
        UserError: if they differ: seeded requests would change at each slice's start.
    """
    real, skipped = torch.Generator(device=device), torch.Generator(device=device)
    for generator in (real, skipped):
        generator.manual_seed(1)
    sampler(torch.zeros(1, vocabulary, device=device), {0: real}, None, None)
    skip_draws(skipped, 1)
    if not torch.equal(real.get_state(), skipped.get_state()):
        raise UserError("this vLLM samples seeded requests in a way that slices cannot continue")
