"""Whether the model's files are whole, and hold the context that is asked for."""

from __future__ import annotations

import sys

from lengthwise.doctor.asked import Asked
from lengthwise.doctor.check import Check, Finding
from lengthwise.errors import UserError
from lengthwise.models.fingerprint import model_folder
from lengthwise.models.served import check_model, context_of


class Model(Check):
    """The served model, before an engine loads it."""

    name = "model"

    def look(self, asked: Asked) -> Finding | None:
        """Read its config and the heads of its weights."""
        if asked.model is None:
            return None
        try:
            folder = model_folder(asked.model)
        except UserError as error:
            return self.problem(str(error), f"hf download {asked.model}")
        try:
            check_model(asked.model)
        except UserError as error:
            return self.problem(str(error), f"copy it to {folder} again")
        context = context_of(folder, sys.maxsize)
        wanted = asked.flags.number(0, "--max-model-len")
        if wanted > context:
            return self.problem(
                f"--max-model-len {wanted} is more than its context of {context} tokens",
                f"--max-model-len {context}",
            )
        said = "" if context == sys.maxsize else f", context of {context} tokens"
        return self.ok(f"{folder}{said}")
