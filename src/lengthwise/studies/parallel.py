"""Jobs on every core; their results in order, whichever core was first."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any, Protocol, TypeVar

from tqdm import tqdm

P_contra = TypeVar("P_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)
P = TypeVar("P")
R = TypeVar("R")


class Job(Protocol[P_contra, R_co]):
    """A part of a plan that can run alone; it is sent to other processes."""

    def run(self, plan: P_contra, /) -> R_co:
        """Its result."""


def in_parallel(
    plan: P, jobs: Sequence[Job[P, R]], workers: int = 0, desc: str = "simulate"
) -> list[R]:
    """Run every job of a plan, on so many cores (0: all); those that stand first begin first."""
    workers = min(workers or os.cpu_count() or 1, len(jobs))
    with tqdm(total=len(jobs), desc=desc, unit="run") as bar:
        if workers <= 1:
            found = []
            for job in jobs:
                found.append(job.run(plan))
                bar.update()
            return found
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, context, _share, (plan,)) as pool:
            futures = {pool.submit(_run, job): i for i, job in enumerate(jobs)}
            by_number: dict[int, R] = {}
            for future in as_completed(futures):
                by_number[futures[future]] = future.result()
                bar.update()
    return [by_number[i] for i in range(len(jobs))]


_SHARED: list[Any] = []


def _share(plan: Any) -> None:
    _SHARED[:] = [plan]


def _run(job: Job[Any, R]) -> R:
    return job.run(_SHARED[0])
