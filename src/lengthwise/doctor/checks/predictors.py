"""Whether predictors that were trained beforehand can be read, and are the model's."""

from __future__ import annotations

from lengthwise.doctor.asked import Asked
from lengthwise.doctor.check import Check, Finding
from lengthwise.errors import UserError
from lengthwise.policies import make_policy


class Predictors(Check):
    """The folder of ``--predictor``, as the policy reads it."""

    name = "predictors"

    def look(self, asked: Asked) -> Finding | None:
        """Load them, if the policy uses any."""
        settings = asked.settings
        if asked.model is None:
            return None
        policy = make_policy(settings.policy)
        if settings.probe is None:
            needs = policy.source in ("prompt", "probe") and policy.needs_predictions
            if needs and not settings.learn:
                return self.problem(
                    f"policy {settings.policy} predicts, and neither --predictor nor --learn is on",
                    f"lengthwise serve {asked.model} --policy {settings.policy} --learn on",
                )
            return None
        try:
            settings.check_predictors(asked.model)
        except UserError as error:
            return self.problem(
                str(error), f"lengthwise collect {asked.model} --out DATA, then lengthwise train"
            )
        return self.ok(f"{settings.probe} can be read and is this model's")
