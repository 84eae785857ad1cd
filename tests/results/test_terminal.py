"""Names from outside are printed and drawn as they are."""

import ast
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from matplotlib import cbook
from matplotlib.figure import Figure
from matplotlib.text import Text

import lengthwise
from lengthwise.core.text import visible
from lengthwise.errors import UserError
from lengthwise.evaluate.leaderboard import Board
from lengthwise.evaluate.plots import draw
from lengthwise.results.record import Run, TenantFigures
from lengthwise.results.tables import show_bench
from lengthwise.results.terminal import Table, complain, rule, say
from lengthwise.studies.fleet_report import FIGURES, draw_fleets

SOURCES = Path(lengthwise.__file__).parent

NAMES = [
    "ltr+bound:100:1",
    "[red]x",
    "[/red]",
    "[link=http://a]b[/link]",
    ":smile:",
    "$a_b$",
    r"\$5\[",
    "_x",
    "100 %s",
    "{x}",
]
"""Read as markup by Rich, matplotlib or formatting, unless somebody takes care."""

STEERING = {
    "\x1b[31mred": r"\x1b[31mred",
    "\x1b]0;title\x07": r"\x1b]0;title\x07",
    "a\nb\r\tc": r"a\nb\r\tc",
    "\x9b2J": r"\x9b2J",
    "\u202eabc": r"\u202eabc",
    "\udc80": r"\udc80",
    "\u2028": r"\u2028",
}
"""What would steer a terminal, and how it is shown."""


@pytest.mark.parametrize("name", NAMES)
def test_a_table_shows_names_as_they_are(capsys, name):
    table = Table(f"of {name}", [f"head {name}", "b"], caption=f"below {name}", width=150)
    table.add_row(name, "1")
    table.add_section()
    table.add_row("last", f"{name}|{name}")
    table.print()
    printed = capsys.readouterr().out
    for shown in (f"of {name}", f"head {name}", f"below {name}", f"{name}|{name}"):
        assert shown in printed
    assert len(table) == 2


@pytest.mark.parametrize("name", NAMES)
def test_lines_show_names_as_they_are(capsys, name):
    say(f"saved in {name}")
    complain(UserError(f"no {name}"))
    rule(name)
    out, err = capsys.readouterr()
    assert out.startswith(f"saved in {name}\n")
    assert f" {name} " in out.splitlines()[1]
    assert err == f"lengthwise: no {name}\n"


@pytest.mark.parametrize(("name", "shown"), STEERING.items())
def test_no_name_steers_the_terminal(capsys, name, shown):
    table = Table("t", ["a", "b"], width=80)
    table.add_row(name, "1")
    table.print()
    say(name)
    complain(name)
    rule(name)
    out, err = capsys.readouterr()
    assert visible(name) == shown
    assert out.count(shown) == 3
    assert err == f"lengthwise: {shown}\n"
    assert all(each.isprintable() for each in (out + err).replace("\n", ""))


def test_a_long_name_is_not_cut(capsys):
    name = "".join(f"<{number}>" for number in range(60))
    table = Table("t", ["a"], width=60)
    table.add_row(name)
    table.print()
    lines = capsys.readouterr().out.splitlines()
    assert "".join(line.strip("│ ") for line in lines if line.startswith("│")) == name


def test_the_bench_shows_policies_and_tenants_as_they_are(capsys):
    tenant = TenantFigures(
        requests=1,
        output_tokens=1,
        mean_latency_s=1.0,
        p99_latency_s=1.0,
        mean_ttft_s=1.0,
        mean_max_waiting_s=1.0,
    )
    run = Run(
        policy="ltr+bound:100:1",
        engine="vllm",
        model="m",
        rate=None,
        seed=0,
        requests=1,
        finished=1,
        mean_latency_s=1.0,
        ranking_ms_per_step=0.0,
        predictor_ms_per_step=0.0,
        step_ms=1.0,
        tenants={"[red]\x1b[31m:100:": tenant},
    )
    show_bench([run])
    printed = capsys.readouterr().out
    assert printed.count("ltr+bound:100:1") == 2
    assert r"[red]\x1b[31m:100:" in printed


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are saved meanwhile."""
    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda self, path, **how: figures.append(self))
    return figures


def texts(figure):
    """Every text of a figure as it is drawn, after the layout that makes the ticks."""
    figure.draw_without_rendering()
    found = [text.get_text() for text in figure.findobj(Text)]
    return [text.replace(r"\$", "$").strip() for text in found if not cbook.is_math_text(text)]


def test_the_leaderboard_draws_names_as_they_are(drawn, tmp_path):
    figure = {"value": 1.0, "low": 0.5, "high": 1.5}
    stage = defaultdict(lambda: figure)
    entry = {"arrival": stage, "remaining": stage, "layers_mae_tune": {"1": 5.0, "2": 4.0}}
    scenario = {name: {"gain_kept": figure} for name in NAMES}
    content = {
        "predictors": dict.fromkeys(NAMES, entry),
        "constant_median": entry,
        "latency": {"scenarios": {"burst": scenario}},
        "cap": 100,
    }
    tokens = np.ones(3)
    board = Board(content, dict.fromkeys(NAMES, tokens), tokens)
    assert len(draw(board, tmp_path)) == len(drawn) == 6
    for each in drawn:
        assert set(NAMES) <= set(texts(each))


def test_the_simulator_draws_names_as_they_are(drawn, tmp_path):
    figures = dict.fromkeys((what for what, _ in FIGURES.values()), 1.0)
    same = {
        "policy": "fcfs",
        "predictor": "none",
        "load": 0.9,
        "seed": 0,
        "requests": 1,
        "finished": 1,
        "stale_s": 0.0,
        "engine": "simulator",
        "model": "made",
        "rate": 1.0,
    }
    runs = [
        Run(**figures, **same, router=name, instances=n, repeat=0) for name in NAMES for n in (1, 2)
    ]
    draw_fleets(runs, tmp_path)
    assert len(drawn) == len(FIGURES)
    for each in drawn:
        assert set(NAMES) <= set(texts(each))


def test_one_module_uses_rich():
    """Elsewhere a plain string would be read as markup."""
    users = set()
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            if any(name.partition(".")[0] == "rich" for name in names):
                users.add(path.relative_to(SOURCES).as_posix())
    assert users == {"results/terminal.py"}
