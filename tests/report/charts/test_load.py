"""Figures against load."""

from __future__ import annotations

import math

import numpy as np

from lengthwise.report.charts.load import Curve, against_load


def test_curves_are_drawn_in_order_of_load_and_told_in_words() -> None:
    nan = np.full(3, np.nan)
    curves = [
        Curve("fcfs", np.array([3.0, 1.0, 2.0]), np.array([90.0, 1.0, 4.0]), nan, nan),
        Curve("none", np.array([1.0]), np.array([math.nan]), nan[:1], nan[:1]),
    ]
    chart = against_load("mean-by-load", "mean latency", "seconds", curves)
    (axes,) = chart.figure.axes
    assert axes.get_yscale() == "log"
    (drawn,) = [line for line in axes.lines if len(line.get_xdata()) == 3][:1]
    assert list(drawn.get_xdata()) == [1.0, 2.0, 3.0]
    assert chart.description == "Mean latency in seconds against load. fcfs: 1 at 1, 90 at 3."
    assert chart.title == "Mean latency against load"


def test_intervals_are_named_where_there_are_some_and_close_figures_are_linear() -> None:
    value = np.array([1.0, 1.5])
    curve = Curve("it", np.array([1.0, 2.0]), value, value - 0.1, value + 0.2)
    chart = against_load("x", "p99", "seconds", [curve], "load")
    assert chart.title.endswith("(bars: 95 % intervals)")
    assert chart.figure.axes[0].get_yscale() == "linear"
    assert chart.table is not None
    assert chart.table.heads[1] == "load"


def test_shares_stand_between_nothing_and_all() -> None:
    nan = np.full(2, np.nan)
    curve = Curve("it", np.array([1.0, 2.0]), np.array([99.0, 0.1]), nan, nan)
    (axes,) = against_load("x", "attained", "%", [curve]).figure.axes
    assert axes.get_yscale() == "linear"
    assert axes.get_ylim() == (-2.0, 102.0)


def test_nothing_known_is_said() -> None:
    chart = against_load("x", "p99", "seconds", [])
    assert chart.figure.axes[0].texts[0].get_text() == "no figure is known"
