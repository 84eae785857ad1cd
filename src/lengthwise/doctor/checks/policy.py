"""Whether the policy exists, and whether vLLM's flags leave the order to it."""

from __future__ import annotations

from lengthwise.doctor.asked import Asked
from lengthwise.doctor.check import Check, Finding
from lengthwise.policies import make_policy
from lengthwise.vllm.ours import is_ours


class Policy(Check):
    """The policy by its name, and vLLM's own flags of the order."""

    name = "policy"

    def look(self, asked: Asked) -> Finding:
        """Make the policy, and read the flags that decide who schedules."""
        policy = make_policy(asked.settings.policy)
        if policy.promises and asked.classes is None:
            return self.problem(
                f"{asked.settings.policy} orders by what classes are promised, and there are none",
                "--classes builtin, or a file of your own (lengthwise check-config --example)",
            )
        other = asked.flags.value("--scheduler-cls")
        if other is not None and not _ours(other):
            return self.problem(
                f"--scheduler-cls {other} takes lengthwise's place",
                "leave out --scheduler-cls: lengthwise serve sets it",
            )
        order = asked.flags.value("--scheduling-policy")
        if order not in (None, "fcfs"):
            return self.problem(
                f"--scheduling-policy {order} would decide the order, and lengthwise refuses it",
                f"leave it out; lengthwise serve MODEL --policy {asked.settings.policy}+priority "
                "serves by priority first",
            )
        return self.ok(asked.settings.policy)


def _ours(path: str) -> bool:
    try:
        return is_ours(path)
    except (ImportError, AttributeError, ValueError):
        return False
