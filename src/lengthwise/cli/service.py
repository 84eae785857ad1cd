"""Flags of service classes: what is promised to whom, and who is in which class."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lengthwise.cli import flags
from lengthwise.core.service import Classes
from lengthwise.errors import UserError

if TYPE_CHECKING:
    from lengthwise.workload import Workload
    from lengthwise.workload.prompts import Prompt


def read(path: str | None) -> Classes | None:
    """The classes of a file; None without one.

    Raises:
        UserError: if something in the file is wrong.
    """
    from lengthwise.core.classes_file import read_classes

    return None if path is None else read_classes(path)


def check_promises(policies: Iterable[str], classes: Classes | None) -> None:
    """Refuse policies that order by promises where there are none.

    Raises:
        UserError: names the policy.
    """
    from lengthwise.policies import POLICIES, make_policy

    if classes is not None:
        return
    for spec in policies:
        name = spec.partition("@")[0]
        if "+targets" in name or getattr(POLICIES.get(name.partition("+")[0]), "promises", False):
            assert make_policy(name).promises
            raise UserError(
                f"policy {name} orders by what classes are promised: give --classes FILE, or "
                "--classes builtin"
            )


def compared(policies: list[str], default: str, classes: Classes | None) -> list[str]:
    """The policies to compare: with classes the default ones and ``lengthwise+targets``."""
    check_promises(policies, classes)
    if classes is not None and policies == default.split(","):
        return [*policies, "lengthwise+targets"]
    return policies


@dataclass(frozen=True)
class Service:
    """Service classes, and how requests that do not say theirs are spread over them."""

    classes: str | None
    class_mix: str | None

    def read(self) -> Classes | None:
        """The classes, with a mix that fits them.

        Raises:
            UserError: if the file or the mix is wrong, or there is a mix alone.
        """
        from lengthwise.workload.class_mix import check_mix, parse_mix

        found = read(self.classes)
        if self.class_mix is not None:
            if found is None:
                raise UserError("--class-mix spreads requests over the classes of --classes FILE")
            check_mix(found, parse_mix(self.class_mix))
        return found

    def mixed(self, workload: Workload, seed: int = 0) -> Workload:
        """The workload, its requests spread over the classes if a mix is given."""
        from lengthwise.workload.class_mix import parse_mix, with_mix

        found = self.read()
        if found is None or self.class_mix is None:
            return workload
        return with_mix(workload, found, parse_mix(self.class_mix), seed)

    def spread(self, prompts: list[Prompt], seed: int = 0) -> list[Prompt]:
        """The prompts, spread over the classes if a mix is given."""
        from lengthwise.workload.class_mix import parse_mix, prompts_with_mix

        found = self.read()
        if found is None or self.class_mix is None:
            return prompts
        return prompts_with_mix(prompts, found, parse_mix(self.class_mix), seed)


classes = flags.text(
    "--classes",
    None,
    "FILE",
    "Service classes: a TOML file of what is promised to whom (see lengthwise check-config), "
    "or builtin.",
)

service = flags.bundle(
    Service,
    classes,
    flags.text(
        "--class-mix",
        None,
        "NAME=X,...",
        "Spread the requests over the classes by these shares, whatever tenants they name.",
    ),
)
