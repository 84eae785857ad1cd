"""The layout in pyproject.toml: no import from a lower floor to a higher one, no circle."""

from __future__ import annotations

from pathlib import Path

from importlinter.application import use_cases
from importlinter.configuration import configure


def test_rooms_import_downwards_only_and_in_no_circle() -> None:
    configure()
    project = Path(__file__).parents[1] / "pyproject.toml"
    assert use_cases.lint_imports(config_filename=str(project), cache_dir=None)
