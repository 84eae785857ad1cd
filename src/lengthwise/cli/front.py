"""Flags of ``serve`` and ``route`` for what clients and gateways say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import click

from lengthwise.cli import flags
from lengthwise.errors import UserError


@dataclass(frozen=True)
class Front:
    """Whether hints of HTTP are read, and what may say whose request it is."""

    hints: str
    trust_identity: str

    def settings(self) -> dict[str, Any]:
        """The plug-in's settings that say so."""
        return {"trust": self.trust_identity}

    def added(self, rest: tuple[str, ...]) -> list[str]:
        """vLLM's flags, with the one that has hints read.

        Raises:
            UserError: if headers are trusted that nobody reads.
        """
        from lengthwise.vllm.hints_middleware import MIDDLEWARE

        if self.hints == "on":
            there = any(MIDDLEWARE in flag for flag in rest)
            return [*rest] if there else ["--middleware", MIDDLEWARE, *rest]
        if self.trust_identity == "headers":
            raise UserError(
                "--hints off and --trust-identity headers do not go together: with hints off no "
                "header is read"
            )
        return [*rest]


def choice(name: str, choices: tuple[str, ...], help: str) -> flags.Flag:
    """A flag with one of these words, the first unless told."""
    kind = click.Choice(choices)
    return click.option(name, type=kind, default=choices[0], show_default=True, help=help)


front = flags.bundle(
    Front,
    choice("--hints", ("on", "off"), "Read hints in headers and fields of requests."),
    choice(
        "--trust-identity",
        ("body", "headers", "none"),
        "What may say whose request it is, its priority and class; headers: a gateway sets them.",
    ),
)

page = choice("--page", ("on", "off"), "Serve the live page at /lengthwise.")
