"""What identifies a served model, so that a predictor of another one is refused."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from safetensors import safe_open

from lengthwise.errors import UserError, reading

_EMBEDDING_ROWS = 32

_WEIGHTS = (".bin", ".pt", ".pth", ".gguf", ".safetensors", ".npz")

_HEAD = 2**20
"""Bytes of a single file that are hashed."""


def model_folder(model: str) -> Path:
    """The local folder of a model: a path, or a hub name already in the hub's cache.

    Raises:
        UserError: if there is no such folder.
    """
    folder = Path(model)
    if folder.is_dir():
        return folder
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model, local_files_only=True))
    except Exception as error:
        raise UserError(
            f"model {model!r}: no such folder, and not in the Hugging Face cache"
        ) from error


def fingerprint(model: str) -> str:
    """A short name of the model's shape and weights, e.g. ``llama-30x576-1a2b3c4d5e6f7a8b``.

    Hashes every one-dimensional weight (the norms) and the first rows of the
    embedding, so it follows the weights and not the files' layout.

    Raises:
        UserError: if the folder has no config.json or no safetensors weights.
    """
    folder = model_folder(model)
    files = sorted(folder.glob("*.safetensors"))
    if not files or not (folder / "config.json").is_file():
        raise UserError(f"model {model!r}: needs config.json and *.safetensors in {folder}")
    with reading(f"model {model!r}"):
        config = json.loads((folder / "config.json").read_text())
        config = config.get("text_config", config)
        tensors = _some_weights(files)
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name])
    shape = f"{config.get('num_hidden_layers')}x{config.get('hidden_size')}"
    return f"{config.get('model_type')}-{shape}-{digest.hexdigest()[:16]}"


def identity(model: str) -> str:
    """The model's fingerprint or, for one that has none, what else tells it from others.

    That is its shape and a hash of its config and the sizes of its weight files (``*.bin``), of
    a single file's size and first bytes (GGUF), or of the name. No model is refused.
    """
    try:
        return fingerprint(model)
    except UserError:
        pass
    try:
        if Path(model).is_file():
            return f"file-{_hash(_head(Path(model)))}"
        return _described(model_folder(model))
    except (UserError, OSError):
        return f"name-{_hash(model.encode())}"


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return b"%d %b" % (path.stat().st_size, file.read(_HEAD))


def _described(folder: Path) -> str:
    path = folder / "config.json"
    with reading(path):
        config = json.loads(path.read_text())
        text = config.get("text_config", config)
        shape = f"{text.get('num_hidden_layers')}x{text.get('hidden_size')}"
        sizes = {each.name: each.stat().st_size for each in folder.iterdir() if each.is_file()}
    weights = {name: size for name, size in sizes.items() if name.endswith(_WEIGHTS)}
    told = json.dumps([config, weights], sort_keys=True)
    return f"{text.get('model_type')}-{shape}-{_hash(told.encode())}"


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _some_weights(files: list[Path]) -> dict[str, bytes]:
    tensors: dict[str, bytes] = {}
    for file in files:
        with safe_open(file, framework="pt") as weights:
            for name in weights.keys():  # noqa: SIM118 (safe_open is no mapping)
                view = weights.get_slice(name)
                if len(view.get_shape()) == 1:
                    tensors[name] = view[:].float().numpy().tobytes()
                elif name.endswith("embed_tokens.weight"):
                    tensors[name] = view[:_EMBEDDING_ROWS].float().numpy().tobytes()
    return tensors
