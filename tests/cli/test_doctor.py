"""``lengthwise doctor``: its lines, its marks, its JSON and its status."""

from __future__ import annotations

import io
import json
import sys

import pytest

from lengthwise.cli.main import main
from lengthwise.doctor import examine
from lengthwise.doctor.asked import Asked
from lengthwise.doctor.check import Check, Finding

SEEN: list[Asked] = []


class Fine(Check):
    name = "fine"

    def look(self, asked: Asked) -> Finding:
        SEEN.append(asked)
        return self.ok("all \x1b well")


class Warns(Check):
    name = "warns"

    def look(self, asked: Asked) -> Finding:
        return self.warning("so so", "do this")


class Wrong(Check):
    name = "wrong"

    def look(self, asked: Asked) -> Finding:
        return self.problem("not well", "do that")


class Silent(Check):
    name = "silent"

    def look(self, asked: Asked) -> None:
        return None


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    SEEN.clear()
    monkeypatch.setattr(examine, "CHECKS", (Fine, Warns, Silent, Wrong))
    return monkeypatch


def test_a_line_for_each_and_status_1(
    checks: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        r"✓ fine: all \x1b well",
        "! warns: so so => do this",
        "✗ wrong: not well => do that",
    ]


def test_plain_marks_where_others_cannot_be_shown(checks: pytest.MonkeyPatch) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    checks.setattr(sys, "stdout", out)
    main(["doctor"])
    out.seek(0)
    assert [line[0] for line in out] == ["+", "!", "x"]


def test_warnings_alone_are_status_0(checks: pytest.MonkeyPatch) -> None:
    checks.setattr(examine, "CHECKS", (Fine, Warns))
    assert main(["doctor"]) == 0


def test_json(checks: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["fine"] is False
    assert said["findings"][1] == {
        **{"check": "warns", "level": "warning", "says": "so so", "mend": "do this"}
    }


def test_the_command_line_of_serve_is_read_as_serve_reads_it(checks: pytest.MonkeyPatch) -> None:
    main(["doctor", "MODEL", "--policy", "trail", "--port", "9", "--learn", "off", "-dp", "2"])
    main(["doctor", "--port", "9", "--lengthwise-log-mib", "3"])
    first, second = SEEN
    assert (first.model, first.settings.policy, first.settings.learn) == ("MODEL", "trail", False)
    assert (first.flags.value("--port"), first.flags.value("-dp")) == ("9", "2")
    assert (second.model, second.settings.log_mib) == (None, 3.0)


def test_it_takes_every_flag_of_serve() -> None:
    """Put in the place of serve, no flag of ours is taken for one of vLLM's."""
    from lengthwise.cli.doctor import doctor
    from lengthwise.cli.serve import serve

    options = [{name for each in it.params for name in each.opts} for it in (serve, doctor)]
    assert options[0] - {"model"} <= options[1]
