"""How fast the simulator is: ``python -m lengthwise.studies.speed``.

One core, 10^4, 10^5, 10^6 requests, the policies side by side; and, where the package
``sched-sim`` is installed, that simulator on the same requests with the same roofline.
"""

from __future__ import annotations

import argparse
import resource
import time
from typing import Any

from lengthwise.policies import make_policy
from lengthwise.results.tables import print_table
from lengthwise.sim.engine import Simulator
from lengthwise.sim.predictors import make_predictor
from lengthwise.sim.setup import Setup
from lengthwise.sim.steps import Roofline, load_profile
from lengthwise.workload import Workload, synthetic, with_arrivals

CASES = ("fcfs@none", "oracle@oracle", "trail@lognormal:0.7+refined")


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="10000,100000,1000000")
    parser.add_argument("--seats", type=int, default=64)
    parser.add_argument("--rate", type=float, default=20.0, help="near capacity at 64 seats")
    parser.add_argument("--profile", default="a100-llama3-8b")
    parser.add_argument("--against", type=int, default=0, help="requests for sched-sim; 0 for none")
    args = parser.parse_args()
    rows = []
    sizes = [int(size) for size in args.sizes.split(",")]
    for n in sizes:
        workload = made(n, args.rate)
        for case in CASES:
            seconds, latency = ours(workload, case, args.profile, args.seats)
            rows.append([f"{n:,}", case, *row(seconds, n, latency)])
    if args.against:
        workload = made(args.against, args.rate)
        for name, measure in (("fcfs@none", ours), ("sched-sim FCFS", theirs)):
            seconds, latency = measure(workload, "fcfs@none", args.profile, args.seats)
            rows.append([f"{args.against:,}", name, *row(seconds, args.against, latency)])
    title = f"{args.seats} seats, {args.rate:g} requests/s, {args.profile}"
    heads = ("requests", "simulator", "seconds", "µs a request", "mean latency", "peak GiB")
    print_table(title, heads, rows, width=110)


def row(seconds: float, n: int, latency: float) -> tuple[str, ...]:
    """The measured cells of a line."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return f"{seconds:.1f}", f"{1e6 * seconds / n:.1f}", f"{latency:.3f} s", f"{peak:.2f}"


def made(n: int, rate: float) -> Workload:
    """Poisson arrivals of short prompts and exponential answers with a mean of 200 tokens."""
    return with_arrivals(synthetic(n, "exp:50", "exp:200", 0), "poisson", rate)


def ours(workload: Workload, case: str, profile: str, seats: int) -> tuple[float, float]:
    """Seconds of CPU time, and the simulated mean latency."""
    policy, _, predictor = case.partition("@")
    start = time.process_time()
    outcome = Simulator(
        workload,
        make_policy(policy),
        make_predictor(predictor),
        load_profile(profile),
        Setup(seats=seats),
    ).run()
    spent = time.process_time() - start
    return spent, float((outcome.finish - workload.arrival).mean())


def theirs(workload: Workload, case: str, profile: str, seats: int) -> tuple[float, float]:
    """The same by the package sched-sim, with the same roofline."""
    from sched_sim.core.event_engine import Simulator as Theirs
    from sched_sim.core.request import Request
    from sched_sim.hardware.latency_model import RooflineLatencyModel
    from sched_sim.hardware.profile import HardwareProfile
    from sched_sim.memory.block_manager import BlockManager
    from sched_sim.memory.preemption import PreemptionHandler
    from sched_sim.schedulers.fcfs import FCFSScheduler

    card = load_profile(profile)
    assert isinstance(card, Roofline)
    reached = card.efficiency
    hardware: Any = HardwareProfile(
        name=card.name,
        vram_gb=80.0,
        memory_bandwidth_gb_s=card.bandwidth * reached / 1e9,
        fp16_tflops=card.peak / 1e12,
        tensor_core_efficiency=reached,
        kernel_launch_overhead_ms=1000.0 * card.overhead,
        parameter_count_billions=card.weight_bytes / 2e9,
        num_layers=32,
        num_kv_heads=8,
        head_dim=128,
    )
    requests = [
        Request(request_id=str(i), arrived_at=float(t), prompt_tokens=int(p), output_tokens=int(o))
        for i, (t, p, o) in enumerate(
            zip(workload.arrival, workload.prompt, workload.output, strict=True)
        )
    ]
    start = time.process_time()
    memory, time_ = BlockManager(hardware), RooflineLatencyModel(hardware)
    scheduler = FCFSScheduler(memory, time_, PreemptionHandler(memory, time_), seats)
    simulator = Theirs(hardware, scheduler)
    simulator.submit_workload(requests)
    simulator.run()
    spent = time.process_time() - start
    latency = [r.completed_at - r.arrived_at for r in requests if r.completed_at is not None]
    return spent, sum(latency) / len(latency)


if __name__ == "__main__":
    main()
