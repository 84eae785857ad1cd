"""The JSON Schema of results.json, made from the types; ``results.schema.json`` is a copy.

``python -m lengthwise.results.schema`` writes that copy anew. The version goes up when a
field is renamed, removed or means something else; new fields leave it as it is.
"""

from __future__ import annotations

import json
from dataclasses import fields
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from lengthwise.results.origin import Made
from lengthwise.results.record import Run, Seen
from lengthwise.results.setups import STUDIES

VERSION = 1

_REF = "#/$defs/{name}"

_SOMETIMES = ("rejected", "jain_tenants", "until", "until_s")
_SEEN = tuple(each.name for each in fields(Seen) if each.name not in _SOMETIMES)
_STEPS = ("preemptions", "recomputed_tokens", "scheduler_ms_per_step", "predictor_ms_per_step")
_SPREAD = ("router", "failed", "predictions", "resubmitted", "seat_imbalance", "work_imbalance")
_BATCHED = ("instances", "batches", "mean_batch_size", "invalid_tokens", "slices_per_request")

PROMISED: dict[str, tuple[str, ...]] = {
    "bench": (*_SEEN, "seats", "cap", *_STEPS, "other_answers"),
    "bench-padded": (*_SEEN, "cap", "memory", *_BATCHED, "other_answers"),
    "bench-routers": (*_SEEN, "seats", "cap", "replicas", "repeat", *_SPREAD, "other_answers"),
    # On one engine or on padded batches.
    "simulate": _SEEN,
    "advise": _SEEN,
    "simulate-fleets": (*_SEEN, "instances", "load", "seats", "stale_s", *_SPREAD),
}
"""What other programs may rely on in each run that finished a request, by study."""


def schema() -> dict[str, Any]:
    """JSON Schema 2020-12: a version, which study it is with what setup, and the runs."""
    (run, origin, *setups), definitions = msgspec.json.schema_components(
        [Run, Made, *STUDIES.values()], ref_template=_REF
    )
    definitions["Run"]["additionalProperties"] = False
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "results.json of lengthwise",
        "type": "object",
        "properties": {
            "schema_version": {"const": VERSION},
            "lengthwise": {"type": "string", "description": "the version that wrote the file"},
            "study": {"enum": list(STUDIES)},
            "setup": {"type": "object"},
            "runs": {"type": "array", "items": run},
            "origin": origin,
        },
        "required": ["schema_version", "lengthwise", "study", "setup", "runs"],
        "additionalProperties": False,
        "allOf": [
            {
                "if": {"properties": {"study": {"const": study}}},
                "then": {"properties": {"setup": setup, "runs": {"items": _complete(study)}}},
            }
            for study, setup in zip(STUDIES, setups, strict=True)
        ],
        "$defs": dict(sorted(definitions.items())),
    }


def _complete(study: str) -> dict[str, Any]:
    """Where a request finished, all that is promised is there."""
    return {
        "if": {"properties": {"finished": {"minimum": 1}}},
        "then": {"required": list(PROMISED[study])},
    }


def shipped() -> Path:
    """Where the package has its copy."""
    return Path(str(resources.files("lengthwise.results") / "results.schema.json"))


def text() -> str:
    """The schema as the file has it."""
    return json.dumps(schema(), indent=1) + "\n"


if __name__ == "__main__":
    shipped().write_text(text())
