"""Panels of the dashboard, and the queries in them, in the terms of vLLM's own dashboards."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.builders import statetimeline as state_timeline
from grafana_foundation_sdk.models import common as looks
from grafana_foundation_sdk.models import dashboard as models

DATASOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")

CHOSEN = 'job=~"$job", model_name=~"$model_name", instance=~"$instance"'
"""What the viewer chose above the dashboard; the names are vLLM's."""

Panel = stat.Panel | timeseries.Panel | state_timeline.Panel

ENGINE = "{{instance}} {{engine}}"
"""Name of a line that stands for one engine."""


@dataclass(frozen=True)
class Line:
    """One query of a panel, and what its lines are called."""

    query: str
    legend: str = "__auto"


def of(metric: str, labels: str = "") -> str:
    """A metric of the servers that the viewer chose."""
    more = f", {labels}" if labels else ""
    return f"{metric}{{{CHOSEN}{more}}}"


def rate(metric: str, labels: str = "") -> str:
    """How much a counter of theirs rises in a second."""
    return f"rate({of(metric, labels)}[$__rate_interval])"


def share(part: str, whole: str, by: str = "") -> str:
    """One counter's increase as a share of another's."""
    sums = f"sum by ({by}) " if by else "sum"
    return f"{sums}({rate(part)}) / ({sums}({rate(whole)}) > 0)"


def number(
    title: str, description: str, query: str, unit: str, bad: tuple[float, ...] = ()
) -> Panel:
    """One number, now, and its course behind it.

    Args:
        bad: from which numbers on it is orange, and red.
    """
    steps = [models.Threshold(value=None, color="green" if bad else "blue")]
    colors = ("orange", "red")[-len(bad) :] if bad else ()
    for at, color in zip(bad, colors, strict=True):
        steps.append(models.Threshold(value=at, color=color))
    panel = stat.Panel().title(title).description(description).datasource(DATASOURCE)
    panel.with_target(_target(Line(query), "A")).unit(unit).no_value("-")
    panel.thresholds(dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps))
    panel.color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.THRESHOLDS))
    panel.mappings([_NOTHING]).height(4).span(3)
    colored = looks.BigValueColorMode.VALUE if bad else looks.BigValueColorMode.NONE
    panel.color_mode(colored).graph_mode(looks.BigValueGraphMode.AREA)
    return panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))


def course(
    title: str,
    description: str,
    lines: Iterable[Line],
    unit: str,
    stacked: bool = False,
    most: float | None = None,
    width: int = 8,
) -> Panel:
    """Lines over time.

    Args:
        stacked: whether the lines are parts of one whole.
        most: upper end of the axis; as the data have it if None.
        width: of the page's 24 columns.
    """
    panel = timeseries.Panel().title(title).description(description).datasource(DATASOURCE)
    for ref, line in zip("ABCDEFGH", lines, strict=False):
        panel.with_target(_target(line, ref))
    panel.unit(unit).min(0).height(8).span(width).line_width(1)
    panel.fill_opacity(25 if stacked else 5).show_points(looks.VisibilityMode.NEVER)
    if most is not None:
        panel.max(most)
    if stacked:
        panel.stacking(common.StackingConfig().mode(looks.StackingMode.NORMAL).group("A"))
    panel.tooltip(common.VizTooltipOptions().mode(looks.TooltipDisplayMode.MULTI))
    return panel.legend(
        common.VizLegendOptions()
        .display_mode(looks.LegendDisplayMode.LIST)
        .placement(looks.LegendPlacement.BOTTOM)
        .show_legend(True)
    )


def states(title: str, description: str, line: Line, names: Iterable[str]) -> Panel:
    """Which of some states holds when; the query gives 0, 1, 2, ... for them."""
    panel = state_timeline.Panel().title(title).description(description).datasource(DATASOURCE)
    colors = ("text", "blue", "green", "red")
    texts = {
        str(number): models.ValueMappingResult(text=name, color=color)
        for number, (name, color) in enumerate(zip(names, colors, strict=True))
    }
    panel.mappings([models.ValueMap(options=texts)]).with_target(_target(line, "A"))
    panel.show_value(looks.VisibilityMode.NEVER).merge_values(True)
    return panel.height(8).span(8)


_NOTHING = models.SpecialValueMap(
    options=models.DashboardSpecialValueMapOptions(
        match=models.SpecialValueMatch.NA_N,
        result=models.ValueMappingResult(index=0, text="-"),
    )
)


def _target(line: Line, ref: str) -> prometheus.Dataquery:
    return (
        prometheus.Dataquery().expr(line.query).legend_format(line.legend).ref_id(ref)
        .datasource(DATASOURCE).range()
    )  # fmt: skip
