"""The cases of a plan on every core; their results in order, whichever core was first."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any, TypeVar

from tqdm import tqdm

P = TypeVar("P")
C = TypeVar("C")
R = TypeVar("R")


def in_parallel(
    run: Callable[[P, C], R],
    plan: P,
    cases: Sequence[C],
    workers: int = 0,
    desc: str = "simulate",
) -> list[R]:
    """Run every case, on so many cores (0: all); those that stand first begin first.

    Args:
        run: a function of a module, which other processes can find.
        desc: what the progress bar is called.

    Returns:
        The results in the cases' order.
    """
    workers = min(workers or os.cpu_count() or 1, len(cases))
    with tqdm(total=len(cases), desc=desc, unit="run") as bar:
        if workers == 1:
            found = []
            for case in cases:
                found.append(run(plan, case))
                bar.update()
            return found
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, context, _share, (run, plan)) as pool:
            futures = {pool.submit(_shared_case, case): i for i, case in enumerate(cases)}
            by_number: dict[int, R] = {}
            for future in as_completed(futures):
                by_number[futures[future]] = future.result()
                bar.update()
    return [by_number[i] for i in range(len(cases))]


_SHARED: list[Any] = []


def _share(run: Any, plan: Any) -> None:
    _SHARED[:] = [run, plan]


def _shared_case(case: Any) -> Any:
    run, plan = _SHARED
    return run(plan, case)
