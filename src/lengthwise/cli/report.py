"""``lengthwise report``: the page of results that are there already, or of two compared."""

from __future__ import annotations

from pathlib import Path

import click

from lengthwise.cli import values
from lengthwise.cli.groups import examples
from lengthwise.cli.service import classes, read
from lengthwise.report.files import check_file
from lengthwise.results.terminal import say


@click.command(
    short_help="Write a page of results, or compare two.",
    epilog=examples(
        "lengthwise report results/bench",
        "lengthwise report results/before results/after --out change.html",
        "lengthwise report results/bench --classes classes.toml",
    ),
)
@click.argument("first", metavar="A", type=values.PATH)
@click.argument("second", metavar="[B]", type=values.PATH, required=False)
@click.option(
    "--out",
    type=values.PATH,
    default=Path("report.html"),
    show_default=True,
    metavar="FILE.html",
    help="The page; its tables as CSV and charts as PNG go into a folder beside it.",
)
@classes
def report(first: Path, second: Path | None, out: Path, classes: str | None) -> None:
    """Write a page of the results in folder A, or of those in B against those in A.

    A and B are folders that bench or simulate wrote. Of simulations, charts of single requests
    need the requests, which simulate leaves behind with --report. With --classes their requests
    are held against these promises, each in the class of its tenant or priority.
    """
    check_file(out, "out")
    from lengthwise.report.results import study_of

    promised = read(classes)
    one = study_of(first, promised)
    two = None if second is None else study_of(second, promised)
    # Drawing takes a second to load, which bad input need not wait for.
    from lengthwise.report.compare import compare
    from lengthwise.report.origin import origin_of
    from lengthwise.report.runs import page_of
    from lengthwise.report.write import write_page

    page = page_of(one, origin_of(one)) if two is None else compare(one, two)
    saved = write_page(page, out)
    for part in page.summary:
        if getattr(part, "strong", False):
            say(getattr(part, "text", ""))
    say(f"report: {out} and {len(saved) - 1} files in {out.with_suffix('')}")
