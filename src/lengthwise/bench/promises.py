"""Promises kept by vLLM's own schedulers: ``python -m lengthwise.bench.promises MODEL TRACE``.

vLLM's scheduler in order of arrival and with ``--scheduling-policy priority``, and ours, each with
its real queues and KV memory and a stub for the model. A step takes the seconds that a profile
says, and no real ones, so a trace at its own times is served in minutes without a card.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from lengthwise.bench.job import STOCK, STOCK_PRIORITY, STOCKS
from lengthwise.core.classes_file import classes_of
from lengthwise.core.service import Classes
from lengthwise.results.tables import print_table
from lengthwise.sim.setup import Outcome
from lengthwise.sim.steps import StepTime, load_profile
from lengthwise.studies.targets import CLASSES, Figures, figures, window
from lengthwise.traces import read_workload
from lengthwise.vllm.engine import prepare_process
from lengthwise.vllm.settings import Settings
from lengthwise.vllm.steps import composition
from lengthwise.vllm.stub import Stub, stub_config
from lengthwise.workload import Workload
from lengthwise.workload.class_mix import parse_mix, with_mix
from lengthwise.workload.clients import TENANT_HINT

_BUDGET = 2048


def serve(
    policy: str, config: Any, blocks: int, workload: Workload, classes: Classes, steps: StepTime
) -> Outcome:
    """Serve a workload whose requests name tenants, in the profile's time."""
    stub = _stub(policy, config, blocks, classes)
    clock = [0.0]
    if policy not in STOCKS:
        stub.scheduler.clock = lambda: clock[0]
    n = len(workload)
    first, finish = np.full(n, np.nan), np.full(n, np.nan)
    running: dict[str, Any] = {}
    came = count = 0
    while came < n or running:
        while came < n and (workload.arrival[came] <= clock[0] or not running):
            clock[0] = max(clock[0], float(workload.arrival[came]))
            request = running[str(came)] = _request(stub, workload, came)
            stub.scheduler.add_request(request)
            came += 1
        output = stub.scheduler.schedule()
        if output.total_num_scheduled_tokens:
            count += 1
            clock[0] += steps.seconds(*composition(stub.scheduler, output))
        stub.scheduler.update_from_output(output, stub.answered(output))
        stub.forget()
        for name in output.num_scheduled_tokens:
            request, row = running[name], int(name)
            if request.num_output_tokens and np.isnan(first[row]):
                first[row] = clock[0]
            if request.is_finished():
                finish[row] = clock[0]
                del running[name]
    return Outcome(first, finish, np.zeros(n), 0, count, clock[0], 0, 0, 0, (0, 0))


def _stub(policy: str, config: Any, blocks: int, classes: Classes) -> Stub:
    from vllm.v1.core.sched.scheduler import Scheduler as Stock

    from lengthwise.vllm import Scheduler

    if policy not in STOCKS:
        settings = Settings(policy=policy, learn=False, classes=classes.plain())
        return Stub(Scheduler, config, blocks, settings)
    config = copy.copy(config)
    config.scheduler_config = copy.copy(config.scheduler_config)
    config.scheduler_config.policy = "priority" if policy == STOCK_PRIORITY else "fcfs"
    return Stub(Stock, config, blocks)


def _request(stub: Stub, workload: Workload, row: int) -> Any:
    tenant = workload.tenant[row]
    said = None if tenant is None else {TENANT_HINT: tenant}
    # Prompts differ from their first token on: none finds a prefix of another.
    prompt = [10 + row % 40_000] * int(workload.prompt[row])
    made = stub.request(str(row), prompt, int(workload.output[row]), extra_args=said)
    made.priority = int(workload.priority[row])
    made.arrival_time = float(workload.arrival[row])
    return made


def main() -> None:
    """Serve and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("trace")
    given: Callable[..., Any] = parser.add_argument
    given("--policies", default=f"{STOCK},{STOCK_PRIORITY},lengthwise,lengthwise+targets")
    given("--rate", type=float, required=True, help="requests a second")
    given("--requests", type=int, default=1000)
    given("--window", type=int, default=2, help="number of the window of the trace")
    given("--seats", type=int, default=256)
    given("--kv-blocks", type=int, default=25_000)
    given("--context", type=int, default=8192, help="longer requests are left out")
    given("--profile", default="a100-llama3-8b")
    given("--mix", default="interactive=0.4,standard=0.4,batch=0.2")
    args = parser.parse_args()
    prepare_process()
    classes, steps = classes_of(CLASSES), load_profile(args.profile)
    workload = window(read_workload(args.trace), args.window, args.requests)
    fits = np.flatnonzero(workload.prompt + workload.output < args.context)
    arrival = workload.arrival[fits]
    workload = workload.rows(fits, arrival - arrival[0]).scaled_to(args.rate)
    workload = with_mix(workload, classes, parse_mix(args.mix), args.window)
    config = stub_config(args.model, args.seats, _BUDGET, args.context, watermark=0.01)
    rows = []
    for policy in args.policies.split(","):
        start = time.perf_counter()
        outcome = serve(policy, config, args.kv_blocks, workload, classes, steps)
        rows.append((policy, *_cells(figures(workload, outcome, classes), classes)))
        rows[-1] += (f"{time.perf_counter() - start:.0f}",)
    kept = [f"{each.name} %" for each in classes.all if each.target]
    heads = ("policy", "goodput/s", *kept, "mean s", "p99 s", "batch longest s", "took s")
    title = f"{workload.name}: {len(workload)} requests at {args.rate:g}/s"
    print_table(title, heads, rows, left=("policy",), width=120)


def _cells(found: Figures, classes: Classes) -> tuple[str, ...]:
    targets = zip(found.attained, classes.all, strict=True)
    shares = [f"{100 * share:.1f}" for share, each in targets if each.target]
    times = (f"{x:.2f}" for x in (found.mean, found.p99, found.longest))
    return f"{found.goodput:.3f}", *shares, *times


if __name__ == "__main__":
    main()
