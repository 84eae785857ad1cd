"""Writes a page: one HTML file that stands alone, and its tables and charts in a folder beside."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from lengthwise.core.text import visible
from lengthwise.errors import UserError
from lengthwise.report.files import beside, check_file
from lengthwise.report.look import VARIABLES
from lengthwise.report.numbers import DASH, plain
from lengthwise.report.parts import Cell, Chart, Origin, Page, Part, Table, Text
from lengthwise.report.svg import inline, save_png

_FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif'
_SHORT = 30


def write_page(page: Page, file: Path) -> list[Path]:
    """Write the page, and each of its tables as CSV and of its charts as PNG.

    The page needs no other file: it can be mailed, read offline and printed. The same page
    gives the same bytes.

    Args:
        file: of the HTML; tables and charts are NAME.csv and NAME.png in the folder of the
            same name without ``.html``. What is there is overwritten.

    Returns:
        All files, the HTML first.

    Raises:
        UserError: if they cannot be written.
    """
    check_file(file)
    named = _named(page)
    folder = beside(file)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        saved = [each for part in _parts(named) for each in _save(part, folder)]
        file.write_text(html(named, folder.name if saved else ""), encoding="utf-8")
    except OSError as error:
        raise UserError(f"{file}: the report cannot be written ({error.strerror})") from None
    return [file, *saved]


def html(page: Page, folder: str = "") -> str:
    """The page as HTML; ``folder`` names the folder of its files, if it has any."""
    page, made = _named(page), _environment()
    draw = _Drawing(made)
    return made.get_template("page.html.j2").render(
        title=visible(page.title),
        css=Markup(_css()),
        summary=page.summary,
        sections=[
            {"id": f"section-{number}", "title": visible(each.title), "parts": each.parts}
            for number, each in enumerate(page.sections, 1)
        ],
        origin=_shown(page.origin),
        beside=visible(folder),
        draw=draw,
    )


class _Drawing:
    """Parts as HTML, in their order on the page."""

    def __init__(self, environment: Environment) -> None:
        self._template = environment.get_template("part.html.j2")

    def __call__(self, part: Part) -> Markup:
        return Markup(self._template.render(part=_part(part)))


def _part(part: Part) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"kind": "text", "text": visible(part.text), "strong": part.strong}
    if isinstance(part, Table):
        return {"kind": "table", **_table(part)}
    return {
        "kind": "chart",
        "title": visible(part.title),
        "description": visible(part.description),
        "svg": Markup(inline(part.figure, part.name, part.title, part.description)),
        "table": None if part.table is None else _table(part.table),
    }


@dataclass(frozen=True)
class _Cell:
    """A cell's text, and how it is set: a number to the right, short text on one line."""

    text: str
    look: Literal["", "short", "number"]


def _table(table: Table) -> dict[str, Any]:
    rows = [[_cell(each) for each in row] for row in table.rows]
    heads = [
        _Cell(visible(head), "number" if any(row[at].look == "number" for row in rows) else "")
        for at, head in enumerate(table.heads)
    ]
    described = {"title": visible(table.title), "note": visible(table.note)}
    return {**described, "heads": heads, "rows": rows, "folded": table.folded}


def _cell(cell: Cell) -> _Cell:
    if isinstance(cell, str):
        return _Cell(visible(cell), "short" if len(cell) <= _SHORT else "")
    text = plain(cell)
    return _Cell(text, "" if text == DASH else "number")


def _shown(origin: Origin) -> dict[str, Any]:
    return {
        "command": visible(origin.command),
        "versions": ", ".join(visible(f"{name} {version}") for name, version in origin.versions),
        "seeds": visible(origin.seeds),
        "machine": visible(origin.machine),
        "notes": [visible(note) for note in origin.notes],
    }


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("lengthwise.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )


def _css() -> str:
    """The style sheet, and the colours of both modes; paper is light."""
    light = "".join(f" --{name}: {it.light};" for name, it in VARIABLES.items())
    dark = "".join(f" --{name}: {it.dark};" for name, it in VARIABLES.items())
    source = (resources.files("lengthwise.report") / "page.css").read_text(encoding="utf-8")
    return (
        f":root {{ --font: {_FONT};{light} }}\n"
        f"@media screen and (prefers-color-scheme: dark) {{ :root {{{dark} }} }}\n{source}"
    )


def _parts(page: Page) -> Iterator[Part]:
    yield from page.summary
    for section in page.sections:
        yield from section.parts


def _named(page: Page) -> Page:
    """The page with names that are fit for files, and no two alike."""
    taken: set[str] = set()

    def name_for(name: str) -> str:
        base = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "part"
        found, number = base, 2
        while found in taken:
            found, number = f"{base}-{number}", number + 1
        taken.add(found)
        return found

    def named(part: Part) -> Part:
        if isinstance(part, Text):
            return part
        own = replace(part, name=name_for(part.name))
        if isinstance(own, Chart) and own.table is not None:
            own = replace(own, table=replace(own.table, name=name_for(own.table.name)))
        return own

    summary = [named(part) for part in page.summary]
    sections = [replace(it, parts=[named(part) for part in it.parts]) for it in page.sections]
    return replace(page, summary=summary, sections=sections)


def _save(part: Part, folder: Path) -> list[Path]:
    if isinstance(part, Text):
        return []
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(part, Table):
        return [_save_csv(part, folder / f"{part.name}.csv")]
    picture = folder / f"{part.name}.png"
    save_png(part.figure, picture)
    return [picture, *([] if part.table is None else _save(part.table, folder))]


def _save_csv(table: Table, path: Path) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([_harmless(head) for head in table.heads])
        writer.writerows([[_value(cell) for cell in row] for row in table.rows])
    return path


def _value(cell: Cell) -> str | float | int:
    """Numbers as they are, to the last digit; what is not known is empty."""
    if isinstance(cell, str):
        return _harmless(cell)
    return "" if cell is None or cell != cell else cell


def _harmless(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    shown = visible(text)
    begins_formula = re.match(r"[=@]|[+-](?!\d)", shown)
    return f"'{shown}" if begins_formula else shown
