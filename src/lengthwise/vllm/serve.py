"""``lengthwise serve``: vLLM's own OpenAI-compatible server with lengthwise in it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from lengthwise.core.checks import check_port
from lengthwise.errors import UserError, reading
from lengthwise.models.served import check_model
from lengthwise.policies import make_policy
from lengthwise.results.terminal import complain
from lengthwise.vllm.engine import check_memory, check_vllm, is_cpu_build, preload
from lengthwise.vllm.settings import KEY, Settings
from lengthwise.vllm.slices.client import refuse

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


def serve(model: str, settings: Settings, flags: list[str]) -> None:
    """Replace this process by ``vllm serve MODEL`` with our scheduler and the user's flags.

    Everything that can be wrong on our side is checked first, because inside vLLM's
    processes an error is a page of traceback.

    Raises:
        UserError: unknown policy, no or foreign probe, wrong vLLM, port in use, too
            little memory.
    """
    command = build_command(model, settings, flags)
    if is_cpu_build():
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "2")
        os.environ.update(preload())
    os.execv(command[0], command)


def build_command(model: str, settings: Settings, flags: list[str]) -> list[str]:
    """The checked command line of the server."""
    check_vllm(settings, driven=False)
    if settings.slice is not None:
        refuse(flag.partition("=")[0] for flag in flags)
    policy = make_policy(settings.policy)
    source = policy.source
    if source in ("prompt", "probe"):
        if policy.needs_predictions and settings.probe is None:
            raise UserError(
                f"policy {settings.policy} predicts: give --predictor FOLDER "
                "(see lengthwise train), or --policy lengthwise, which needs none"
            )
        if settings.learn and settings.probe is None:
            raise UserError("learning goes on from a predictor: give --predictor FOLDER")
    elif settings.learn:
        raise UserError(f"policy {settings.policy} predicts nothing: there is nothing to learn")
    if source == "oracle":
        raise UserError("the oracle policy needs true lengths: it runs in lengthwise bench only")
    settings.check(model)
    check_model(model)
    port = _flag(flags, "--port") or "8000"
    if not port.isdecimal():
        raise UserError(f"--port must be a number up to 65535, not {port!r}")
    check_port(_flag(flags, "--host") or "", int(port))
    check_memory(model)
    flags, given = _take_additional_config(flags)
    config = json.dumps({**given, **settings.additional_config()})
    if is_cpu_build():
        flags = for_cpus(flags)
    program = ["-m", "vllm.entrypoints.cli.main", "serve", model]
    if is_cpu_build():
        # vLLM's own command looks for a package named vllm, which vllm-cpu is not.
        program = ["-m", "vllm.entrypoints.openai.api_server", "--model", model]
    ours = ["--scheduler-cls", "lengthwise.vllm.Scheduler", "--additional-config", config]
    return [sys.executable, *program, *ours, *flags]


def for_cpus(flags: list[str]) -> list[str]:
    """The user's flags, and those that the CPU build needs and the user did not give."""
    given, added = _names(flags), []
    if "--dtype" not in given:
        added += ["--dtype", "float32"]
    if not any(name in _COMPILING or name.startswith("-O") for name in given):
        complain(
            "the model is not compiled (--enforce-eager): on a CPU that takes a minute or "
            "more at every start and gains little; --no-enforce-eager compiles"
        )
        added.append("--enforce-eager")
    return [*flags, *added]


def _names(flags: list[str]) -> set[str]:
    """The flags' names as vLLM spells them, with those of the configuration file they name."""
    names, config = set(flags), _flag(flags, "--config")
    if config is not None:
        with reading(f"--config {config}", "give a YAML file of vLLM's flags"):
            names |= {f"--{key}" for key in _yaml(Path(config))}
    return {name.partition("=")[0].partition(".")[0].replace("_", "-") for name in names}


def _yaml(path: Path) -> dict[str, Any]:
    import yaml

    try:
        found = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise ValueError(f"no YAML: {error}") from None
    if not isinstance(found, dict):
        raise ValueError("no flags in it")
    return found


def _flag(flags: list[str], name: str) -> str | None:
    for i, flag in enumerate(flags):
        if flag.startswith(f"{name}="):
            return flag.partition("=")[2]
        if flag == name and i + 1 < len(flags):
            return flags[i + 1]
    return None


def _take_additional_config(flags: list[str]) -> tuple[list[str], dict[str, Any]]:
    """The user's own additional config, which ours joins."""
    name = "--additional-config"
    value = _flag(flags, name)
    if value is None:
        return flags, {}
    try:
        given = json.loads(value)
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise UserError(f"{name} must be a JSON object")
    if KEY in given:
        raise UserError(f"set lengthwise by its own flags, not in {name}")
    kept, skip = [], False
    for flag in flags:
        if skip:
            skip = False
        elif flag == name:
            skip = True
        elif not flag.startswith(f"{name}="):
            kept.append(flag)
    return kept, given
