"""What schedule() costs with thousands of requests waiting, ours against vLLM's.

``python -m lengthwise.bench.waiting MODEL --predictor FOLDER``: real engine, seats full,
the median over steps of the time inside schedule() and inside the handling of outputs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys

from lengthwise.bench.job import STOCK
from lengthwise.results.terminal import say
from lengthwise.vllm.driver import Driver
from lengthwise.vllm.engine import preload_libraries
from lengthwise.vllm.settings import Settings
from lengthwise.workload.clients import TENANT_HINT


def main() -> None:
    """Measure each policy in a fresh process and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--predictor")
    parser.add_argument("--policies", default=f"{STOCK},fcfs,sjf,trail")
    parser.add_argument("--waiting", type=int, default=10_000)
    parser.add_argument("--tenants", type=int, default=100)
    parser.add_argument("--seats", type=int, default=16)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--only", help=argparse.SUPPRESS)
    args = parser.parse_args()
    preload_libraries()
    if args.only:
        print(json.dumps(measure(args)))
        return
    base = None
    for policy in args.policies.split(","):
        command = [
            sys.executable,
            "-m",
            "lengthwise.bench.waiting",
            *sys.argv[1:],
            "--only",
            policy,
        ]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        result = json.loads(done.stdout.splitlines()[-1])
        base = base or result
        say(
            f"{policy:>12}: schedule() {result['schedule_us']:.0f} µs a step "
            f"({result['schedule_us'] / base['schedule_us']:.2f}x), with the handling of outputs "
            f"{result['both_us']:.0f} µs ({result['both_us'] / base['both_us']:.2f}x)"
        )


def measure(args: argparse.Namespace) -> dict[str, float]:
    """Median microseconds a step, over the steps after the seats have filled."""
    from vllm import SamplingParams

    ours = Settings(policy=args.only, probe=args.predictor)
    driver = Driver(args.model, args.seats, None if args.only == STOCK else ours)
    for i in range(args.waiting):
        ids = [1 + (i * 7 + j * 13) % 40_000 for j in range(12)]
        tenant = {TENANT_HINT: f"tenant {i % args.tenants}"}
        params = SamplingParams(temperature=0, max_tokens=400, ignore_eos=True, extra_args=tenant)
        driver.add(str(i), ids, params)
    schedule = driver.stopwatch("schedule")
    update = driver.stopwatch("update_from_output")
    for _ in range(args.steps):
        driver.step()
    settled = slice(args.steps // 4, None)
    both = [a + b for a, b in zip(schedule[settled], update[settled], strict=True)]
    return {
        "schedule_us": 1e6 * statistics.median(schedule[settled]),
        "both_us": 1e6 * statistics.median(both),
    }


if __name__ == "__main__":
    main()
