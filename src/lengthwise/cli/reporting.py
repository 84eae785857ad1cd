"""``--report``: the page that bench, simulate and evaluate can leave behind."""

from __future__ import annotations

from pathlib import Path

import click

from lengthwise.cli import values
from lengthwise.results.terminal import say

report = click.option(
    "--report",
    type=values.PATH,
    metavar="FILE.html",
    help="Also write a page with charts and tables, as CSV and PNG in a folder beside it, too.",
)
"""Where the page goes."""


def write_report(folder: Path, file: Path | None) -> None:
    """The page of the results in a folder; none without a file.

    Raises:
        UserError: if the page cannot be written.
    """
    if file is None:
        return
    from lengthwise.report.origin import origin_of
    from lengthwise.report.results import study_of
    from lengthwise.report.runs import page_of
    from lengthwise.report.write import write_page

    study = study_of(folder)
    write_page(page_of(study, origin_of(study)), file)
    say(f"report: {file}")
