"""The page's files: small, plain, and of one look with the reports."""

from __future__ import annotations

import re

import pytest

from lengthwise.live.files import INDEX, page_files
from lengthwise.report.look import FAINT, INK, LINK, PANEL, PAPER, RULE, SERIES

FILES = page_files()
SCRIPTS = {name: file.body.decode() for name, file in FILES.items() if name.endswith(".js")}


def test_the_page_is_there_and_small() -> None:
    assert FILES[INDEX].type.startswith("text/html")
    assert sum(len(file.body) for file in FILES.values()) < 60_000
    assert len({file.tag for file in FILES.values()}) == len(FILES)


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_script_reads_data_as_html_or_code(name: str) -> None:
    odd = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser"
    assert not re.search(odd, SCRIPTS[name])


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_import_is_a_file_of_the_page(name: str) -> None:
    for imported in re.findall(r'from "([^"]+)"', SCRIPTS[name]):
        assert imported.removeprefix("./") in FILES


def test_nothing_names_another_place() -> None:
    for name, file in FILES.items():
        text = file.body.decode().replace("http://www.w3.org/2000/svg", "")
        assert "//" not in re.sub(r"(^|\s)//", " ", text), name
        assert not re.search(r"\sstyle=|\son\w+=|<script>|<style", text), name


def test_the_colours_are_the_reports() -> None:
    css = FILES["page.css"].body.decode()
    light, dark = (re.findall(r"--(\w+): (#\w{6})", part) for part in css.split("@media")[:2])
    wanted = {
        **{"paper": PAPER, "ink": INK, "faint": FAINT, "rule": RULE, "panel": PANEL, "link": LINK},
        **{"done": SERIES[0], "seat": SERIES[1], "good": SERIES[2], "alarm": SERIES[7]},
    }
    assert dict(light) == {name: colour.light for name, colour in wanted.items()}
    assert dict(dark) == {name: colour.dark for name, colour in wanted.items()}
