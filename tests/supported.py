"""README's table of the vLLM that lengthwise works with, from what its tests found.

``python tests/supported.py FOLDER README.md`` after ``make test``: FOLDER holds pytest's report of
each version that was run, as ``0.32.xml``. No table is written from tests that failed.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from lengthwise.vllm.surface import KNOWN, SURFACES

HEAD = "| vLLM | engine tests passed | parts that lengthwise builds on |\n|---|---|---|\n"
TABLE = re.compile(re.escape(HEAD) + r"(?:\|.*\n)*")


@dataclass(frozen=True)
class Case:
    """One test of a report."""

    module: str
    name: str
    passed: bool


def cases(report: Path) -> list[Case]:
    """All tests of a report.

    Raises:
        SystemExit: if one failed.
    """
    found = []
    for each in ElementTree.parse(report).iter("testcase"):
        if each.find("failure") is not None or each.find("error") is not None:
            sys.exit(f"{report}: {each.get('name')} failed")
        passed = each.find("skipped") is None
        found.append(Case(each.get("classname", ""), each.get("name", ""), passed))
    return found


def table(reports: dict[str, list[Case]]) -> str:
    """A row for each version: engine tests that ran with it, and its surfaces as released."""
    every = max(map(engine_tests, reports.values()))
    rows = [HEAD]
    for version in KNOWN:
        passed = engine_tests(reports.get(version, []))
        ran = "not run: it has no build for CPUs"
        if passed:
            ran = f"all {passed}" if passed == every else f"{passed}, where versions differ"
        rows.append(f"| {version} | {ran} | {surfaces(version, reports)} |\n")
    return "".join(rows)


def engine_tests(found: list[Case]) -> int:
    """How many tests with a real engine passed."""
    return sum(case.passed for case in found if ".engine." in f".{case.module}.")


def surfaces(version: str, reports: dict[str, list[Case]]) -> str:
    """Which surfaces ``test_versions.py`` found in the version's wheel."""
    fitting = {
        case.name.partition("[")[2].rstrip("]").partition("-")[2]
        for found in reports.values()
        for case in found
        if case.passed and case.name.startswith(f"test_a_surface_fits[{version}-")
    }
    missing = [each.name for each in SURFACES if each.name not in fitting]
    return "all there" if not missing else f"not seen: {', '.join(missing)}"


def main(folder: Path, readme: Path) -> None:
    """Write the table into README."""
    reports = {each.stem: cases(each) for each in sorted(folder.glob("*.xml"))}
    if not reports:
        sys.exit(f"{folder} holds no report: run make test first")
    text, count = TABLE.subn(lambda _: table(reports), readme.read_text())
    if count != 1:
        sys.exit(f"{readme} has no table that begins with {HEAD.splitlines()[0]}")
    readme.write_text(text)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
