"""The settings as one engine can serve with them: what it cannot do, all else goes on without.

The probe reads one state for each token that is certain to stay, of a request that the
worker's last stage has whole. Drafts may be rejected (and EAGLE takes the model's hidden
states for itself); the stages of a pipeline, and the ranks among which a prompt is split,
each see a part. No order needs the probe: it falls back to what the prompt predicts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lengthwise.vllm.flags import Flags
from lengthwise.vllm.settings import Settings

_SPECULATION = "speculative decoding"
_PIPELINE = "pipeline parallelism"
_PREFILL = "prefill context parallelism"

SPECULATING = ("--speculative-config", "-sc", "--spec-method", "--spec-model", "--spec-tokens")
"""Each of these flags of vLLM makes it speculate."""

STAGES = ("--pipeline-parallel-size", "-pp")
_SHARES = ("--prefill-context-parallel-size", "-pcp")


def obstacle(config: Any) -> str | None:
    """What an engine of this VllmConfig does that the probe does not go with."""
    parallel = config.parallel_config
    return _first(
        config.speculative_config is not None,
        parallel.pipeline_parallel_size > 1,
        getattr(parallel, "prefill_context_parallel_size", 1) > 1,
    )


def obstacle_in(flags: Flags) -> str | None:
    """The same of an engine that vLLM will build from these flags."""
    return _first(
        flags.sets(*SPECULATING), flags.number(1, *STAGES) > 1, flags.number(1, *_SHARES) > 1
    )


def _first(speculates: bool, has_stages: bool, shares_prompts: bool) -> str | None:
    found = ((speculates, _SPECULATION), (has_stages, _PIPELINE), (shares_prompts, _PREFILL))
    return next((name for is_so, name in found if is_so), None)


def settings_of(config: Any, tell: Callable[[str], object] | None = None) -> Settings:
    """The settings in a VllmConfig, as its engine can serve with them."""
    return fit(Settings.read(config.additional_config), obstacle(config), tell)


def fit(
    settings: Settings, found: str | None, tell: Callable[[str], object] | None = None
) -> Settings:
    """The settings, without hidden states if something was found that a probe does not go with.

    Args:
        tell: gets one line if that changes anything.
    """
    if found is None or not (settings.probing or settings.sampling):
        return settings
    if tell is not None:
        probe = "the" if settings.probing else "a learned"
        tell(
            f"{probe} probe does not go with {found}: policy {settings.policy} goes by what the "
            "prompt predicts"
        )
    return replace(settings, tap=False)
