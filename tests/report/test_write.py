"""The page: one file that needs no other, the same every time, whatever names it shows."""

from __future__ import annotations

import csv
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from lengthwise.errors import UserError
from lengthwise.report.parts import Origin, Page, Section, Table, Text
from lengthwise.report.write import html, write_page

VOID = {"meta", "br", "hr", "img", "link", "input"}
NAMESPACES = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
ORIGIN = Origin("lengthwise", [], "0", "made")


class Reader(HTMLParser):
    """Checks that elements are balanced and ids unique, and keeps what tests ask for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            self.attributes.append((tag, name, value or ""))
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "href", "srcset", "action", "data", "poster"):
                self.links.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def text(page: Page) -> str:
    return html(page, "beside")


def test_elements_are_balanced_and_every_link_stays_in_the_page(text: str) -> None:
    found = Reader(text)
    assert len(set(found.ids)) == len(found.ids)
    assert found.links
    for link in found.links:
        assert link.startswith("#")
        assert link[1:] in found.ids
    assert not {"script", "link", "img", "iframe", "object"} & set(found.tags)
    assert not [name for _, name, _ in found.attributes if name.startswith("on")]
    assert "default-src 'none'" in text
    assert not set(re.findall(r"https?://[^\"' )]+", text)) - NAMESPACES
    assert "url(#" in text
    assert not re.search(r"url\((?!#)", text)


def test_every_reference_within_a_chart_is_to_that_chart(text: str) -> None:
    found = Reader(text)
    for reference in re.findall(r"url\(#([^)]+)\)", text):
        assert reference in found.ids
    labels = [value for _, name, value in found.attributes if name == "aria-labelledby"]
    assert all(each in found.ids for label in labels for each in label.split())


def test_what_users_named_is_text_and_never_markup(text: str) -> None:
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "\x1b" not in text
    assert "\\x1b[31mred\\n_y" in text
    # matplotlib drew the dollar signs as they are, not a formula between them.
    assert "$x_1$" in text


def test_headings_are_in_order_and_tables_and_charts_are_described(text: str) -> None:
    found = Reader(text)
    levels = [int(tag[1]) for tag in found.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    assert ("html", "lang", "en") in found.attributes
    assert found.tags.count("caption") == found.tags.count("table")
    assert found.tags.count("figcaption") == found.tags.count("figure")
    assert found.tags.count("svg") == found.tags.count("figure")
    assert found.tags.count("title") == 1 + found.tags.count("svg")
    assert found.tags.count("desc") == found.tags.count("svg")
    assert all(("th", "scope", scope) in found.attributes for scope in ("col", "row"))
    regions = [value for tag, name, value in found.attributes if (tag, name) == ("div", "tabindex")]
    assert len(regions) == found.tags.count("table") + found.tags.count("svg")


def test_the_same_page_is_the_same_bytes(page: Page, tmp_path: Path) -> None:
    first = write_page(page, tmp_path / "a" / "page.html")
    again = write_page(page, tmp_path / "b" / "page.html")
    assert [path.name for path in first] == [path.name for path in again]
    for one, two in zip(first, again, strict=True):
        assert one.read_bytes() == two.read_bytes(), one.name
    names = [path.name for path in first]
    assert len(set(names)) == len(names)
    assert names[0] == "page.html"
    assert {"latency.png", "latency-2.png", "numbers.csv", "names-of-users.csv"} <= set(names)
    assert all(path.parent == tmp_path / "a" / "page" for path in first[1:])


def test_csv_has_all_digits_and_no_formula(tmp_path: Path) -> None:
    rows = [["=1+1", 1 / 3, 2, None], ["-5 %", float("nan"), 0, "+SUM(A1)"]]
    table = Table("t", "T", ["a", "b (s)", "c", "d"], rows)
    write_page(Page("p", [table], [], ORIGIN), tmp_path / "p.html")
    with (tmp_path / "p" / "t.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["a", "b (s)", "c", "d"],
            ["'=1+1", str(1 / 3), "2", ""],
            ["-5 %", "", "0", "'+SUM(A1)"],
        ]


def test_a_page_of_words_leaves_no_folder(tmp_path: Path) -> None:
    page = Page("p", [Text("nothing can be gained")], [Section("s", [])], ORIGIN)
    assert write_page(page, tmp_path / "p.html") == [tmp_path / "p.html"]
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ("report", "--report .*report: give a file that ends with .html"),
        ("there/page.html", "there is not a folder"),
        ("taken.html", "taken is not a folder"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused(tmp_path: Path, file: str, says: str) -> None:
    (tmp_path / "there").write_text("")
    (tmp_path / "taken").write_text("")
    with pytest.raises(UserError, match=says):
        write_page(Page("p", [], [], ORIGIN), tmp_path / file)
