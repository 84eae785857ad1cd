"""Promises at a load: what is attained alone, and the load up to which it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lengthwise.advise.advice import Advice
from lengthwise.advise.attain import FindClasses, _tried, alone, attains, promised_at
from lengthwise.advise.jobs import Serve
from lengthwise.advise.page import page_of
from lengthwise.advise.plan import AdvicePlan, Contender
from lengthwise.advise.source import Source
from lengthwise.advise.target_verdict import target_verdict
from lengthwise.cli.main import main
from lengthwise.core.service import Classes, ServiceClass, Target
from lengthwise.report.parts import Text
from lengthwise.results.record import Promised
from lengthwise.sim.setup import Setup
from lengthwise.sim.steps import Linear
from lengthwise.workload import Workload

FCFS = Contender("fcfs")
SECOND = Linear("second", "a step takes a second", 1.0, 0.0, 0.0, 0.0)
CHAT = ServiceClass("chat", Target(ttft=5.0), tenants=("web",))
CLASSES = Classes((CHAT, ServiceClass("rest")), "rest")


def plan(workload: Workload, classes: Classes, seats: int = 1, **more: Any) -> AdvicePlan:
    setup = Setup(seats=seats, budget=64, blocks=100, block_size=4, classes=classes)
    return AdvicePlan(workload, (FCFS,), SECOND, setup, **more)


def every(seconds: float, n: int, output: int = 2) -> Workload:
    """Requests of chat at regular times, each of a step for each of its tokens."""
    times, tokens = np.arange(n) * seconds, np.full(n, output)
    return Workload(times, np.full(n, 4), tokens, name="regular", tenant=("web",) * n)


def share(found: Promised, name: str = "chat") -> float:
    assert isinstance(found.classes, dict)
    got = found.classes[name].attained_share
    assert got is not None
    return got


def test_alone_is_what_the_engine_takes_for_one_request() -> None:
    # Ten tokens end after ten steps of a second, whenever they come.
    for limit, expected in ((9.5, 0.0), (10.5, 1.0)):
        classes = Classes((replace(CHAT, target=Target(deadline=limit)),), "chat")
        assert share(alone(plan(every(0.1, 30, output=10), classes))) == expected


def test_nothing_attains_more_than_alone() -> None:
    rng = np.random.default_rng(0)
    arrival = np.sort(rng.uniform(0, 60, 80))
    workload = Workload(
        *(arrival - arrival[0], rng.integers(1, 200, 80), rng.integers(1, 9, 80)),
        name="random",
        tenant=("web",) * 80,
    )
    classes = Classes((replace(CHAT, target=Target(ttft=3.5)),), "chat")
    asked = plan(workload, classes, seats=2)
    outcome = Serve(FCFS).run(asked).outcome
    best = share(alone(asked))
    assert share(promised_at(asked, 1.0, outcome)) <= best < 1.0


@pytest.mark.parametrize("gap", [3.0, 4.0])
def test_the_load_that_a_class_bears_is_what_one_seat_can_do(gap: float) -> None:
    # Two seconds a request: above that rate the queue grows past any target.
    asked = plan(every(gap, 400), CLASSES)
    (found,) = FindClasses.between(asked, FCFS, [], alone(asked)).run(asked)
    assert (found.service, found.contender) == ("chat", FCFS)
    assert found.load <= gap / 2.0 * 1.05 <= found.beyond * 1.05
    assert found.beyond / found.load <= 1.04 + 1e-9


def test_a_class_that_misses_alone_is_looked_for_at_no_load() -> None:
    classes = Classes((replace(CHAT, target=Target(ttft=0.5)),), "chat")
    asked = plan(every(4.0, 50), classes)
    assert FindClasses.between(asked, FCFS, [], alone(asked)).run(asked) == []


@settings(max_examples=15)
@given(st.integers(0, 1000), st.floats(0.3, 3.0), st.floats(1.0, 30.0), st.floats(0.5, 1.0))
def test_ending_early_says_what_the_whole_run_says(
    seed: int, rate: float, limit: float, wanted: float
) -> None:
    rng = np.random.default_rng(seed)
    arrival = np.sort(rng.uniform(0, 60 / rate, 60))
    tenant = tuple(rng.choice(["web", "mail"], 60).tolist())
    workload = Workload(
        *(arrival - arrival[0], rng.integers(1, 60, 60), rng.integers(1, 9, 60)),
        name="random",
        tenant=tenant,
    )
    mail = ServiceClass("mail", Target(deadline=2 * limit, tpot=2.0), tenants=("mail",))
    classes = Classes((replace(CHAT, target=Target(ttft=limit)), mail), "mail")
    asked = plan(workload, classes, seats=3, attain=wanted)
    whole = attains(promised_at(asked, 1.0, Serve(FCFS).run(asked).outcome), wanted)
    for name in ("chat", "mail"):
        said = _tried(asked, FCFS, 1.0, name)
        assert said[name] == whole[name]
        assert all(whole[each] == good for each, good in said.items())


@pytest.fixture(scope="module")
def found(
    traffic: Callable[..., Workload], advice_on: Callable[..., tuple[Advice, Source]]
) -> tuple[Advice, Source]:
    """Advice on an engine with too many requests, half of them promised a first token."""
    talks = ServiceClass("talks", Target(ttft=2.0), tenants=("talks",))
    classes = Classes((talks, ServiceClass("rest")), "rest")
    policies = ("lengthwise+targets", "lengthwise")
    return advice_on(traffic(500, 4.5), (1.0, 1.25), policies, classes=classes, attain=0.9)


def test_under_overload_promises_are_kept_by_the_policy_that_knows_them(
    found: tuple[Advice, Source],
) -> None:
    advice, _ = found
    shift = advice.shifts[advice.advised, 1.0]["talks"]
    assert shift.after > shift.before + 0.2
    said = target_verdict(advice, "my classes.toml")
    assert said.switch
    assert said.headline.startswith("Switch to lengthwise+targets: goodput ")
    assert f"({shift.between})" in said.headline
    assert said.flag == "lengthwise serve YOUR-MODEL --classes 'my classes.toml'"
    assert any("The price: rest's mean latency" in each for each in said.reasons)
    assert any("attains 90 % up to" in each for each in said.reasons)


def test_the_page_has_targets_first(found: tuple[Advice, Source]) -> None:
    advice, source = found
    page = page_of(advice, source, target_verdict(advice, "classes.toml"))
    section = page.sections[1]
    assert section.title == "Targets"
    names = [part.name for part in section.parts if not isinstance(part, Text)]
    assert names == [
        *("goodput-by-load", "attained-by-load-talks", "attainment", "by-class"),
        *("ttft-of-talks", "ttft-of-rest", "missed-targets", "class-capacity"),
    ]


def test_what_no_order_keeps_is_said_first(
    traffic: Callable[..., Workload], advice_on: Callable[..., tuple[Advice, Source]]
) -> None:
    # A prompt of 1,000 tokens takes half a second, alone.
    quick = ServiceClass("talks", Target(ttft=0.4), tenants=("talks",))
    classes = Classes((quick, ServiceClass("rest")), "rest")
    advice, _ = advice_on(traffic(200, 0.05), (1.0,), ("lengthwise+targets",), classes=classes)
    said = target_verdict(advice, "builtin")
    assert not said.switch
    assert "does not help at the present load" in said.headline
    assert "cannot get what is promised under any order" in said.reasons[0]
    assert "TTFT 400 ms" in said.reasons[0]


def test_an_idle_engine_keeps_promises_in_any_order(
    traffic: Callable[..., Workload], advice_on: Callable[..., tuple[Advice, Source]]
) -> None:
    talks = ServiceClass("talks", Target(ttft=5.0), tenants=("talks",))
    classes = Classes((talks, ServiceClass("rest")), "rest")
    advice, _ = advice_on(traffic(200, 0.05), (1.0,), ("lengthwise+targets",), classes=classes)
    said = target_verdict(advice, "builtin")
    assert said.headline == "Nothing to gain at the present load: talks attains 100 % already."


def test_the_command_reads_classes_and_leaves_what_they_got(
    traffic: Callable[..., Workload],
    tmp_path: Path,
    checked: Callable[[Path], dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    workload = traffic(120, 3.0)
    trace, out = tmp_path / "mine.csv", tmp_path / "out"
    rows = zip(workload.arrival.tolist(), workload.prompt, workload.output, strict=True)
    lines = "".join(f"{a!r},{p},{o}\n" for a, p, o in rows)
    trace.write_text(f"arrival_s,prompt_tokens,output_tokens\n{lines}")
    file = tmp_path / "classes.toml"
    file.write_text(
        'default = "rest"\n[class.quick]\nttft = "1s"\ntenants = ["quick"]\n[class.rest]\n'
    )
    flags = ["--profile", "cpu-smollm2", "--seats", "8", "--kv-tokens", "20000", "--budget", "512"]
    flags += ["--classes", str(file), "--class-mix", "quick=0.5,rest=0.5", "--attain", "0.8"]
    flags += ["--policies", "lengthwise+targets", "--loads", "1", "--workers", "1"]
    assert main(["advise", str(trace), *flags, "--out", str(out)]) == 0
    kept = checked(out)
    assert kept["setup"]["attain"] == 0.8
    assert kept["setup"]["classes"]["class"]["quick"]["ttft"] == 1.0
    assert set(kept["setup"]["alone"]) == {"quick", "rest"}
    assert {each["service"] for each in kept["setup"]["class_capacities"]} <= {"quick"}
    assert all("goodput_requests_per_s" in run for run in kept["runs"])
    assert "What each class would attain" in capsys.readouterr().out
    saved = {each.name for each in (out / "advice").iterdir()}
    assert {"attained.csv", "class-capacity.csv", "attainment.png"} <= saved
