"""vLLM's entry point: hangs tap and slices into worker and client, wherever they run.

vLLM loads general plug-ins in every process and only logs their errors, so nothing
here can fail silently: the scheduler checks that predictions really arrive.
"""

from __future__ import annotations

import functools
from typing import Any

from lengthwise.vllm.limits import settings_of
from lengthwise.vllm.settings import KEY
from lengthwise.vllm.slices.client import install


def register() -> None:
    """Wrap ``Worker.load_model`` and the making of clients; without our settings no change."""
    from vllm.v1.worker.gpu_worker import Worker

    install()

    original = Worker.load_model
    if getattr(original, "lengthwise", False):
        return

    @functools.wraps(original)
    def load_model(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        attach(self)

    load_model.lengthwise = True  # type: ignore[attr-defined]
    Worker.load_model = load_model


def attach(worker: Any) -> None:
    """Give the worker's model runner a tap if the settings want hidden states."""
    config = worker.vllm_config
    if KEY not in (config.additional_config or {}):
        return
    settings = settings_of(config)
    if settings.slice is not None:
        from lengthwise.vllm.slices.resume import resume_in_worker

        resume_in_worker(worker.model_runner)
    if not _is_heard(worker):
        return
    from lengthwise.vllm.observers import make_observer
    from lengthwise.vllm.tap import Tap

    chosen = make_observer(settings, config.model_config.model, worker.device)
    if chosen is None:
        return
    layers, observer = chosen
    # Part of the compile cache's key: a graph with other outputs must not be reused.
    config.additional_config[f"{KEY}_tapped"] = layers
    worker.lengthwise = observer
    Tap(worker.model_runner, layers, observer)


def _is_heard(worker: Any) -> bool:
    """Whether what this worker returns reaches a scheduler.

    Of the ranks of a tensor-parallel group vLLM's executors return the first one's output; all
    of them have whole hidden states. Under an external launcher each rank schedules by itself.
    """
    parallel = worker.vllm_config.parallel_config
    if parallel.distributed_executor_backend == "external_launcher":
        return True
    return bool(worker.rank % parallel.tensor_parallel_size == 0)
