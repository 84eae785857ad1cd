"""The GPU check: what can only be proven on a GPU, in one run of some minutes.

``python gpu/check.py --out FOLDER [--parts answers,cost,bench] [--lengths FILE]``

- ``answers``: SmolLM2 with its shipped predictors, on the V1 runner, on V1 with asynchronous
  scheduling, on V2: answers equal stock's token by token, tap and probe wait for nothing.
- ``cost``: an 8B-shaped model at 64 and 256 seats: what tap, probe and scheduling take of a
  step, and tokens/s with and without the plug-in, in turns.
- ``bench``: the same model, real lengths, a burst and an overload: stock, fcfs, trail, lengthwise.

Without a GPU it does the same on vLLM's CPU engine, V1 only, with small shapes: a rehearsal.
Results are printed and written as they come, so that a run that is cut off still says something.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import msgspec
import numpy as np

from engine import STOCK, Ask, Build, Order, Served
from lengthwise.results.timings import Times, seen

ROOT = Path(__file__).resolve().parent
GIB = 2**30


class Child:
    """An engine in a process of its own."""

    def __init__(self, name: str, build: Build, out: Path) -> None:
        self.name = name
        self.log = out / f"{name}.log"
        self._process = subprocess.Popen(
            [sys.executable, str(ROOT / "engine.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log.open("wb"),
        )
        self._send(build)

    def _send(self, what: Build | Order) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(msgspec.json.encode(what) + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # Its answer says why.

    def answer(self) -> Served:
        """What it says next: what came of the latest order, or of its building."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            return Served(error="the process has ended")
        return msgspec.json.decode(line, type=Served)

    def serve(self, order: Order) -> Served:
        """Serve an order and wait for it."""
        self._send(order)
        return self.answer()

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


class Report:
    """Lines on the screen and in FOLDER/report.txt, figures in FOLDER/results.json."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._figures: dict[str, Any] = {}
        self._start = time.monotonic()
        (out / "report.txt").write_text("")

    def say(self, line: str) -> None:
        line = f"[{time.monotonic() - self._start:5.0f} s] {line}"
        print(line, flush=True)
        with (self._out / "report.txt").open("a") as file:
            file.write(line + "\n")

    def keep(self, part: str, name: str, figures: dict[str, Any]) -> None:
        self._figures.setdefault(part, {})[name] = figures
        (self._out / "results.json").write_text(json.dumps(self._figures, indent=1))


# Part 1: answers.


def check_answers(out: Path, report: Report, cuda: bool) -> None:
    """Every runner, with the plug-in and without: the same tokens."""
    from lengthwise.models.smollm2 import prepare_smollm2

    model = prepare_smollm2(None)
    requests = chat_requests(model, 40 if cuda else 10, 64 if cuda else 20)
    configs: dict[str, tuple[bool, bool | None]] = {"v1": (False, False)}
    if cuda:
        configs |= {"v1-async": (False, True), "v2": (True, None), "v2-ngram": (True, None)}
    plain = ["fcfs", "lengthwise", "mlfq", STOCK]
    tapped = ["trail", "lengthwise", STOCK]

    def run(config: str) -> None:
        v2, ahead = configs[config]
        build = Build(str(model), small_engine(cuda, ahead), None, v2)
        builds = {"plain": build, "tapped": replace(build, probe="builtin")}
        if config == "v2-ngram":
            drafts = {"method": "ngram", "num_speculative_tokens": 3, "prompt_lookup_max": 3}
            builds = {"plain": replace(build, engine=build.engine | {"speculative_config": drafts})}
        children = start(config, builds, out, report, cuda)
        try:
            if len(children) == len(builds):
                compare_answers(config, children, plain, tapped, requests, report)
        finally:
            for child in children.values():
                child.end()

    with ThreadPoolExecutor(len(configs)) as pool:
        list(pool.map(run, configs))


def compare_answers(
    config: str,
    children: dict[str, Child],
    plain: list[str],
    tapped: list[str],
    requests: list[Ask],
    report: Report,
) -> None:
    seats = 8
    stock = children["plain"].serve(order_of_steps(STOCK, requests, seats))
    again = children["plain"].serve(order_of_steps(STOCK, reversed_arrivals(requests), seats))
    report.say(f"{config}: {say_engine(stock)}")
    if stock.error:
        return
    report.say(
        f"{config}: stock with arrivals reversed: {differing(stock, again)} differ from stock"
    )
    runs = [("plain", policy) for policy in plain] + [("tapped", policy) for policy in tapped]
    runs = [(where, policy) for where, policy in runs if where in children]
    for where, policy in runs:
        served = children[where].serve(order_of_steps(policy, requests, seats))
        if served.error:
            report.say(f"{config} {where} {policy}: FAILED {served.error}")
            continue
        figures = {
            "differ": differing(stock, served),
            "of": len(requests),
            "predictions": len(served.predictions),
            "predicted": sorted(served.predictions),
            "steps": served.steps,
            "stock_steps": stock.steps,
            "costs": served.costs,
            "engine": served.engine,
            "answers": served.answers,
        }
        report.keep("answers", f"{config} {where} {policy}", figures)
        report.say(
            f"{config} {where:6} {policy:10}: of {len(requests)} answers {figures['differ']} "
            f"differ from stock's; steps {served.steps}/{stock.steps}, "
            f"pauses {served.costs['pauses']:.0f}, evictions {served.costs['evictions']:.0f}, "
            f"predictions {len(served.predictions)}"
        )


def order_of_steps(policy: str, requests: list[Ask], seats: int) -> Order:
    settings = {"look_every": 1} if policy == "trail" else {}
    return Order(
        policy, requests, seats, by_steps=True, settings=settings, predictions=True, guard=True
    )


def reversed_arrivals(requests: list[Ask]) -> list[Ask]:
    times = [ask.at for ask in reversed(requests)]
    return [
        Ask(ask.id, ask.prompt_ids, ask.most, at) for ask, at in zip(requests, times, strict=True)
    ]


def differing(stock: Served, other: Served) -> str:
    """Which answers differ, and at which token."""
    found = []
    for name, answer in stock.answers.items():
        theirs = other.answers.get(name, [])
        if theirs != answer:
            pairs = enumerate(zip(answer, theirs, strict=False))
            at = next((i for i, (a, b) in pairs if a != b), min(len(answer), len(theirs)))
            found.append(f"{name} at {at}")
    return ", ".join(found) or "none"


def chat_requests(model: Path, n: int, most: int) -> list[Ask]:
    """Our own prompts in the model's chat template, one every other step."""
    from lengthwise.models.served import chat_ids, load_tokenizer
    from lengthwise.traces.prompts import read_prompts

    tokenizer = load_tokenizer(model)
    texts = [prompt.text for prompt in read_prompts("builtin", 4 * n)]
    ids = [chat_ids(tokenizer, text) for text in texts]
    short = [each for each in ids if len(each) < 160][:n]
    return [Ask(f"chat{i}", each, most, at=2.0 * i) for i, each in enumerate(short)]


def small_engine(cuda: bool, ahead: bool | None) -> dict[str, Any]:
    """Scarce memory, so that requests are evicted; float32, so that batches do not matter."""
    engine: dict[str, Any] = {
        "max_num_seqs": 16,
        "max_num_active_seqs": 8,
        "max_model_len": 512 if cuda else 256,
        "max_num_batched_tokens": 512,
        "num_gpu_blocks_override": 60 if cuda else 12,
        "block_size": 16 if cuda else 32,
        "dtype": "float32",
    }
    if cuda:
        engine |= {
            "attention_backend": "TRITON_ATTN",
            "async_scheduling": ahead,
            "gpu_memory_utilization": 0.05,
            "kv_cache_memory_bytes": GIB,
            **graphs([1, 2, 4, 8, 16]),
        }
    return engine


def graphs(sizes: list[int]) -> dict[str, Any]:
    """Full graphs of decoding steps, and no compiler."""
    return {
        "enforce_eager": False,
        "compilation_config": {
            "mode": 0,
            "cudagraph_mode": "FULL_DECODE_ONLY",
            "cudagraph_capture_sizes": sizes,
        },
    }


# Parts 2 and 3: an 8B-shaped model.


def start_large(out: Path, report: Report, cuda: bool) -> dict[str, Child]:
    """Two engines, with tap and probe in the worker and without."""
    model = make_model(out / "model", cuda)
    predictors = make_predictors(model, out / "predictors")
    build = Build(str(model), large_engine(cuda), None, cuda)
    builds = {"plain": build, "tapped": replace(build, probe=str(predictors))}
    return start("large", builds, out, report, cuda)


def check_large(
    children: dict[str, Child],
    report: Report,
    cuda: bool,
    parts: list[str],
    lengths: Path | None,
) -> None:
    """Cost and bench share the two engines."""
    try:
        if "cost" in parts and "plain" in children:
            for seats in (64, 256) if cuda else (4,):
                check_cost(children, seats, report, cuda)
        if "bench" in parts and "plain" in children:
            check_bench(children["plain"], report, cuda, lengths)
    finally:
        for child in children.values():
            child.end()


def check_cost(children: dict[str, Child], seats: int, report: Report, cuda: bool) -> None:
    """Full seats and half as many waiting: what each policy costs a step."""
    prompt, answer = (128, 160) if cuda else (16, 24)
    draw = random.Random(seats)
    requests = [
        Ask(f"r{i}", made_prompt(draw, prompt), 512 if cuda else 64, ends=answer)
        for i in range(seats + seats // 2)
    ]
    runs: list[tuple[str, str, dict[str, Any]]] = [
        ("plain", STOCK, {}),
        ("plain", "lengthwise", {}),
        ("tapped", "lengthwise", {}),
        ("tapped", "trail", {}),
        ("tapped", "trail", {"look_every": 1}),
    ]
    runs = [run for run in runs if run[0] in children]
    for child in {where for where, _, _ in runs}:
        children[child].serve(Order(STOCK, requests[: seats // 2], seats))  # Warm.
    found: dict[str, list[Served]] = {}
    for round_ in range(2 if cuda else 1):
        for where, policy, settings in runs:
            order = Order(policy, requests, seats, settings=settings, guard=round_ == 0)
            served = children[where].serve(order)
            name = f"{policy} {where} {settings or ''}".strip()
            if served.error:
                report.say(f"{seats} seats, {name}: FAILED {served.error}")
                return
            found.setdefault(name, []).append(served)
    stock = found["stock plain"]
    for name, runs_of in found.items():
        figures = cost_figures(runs_of, stock)
        report.keep("cost", f"{seats} seats {name}", figures)
        report.say(
            f"{seats} seats, {name:32}: step {figures['step_ms']:.3f} ms "
            f"({figures['step_ratio']:.4f}), tokens/s {figures['tokens_per_s']:.0f} "
            f"({figures['rate_ratio']:.4f}), each step: schedule {figures['schedule_us']:.0f} us, "
            f"ours {figures['ranking_us']:.0f}, tap+probe on the host {figures['predict_us']:.0f}; "
            f"on the device {figures['tap_gpu_us']:.0f} in {figures['seen']:.0%} of steps"
        )


def cost_figures(runs: list[Served], stock: list[Served]) -> dict[str, float]:
    def rate(served: Served) -> float:
        return sum(each.tokens for each in served.timings) / served.seconds

    def each(field: str) -> float:
        return 1e6 * mean(run.costs[field] / max(run.steps, 1) for run in runs)

    return {
        "step_ms": 1e3 * mean(run.decode_s for run in runs),
        "step_ratio": mean(
            one.decode_s / other.decode_s for one, other in zip(runs, stock, strict=True)
        )
        if all(other.decode_s for other in stock)
        else float("nan"),
        "tokens_per_s": mean(map(rate, runs)),
        "rate_ratio": mean(rate(one) / rate(other) for one, other in zip(runs, stock, strict=True)),
        "rates": [rate(run) for run in runs],  # type: ignore[dict-item]
        "schedule_us": each("schedule_s"),
        "ranking_us": each("ranking_s"),
        "predict_us": each("predict_s"),
        "tap_gpu_us": 1e6 * mean(run.tap_gpu_s for run in runs),
        "seen": mean(run.seen for run in runs),
        "steps": mean(run.steps for run in runs),
    }


def check_bench(child: Child, report: Report, cuda: bool, lengths: Path | None) -> None:
    """A burst, an overload and a low load with real lengths; predictions with an error by noise."""
    seats = 256 if cuda else 4
    known = known_lengths(lengths)
    policies = [STOCK, "lengthwise", "trail", "fcfs"]
    sizes = {"chat": 768, "code": 96} if cuda else {"chat": 12, "code": 6}

    def chat(n: int) -> list[Ask]:
        return drawn_requests(known["chat"], n, 11, cuda)

    def chat_at(rate: float, seconds: float) -> list[Ask]:
        n = max(int(rate * seconds), 4)
        at = np.random.default_rng(5).exponential(1 / rate, n).cumsum().tolist()
        return drawn_requests(known["chat"], n, 12, cuda, at)

    child.serve(Order(STOCK, chat(seats), seats))  # Warm.
    served = serve_all(child, "burst chat", policies, chat(sizes["chat"]), seats, report)
    if STOCK not in served:
        return
    capacity = sizes["chat"] / served[STOCK].seconds
    serve_all(
        child, "online 1.25 chat", policies[:3], chat_at(1.25 * capacity, 20.0), seats, report
    )
    code = drawn_requests(known["code"], sizes["code"], 11, cuda)
    serve_all(child, "burst code", policies[:3], code, seats, report)
    serve_all(child, "online 0.5 chat", policies[:2], chat_at(0.5 * capacity, 10.0), seats, report)


def serve_all(
    child: Child,
    name: str,
    policies: list[str],
    requests: list[Ask],
    seats: int,
    report: Report,
) -> dict[str, Served]:
    done: dict[str, Served] = {}
    for policy in policies:
        served = child.serve(Order(policy, requests, seats))
        if served.error:
            report.say(f"{name}, {policy}: FAILED {served.error}")
            return done
        done[policy] = served
        figures = bench_figures(served)
        report.keep("bench", f"{name} {policy}", figures)
        of = bench_figures(done[STOCK])
        report.say(
            f"{name}, {policy:10}: "
            + ", ".join(
                f"{key} {figures[key]:.3f} ({figures[key] / of[key]:.2f})"
                for key in ("mean", "ttft", "p99", "tokens_per_s", "longest")
            )
            + f", evictions {figures['evictions']:.0f}, pauses {figures['pauses']:.0f}"
        )
    return done


def bench_figures(served: Served) -> dict[str, float]:
    """The project's own figures of a run, and what the engine did."""
    clients = msgspec.to_builtins(seen(Times.of(served.timings)))
    names = {
        "requests": "requests",
        "mean": "mean_latency_s",
        "p50": "p50_latency_s",
        "p99": "p99_latency_s",
        "ttft": "mean_ttft_s",
        "longest": "max_waiting_s",
        "tokens_per_s": "tokens_per_s",
    }
    return {
        **{short: clients[name] for short, name in names.items()},
        "seconds": served.seconds,
        "steps": served.steps,
        "evictions": served.costs["evictions"],
        "pauses": served.costs["pauses"],
        "schedule_us": 1e6 * served.costs["schedule_s"] / max(served.steps, 1),
    }


def drawn_requests(
    known: list[tuple[int, int]], n: int, seed: int, cuda: bool, at: list[float] | None = None
) -> list[Ask]:
    """Requests of such lengths. What their clients expect is off by a lognormal of sigma 0.5."""
    draw = random.Random(seed)
    longest = (6144, 1024) if cuda else (48, 24)
    shrink = 1 if cuda else 16
    requests = []
    for i in range(n):
        prompt, answer = draw.choice(known)
        prompt = min(max(prompt // shrink, 1), longest[0])
        answer = min(max(answer // shrink, 1), longest[1])
        expected = answer * draw.lognormvariate(0.0, 0.5)
        requests.append(
            Ask(
                f"b{i}",
                made_prompt(draw, prompt),
                longest[1],
                0.0 if at is None else at[i],
                answer,
                max(expected, 1.0),
            )
        )
    return requests


def known_lengths(path: Path | None) -> dict[str, list[tuple[int, int]]]:
    """Pairs of prompt and answer tokens by name; lognormal ones if there is no file."""
    if path is not None:
        return {
            name: [tuple(pair) for pair in rows]
            for name, rows in json.loads(path.read_text()).items()
        }
    draw = np.random.default_rng(0)

    def pairs(prompt: tuple[float, float], answer: tuple[float, float]) -> list[tuple[int, int]]:
        tokens = [np.exp(draw.normal(np.log(mid), wide, 2000)) for mid, wide in (prompt, answer)]
        return [(int(p) + 1, int(a) + 1) for p, a in zip(*tokens, strict=True)]

    return {"chat": pairs((40, 1.4), (190, 1.1)), "code": pairs((1500, 0.9), (14, 1.0))}


def made_prompt(draw: random.Random, tokens: int) -> list[int]:
    return [draw.randrange(10, 1000) for _ in range(tokens)]


def make_model(folder: Path, cuda: bool) -> Path:
    """A Llama of 8 billion weights by its shape alone: vLLM fills in any."""
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    shape = {
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "vocab_size": 128256,
    }
    if not cuda:
        shape |= {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2}
        shape |= {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 64}
        shape |= {"vocab_size": 1024}
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "max_position_embeddings": 8192,
        "rms_norm_eps": 1e-5,
        "rope_theta": 500000.0,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "initializer_range": 0.02,
        "bos_token_id": 1,
        "eos_token_id": None,
        **shape,
    }
    (folder / "config.json").write_text(json.dumps(config))
    # By its norms a predictor knows its model.
    save_file({"model.norm.weight": torch.ones(shape["hidden_size"])}, folder / "model.safetensors")
    return folder


def make_predictors(model: Path, folder: Path) -> Path:
    """Predictors of this model as wide as trained ones, and as wrong as untrained ones."""
    import torch

    from lengthwise.core.bins import Bins
    from lengthwise.models.fingerprint import fingerprint
    from lengthwise.predictors.ngrams import BUCKETS, Ngrams
    from lengthwise.predictors.probe import Probe
    from lengthwise.predictors.scored import Curve
    from lengthwise.predictors.store import Trained
    from lengthwise.predictors.trail import Trail

    torch.manual_seed(0)
    config = json.loads((model / "config.json").read_text())
    layer = max(config["num_hidden_layers"] // 3, 1)
    probe = Probe(layer, config["hidden_size"], Bins.log(10, 1024)).eval()
    draw = np.random.default_rng(0)
    curve = Curve(np.linspace(-3, 3, 10, dtype=np.float32), np.zeros(10, np.float32))
    prompt = Ngrams(
        Bins.log(10, 1024),
        curve,
        idf=draw.uniform(1, 5, BUCKETS).astype(np.float32),
        weight=draw.normal(size=BUCKETS).astype(np.float32),
        intercept=0.0,
    )
    Trained(fingerprint(str(model)), Trail(probe), prompt, {}).save(folder)
    return folder


def large_engine(cuda: bool) -> dict[str, Any]:
    engine: dict[str, Any] = {
        "load_format": "dummy",
        "skip_tokenizer_init": True,
        "max_model_len": 8192 if cuda else 512,
        "max_num_seqs": 384 if cuda else 8,
        "max_num_active_seqs": 256 if cuda else 4,
        "max_num_batched_tokens": 8192 if cuda else 512,
    }
    if cuda:
        engine |= {
            "gpu_memory_utilization": 0.42,
            "kv_cache_memory_bytes": 12 * GIB,
            "watermark": 0.01,
            **graphs([1, 2, 4, 8, 16, 32, *range(64, 257, 32)]),
        }
    return engine


def start(
    name: str, builds: dict[str, Build], out: Path, report: Report, cuda: bool
) -> dict[str, Child]:
    """Engines of these builds, those that work; all at once where there are cores for it."""
    children, works = {}, {}
    for kind, build in builds.items():
        children[kind] = Child(f"{name}-{kind}", build, out)
        if not cuda:
            works[kind] = children[kind].answer()
    for kind, child in children.items():
        built = works[kind] if kind in works else child.answer()
        report.say(f"{child.name}: {say_engine(built)}")
        if built.error:
            report.say("\n".join(child.log.read_text(errors="replace").splitlines()[-12:]))
            child.end()
        works[kind] = built
    return {kind: child for kind, child in children.items() if not works[kind].error}


def say_engine(served: Served) -> str:
    if served.error:
        return f"FAILED {served.error}"
    return ", ".join(f"{key} {value}" for key, value in served.engine.items())


def main() -> None:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--parts", default="answers,cost,bench")
    parser.add_argument(
        "--lengths", type=Path, help="JSON: pairs of prompt and answer tokens by name"
    )
    args = parser.parse_args()
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    import torch

    cuda = torch.cuda.is_available()
    args.out.mkdir(parents=True, exist_ok=True)
    report = Report(args.out)
    card = torch.cuda.get_device_name() if cuda else "no GPU: a rehearsal on the CPU"
    report.say(f"{card}, torch {torch.__version__}")
    parts = args.parts.split(",")
    with ThreadPoolExecutor(1) as pool:
        large = None
        if {"cost", "bench"} & set(parts):
            large = pool.submit(start_large, args.out, report, cuda)
            if not cuda:
                large.result()
        if "answers" in parts:
            check_answers(args.out, report, cuda)
        if large is not None:
            check_large(large.result(), report, cuda, parts, args.lengths)
    report.say("done")


if __name__ == "__main__":
    from lengthwise.errors import UserError

    try:
        main()
    except UserError as error:
        sys.exit(f"gpu/check.py: {error}")
