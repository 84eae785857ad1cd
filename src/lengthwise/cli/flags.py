"""Flags that several commands share: one name, one type and one help for one thing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lengthwise.cli import values
from lengthwise.core.checks import at_least

if TYPE_CHECKING:
    from lengthwise.workload.prompts import Prompt

Flag = Callable[[Callable[..., Any]], Callable[..., Any]]


def bundle(kind: type[Any], *options: Flag) -> Flag:
    """Adds options and hands their values on as one ``kind``, named as the kind in lower case.

    ``kind`` is a dataclass whose fields are named as the options.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def run(**given: Any) -> Any:
            own = {each.name: given.pop(each.name) for each in fields(kind)}
            return command(**{kind.__name__.lower(): kind(**own)}, **given)

        decorated: Callable[..., Any] = run
        for option in reversed(options):
            decorated = option(decorated)
        return decorated

    return decorate


def whole(name: str, default: int | None, text: str) -> Flag:
    """A flag with a whole number."""
    return click.option(
        name,
        type=int,
        default=default,
        show_default=default is not None,
        metavar="N",
        help=text,
    )


def number(name: str, default: float | None, text: str) -> Flag:
    """A flag with a number."""
    return click.option(
        name,
        type=float,
        default=default,
        show_default=default is not None,
        metavar="X",
        help=text,
    )


def text(name: str, default: str | None, metavar: str, help: str) -> Flag:
    """A flag with a text, shown as ``metavar``."""
    return click.option(
        name, default=default, show_default=bool(default), metavar=metavar, help=help
    )


def named(name: str, default: str | None, help: str) -> Flag:
    """A flag with names, separated by commas."""
    return click.option(
        name, type=values.names, default=default, show_default=True, metavar="NAME,...", help=help
    )


model = click.argument("model")
"""A local folder, or a name in the Hugging Face cache."""


def policies(default: str | None, text: str) -> Flag:
    """Policies, the first of which the others are compared with."""
    return named("--policies", default, text)


def predictor(text: str = "Folder of trained predictors; builtin is SmolLM2's.") -> Flag:
    """The predictors' folder."""
    return click.option("--predictor", metavar="FOLDER", help=text)


def seats(default: int) -> Flag:
    """vLLM's ``max_num_seqs``."""
    return whole("--seats", default, "Most requests in one step of an engine.")


def max_tokens(default: int) -> Flag:
    """The cap of every answer."""
    return whole("--max-tokens", default, "Most tokens of an answer.")


def requests(text: str, default: int | None = None) -> Flag:
    """How many requests."""
    return whole("--requests", default, text)


def kv_blocks(default: int | None, text: str) -> Flag:
    """The size of the KV cache."""
    return whole("--kv-blocks", default, text)


def block_size(default: int) -> Flag:
    """Tokens in a block."""
    return whole("--block-size", default, "Tokens in a block of KV memory.")


def kv_tokens(default: int, text: str) -> Flag:
    """KV memory of an instance that runs padded batches."""
    return whole("--kv-tokens", default, text)


def loads(default: str, help: str) -> Flag:
    """Arrival rates as shares of the capacity."""
    return text("--loads", default, "X,...", help)


def rates(help: str) -> Flag:
    """Arrival rates."""
    return text("--rates", None, "RATE,...", help)


cv = number("--cv", 1.0, "Coefficient of variation of the gaps between arrivals; 1 is Poisson.")


def instances(default: int, text: str) -> Flag:
    """How many engines."""
    return whole("--instances", default, text)


def repeat(default: int, text: str) -> Flag:
    """Repetitions."""
    return whole("--repeat", default, text)


routers = named("--routers", "least-in-flight,predicted", "Routers to compare.")

report_interval = number(
    "--report-interval", 1.0, "Seconds between two load reports of an instance."
)

recompute = click.option("--recompute", is_flag=True, help="Discard the KV cache on preemption.")

margin = number("--margin", 8.0, "How many tokens better a rank must be to take a seat.")


watermark = number(
    "--watermark", 0.0, "Blocks that stay free at an admission, as a share (vLLM's --watermark)."
)


def predict_interval(text: str) -> Flag:
    """How often predictions are made anew."""
    return whole("--predict-interval", 1, text)


until = whole("--until", None, "Also measure the seconds until N requests have finished.")

workers = whole("--workers", 0, "Processes; 0 is one for each core.")

seed = whole("--seed", 0, "Of everything random.")


def out(default: str | None, text: str = "Folder of the results.") -> Flag:
    """Where results go."""
    return click.option(
        "--out",
        type=values.PATH,
        default=default and Path(default),
        show_default=True,
        required=default is None,
        metavar="FOLDER",
        help=text,
    )


as_json = click.option(
    "--json", "as_json", is_flag=True, help="Print the result as JSON instead of tables."
)

too_long = click.option(
    "--too-long",
    type=click.Choice(["leave-out", "refuse"]),
    default="leave-out",
    show_default=True,
    help="Prompts that the model's context has no room for.",
)


@dataclass(frozen=True)
class Learn:
    """Whether a server learns from what it serves, and where it keeps that."""

    learn: str

    def settings(self) -> dict[str, Any]:
        """The plug-in's settings that say so."""
        kept = {} if self.learn in ("on", "off") else {"folder": str(Path(self.learn).resolve())}
        return {"learn": self.learn != "off", "learning": kept}


learn = bundle(
    Learn,
    text(
        "--learn",
        "on",
        "WHERE",
        "Learn from finished requests: on keeps what is learned in a folder of the model's in "
        "lengthwise's cache; off; or a folder.",
    ),
)


@dataclass(frozen=True)
class Telling:
    """Where a server tells what it decides."""

    lengthwise_log: Path | None
    lengthwise_log_mib: float | None
    lengthwise_spans: float | None

    def settings(self) -> dict[str, Any]:
        """The plug-in's settings that say so; what is not given keeps its default."""
        log = None if self.lengthwise_log is None else str(self.lengthwise_log.absolute())
        found = {
            "log": log,
            "log_mib": self.lengthwise_log_mib,
            "spans": self.lengthwise_spans,
        }
        return {name: value for name, value in found.items() if value is not None}


telling = bundle(
    Telling,
    click.option(
        "--lengthwise-log",
        type=values.PATH,
        metavar="FILE",
        help="Each decision as a line of JSON, without any text of a prompt or an answer.",
    ),
    click.option(
        "--lengthwise-log-mib",
        type=float,
        metavar="X",
        help="MiB after which that file is rotated; four are kept beside it.  [default: 64]",
    ),
    click.option(
        "--lengthwise-spans",
        type=float,
        metavar="SHARE",
        help="Share of requests with a span of their decisions, where --otlp-traces-endpoint "
        "says.  [default: 0.01]",
    ),
)

constants = text(
    "--constants", "", "NAME=X,...", "Constants of the systems, like slice=64,gamma=0.5,size=8."
)


@dataclass(frozen=True)
class Prompts:
    """Which prompts a real engine answers."""

    prompts: str
    requests: int | None
    held_out: bool

    def read(self) -> list[Prompt]:
        """The prompts, the first so many of those that are meant.

        Raises:
            UserError: if the file is bad, or fewer than one is wanted.
        """
        from lengthwise.results.terminal import say
        from lengthwise.traces.prompts import prompt_file
        from lengthwise.workload.prompts import held_out

        at_least(1, requests=self.requests)
        file = prompt_file(self.prompts)
        for line in (*file.left_out, *file.found):
            say(f"prompts {self.prompts}: {line}", sys.stderr)
        found = file.prompts
        if self.held_out:
            found = [prompt for prompt in found if held_out(prompt.id)]
        return found[: self.requests]


prompts = bundle(
    Prompts,
    text(
        "--prompts",
        "builtin",
        "FILE",
        "JSON lines, ShareGPT, OpenAI batch and others; shipped: builtin, documents, applications.",
    ),
    requests("Only the first N prompts."),
    click.option("--held-out", is_flag=True, help="Only prompts that are never trained on."),
)
