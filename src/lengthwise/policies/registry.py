"""Policies by name: the shipped ones, and those that users add."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import sys
from importlib.metadata import entry_points
from typing import TypeVar, get_args

from lengthwise.core.policy import Policy, Source
from lengthwise.errors import UserError

GROUP = "lengthwise.policies"
"""Entry point group in which an installed package names its policies."""

POLICIES: dict[str, type[Policy]] = {}

SHIPPED = "lengthwise.policies."
"""Modules whose policies nobody may replace."""

P = TypeVar("P", bound=Policy)


def register_policy(policy: type[P]) -> type[P]:
    """Make a policy known by its ``name`` in this process; usable as a decorator.

    Other processes (the bench's workers, ``lengthwise serve``) do not run the code that
    calls this: name the policy there as ``MODULE:CLASS``, or install it with an entry point
    in the group ``lengthwise.policies``.

    Raises:
        UserError: if it is not a complete policy, or its name is taken by a shipped one.
    """
    _check(policy, getattr(policy, "__name__", repr(policy)))
    known = POLICIES.get(policy.name)
    if known is not None and known is not policy and known.__module__.startswith(SHIPPED):
        raise UserError(f"policy {policy.__name__}: the name {policy.name!r} is taken")
    POLICIES[policy.name] = policy
    return policy


def find_policy(name: str, arguments: list[str]) -> tuple[type[Policy], list[str]]:
    """The class of ``name:ARGUMENT:...`` and its arguments.

    A name is a registered policy's or an entry point's; or, with the first argument, it is
    ``MODULE:CLASS``, imported also from the working directory.

    Raises:
        UserError: if there is none, or it is not a complete policy.
    """
    if name in POLICIES:
        return POLICIES[name], arguments
    for entry in entry_points(group=GROUP, name=name):
        try:
            found = entry.load()
        except (ImportError, AttributeError) as error:
            raise UserError(f"policy {name!r} ({entry.value}) cannot be loaded: {error}") from None
        _check(found, entry.value)
        POLICIES[name] = found
        return found, arguments
    if arguments and re.fullmatch(r"[\w.]+", name) and arguments[0].isidentifier():
        return _imported(name, arguments[0]), arguments[1:]
    raise UserError(_unknown(name))


def _imported(module: str, name: str) -> type[Policy]:
    # As `python -m` has it; the command's own path is its folder of scripts.
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        found = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        if error.name is not None and module.startswith(error.name):
            raise UserError(_unknown(module)) from None
        raise UserError(f"policy {module}:{name} cannot be loaded: {error}") from None
    except (ImportError, AttributeError) as error:
        raise UserError(f"policy {module}:{name} cannot be loaded: {error}") from None
    _check(found, f"{module}:{name}")
    policy: type[Policy] = found
    return policy


def _unknown(name: str) -> str:
    known = ", ".join(sorted(POLICIES))
    return f"unknown policy {name!r}: choose from {known}, or give your own as MODULE:CLASS"


def _check(policy: object, what: str) -> None:
    """Raises UserError unless it is a complete policy."""
    if not (inspect.isclass(policy) and issubclass(policy, Policy)):
        raise UserError(f"{what} is no policy: derive a class from lengthwise.Policy")
    if inspect.isabstract(policy):
        missing = ", ".join(sorted(policy.__abstractmethods__))
        raise UserError(f"policy {what} must define {missing}")
    name = getattr(policy, "name", None)
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z][\w.-]*", name):
        raise UserError(f"policy {what} needs a name of letters, digits, - and _: {name!r} is none")
    sources = get_args(Source)
    if getattr(policy, "source", None) not in sources:
        raise UserError(f"policy {what} needs a source: one of {', '.join(sources)}")
    if not isinstance(getattr(policy, "preemptive", None), bool):
        raise UserError(f"policy {what} must say whether it is preemptive: True or False")
