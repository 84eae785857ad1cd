"""What the package ships for Grafana and Prometheus to show these metrics, and to alert by them."""

from __future__ import annotations

from importlib import resources


def dashboard() -> str:
    """The Grafana dashboard as JSON (Grafana 11.6 and later)."""
    return _read("grafana", "lengthwise.json")


def alerts() -> str:
    """The alert rules as a YAML file for Prometheus' ``rule_files``."""
    return _read("prometheus", "alerts.yml")


def _read(*path: str) -> str:
    return resources.files("lengthwise.metrics").joinpath(*path).read_text(encoding="utf-8")
