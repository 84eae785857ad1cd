"""Good and bad files, and commands that must be refused before anything slow starts."""

from __future__ import annotations

import gzip
import json
import multiprocessing.process
import os
import re
import shutil
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from lengthwise.cli.main import main
from lengthwise.models.fingerprint import fingerprint
from lengthwise.online.archive import export
from lengthwise.online.versions import Version, Versions
from lengthwise.predictors.store import load_prompt_predictor

SPEC = {"hi": 1, "[unk]": 0}


@pytest.fixture(scope="module")
def world(
    saved_model: Callable[..., Path],
    saved_predictors: Callable[[Path, Path], str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, str]]:
    """Good and bad files by the names that table.txt has for them; and a port in use."""
    root = tmp_path_factory.mktemp("world")
    models(root, saved_model)
    saved_predictors(root / "probe", root / "model")
    saved_predictors(root / "foreign", root / "other-model")
    saved_predictors(root / "cut-probe", root / "model")
    (root / "cut-probe" / "prompt.safetensors").write_bytes(b"\x00" * 9)
    saved_predictors(root / "junk-probe", root / "model")
    (root / "junk-probe" / "predictors.json").write_text("[1, 2")
    saved_predictors(root / "list-probe", root / "model")
    (root / "list-probe" / "predictors.json").write_text("[1, 2]")
    texts(root)
    collected(root)
    learned(root)
    service(root)
    (root / "file").write_text("here already")
    (root / "folder").mkdir()
    (root / "locked").mkdir(mode=0o555)
    names = {path.name: str(path) for path in root.iterdir()}
    with socket.socket() as used:
        used.bind(("", 0))
        used.listen()
        names["used"] = str(used.getsockname()[1])
        yield names | {name: str(root / name) for name in ("nowhere", "out")}


def service(root: Path) -> None:
    """Files of service classes."""
    (root / "classes.toml").write_text('default = "x"\n[class.x]\nttft = 1\n[class.y]\n')
    (root / "typo.toml").write_text("[class.x]\ntttf = 1\n")
    (root / "cut.toml").write_text("[class.x\n")
    (root / "shares.toml").write_text(
        'default = "x"\n[class.x]\nshare = 0.5\n[class.y]\nshare = 0.5\n'
    )


def models(root: Path, saved_model: Callable[..., Path]) -> None:
    saved_model(root / "model", SPEC)
    saved_model(root / "other-model", SPEC, seed=2)
    for name, damage in {
        "no-config": lambda it: (it / "config.json").unlink(),
        "junk-config": lambda it: (it / "config.json").write_text("{"),
        "list-config": lambda it: (it / "config.json").write_text("[1]"),
        "no-weights": lambda it: (it / "model.safetensors").unlink(),
        "cut-weights": lambda it: (it / "model.safetensors").write_bytes(b"\x40" + b"\x00" * 8),
        "no-tokenizer": lambda it: [each.unlink() for each in it.glob("tokenizer*")],
        "junk-tokenizer": lambda it: (it / "tokenizer.json").write_text("{"),
    }.items():
        damage(saved_model(root / name, SPEC))


def texts(root: Path) -> None:
    prompt = json.dumps({"prompt": "hi hi"}) + "\n"
    (root / "prompts.jsonl").write_text(prompt * 12)
    (root / "alone.jsonl").write_text(prompt)  # which is not one of the held-out quarter
    (root / "long.jsonl").write_text(json.dumps({"prompt": "hi " * 60}) + "\n")
    (root / "mixed.jsonl").write_text(prompt + json.dumps({"prompt": "hi " * 60}) + "\n")
    (root / "empty.jsonl").write_text("")
    (root / "junk.jsonl").write_text(prompt + "[1]\n")
    (root / "latin.jsonl").write_bytes('{"prompt": "né"}\n'.encode("latin-1"))
    packed = gzip.compress(prompt.encode() * 500)
    (root / "cut.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    rows = "".join(f"{0.1 * i:.1f},20,5\n" for i in range(30))
    (root / "trace.csv").write_text("arrival_s,prompt_tokens,output_tokens\n" + rows)
    (root / "lengths.csv").write_text("prompt_tokens,output_tokens\n" + "20,5\n" * 30)
    (root / "latin.csv").write_bytes("t_s,né\n1,2\n".encode("latin-1"))
    (root / "times.csv").write_text("t_s\n" + "".join(f"{i}\n" for i in range(30)))
    (root / "short.csv").write_text("t_s\n0\n1\n")
    (root / "empty.csv").write_text("")
    (root / "sheet.xlsx").write_bytes(b"PK\x03\x04")
    (root / "cut.csv.gz").write_bytes(gzip.compress(rows.encode() * 50)[:20])
    (root / "object.json").write_text('{"kind": "linear"}')
    (root / "list.json").write_text("[1]")
    track = {"id": "mine:1", "arrival": 5.0, "ages": [0], "remaining": [5.0]}
    (root / "recorded.jsonl").write_text(json.dumps(track) + "\n")
    logs(root)
    (root / "predicted.csv").write_text("predicted\n5\n")
    (root / "replay").mkdir()
    (root / "replay" / "results.json").write_text("[1, 2]")


def logs(root: Path) -> None:
    """What servers write of their requests: too little to make a trace of."""
    head = "INFO 11-27 10:00:00 [request_logger.py:65]"
    received = f"{head} Received request cmpl-0123456789abcdef-0: params: SamplingParams(n=1).\n"
    (root / "vllm.log").write_text(received)
    answered = f"{head} Generated response cmpl-0123456789abcdef-0: output: '', finish_reason: stop"
    (root / "info.log").write_text(received + answered)
    (root / "access.log").write_text('INFO: 127.0.0.1:5 - "POST /v1/completions HTTP/1.1" 200 OK')
    span = {"name": "GET /", "startTimeUnixNano": "1790000000000000000"}
    spans = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})
    (root / "other-spans.json").write_text(spans)
    (root / "cut-spans.json").write_text(spans[:-3])


def collected(root: Path) -> None:
    """Folders as ``lengthwise collect`` leaves them: a good one, and damaged ones."""
    rows = [
        {"id": f"p:{i}", "prompt_ids": [1, 1], "output_tokens": 3, "censored": False}
        for i in range(3)
    ]
    named = (("ages", (1,)), ("states", (1, 1, 8)), ("mean", (1, 8)))
    arrays = {f"{i}.{name}": np.zeros(shape, np.float16) for i in range(3) for name, shape in named}
    meta = {"model": "some", "layers": [1], "cap": 9, "temperature": 0.0, "every": 8}
    good = root / "data"
    good.mkdir()
    (good / "meta.json").write_text(json.dumps(meta))
    (good / "shard-00000.json").write_text(json.dumps(rows))
    save_file(arrays, good / "shard-00000.safetensors")
    for name, file, content in (
        ("junk-meta", "meta.json", b"{"),
        ("list-meta", "meta.json", b"[1]"),
        ("junk-rows", "shard-00000.json", b"[3]"),
        ("cut-arrays", "shard-00000.safetensors", b"\x40"),
    ):
        shutil.copytree(good, root / name)
        (root / name / file).write_bytes(content)


def learned(root: Path) -> None:
    """What was learned while serving: a good version, damaged ones, and archives."""
    good = Versions(root / "learned", fingerprint(str(root / "model")), print)
    predictor = load_prompt_predictor(str(root / "probe"), str(root / "model"))
    for number in (1, 2, 3):
        good.save(Version(number, "prompt", "constant", 0.0, 100, 0.5), predictor)
    export(good, [1], root / "learned.zip")
    foreign = Versions(root / "others", fingerprint(str(root / "other-model")), print)
    foreign.save(Version(1, "prompt", "constant", 0.0, 100, 0.5), predictor)
    export(foreign, [1], root / "foreign.zip")
    (root / "learned" / "version-000002" / "prompt.safetensors").write_bytes(b"\x40")
    (root / "learned" / "version-000003" / "version.json").write_text("[1]")
    (root / "cut.zip").write_bytes((root / "learned.zip").read_bytes()[:200])
    with zipfile.ZipFile(root / "slip.zip", "w") as archive:
        archive.writestr("../version-000001/version.json", "{}")
    with zipfile.ZipFile(root / "large.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("version-000001/version.json", " " * 2**21)


@pytest.fixture(autouse=True)
def nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process, no engine: whatever is refused is refused before."""

    def started(*_: object, **__: object) -> None:
        raise AssertionError("something slow was started before the input was refused")

    monkeypatch.setattr(subprocess.Popen, "__init__", started)
    monkeypatch.setattr(os, "execv", started)
    monkeypatch.setattr(multiprocessing.process.BaseProcess, "start", started)
    monkeypatch.setitem(sys.modules, "vllm", None)
    # Whoever is root may write everywhere: this stands for everybody else.
    access = os.access
    monkeypatch.setattr(
        os,
        "access",
        lambda path, mode: "locked" not in Path(path).parts[-1:] and access(path, mode),
    )


@pytest.fixture
def refuse(world: dict[str, str], capsys: pytest.CaptureFixture[str]) -> Callable[[str], str]:
    """Run a command that must end with status 2 and one line; returns the line."""

    def run(command: str) -> str:
        named = re.sub(r"{(.+?)}", lambda name: world[name[1]], command)
        try:
            status: object = main(named.split())
        except SystemExit as ended:
            status = ended.code
        out, err = capsys.readouterr()
        assert (status, out) == (2, "")
        assert err.startswith("lengthwise")
        assert err.count("\n") == 1
        assert not Path(world["out"]).exists()
        return err

    return run
