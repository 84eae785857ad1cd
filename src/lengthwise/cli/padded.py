"""What both commands that run padded batches check."""

from __future__ import annotations

from collections.abc import Sequence

from lengthwise.errors import UserError


def refuse_padded(specs: Sequence[str], command: str) -> None:
    """Refuse systems of padded batches where every step is scheduled (some names are both).

    Raises:
        UserError: for the first of them; it names the command that runs it.
    """
    from lengthwise.padded import SYSTEMS
    from lengthwise.policies import POLICIES

    for spec in specs:
        name = spec.partition("@")[0]
        if name in {*SYSTEMS, "ccb", "vsq"} - POLICIES.keys():
            raise UserError(f"policy {name} runs whole batches: use {command}")
