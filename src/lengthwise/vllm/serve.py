"""``lengthwise serve``: vLLM's own OpenAI-compatible server with lengthwise in it."""

from __future__ import annotations

import json
import os
import sys

from lengthwise.core.checks import check_port
from lengthwise.core.policy import Policy
from lengthwise.errors import UserError
from lengthwise.models.served import check_model
from lengthwise.policies import make_policy
from lengthwise.results.terminal import complain
from lengthwise.vllm.allowed import VARIABLE, allowed, discovered
from lengthwise.vllm.engine import check_memory, check_vllm, is_cpu_build, preload
from lengthwise.vllm.flags import Flags, additional_config
from lengthwise.vllm.limits import fit, obstacle_in
from lengthwise.vllm.settings import KEY, Settings
from lengthwise.vllm.slices.client import refuse
from lengthwise.vllm.slots import for_pausing

_COMPILING = {
    "--enforce-eager",
    "--no-enforce-eager",
    "--compilation-config",
    "-cc",
    "--optimization-level",
    "--cudagraph-capture-sizes",
    "--max-cudagraph-capture-size",
}
"""vLLM's flags of how, and whether, it compiles the model; ``-O`` and a level is one more."""

_CACHE = "VLLM_CPU_KVCACHE_SPACE"
"""GiB of the CPU engine's KV cache, for each engine; vLLM reads a whole number."""

_CACHE_FLAG = "--kv-cache-memory-bytes"
"""The same as a flag, in bytes; vLLM lets the variable win."""

_RANKS = (("--data-parallel-size-local", "-dpl"), ("--data-parallel-size", "-dp"))
"""How many engines run on this machine, the first that is set."""


def serve(model: str, settings: Settings, flags: list[str]) -> None:
    """Replace this process by ``vllm serve MODEL`` with our scheduler and the user's flags.

    Everything that can be wrong on our side is checked first, because inside vLLM's
    processes an error is a page of traceback.

    Raises:
        UserError: unknown policy, no or foreign probe, wrong vLLM, port in use, too
            little memory, or slices with what they do not go with.
    """
    command = build_command(model, settings, flags)
    allow_plugins(settings)
    if is_cpu_build():
        if not Flags(flags).sets(_CACHE_FLAG):
            os.environ.setdefault(_CACHE, "2")
        os.environ.update(preload())
    os.execv(command[0], command)


def allow_plugins(settings: Settings) -> None:
    """Let vLLM load our plug-ins, the routes among them only if they are wanted."""
    plugins = allowed(os.environ.get(VARIABLE), settings.page, discovered())
    if plugins.value is not None:
        os.environ[VARIABLE] = plugins.value
    if plugins.line is not None:
        complain(plugins.line)


def build_command(model: str, settings: Settings, flags: list[str]) -> list[str]:
    """The checked command line of the server."""
    check_place(Flags(flags))
    # vLLM's own program asks for a package named vllm, which vllm-cpu is not.
    program = "lengthwise.vllm.launch" if is_cpu_build() else "vllm.entrypoints.cli.main"
    return [sys.executable, "-m", program, "serve", *server_flags(model, settings, flags)]


def server_flags(model: str, settings: Settings, flags: list[str]) -> list[str]:
    """The checked arguments of ``vllm serve``: the model, our flags, and the user's.

    Raises:
        UserError: what :func:`serve` refuses, but for the port.
    """
    read = Flags(flags)
    check_vllm(fit(settings, obstacle_in(read)), driven=False)
    if settings.slice is not None:
        refuse(read)
    policy = make_policy(settings.policy)
    _check_predictors(settings, policy)
    settings.check(model)
    check_model(model)
    check_cache(model, read)
    given = additional_config(read)
    if KEY in given:
        raise UserError("set lengthwise by its own flags, not in --additional-config")
    settings = fit(settings, obstacle_in(read), complain)
    config = json.dumps({**given, **settings.additional_config()})
    rest = read.without("--additional-config")
    rest = for_cpus(rest) if is_cpu_build() else for_pausing(policy, settings, rest)
    ours = ["--scheduler-cls", "lengthwise.vllm.Scheduler", "--additional-config", config]
    return [model, *ours, *rest]


def _check_predictors(settings: Settings, policy: Policy) -> None:
    predicts = policy.source in ("prompt", "probe")
    needs = predicts and policy.needs_predictions and settings.probe is None
    if needs and settings.learns:
        complain(
            f"policy {settings.policy} predicts: until something is learned that is worth it, "
            "requests are served in the order of arrival"
        )
    elif needs:
        raise UserError(
            f"policy {settings.policy} predicts: give --predictor FOLDER (see lengthwise train), "
            "let it learn, or take --policy lengthwise, which needs none"
        )
    folder = settings.learning.get("folder")
    if folder is not None and settings.learn and not settings.learns:
        raise UserError(
            f"policy {settings.policy} predicts nothing: there is nothing to learn in {folder}"
        )
    if policy.source == "oracle":
        raise UserError("the oracle policy needs true lengths: it runs in lengthwise bench only")


def check_place(flags: Flags) -> None:
    """Refuse a port that cannot be listened on; a server without an API listens nowhere.

    Raises:
        UserError: says why.
    """
    if flags.sets("--headless", "--uds"):
        return
    port = flags.value("--port") or "8000"
    if not port.isdecimal():
        raise UserError(f"--port must be a number up to 65535, not {port!r}")
    check_port(flags.value("--host") or "", int(port))


def check_cache(model: str, flags: Flags) -> None:
    """Refuse engines that do not fit into the memory of a machine without GPUs.

    Raises:
        UserError: says what is short.
    """
    if not is_cpu_build():
        return
    said, by_flag = os.environ.get(_CACHE, ""), flags.sets(_CACHE_FLAG)
    if said and not said.isdecimal():
        raise UserError(
            f"vLLM reads {_CACHE} as a whole number of GiB, not {said!r}: for less than one "
            f"leave it out and give {_CACHE_FLAG}"
        )
    counts = (flags.number(0, *names) for names in _RANKS)
    check_memory(model, next(filter(None, counts), 1), cached=not by_flag or bool(said))


def for_cpus(flags: list[str]) -> list[str]:
    """The user's flags, and those that the CPU build needs and the user did not give."""
    given, added = Flags(flags).names, []
    if "--dtype" not in given:
        added += ["--dtype", "float32"]
    if not any(name in _COMPILING or name.startswith("-O") for name in given):
        complain(
            "the model is not compiled (--enforce-eager): on a CPU that takes a minute or "
            "more at every start and gains little; --no-enforce-eager compiles"
        )
        added.append("--enforce-eager")
    return [*flags, *added]
