"""Predictions made anew while requests run, as the probe does."""

from __future__ import annotations

import math

import numpy as np

from lengthwise.core.policy import Policy
from lengthwise.sim.decodes import Job
from lengthwise.sim.predictors import Predictor
from lengthwise.sim.seating import SimulatedEngine
from lengthwise.sim.traffic import Traffic


def refines(policy: Policy, predictor: Predictor) -> bool:
    """Whether predictions are made anew while serving; what a probe has read ends with a slice."""
    return policy.source == "probe" and predictor.refines and policy.slice == math.inf


class Refining:
    """Refines the predictions of an engine's decoding jobs.

    Args:
        interval: tokens between two predictions of a request.
    """

    def __init__(self, engine: SimulatedEngine, traffic: Traffic, interval: int) -> None:
        self._engine, self._traffic = engine, traffic
        self._interval = interval

    def refine(self) -> None:
        """New predictions for the decoding jobs that are due; ranks may change."""
        due, ages = self._due()
        if not due:
            return
        index = np.array([job.index for job in due])
        left = np.array([job.output for job in due], dtype=np.float64) - ages
        self._traffic.refine([job.view for job in due], index, left, ages)
        self._engine.seating.worsened()

    def _due(self) -> tuple[list[Job], list[int]]:
        """Jobs whose last token is due for a prediction, and their ages in tokens.

        The state of a token is seen before the next one is sampled: age = generated - 1.
        """
        running, interval = self._engine.running, self._interval
        before = self._engine.decodes.tick - 1
        if interval == 1:
            due = [job for job in running if job.decoding]
        else:
            due = [job for job in running if job.decoding and not (job.base + before) % interval]
        return due, [job.base + before for job in due]
