"""vLLM's entry point: hangs tap and slices into worker and client, wherever they run.

vLLM loads general plug-ins in every process and only logs their errors, so nothing
here can fail silently: the scheduler checks that predictions really arrive.
"""

from __future__ import annotations

import functools
import logging
from typing import Any

from lengthwise.errors import UserError
from lengthwise.predictors.layers import tapped_layers
from lengthwise.vllm.feeding import feed
from lengthwise.vllm.limits import settings_of
from lengthwise.vllm.ours import is_ours
from lengthwise.vllm.settings import KEY, Settings
from lengthwise.vllm.slices.client import install

logger = logging.getLogger("vllm.lengthwise")


def register() -> None:
    """Wrap ``Worker.load_model`` and the making of clients; without our scheduler no change."""
    from vllm.v1.worker.gpu_worker import Worker

    install(watched)

    original = Worker.load_model
    if getattr(original, "lengthwise", False):
        return

    @functools.wraps(original)
    def load_model(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        attach(self)

    load_model.lengthwise = True  # type: ignore[attr-defined]
    Worker.load_model = load_model


def watched(client: Any) -> None:
    """Show what the engines of a new client do as metrics, if it is a server's, of our scheduler.

    Never raises: whatever fails here costs the metrics, not the server.
    """
    from vllm.v1.engine.core_client import AsyncMPClient

    try:
        if not isinstance(client, AsyncMPClient):
            return
        if is_ours(client.vllm_config.scheduler_config.scheduler_cls):
            feed(client)
    except Exception as error:
        logger.warning("lengthwise has no metrics here: %s", error)


def attach(worker: Any) -> None:
    """Give the worker's model runner a tap if the settings want hidden states."""
    config = worker.vllm_config
    if not is_ours(config.scheduler_config.scheduler_cls):
        return
    settings = settings_of(config)
    if settings.slice is not None:
        from lengthwise.vllm.slices.resume import resume_in_worker

        resume_in_worker(worker.model_runner)
    if not _is_heard(worker):
        return
    from lengthwise.vllm.observers import make_observers
    from lengthwise.vllm.tap import Tap

    learned = _learned_layers(worker, settings) if settings.sampling else ()
    model = config.model_config
    made = make_observers(settings, model.model, model.get_hidden_size(), worker.device, learned)
    if not made.layers:
        return
    if _has_plain(config):
        # Part of the compile cache's key: a graph with other outputs must not be reused.
        tapped = {f"{KEY}_tapped": list(made.layers)}
        config.additional_config = {**(config.additional_config or {}), **tapped}
    worker.lengthwise = made.recorder
    Tap(worker.model_runner, made.layers, made.watchers)


def _learned_layers(worker: Any, settings: Settings) -> tuple[int, ...]:
    """The layers that a probe is learned from; none, with one line, if none can be learned here."""
    from lengthwise.vllm.runner_v2 import RunnerV2
    from lengthwise.vllm.surface import RUNNER_V1, RUNNER_V2, check_running
    from lengthwise.vllm.tap import offers_layers, reader_of

    config, runner = worker.vllm_config, worker.model_runner
    try:
        second = isinstance(reader_of(runner), RunnerV2)
        check_running([RUNNER_V2 if second else RUNNER_V1])
    except UserError as error:
        logger.warning("lengthwise learns from prompts only: %s", error)
        return ()
    depth = config.model_config.get_total_num_hidden_layers()
    offers = _has_plain(config) and offers_layers(runner)
    return tapped_layers(depth, offers, _acting_layer(config, settings))


def _acting_layer(config: Any, settings: Settings) -> int | None:
    """The layer of the probe that acted when a server of this model stopped, if one did."""
    from lengthwise.online.acting import acting_layer
    from lengthwise.online.folder import rank_folder
    from lengthwise.online.options import Learning

    folder = Learning.of(settings.learning).folder
    rank = config.parallel_config.data_parallel_index
    try:
        return acting_layer(rank_folder(config.model_config.model, folder, rank))
    except (OSError, UserError):
        return None


def _has_plain(config: Any) -> bool:
    """Whether the additional config is a plain dictionary, which the tapped layers can go into."""
    return isinstance(config.additional_config or {}, dict)


def _is_heard(worker: Any) -> bool:
    """Whether what this worker returns reaches a scheduler.

    Of the ranks of a tensor-parallel group vLLM's executors return the first one's output; all
    of them have whole hidden states. Under an external launcher each rank schedules by itself.
    """
    parallel = worker.vllm_config.parallel_config
    if parallel.distributed_executor_backend == "external_launcher":
        return True
    return bool(worker.rank % parallel.tensor_parallel_size == 0)
