"""Predictors as they are judged: fitted once, kept on disk, and read back from there."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lengthwise.answers.arrays import Answers, Split
from lengthwise.core.bins import Bins
from lengthwise.errors import reading
from lengthwise.predictors import find_predictor
from lengthwise.predictors.base import Fitting, LengthPredictor
from lengthwise.predictors.store import read_predictor, save_predictor
from lengthwise.predictors.trail import Trail

_ROLE = "predictor"


@dataclass(frozen=True)
class Fitted:
    """A predictor, read back from disk as one would serve it.

    Attributes:
        fit_s: seconds that fitting took, when it was fitted.
        layers: error on the tuning prompts by layer, if it chose a layer.
    """

    predictor: LengthPredictor
    fit_s: float
    layers: dict[int, float]


def fitted(spec: str, parts: Split, folder: Path, how: Fitting) -> Fitted:
    """Fits ``spec`` to the parts, unless the folder has it, fitted to the same.

    Raises:
        UserError: if there is no such predictor, or it cannot be fitted to this data.
    """
    kind, how = find_predictor(spec, how)
    if kind.reads == "truth":
        # An oracle knows the answers beforehand, and lets nobody keep it.
        return Fitted(_fit(kind, parts, how), 0.0, {})
    learned = [digest(part, kind.reads == "text") for part in (parts.fit, parts.tune)]
    key = {"spec": spec, "how": asdict(how), "data": learned}
    home = folder / file_name(spec)
    path = home / "fitted.json"
    described = _read(path)
    if described.get("key") != key:
        start = time.perf_counter()
        predictor = _fit(kind, parts, how)
        fit_s = time.perf_counter() - start
        home.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        described = {
            "key": key,
            "fit_s": fit_s,
            "layers": predictor.layer_errors if isinstance(predictor, Trail) else {},
            _ROLE: save_predictor(predictor, home / f"{_ROLE}.safetensors"),
        }
        path.write_text(json.dumps(described, indent=1) + "\n")
    return Fitted(
        read_predictor(home, described, _ROLE),
        described["fit_s"],
        {int(layer): error for layer, error in described["layers"].items()},
    )


def file_name(spec: str) -> str:
    """A spec as part of a path: ``trail:paper`` is ``trail-paper``."""
    return spec.replace(":", "-")


def digest(answers: Answers, texts: bool = False) -> str:
    """What identifies answers in short: folders grow, and then figures are of others.

    With ``texts`` also what decoding made of the prompts: the tokenizer may be another one
    the next time, which matters to those that read text.
    """
    ids = [each.id for each in answers.asked]
    seen = [answers.model, answers.layers, answers.cap, ids, answers.tokens.tolist()]
    decoded = [each.text for each in answers.asked] if texts else []
    return hashlib.sha256(json.dumps([seen, decoded]).encode()).hexdigest()[:16]


def _fit(kind: type[LengthPredictor], parts: Split, how: Fitting) -> LengthPredictor:
    bins = Bins.log(20, parts.fit.cap).with_overflow()
    return kind.fit(parts.fit, parts.tune, bins, how)


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    with reading(path, f"delete {path.parent} and run lengthwise evaluate again"):
        described: dict[str, Any] = dict(json.loads(path.read_text()))
    return described
