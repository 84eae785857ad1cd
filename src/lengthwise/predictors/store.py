"""Predictors on disk: weights in safetensors, everything else in JSON beside them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import load_file, save_file

from lengthwise.core.bins import Bins
from lengthwise.errors import UserError, reading
from lengthwise.models.fingerprint import fingerprint
from lengthwise.predictors.base import Arrays, LengthPredictor, PromptPredictor

if TYPE_CHECKING:
    from lengthwise.predictors.errors import ErrorModel
    from lengthwise.predictors.probe import Probe
    from lengthwise.predictors.trail import Trail

_AGAIN = "run lengthwise train again"

BUILTIN = "builtin"
"""Name of the predictors shipped for SmolLM2-135M-Instruct."""


def predictors_folder(name: str) -> Path:
    """The folder of trained predictors; ``builtin`` is the shipped one."""
    if name == BUILTIN:
        return Path(str(resources.files("lengthwise") / "data" / "smollm2-135m-instruct"))
    return Path(name)


@dataclass(frozen=True)
class Trained:
    """A served model's predictors, and their measured errors.

    Attributes:
        model: fingerprint of the served model.
        probe: TRAIL's, or None: then requests are ranked by their prompts only.
        prompt: ranks requests until their prefill is done.
        report: figures on held-out prompts.
        errors, confusion: error models of the two, for the simulator.
        held_out: their predictions for each held-out request.
    """

    model: str
    probe: Trail | None
    prompt: PromptPredictor
    report: dict[str, Any]
    errors: ErrorModel | None = None
    confusion: dict[str, Any] | None = None
    held_out: list[dict[str, Any]] | None = None

    def save(self, folder: Path) -> None:
        """Write predictors.json and the weight files; the JSON comes last."""
        folder.mkdir(parents=True, exist_ok=True)
        described: dict[str, Any] = {"model": self.model}
        for role, predictor in (("probe", self.probe), ("prompt", self.prompt)):
            path = folder / f"{role}.safetensors"
            path.unlink(missing_ok=True)
            if predictor is not None:
                described[role] = save_predictor(predictor, path)
        described["report"] = self.report
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
        UserError: if there is none, or damaged, or another model's.
    """
    folder, described = _describe(name, model)
    if "probe" not in described:
        raise UserError(f"no probe in {folder}: run lengthwise train trail first")
    from lengthwise.predictors.trail import Trail

    trail = read_predictor(folder, described, "probe")
    assert isinstance(trail, Trail)
    return trail.probe


def load_prompt_predictor(name: str, model: str) -> PromptPredictor:
    """The prompt predictor in a folder, checked against the served model.

    Raises:
        UserError: as :func:`load_probe`.
    """
    predictor = read_predictor(*_describe(name, model), "prompt")
    assert isinstance(predictor, PromptPredictor)
    return predictor


def check_there(name: str) -> None:
    """Refuse a folder without predictors; what is in them is not looked at.

    Raises:
        UserError: says how to get some.
    """
    folder = predictors_folder(name)
    if not (folder / "predictors.json").is_file():
        raise UserError(f"no trained predictors in {folder}: run lengthwise train first")


def has_probe(name: str) -> bool:
    """Whether the folder holds a probe; False too if it holds nothing readable."""
    try:
        return "probe" in json.loads((predictors_folder(name) / "predictors.json").read_text())
    except (OSError, ValueError):
        return False


@dataclass(frozen=True)
class Packed:
    """A predictor as plain values and arrays, to be handed to another process.

    Attributes:
        kind: its name.
        bins: that it predicts.
        settings, arrays: its :meth:`LengthPredictor.state`.
    """

    kind: str
    bins: Bins
    settings: dict[str, Any]
    arrays: Arrays

    @classmethod
    def of(cls, predictor: LengthPredictor) -> Packed:
        """What :meth:`predictor` makes the same predictor of again."""
        return cls(predictor.name, predictor.bins, *predictor.state())

    def predictor(self) -> LengthPredictor:
        """The predictor."""
        from lengthwise.predictors import PREDICTORS

        return PREDICTORS[self.kind].restore(self.bins, self.settings, self.arrays)


def save_predictor(predictor: LengthPredictor, path: Path) -> dict[str, Any]:
    """Writes its arrays to ``path``; returns what :func:`read_predictor` needs besides."""
    settings, arrays = predictor.state()
    save_file({name: np.ascontiguousarray(value) for name, value in arrays.items()}, path)
    bins = predictor.bins
    return {
        "kind": predictor.name,
        "bins": {
            "edges": [round(float(x), 4) for x in bins.edges],
            "values": [round(float(x), 4) for x in bins.values],
        },
        "settings": settings,
    }


def read_predictor(
    folder: Path, described: dict[str, Any], role: str, advice: str = _AGAIN
) -> LengthPredictor:
    """The predictor described under ``role``, its arrays in ``ROLE.safetensors``.

    Raises:
        UserError: if something is missing or damaged.
    """
    from lengthwise.predictors import PREDICTORS

    path = folder / f"{role}.safetensors"
    with reading(path, advice):
        it = described[role]
        kind = PREDICTORS[it["kind"]]
        bins = Bins(*(np.array(it["bins"][each], np.float32) for each in ("edges", "values")))
        return kind.restore(bins, it["settings"], load_file(path))


def read_described(name: str) -> tuple[Path, dict[str, Any]]:
    """The folder of trained predictors, and what its predictors.json says.

    Raises:
        UserError: if there is none, or it is damaged.
    """
    check_there(name)
    folder = predictors_folder(name)
    path = folder / "predictors.json"
    with reading(path, _AGAIN):
        return folder, dict(json.loads(path.read_text()))


def _describe(name: str, model: str) -> tuple[Path, dict[str, Any]]:
    folder, described = read_described(name)
    served = fingerprint(model)
    if described.get("model") != served:
        raise UserError(
            f"the probe in {folder} belongs to model {described.get('model')}, "
            f"not to the served {served}: run lengthwise collect and train for it"
        )
    return folder, described
