"""A leaderboard as a page of a report."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lengthwise.evaluate.leaderboard import Board
from lengthwise.evaluate.plots import charts
from lengthwise.evaluate.table import cell, ranked
from lengthwise.report.numbers import plain
from lengthwise.report.origin import origin
from lengthwise.report.parts import Cell, Page, Part, Section, Table, Text

_ERRORS = (
    ("MAE at arrival (tokens)", "arrival", "mae", 1),
    ("by median (tokens)", "arrival", "mae_median", 1),
    ("Kendall's τ-b", "arrival", "tau", 3),
    ("pairs in order", "arrival", "pairs", 3),
    ("calibration error", "arrival", "calibration_error", 3),
    ("MAE of remaining (tokens)", "remaining", "mae", 1),
    ("remaining by median (tokens)", "remaining", "mae_median", 1),
)
"""Heads, where the figure is, and its digits."""


def page_of(board: Board) -> Page:
    """The report of ``lengthwise evaluate``."""
    content = board.content
    judged = ranked(content["predictors"])
    # True lengths are known to no server.
    best, it = next((each for each in judged if each[0] != "oracle"), judged[0])
    constant = content["constant_median"]["remaining"]["mae"]["value"]
    verdict = (
        f"{best} errs least while requests run: {plain(it['remaining']['mae']['value'])} tokens in "
        f"the mean, where always saying the median errs {plain(constant)}."
    )
    bars, *others = charts(board)
    summary: list[Part] = [Text(verdict, True), _errors("errors", content, _held_out(content))]
    sections = [
        Section("Errors", [bars, *others[:2], *_shift(content), *_floors(content)]),
        Section("What they are worth", [*_worth(content["latency"]), others[3]]),
        Section("Predictions", [others[2], *others[4:]]),
        Section("Costs", [_costs(content)]),
    ]
    data = ", ".join(content["data"])
    return Page(f"Length predictors on {data}", summary, sections, origin(*_from(content)))


def _from(content: Any) -> tuple[str, list[str]]:
    learned = content["learned_from"]
    notes = [
        f"Answers of {content['model']}, at most {content['cap']} tokens; "
        f"{100 * content['censored_share']:.1f} % of the held-out ones were cut there.",
        f"{learned['fit']:,} prompts to learn from, {learned['tune']:,} to tune on, "
        f"{content['prompts']:,} held out.",
    ]
    failed = content["failed"].items()
    notes += [f"{name} could not be judged: {reason}." for name, reason in failed]
    return str(content["seed"]), notes


def _held_out(content: Any) -> str:
    return f"Errors on {content['prompts']:,} held-out prompts"


def _errors(name: str, content: Any, title: str) -> Table:
    rows = {"constant median": content["constant_median"]} | dict(ranked(content["predictors"]))
    return Table(
        name,
        title,
        ["predictor", *(head for head, *_ in _ERRORS)],
        [_row(row, it) for row, it in rows.items()],
        "± is half of the 95 % interval over resampled prompts.",
    )


def _row(name: str, it: Any) -> list[Cell]:
    cells = [cell(it[stage][figure], digits) for _, stage, figure, digits in _ERRORS]
    return [name, *(None if each == "-" else each for each in cells)]


def _shift(content: Any) -> Iterator[Part]:
    if "shift" in content:
        shift = content["shift"]
        title = f"The same on {shift['prompts']:,} prompts of {', '.join(shift['data'])}"
        yield _errors("errors-shifted", shift, title)


def _floors(content: Any) -> Iterator[Part]:
    floors = content.get("noise_floor", {})
    if floors:
        yield Table(
            "noise-floor",
            "What another sample of the same prompt errs by",
            ["temperature", *(head for head, *_ in _ERRORS)],
            [_row(temperature, it) for temperature, it in floors.items()],
            "No predictor of prompts can be expected to err less.",
        )


def _worth(latency: Any) -> Iterator[Part]:
    setup, scenarios = latency["setup"], latency["scenarios"]
    heads = [f"{name}: {it}" for name in scenarios for it in ("mean latency (s)", "gain kept")]
    rows: list[list[Cell]] = []
    for policy in next(iter(scenarios.values())):
        found = [figures[policy] for figures in scenarios.values()]
        pairs = [(cell(it["mean_latency_s"], 2), cell(it["gain_kept"], 2)) for it in found]
        rows.append([policy, *(None if each == "-" else each for pair in pairs for each in pair)])
    title = (
        f"{setup['runs']} simulated runs of {setup['requests']:,} requests on "
        f"{setup['seats']:,} seats"
    )
    note = "Gain kept: of what the true lengths would gain over first come, first served."
    yield Table("worth", title, ["predictor", *heads], rows, note)


def _costs(content: Any) -> Table:
    rows: list[list[Cell]] = [
        [name, it["reads"], it["ms"]["request"], it["ms"]["token"], it["fit_s"]]
        for name, it in ranked(content["predictors"])
    ]
    heads = ["predictor", "reads", "ms a request", "ms a token", "fitted in (s)"]
    return Table("costs", "Costs", heads, rows)
