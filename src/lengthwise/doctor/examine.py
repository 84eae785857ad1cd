"""All checks, in the order in which they are printed."""

from __future__ import annotations

from collections.abc import Iterator

from lengthwise.doctor.asked import Asked
from lengthwise.doctor.check import Check, Finding
from lengthwise.doctor.checks.classes import ServiceClasses
from lengthwise.doctor.checks.cpu import Cpu
from lengthwise.doctor.checks.decision_log import DecisionLog
from lengthwise.doctor.checks.learned import Learned
from lengthwise.doctor.checks.learning_folder import LearningFolder
from lengthwise.doctor.checks.memory import Memory
from lengthwise.doctor.checks.metrics_folder import MetricsFolder
from lengthwise.doctor.checks.model import Model
from lengthwise.doctor.checks.page import Page
from lengthwise.doctor.checks.plugin import Plugin
from lengthwise.doctor.checks.policy import Policy
from lengthwise.doctor.checks.port import Port
from lengthwise.doctor.checks.predictors import Predictors
from lengthwise.doctor.checks.python import Python
from lengthwise.doctor.checks.ray import Ray
from lengthwise.doctor.checks.scheduler import Scheduler
from lengthwise.doctor.checks.server import Server
from lengthwise.doctor.checks.surfaces import Surfaces
from lengthwise.doctor.checks.torch import Torch
from lengthwise.doctor.checks.tracing import Tracing
from lengthwise.doctor.checks.vllm import Vllm

CHECKS: tuple[type[Check], ...] = (
    *(Python, Vllm, Torch, Cpu, Surfaces, Plugin, Page, Scheduler),
    *(Policy, ServiceClasses, Model, Predictors, Learned, LearningFolder),
    *(Memory, Port, MetricsFolder, DecisionLog, Tracing, Ray, Server),
)
"""What is installed, what is to be served, where it runs, and what runs already."""


def examine(asked: Asked) -> Iterator[Finding]:
    """What each check finds, as soon as it has; those that nothing was asked of are left out."""
    for check in CHECKS:
        found = check().found(asked)
        if found is not None:
            yield found
