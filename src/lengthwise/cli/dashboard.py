"""``lengthwise dashboard``: what Grafana and Prometheus show of a running server."""

from __future__ import annotations

import click

from lengthwise.cli.groups import examples


@click.command(
    short_help="Print the Grafana dashboard, or alert rules for Prometheus.",
    epilog=examples(
        "lengthwise dashboard > lengthwise.json",
        "lengthwise dashboard alerts > lengthwise-alerts.yml",
    ),
)
@click.argument("what", type=click.Choice(["grafana", "alerts"]), default="grafana")
def dashboard(what: str) -> None:
    """Print the Grafana dashboard as JSON, or the alert rules as YAML.

    Grafana takes the dashboard under Dashboards, New, Import, or from a folder that it is
    provisioned with. Prometheus reads the rules if rule_files in its configuration names them.
    """
    from lengthwise.metrics import shipped

    click.echo(shipped.dashboard() if what == "grafana" else shipped.alerts(), nl=False)
