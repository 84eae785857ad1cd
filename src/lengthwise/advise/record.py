"""The advice as results.json has it, with the requests of the present load beside it."""

from __future__ import annotations

import math
from pathlib import Path

from lengthwise.advise.advice import Advice
from lengthwise.advise.plan import PRESENT
from lengthwise.advise.source import Source
from lengthwise.advise.verdict import Verdict
from lengthwise.results import setups
from lengthwise.results.files import rows_of, write_requests, write_results
from lengthwise.results.promises import described, services_of
from lengthwise.sim.figures import times_of


def write(advice: Advice, source: Source, said: Verdict, out: Path) -> None:
    """results.json of all runs; requests-N.jsonl of those at the present load.

    Args:
        out: the folder; made if it is not there.
    """
    plan = advice.plan
    model = source.calibration.source
    runs = [advice.record(each, model) for each in advice.runs]
    write_results(out, _setup(advice, source, said), runs, plan.setup)
    for number, run in enumerate(advice.runs):
        if run.load == PRESENT:
            told = advice.served(run).predicted
            times = times_of(plan.workload, run.outcome)
            predicted = None if told is None else told.tolist()
            service = services_of(advice.classes, plan.workload)
            write_requests(out, number, rows_of(plan.workload, times, predicted, service))


def _setup(advice: Advice, source: Source, said: Verdict) -> setups.Advice:
    plan, seen, speed = advice.plan, advice.watched, source.calibration
    return setups.Advice(
        workload=source.name,
        requests=len(plan.workload),
        resampled=False,
        profile=speed.source,
        policies=[str(each) for each in plan.contenders],
        cv=1.0,
        seeds=1,
        until=None,
        rows=source.rows,
        left_out=source.left_out,
        found=list(source.found),
        loads=list(plan.loads),
        requests_per_s=plan.workload.rate,
        watermark=advice.stock.watermark,
        calibration={
            "source": speed.source,
            "error": speed.error,
            "error_of": speed.error_of,
            "fastest": speed.fastest,
            "slowest": speed.slowest,
            "notes": list(speed.notes),
        },
        observed=list(source.observed),
        notes=list(source.notes),
        waiting_share=seen.waiting_share,
        seats_full_share=seen.seats_full_share,
        memory_full_share=seen.memory_full_share,
        target_s=plan.target,
        pairs_right=advice.supported.pairs,
        changes=_changes(advice),
        capacities=[
            setups.Borne(
                policy=str(each.contender),
                load=each.load,
                beyond=each.beyond if math.isfinite(each.beyond) else None,
            )
            for each in advice.capacities
        ],
        headline=said.headline,
        reasons=list(said.reasons),
        switch=said.switch,
        classes=described(advice.classes),
        attain=None if advice.classes is None else plan.attain,
        alone=advice.alone.classes if isinstance(advice.alone.classes, dict) else {},
        class_capacities=[
            setups.ClassBorne(
                policy=str(each.contender),
                service=each.service,
                load=each.load,
                beyond=each.beyond if math.isfinite(each.beyond) else None,
            )
            for each in advice.class_capacities
        ],
    )


def _changes(advice: Advice) -> list[setups.Changed]:
    return [
        setups.Changed(
            policy=str(contender),
            load=load,
            figure=figure,
            before_s=found.before,
            after_s=found.after,
            low=found.low if math.isfinite(found.low) else None,
            high=found.high if math.isfinite(found.high) else None,
        )
        for (contender, load, figure), found in advice.changes.items()
        if contender != advice.stock
    ]
