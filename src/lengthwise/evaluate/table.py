"""The leaderboard as tables on the terminal."""

from __future__ import annotations

from typing import Any

from lengthwise.results.terminal import Table

Board = dict[str, Any]


def show(board: Board) -> None:
    """Held-out prompts, then the shifted ones, then what the predictors are worth."""
    title = f"{board['prompts']} held-out prompts of {', '.join(board['data'])}"
    _errors(title, board, board.get("noise_floor", {})).print()
    if "shift" in board:
        shift = board["shift"]
        title = f"the same predictors on {shift['prompts']} prompts of {', '.join(shift['data'])}"
        _errors(title, shift, {}).print()
    _costs(board).print()
    _worth(board["latency"]).print()


def _errors(title: str, board: Board, floors: Any) -> Table:
    table = _table(
        title + ", MAE in tokens ± half of the 95 % interval",
        ("arrival MAE", "by median", "τ-b", "pairs", "calib. error"),
        ("remaining MAE", "by median", "constant/it", "paper/it"),
    )
    table.add_row("constant median", *_error_cells(board["constant_median"]), "1", "")
    for name, it in ranked(board["predictors"]):
        better = it["times_better_than_constant"]["remaining"]["mae"]
        paper = it.get("times_better_than_trail:paper")
        beside = cell(paper["remaining"]["mae"], 2) if paper else ""
        table.add_row(name, *_error_cells(it), cell(better, 2), beside)
    for temperature, floor in floors.items():
        table.add_row(f"another sample at {temperature}", *_error_cells(floor), "", "")
    return table


def _error_cells(it: Any) -> list[str]:
    arrival, remaining = it["arrival"], it["remaining"]
    return [
        cell(arrival["mae"]),
        cell(arrival["mae_median"]),
        cell(arrival["tau"], 3),
        cell(arrival["pairs"], 3),
        cell(arrival["calibration_error"], 3, bare=True),
        cell(remaining["mae"]),
        cell(remaining["mae_median"]),
    ]


def _costs(board: Board) -> Table:
    table = _table("costs", ("reads", "ms a request", "ms a token", "fitted in"), ())
    for name, it in ranked(board["predictors"]):
        token = it["ms"]["token"]
        again = "" if token is None else f"{token:.3f}"
        table.add_row(name, it["reads"], f"{it['ms']['request']:.3f}", again, f"{it['fit_s']:.1f}s")
    return table


def _worth(latency: Any) -> Table:
    setup = latency["setup"]
    what = f"{setup['runs']} runs of {setup['requests']} requests on {setup['seats']} seats"
    scenarios = latency["scenarios"]
    heads = [f"{name}: {each}" for name in scenarios for each in ("mean latency", "gain kept")]
    table = _table(f"simulated, {what}", heads, ())
    for policy in next(iter(scenarios.values())):
        cells = []
        for figures in scenarios.values():
            it = figures[policy]
            cells += [cell(it["mean_latency_s"], 2) + " s", cell(it["gain_kept"], 2)]
        table.add_row(policy, *cells)
    return table


def _table(title: str, *heads: Any) -> Table:
    return Table(title, ["", *(head for group in heads for head in group)], left=("",), width=160)


def ranked(predictors: dict[str, Any]) -> list[tuple[str, Any]]:
    """The best first: by the error in remaining tokens."""
    return sorted(predictors.items(), key=lambda item: float(item[1]["remaining"]["mae"]["value"]))


def cell(it: Any, digits: int = 1, bare: bool = False) -> str:
    """A figure, ± half the width of its interval."""
    if it["value"] is None:
        return "-"
    value = f"{it['value']:.{digits}f}"
    if bare or it["low"] is None:
        return value
    return f"{value} ±{(it['high'] - it['low']) / 2:.{digits}f}"
