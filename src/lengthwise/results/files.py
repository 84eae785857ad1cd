"""The files of a bench: results.json, and every request of a run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def write_results(out: Path, setup: dict[str, Any], runs: list[dict[str, Any]]) -> None:
    """results.json: the setup, and the figures of every run so far."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "results.json").write_text(json.dumps({"setup": setup, "runs": runs}, indent=1) + "\n")


def write_requests(
    out: Path,
    number: int,
    requests: list[dict[str, Any]],
    lives: list[dict[str, Any]],
    more: Sequence[str] = (),
) -> None:
    """Every request of a run, a line each: what ``lengthwise simulate --replay`` reads."""
    given = {request["id"]: request for request in requests}
    kept = ("id", "arrival", "first", "finish", "longest_gap", "tokens", *more)
    with (out / f"requests-{number}.jsonl").open("w") as lines:
        for life in lives:
            request = given[life["id"]]
            row = {name: life[name] for name in kept}
            row |= {name: request[name] for name in ("tenant", "priority")}
            row["prompt_tokens"] = len(request["prompt_ids"])
            lines.write(json.dumps(row) + "\n")
