"""The shape of every check."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

from lengthwise.doctor.asked import Asked
from lengthwise.errors import UserError

Level = Literal["ok", "warning", "problem"]
"""``warning``: it serves, but not as well as it could. ``problem``: it does not serve as asked."""


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
        check: its name.
        level: how bad it is.
        says: what there is, or what is wrong, in a line.
        mend: the command that mends it, or what to do; empty if nothing is to be done.
    """

    check: str
    level: Level
    says: str
    mend: str = ""


class Check(ABC):
    """Looks at one thing, and changes nothing.

    Attributes:
        name: in a word or two, as it is printed.
    """

    name: ClassVar[str]

    @abstractmethod
    def look(self, asked: Asked) -> Finding | None:
        """What is found; None if nothing was asked that this is about.

        Raises:
            UserError: stands for a problem, whose line says what to do.
        """

    def ok(self, says: str) -> Finding:
        """All is well."""
        return Finding(self.name, "ok", says)

    def warning(self, says: str, mend: str) -> Finding:
        """It serves, but not as well as it could."""
        return Finding(self.name, "warning", says, mend)

    def problem(self, says: str, mend: str) -> Finding:
        """It does not serve, or not as asked."""
        return Finding(self.name, "problem", says, mend)

    def found(self, asked: Asked) -> Finding | None:
        """What :meth:`look` finds; whatever it raises is a problem too."""
        try:
            return self.look(asked)
        except UserError as error:
            return self.problem(str(error), "")
        except Exception as error:
            reason = (str(error).splitlines() or [""])[0]
            return self.problem(f"it cannot be looked at ({type(error).__name__}: {reason})", "")
