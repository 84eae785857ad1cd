"""Charts of a leaderboard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lengthwise.evaluate.leaderboard import Board
from lengthwise.evaluate.metrics import DECILES, buckets
from lengthwise.evaluate.table import ranked
from lengthwise.report.look import FAINT, INK, SERIES, line
from lengthwise.report.numbers import plain
from lengthwise.report.parts import Chart
from lengthwise.report.plots import look, name_lines, plot, short
from lengthwise.report.svg import save_png
from lengthwise.results.plotting import literal

WIDTH = 9.0
"""Of a chart with several plots side by side, in inches."""

COLUMNS = 4
"""Panels side by side."""


def draw(board: Board, folder: Path) -> list[Path]:
    """Saves all charts there is something for, as PNG; files in the folder are overwritten."""
    paths = []
    for chart in charts(board):
        paths.append(folder / f"{chart.name.replace('-', '_')}.png")
        save_png(chart.figure, paths[-1])
    return paths


def charts(board: Board) -> list[Chart]:
    """All charts there is something for."""
    predictors = dict(ranked(board.content["predictors"]))
    with look():
        drawn = [
            _bars(board.content, predictors),
            _calibration(predictors),
            _by_age(board.content, predictors),
            _predicted_true(board, list(predictors)),
            _gain_kept(board.content["latency"]["scenarios"]),
        ]
        layered = {name: it for name, it in predictors.items() if "layers_mae_tune" in it}
        return [*drawn, _by_layer(layered)] if layered else drawn


def _bars(content: Any, predictors: Any) -> Chart:
    rows = {"constant median": content["constant_median"]} | dict(reversed(predictors.items()))
    figure = Figure(figsize=(WIDTH, 1.2 + 0.32 * len(rows)), layout="constrained")
    panels = (
        ("arrival", "mae", "MAE at arrival, tokens"),
        ("arrival", "tau", "Kendall's τ-b"),
        ("remaining", "mae", "MAE of remaining tokens"),
    )
    shared: Axes | None = None
    for number, (stage, name, label) in enumerate(panels, 1):
        axes = figure.add_subplot(1, len(panels), number, sharey=shared)
        _horizontal(axes, {row: it[stage][name] for row, it in rows.items()}, label)
        axes.tick_params(labelleft=shared is None)
        shared = shared or axes
    best, it = next(iter(predictors.items()))
    found = (
        f"Of {len(predictors)} predictors, {best} has the least error while requests run: "
        f"{plain(it['remaining']['mae']['value'])} of the remaining tokens, and "
        f"{plain(it['arrival']['mae']['value'])} tokens at arrival."
    )
    return Chart("leaderboard", figure, "Errors and order, with 95 % intervals", found)


def _horizontal(axes: Axes, rows: dict[str, Any], label: str) -> None:
    """A bar with its interval for each row; none where the figure is not defined."""
    values = [it["value"] or 0.0 for it in rows.values()]
    around = _around(list(rows.values()))
    style: dict[str, Any] = {
        "height": 0.7,
        "capsize": 2,
        "color": SERIES[0].light,
        "ecolor": INK.light,
    }
    axes.barh(range(len(rows)), values, xerr=around, **style)
    axes.set_yticks(range(len(rows)), [literal(short(row)) for row in rows])
    axes.set_xlabel(label)
    axes.grid(axis="x", linewidth=0.7)
    axes.set_axisbelow(True)


def _around(found: list[Any]) -> Any:
    """[2, n] how far intervals reach below and above their values."""
    known = [it if it["low"] is not None else dict.fromkeys(it, 0.0) for it in found]
    low = [it["value"] - it["low"] for it in known]
    high = [it["high"] - it["value"] for it in known]
    return np.maximum([low, high], 0.0)


def _calibration(predictors: Any) -> Chart:
    figure, (axes,) = plot("predicted probability", ["share of answers that were shorter"])
    axes.plot([0, 1], [0, 1], color=FAINT.light, linewidth=1.0)
    lines, worst = [], {}
    for number, (name, it) in enumerate(predictors.items()):
        seen = [it["arrival"][f"below_{level}"]["value"] for level in DECILES]
        lines += axes.plot(DECILES, seen, **line(number))
        worst[name] = max(abs(a - b) for a, b in zip(seen, DECILES, strict=True))
    name_lines(figure, lines, list(predictors))
    found = "How far each is from its own probabilities at most: " + ", ".join(
        f"{name} {plain(each)}" for name, each in worst.items()
    )
    return Chart("calibration", figure, "Calibration at arrival (line: perfect)", f"{found}.")


def _by_age(content: Any, predictors: Any) -> Chart:
    figure, (axes,) = plot("generated tokens", ["MAE of remaining tokens"])
    names = [name for name, _, _ in buckets()]
    rows = {"constant median": content["constant_median"]} | predictors
    lines = []
    for number, it in enumerate(rows.values()):
        found = [it["remaining"][f"mae_age_{name}"] for name in names]
        at = [i + 0.03 * (number - len(rows) / 2) for i in range(len(names))]
        values = [np.nan if each["value"] is None else each["value"] for each in found]
        lines.append(axes.errorbar(at, values, yerr=_around(found), capsize=2, **line(number)))
    axes.set_xticks(range(len(names)), names)
    name_lines(figure, lines, list(rows))
    seen = "The error of the remaining tokens, by how many were generated before the prediction."
    return Chart("mae-by-generated", figure, "Error by generated tokens", seen)


def _by_layer(predictors: Any) -> Chart:
    figure, (axes,) = plot("layer", ["MAE of remaining tokens, tuning prompts"])
    collected = {int(layer) for it in predictors.values() for layer in it["layers_mae_tune"]}
    axes.set_xticks(sorted(collected))
    lines, best = [], []
    for number, (name, it) in enumerate(predictors.items()):
        layers = {int(layer): error for layer, error in it["layers_mae_tune"].items()}
        lines += axes.plot(list(layers), list(layers.values()), **line(number))
        best.append(f"{name} {min(layers, key=layers.__getitem__)}")
    name_lines(figure, lines, list(predictors))
    found = f"The layer of least error on the tuning prompts: {', '.join(best)}."
    return Chart("mae-by-layer", figure, "Error by layer", found)


def _predicted_true(board: Board, names: list[str]) -> Chart:
    rows = -(-len(names) // COLUMNS)
    columns = min(COLUMNS, len(names))
    size = (max(WIDTH * columns / COLUMNS, 4.0), 2.5 * rows + 0.3)
    figure = Figure(figsize=size, layout="constrained")
    top = 1.3 * float(board.content["cap"])
    for number, name in enumerate(names, 1):
        axes = figure.add_subplot(rows, columns, number)
        axes.loglog([1, top], [1, top], color=FAINT.light, linewidth=1)
        first = np.maximum(board.first[name], 1.0)
        axes.scatter(first, board.tokens, s=4, alpha=0.4, color=SERIES[0].light)
        axes.set(title=literal(short(name, 26)), xlim=(1, top), ylim=(1, top))
    figure.supxlabel("predicted tokens at arrival")
    figure.supylabel("tokens")
    found = f"A point for each of {len(board.tokens):,} held-out prompts, in a plot a predictor."
    return Chart("predicted-true", figure, "True against predicted tokens (line: perfect)", found)


def _gain_kept(scenarios: Any) -> Chart:
    names = [name for name in next(iter(scenarios.values())) if name not in ("fcfs", "oracle")]
    figure = Figure(figsize=(WIDTH, 1.2 + 0.32 * len(names)), layout="constrained")
    kept = []
    for number, (scenario, found) in enumerate(scenarios.items(), 1):
        axes = figure.add_subplot(1, len(scenarios), number)
        rows = {name: found[name]["gain_kept"] for name in reversed(names)}
        _horizontal(axes, rows, f"{scenario}: share of SRPT's gain")
        axes.tick_params(labelleft=number == 1)
        best = max(names, key=lambda name: rows[name]["value"] or -np.inf)
        kept.append(f"{scenario}: {best} keeps {plain(rows[best]['value'])} of the oracle's gain")
    title = "What the predictions are worth in simulated latency"
    return Chart("gain-kept", figure, title, f"{'; '.join(kept)}.")
