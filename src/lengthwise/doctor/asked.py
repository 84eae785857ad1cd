"""What the doctor is asked about: a server that is to be started, or one that runs."""

from __future__ import annotations

from dataclasses import dataclass, field

from lengthwise.vllm.flags import Flags
from lengthwise.vllm.settings import Settings


@dataclass(frozen=True)
class Asked:
    """A command line of ``lengthwise serve``, as far as it is given.

    Attributes:
        model: a folder or a name in the Hugging Face cache; None if none was given.
        settings: lengthwise's own flags.
        flags: vLLM's.
        classes: the file of service classes, or ``builtin``.
        url: address of a server that runs.
    """

    model: str | None = None
    settings: Settings = field(default_factory=Settings)
    flags: Flags = field(default_factory=lambda: Flags([]))
    classes: str | None = None
    url: str | None = None
