"""Figures of a leaderboard, as PNG."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lengthwise.evaluate.leaderboard import Board
from lengthwise.evaluate.metrics import DECILES, buckets
from lengthwise.evaluate.table import ranked
from lengthwise.results.plotting import labelled, literal, save

SIZE = (7.0, 4.5)
"""Of a figure with one plot, in inches."""

COLUMNS = 4
"""Panels side by side."""


def draw(board: Board, folder: Path) -> list[Path]:
    """Draws all figures there is something for; figures in the folder are overwritten."""
    predictors = dict(ranked(board.content["predictors"]))
    drawn = [
        _bars(board.content, predictors, folder),
        _calibration(predictors, folder),
        _by_age(board.content, predictors, folder),
        _predicted_true(board, list(predictors), folder),
        _gain_kept(board.content["latency"]["scenarios"], folder),
    ]
    layered = {name: it for name, it in predictors.items() if "layers_mae_tune" in it}
    return [*drawn, _by_layer(layered, folder)] if layered else drawn


def _bars(content: Any, predictors: Any, folder: Path) -> Path:
    rows = {"constant median": content["constant_median"]} | dict(reversed(predictors.items()))
    figure = Figure(figsize=(10.0, 1.2 + 0.32 * len(rows)), layout="constrained")
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
    return save(figure, folder / "leaderboard.png")


def _horizontal(axes: Axes, rows: dict[str, Any], label: str) -> None:
    """A bar with its interval for each row; none where the figure is not defined."""
    values = [it["value"] or 0.0 for it in rows.values()]
    axes.barh(range(len(rows)), values, xerr=_around(list(rows.values())), height=0.7, capsize=2)
    axes.set_yticks(range(len(rows)), [literal(row) for row in rows])
    axes.set_xlabel(label)
    axes.grid(axis="x", alpha=0.3)


def _around(found: list[Any]) -> Any:
    """[2, n] how far intervals reach below and above their values."""
    known = [it if it["low"] is not None else dict.fromkeys(it, 0.0) for it in found]
    low = [it["value"] - it["low"] for it in known]
    high = [it["high"] - it["value"] for it in known]
    return np.maximum([low, high], 0.0)


def _calibration(predictors: Any, folder: Path) -> Path:
    figure, axes = labelled("predicted probability", "share of answers that were shorter", SIZE)
    axes.plot([0, 1], [0, 1], color="0.6", linestyle="--")
    for number, (name, it) in enumerate(predictors.items()):
        seen = [it["arrival"][f"below_{level}"]["value"] for level in DECILES]
        axes.plot(DECILES, seen, label=literal(name), **_style(number))
    return save(figure, folder / "calibration.png", axes)


def _by_age(content: Any, predictors: Any, folder: Path) -> Path:
    figure, axes = labelled("generated tokens", "MAE of remaining tokens", SIZE)
    names = [name for name, _, _ in buckets()]
    rows = {"constant median": content["constant_median"]} | predictors
    for number, (row, it) in enumerate(rows.items()):
        found = [it["remaining"][f"mae_age_{name}"] for name in names]
        at = [i + 0.03 * (number - len(rows) / 2) for i in range(len(names))]
        values = [np.nan if each["value"] is None else each["value"] for each in found]
        axes.errorbar(
            at, values, yerr=_around(found), label=literal(row), capsize=2, **_style(number)
        )
    axes.set_xticks(range(len(names)), names)
    return save(figure, folder / "mae_by_generated.png", axes)


def _by_layer(predictors: Any, folder: Path) -> Path:
    figure, axes = labelled("layer", "MAE of remaining tokens, tuning prompts", SIZE)
    collected = {int(layer) for it in predictors.values() for layer in it["layers_mae_tune"]}
    axes.set_xticks(sorted(collected))
    for number, (name, it) in enumerate(predictors.items()):
        layers = {int(layer): error for layer, error in it["layers_mae_tune"].items()}
        axes.plot(list(layers), list(layers.values()), label=literal(name), **_style(number))
    return save(figure, folder / "mae_by_layer.png", axes)


def _predicted_true(board: Board, names: list[str], folder: Path) -> Path:
    rows = -(-len(names) // COLUMNS)
    columns = min(COLUMNS, len(names))
    figure = Figure(figsize=(3.0 * columns + 0.5, 3.0 * rows + 0.3), layout="constrained")
    top = 1.3 * float(board.content["cap"])
    for number, name in enumerate(names, 1):
        axes = figure.add_subplot(rows, columns, number)
        axes.loglog([1, top], [1, top], color="0.6", linestyle="--", linewidth=1)
        axes.scatter(np.maximum(board.first[name], 1.0), board.tokens, s=4, alpha=0.4)
        axes.set(title=literal(name), xlim=(1, top), ylim=(1, top))
    figure.supxlabel("predicted tokens at arrival")
    figure.supylabel("tokens")
    return save(figure, folder / "predicted_true.png")


def _gain_kept(scenarios: Any, folder: Path) -> Path:
    names = [name for name in next(iter(scenarios.values())) if name not in ("fcfs", "oracle")]
    figure = Figure(figsize=(10.0, 1.2 + 0.32 * len(names)), layout="constrained")
    for number, (scenario, found) in enumerate(scenarios.items(), 1):
        axes = figure.add_subplot(1, len(scenarios), number)
        rows = {name: found[name]["gain_kept"] for name in reversed(names)}
        _horizontal(axes, rows, f"{scenario}: share of SRPT's gain")
        axes.tick_params(labelleft=number == 1)
    return save(figure, folder / "gain_kept.png")


def _style(number: int) -> dict[str, Any]:
    """Ten colours, then the same ones dashed."""
    line = ("-", "--", ":")[number // 10 % 3]
    return {"color": f"C{number % 10}", "linestyle": line, "marker": "o", "markersize": 3}
