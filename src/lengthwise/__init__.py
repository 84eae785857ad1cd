"""Lengthwise: schedule LLM requests by how many tokens they still need.

Names are imported when they are first used: ``import lengthwise`` itself loads next to
nothing. What type checkers know of them stands in ``__init__.pyi``.
"""

from importlib import import_module

__version__ = "0.1.0"

_HOMES = {
    "LengthRegressor": "api.regressor",
    "Policy": "core.policy",
    "Prediction": "core.prediction",
    "Request": "core.request",
    "Result": "api.simulation",
    "UserError": "errors",
    "Workload": "workload",
    "load_predictor": "api.regressor",
    "make_policy": "policies",
    "read_workload": "traces",
    "register_policy": "policies",
    "simulate": "api.simulation",
    "synthetic": "workload",
}
"""The module below ``lengthwise`` that has each public name."""

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
