"""What each service class got of each run, on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET

from lengthwise.results.record import ClassFigures, Run
from lengthwise.results.runs import grouped, mean
from lengthwise.results.tables import print_table

_HEADS = (
    *("rate", "policy", "class", "requests", "attained", "late: TTFT", "TPOT", "deadline"),
    *("unfinished", "goodput", "mean TTFT", "p99 TTFT"),
)
_WHOLE = (
    *("rate", "policy", "goodput (requests/s)", "goodput (tokens/s)"),
    *("Jain's index: classes", "tenants"),
)
_KINDS = ("rate", "load", "arrivals", "policy", "predictor", "predictors", "router", "instances")


def show_attainment(runs: Sequence[Run]) -> None:
    """A line for each class of each kind of run, then one for each kind: means over repetitions."""
    groups = grouped([run for run in runs if isinstance(run.classes, dict)], _KINDS)
    rows = [row for group in groups for row in _rows(group)]
    if rows:
        print_table("by service class", _HEADS, rows, ("policy", "class"), 160)
        whole = [_whole(group) for group in groups]
        print_table("goodput and fairness", _WHOLE, whole, ("policy",), 110)


def _rows(group: Sequence[Run]) -> list[list[str]]:
    run = group[0]
    rows = []
    for name in run["classes"]:
        own = [each["classes"][name] for each in group if name in each["classes"]]
        if not any(each.requests for each in own):
            continue
        late = [_mean(own, f"late_{target}", ".0f") for target in ("ttft", "tpot", "deadline")]
        lost = sum(each.requests - each.finished for each in own) / len(own)
        rows.append(
            [
                *(_rate(run), name_of(run), name, _mean(own, "requests", ".0f")),
                *(_mean(own, "attained_share", ".1%"), *late, f"{lost:.0f}"),
                _mean(own, "goodput_requests_per_s", ".3g", "/s"),
                *(_mean(own, f"{each}_ttft_s", ".3g", "s") for each in ("mean", "p99")),
            ]
        )
    return rows


def _whole(group: Sequence[Run]) -> list[str]:
    """Goodput of all classes, and how evenly classes and tenants are served."""
    cells = [_rate(group[0]), name_of(group[0])]
    for name in ("goodput_requests_per_s", "goodput_tokens_per_s", "jain_classes", "jain_tenants"):
        known = all(name in each for each in group)
        cells.append(f"{mean(group, name):.3g}" if known else "-")
    return cells


def name_of(run: Run) -> str:
    """The policy and what it is told."""
    told = run.get("predictor")
    return run.policy if told in (None, "none", "constant", run.policy) else f"{run.policy}@{told}"


def _rate(run: Run) -> str:
    arrivals: str = run.get("arrivals", "burst")
    return arrivals if run.rate is None else f"{run.rate:.4g}/s"


def _mean(own: Sequence[ClassFigures], name: str, form: str, unit: str = "") -> str:
    known = [value for value in (getattr(each, name) for each in own) if _known(value)]
    return f"{sum(known) / len(known):{form}}{unit}" if known else "-"


def _known(value: object) -> bool:
    return value is not None and value is not UNSET
