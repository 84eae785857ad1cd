"""Predictors on disk: weights in safetensors, everything else in JSON beside them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import load_file, save_file

from lengthwise.core.bins import Bins
from lengthwise.errors import UserError
from lengthwise.predictors.fingerprint import fingerprint
from lengthwise.predictors.probe import Probe
from lengthwise.predictors.prompt import PromptPredictor

BUILTIN = "builtin"
"""Name of the predictors shipped for SmolLM2-135M-Instruct."""


def predictors_folder(name: str) -> Path:
    """The folder of trained predictors; ``builtin`` is the shipped one."""
    if name == BUILTIN:
        return Path(str(resources.files("lengthwise") / "data" / "smollm2-135m-instruct"))
    return Path(name)


@dataclass(frozen=True)
class Trained:
    """A served model's predictors, and what training measured of them."""

    model: str
    probe: Probe
    prompt: PromptPredictor
    report: dict[str, Any]

    def save(self, folder: Path) -> None:
        """Write predictors.json and the two weight files; the JSON comes last."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, module in (("probe", self.probe), ("prompt", self.prompt)):
            half = {key: value.half().contiguous() for key, value in module.state_dict().items()}
            save_file(half, folder / f"{name}.safetensors")
        described = {
            "model": self.model,
            "probe": {
                "layer": self.probe.layer,
                "width": self.probe.width,
                "inputs": self.probe.inputs,
                "hidden": self.probe.hidden,
                "alpha": self.probe.alpha,
                "prior": self.probe.prior,
                "bins": _bins_json(self.probe.bins),
            },
            "prompt": {"hidden": self.prompt.hidden, "bins": _bins_json(self.prompt.bins)},
            "report": self.report,
        }
        (folder / "predictors.json").write_text(json.dumps(described, indent=1) + "\n")


def load_probe(name: str, model: str) -> Probe:
    """The probe in a folder, checked against the served model.

    Raises:
        UserError: if it is missing, damaged, or was trained on another model.
    """
    folder, described = _describe(name, model)
    it = dict(described["probe"])
    probe = Probe(**(it | {"bins": _bins(it["bins"])}))
    _load(probe, folder / "probe.safetensors")
    return probe.eval()


def load_prompt_predictor(name: str, model: str) -> PromptPredictor:
    """The prompt-only predictor in a folder, checked against the served model.

    Raises:
        UserError: as :func:`load_probe`.
    """
    folder, described = _describe(name, model)
    it = described["prompt"]
    predictor = PromptPredictor(_bins(it["bins"]), it["hidden"])
    _load(predictor, folder / "prompt.safetensors")
    return predictor.eval()


def _describe(name: str, model: str) -> tuple[Path, dict[str, Any]]:
    folder = predictors_folder(name)
    path = folder / "predictors.json"
    try:
        described: dict[str, Any] = json.loads(path.read_text())
    except OSError:
        raise UserError(f"no trained predictors in {folder}: run lengthwise train first") from None
    except ValueError:
        raise UserError(f"{path} is not JSON: run lengthwise train again") from None
    served = fingerprint(model)
    if described.get("model") != served:
        raise UserError(
            f"the probe in {folder} belongs to model {described.get('model')}, "
            f"not to the served {served}: run lengthwise collect and train for it"
        )
    return folder, described


def _load(module: Any, path: Path) -> None:
    try:
        module.load_state_dict({key: value.float() for key, value in load_file(path).items()})
    except (OSError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path} cannot be used ({reason}): run lengthwise train again") from None


def _bins_json(bins: Bins) -> dict[str, list[float]]:
    return {
        "edges": [round(float(x), 4) for x in bins.edges],
        "values": [round(float(x), 4) for x in bins.values],
    }


def _bins(described: dict[str, list[float]]) -> Bins:
    return Bins(
        np.array(described["edges"], dtype=np.float32),
        np.array(described["values"], dtype=np.float32),
    )
