"""Builds the Grafana dashboard that the package ships: ``make dashboard`` writes it anew."""

from __future__ import annotations

from pathlib import Path

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models
from panels import DATASOURCE
from rows import rows

SHIPPED = Path(__file__).parents[1] / "src/lengthwise/metrics/grafana/lengthwise.json"

_VARIABLES = (("job", "Job"), ("model_name", "Model"), ("instance", "Instance"))
"""As in vLLM's own dashboards, so that links between them keep what the viewer chose."""


def build() -> str:
    """The dashboard as JSON."""
    board = (
        dashboard.Dashboard("vLLM / lengthwise")
        .uid("vllm-lengthwise")
        .description("What lengthwise does with the requests of vLLM servers, and why.")
        .tags(["vllm"])
        .refresh("30s")
        .time("now-1h", "now")
        .editable()
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .link(_others())
        .with_variable(dashboard.DatasourceVariable("datasource").label("Data source")
                       .type("prometheus"))
    )  # fmt: skip
    chosen: list[str] = []
    for name, label in _VARIABLES:
        board.with_variable(_variable(name, label, chosen))
        chosen.append(f'{name}=~"${name}"')
    for title, panels in rows():
        board.with_row(dashboard.Row(title))
        for panel in panels:
            board.with_panel(panel)
    return JSONEncoder(sort_keys=True, indent=2).encode(board.build()) + "\n"


def _others() -> dashboard.DashboardLink:
    link = dashboard.DashboardLink("vLLM dashboards").tags(["vllm"]).icon("external link")
    link.type(models.DashboardLinkType.DASHBOARDS)
    return link.include_vars(True).keep_time(True).as_dropdown(False).target_blank(False)


def _variable(name: str, label: str, chosen: list[str]) -> dashboard.QueryVariable:
    """A label's values, of the servers that the variables before it leave."""
    filters = f"{{{', '.join(chosen)}}}" if chosen else ""
    everything = models.VariableOption(selected=True, text=["All"], value=["$__all"])
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(DATASOURCE)
        .query(f"label_values(lengthwise_up{filters}, {name})")
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .current(everything)
    )


if __name__ == "__main__":
    SHIPPED.write_text(build())
