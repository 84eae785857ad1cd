"""Our scheduler, which writes down the hints that reach it; for vLLM's ``--scheduler-cls``."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lengthwise.vllm.hints import Hints
from lengthwise.vllm.scheduler import Scheduler

FILE = "HEARING_FILE"
"""Environment variable: a file that gets each request's hints as a JSON line."""


class Hearing(Scheduler):
    def _new_view(self, request: Any, hints: Hints) -> Any:
        view = super()._new_view(request, hints)
        predicted = hints.predicted and hints.predicted.tokens
        heard = {**asdict(hints), "predicted": predicted, "at": view.arrival}
        heard |= {"priority": view.priority, "until": view.deadline}
        heard |= {"untrusted": self._ignored.counts["untrusted"]}
        with Path(os.environ[FILE]).open("a") as file:
            file.write(json.dumps(heard) + "\n")
        return view
