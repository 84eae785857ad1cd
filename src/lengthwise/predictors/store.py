"""Predictors on disk: weights in safetensors, everything else in JSON beside them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from lengthwise.core.bins import Bins
from lengthwise.errors import UserError, reading
from lengthwise.predictors.fingerprint import fingerprint
from lengthwise.predictors.probe import Probe
from lengthwise.predictors.prompt import PromptPredictor
from lengthwise.sim.predictors import ErrorModel

_AGAIN = "run lengthwise train again"
_ARRAYS = ("idf", "weight", "slope", "offset")

BUILTIN = "builtin"
"""Name of the predictors shipped for SmolLM2-135M-Instruct."""


def predictors_folder(name: str) -> Path:
    """The folder of trained predictors; ``builtin`` is the shipped one."""
    if name == BUILTIN:
        return Path(str(resources.files("lengthwise") / "data" / "smollm2-135m-instruct"))
    return Path(name)


@dataclass(frozen=True)
class Trained:
    """A served model's predictors, and what training measured of them.

    ``errors`` and ``confusion`` tell the simulator how the probe and the prompt predictor
    err on held-out prompts; ``held_out`` is what they said of each of these.
    """

    model: str
    probe: Probe
    prompt: PromptPredictor
    report: dict[str, Any]
    errors: ErrorModel | None = None
    confusion: dict[str, Any] | None = None
    held_out: list[dict[str, Any]] | None = None

    def save(self, folder: Path) -> None:
        """Write predictors.json and the two weight files; the JSON comes last."""
        folder.mkdir(parents=True, exist_ok=True)
        # Matrices may be rounded; the vectors that normalise large states may not.
        probe = {
            name: (value.half() if value.ndim > 1 else value).contiguous()
            for name, value in self.probe.state_dict().items()
        }
        arrays = {name: torch.from_numpy(getattr(self.prompt, name)).half() for name in _ARRAYS}
        for name, weights in (("probe", probe), ("prompt", arrays)):
            save_file(weights, folder / f"{name}.safetensors")
        described = {
            "model": self.model,
            "probe": {
                "layer": self.probe.layer,
                "width": self.probe.width,
                "inputs": self.probe.inputs,
                "hidden": self.probe.hidden,
                "refinement": self.probe.refinement,
                "bins": _bins_json(self.probe.bins),
            },
            "prompt": {
                "intercept": self.prompt.intercept,
                "bins": _bins_json(self.prompt.bins),
            },
            "report": self.report,
        }
        if self.errors is not None:
            self.errors.save(folder / "errors.json")
        if self.confusion is not None:
            (folder / "confusion.json").write_text(json.dumps(self.confusion) + "\n")
        if self.held_out is not None:
            lines = "".join(json.dumps(track) + "\n" for track in self.held_out)
            (folder / "held_out.jsonl").write_text(lines)
        (folder / "predictors.json").write_text(json.dumps(described, indent=1) + "\n")


def load_probe(name: str, model: str) -> Probe:
    """The probe in a folder, checked against the served model.

    Raises:
        UserError: if it is missing, damaged, or was trained on another model.
    """
    folder, described = _describe(name, model)
    it = dict(described["probe"])
    probe = Probe(**(it | {"bins": _bins(it["bins"])}))
    path = folder / "probe.safetensors"
    with reading(path, _AGAIN):
        try:
            probe.load_state_dict(_weights(path))
        except RuntimeError as error:
            raise ValueError(error) from None
    return probe.eval()


def load_prompt_predictor(name: str, model: str) -> PromptPredictor:
    """The prompt-only predictor in a folder, checked against the served model.

    Raises:
        UserError: as :func:`load_probe`.
    """
    folder, described = _describe(name, model)
    it = described["prompt"]
    path = folder / "prompt.safetensors"
    with reading(path, _AGAIN):
        weights = _weights(path)
        arrays = {name: weights[name].numpy() for name in _ARRAYS}
    return PromptPredictor(_bins(it["bins"]), intercept=it["intercept"], **arrays)


def _describe(name: str, model: str) -> tuple[Path, dict[str, Any]]:
    folder = predictors_folder(name)
    path = folder / "predictors.json"
    if not path.is_file():
        raise UserError(f"no trained predictors in {folder}: run lengthwise train first")
    with reading(path, _AGAIN):
        described: dict[str, Any] = dict(json.loads(path.read_text()))
    served = fingerprint(model)
    if described.get("model") != served:
        raise UserError(
            f"the probe in {folder} belongs to model {described.get('model')}, "
            f"not to the served {served}: run lengthwise collect and train for it"
        )
    return folder, described


def _weights(path: Path) -> dict[str, torch.Tensor]:
    return {name: value.float() for name, value in load_file(path).items()}


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
