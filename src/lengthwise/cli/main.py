"""The command ``lengthwise``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from lengthwise import __version__
from lengthwise.cli.bench_padded import add_generate, compare_batches
from lengthwise.cli.bench_routers import add_routers, compare_routers, routed
from lengthwise.cli.evaluate import add as add_evaluate
from lengthwise.cli.padded_options import REAL, refuse_others
from lengthwise.cli.route import add_route
from lengthwise.cli.simulate import add_calibrate, add_simulate
from lengthwise.cli.theory import add as add_theory
from lengthwise.core.checks import at_least, folder_for, numbers, rates
from lengthwise.errors import UserError
from lengthwise.results.terminal import complain

Commands = argparse._SubParsersAction  # the type has no public name


class Parser(argparse.ArgumentParser):
    """A wrong command line is one line on standard error and status 2, as all bad input is."""

    def error(self, message: str) -> NoReturn:
        """Without the usage, which --help shows."""
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; bad input is one line on standard error and status 2."""
    parser = _parser()
    args, rest = parser.parse_known_args(argv)
    if rest and args.command != "serve":
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    args.rest = rest
    try:
        args.run(args)
    except UserError as error:
        complain(error)
        return 2
    except KeyboardInterrupt:
        complain("interrupted; what was saved stays")
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser("lengthwise", description=__doc__, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=__version__)
    commands: Commands[Any] = parser.add_subparsers(dest="command", required=True)
    for add in (_add_model, _add_collect, _add_train, _add_serve, _add_bench, _add_demo):
        add(commands)
    for add in (add_simulate, add_calibrate, add_theory, add_evaluate, add_route):
        add(commands)
    return parser


def _add_model(commands: Commands[Any]) -> None:
    it = commands.add_parser("model", help="prepare SmolLM2-135M-Instruct, print its folder")
    it.set_defaults(run=_model)


def _model(args: argparse.Namespace) -> None:
    from lengthwise.models.smollm2 import prepare_smollm2

    print(prepare_smollm2())


def _add_collect(commands: Commands[Any]) -> None:
    it = commands.add_parser("collect", help="answer prompts, keep hidden states and lengths")
    it.add_argument("model", help="folder of the model")
    it.add_argument("--prompts", default="builtin", help="JSONL file, builtin, or applications")
    it.add_argument("--limit", type=int, help="only the first N prompts")
    it.add_argument("--held-out", action="store_true", help="of those, only the held-out quarter")
    it.add_argument("--out", type=Path, required=True, help="folder for the data; resumed if there")
    it.add_argument("--cap", type=int, default=512, help="most tokens of an answer")
    it.add_argument("--seats", type=int, default=48)
    it.add_argument(
        "--layers", type=int, nargs="*", default=[], help="1 is the first decoder layer"
    )
    it.add_argument("--temperature", type=float, default=0.0)
    it.add_argument("--seed", type=int, default=0)
    it.add_argument(
        "--save-every", type=float, default=5.0, help="seconds; a kill loses what is not saved"
    )
    _add_too_long(it)
    it.set_defaults(run=_collect)


def _add_too_long(it: argparse.ArgumentParser) -> None:
    it.add_argument(
        "--too-long",
        choices=("leave-out", "refuse"),
        default="leave-out",
        help="prompts longer than the model's context less the cap",
    )


def _collect(args: argparse.Namespace) -> None:
    from lengthwise.models.fingerprint import model_folder
    from lengthwise.training.collect import Job, Options
    from lengthwise.vllm.engine import preload_libraries
    from lengthwise.workload.prompts import held_out, read_prompts

    options = Options(
        args.cap,
        args.seats,
        tuple(args.layers),
        args.temperature,
        seed=args.seed,
        save_s=args.save_every,
        too_long=args.too_long,
    )
    prompts = read_prompts(args.prompts, args.limit)
    if args.held_out:
        prompts = [prompt for prompt in prompts if held_out(prompt.id)]
    job = Job.of(model_folder(args.model), prompts, args.out, options)
    preload_libraries()
    job.run()


def _add_train(commands: Commands[Any]) -> None:
    it = commands.add_parser("train", help="train a length predictor on collected answers")
    it.add_argument("name", help="trail, ngrams, ltr, ...; with a variant: trail:paper")
    it.add_argument("data", type=Path, nargs="+", help="folders that collect filled")
    it.add_argument("--out", type=Path, required=True, help="folder for the trained predictors")
    it.add_argument("--arrival", default="embeddings", help="for trail: what ranks before prefill")
    it.add_argument("--model", help="the served model, for predictors that read text")
    it.add_argument("--backbone", help="pretrained encoder or OPT: a folder or hub name")
    it.add_argument("--epochs", type=int, help="default: the predictor's own")
    it.add_argument("--seed", type=int, default=0)
    it.set_defaults(run=_train)


def _train(args: argparse.Namespace) -> None:
    from lengthwise.answers.files import read_meta
    from lengthwise.predictors import check_name

    for name in (args.name, args.arrival):
        check_name(name)
    folder_for(args.out)
    for folder in args.data:
        read_meta(folder)
    from lengthwise.predictors.base import Fitting
    from lengthwise.training.train import Plan, train

    how = Fitting(epochs=args.epochs, backbone=args.backbone, seed=args.seed)
    trained = train(Plan(args.name, args.data, args.arrival, args.model, how))
    trained.save(args.out)
    print(json.dumps(trained.report, indent=1))


def _add_serve(commands: Commands[Any]) -> None:
    it = commands.add_parser(
        "serve",
        help="vllm serve with lengthwise; every further flag goes to vLLM",
        allow_abbrev=False,
    )
    it.add_argument("model")
    it.add_argument("--policy", default="trail", help="e.g. trail, trail:0.5, sjf, fcfs")
    it.add_argument("--probe", help="folder of trained predictors; builtin is SmolLM2's")
    it.add_argument("--slice", type=int, help="most tokens served at a time")
    it.add_argument(
        "--scoring", default="auto", help="new prompts on a thread, in a process, or auto"
    )
    it.add_argument(
        "--learn", metavar="FOLDER", help="go on learning from finished requests; keeps versions"
    )
    it.set_defaults(run=_serve)


def _serve(args: argparse.Namespace) -> None:
    from lengthwise.vllm.serve import serve
    from lengthwise.vllm.settings import Settings

    settings = Settings(
        policy=args.policy if args.slice is None else f"{args.policy}+slice:{args.slice}",
        probe=args.probe,
        scoring=args.scoring,
        learn=args.learn is not None,
        learning={} if args.learn is None else {"folder": str(Path(args.learn).resolve())},
    )
    serve(args.model, settings, args.rest)


def _add_bench(commands: Commands[Any]) -> None:
    it = commands.add_parser("bench", help="compare policies on the real engine")
    it.add_argument("model", help="folder of the model")
    it.add_argument(
        "--policies",
        default="stock,trail",
        help="comma separated; stock is vLLM's own; policy@FOLDER has its own predictors",
    )
    it.add_argument("--prompts", default="builtin", help="JSONL file, builtin, or applications")
    it.add_argument("--held-out", action="store_true", help="only prompts never trained on")
    it.add_argument("--limit", type=int, help="only N prompts")
    it.add_argument("--probe", help="folder of trained predictors; builtin is SmolLM2's")
    it.add_argument("--seats", type=int, default=8)
    it.add_argument("--cap", type=int, default=512, help="most tokens of an answer")
    it.add_argument(
        "--rates",
        help="requests/s, comma separated; or burst (default, but for --routers at loads)",
    )
    it.add_argument("--loads", default="", help="rates as shares of the capacity")
    it.add_argument("--cv", type=float, default=1.0, help="variation of the gaps; 1 is Poisson")
    it.add_argument("--trace", type=Path, help="arrival times from a CSV or JSONL file")
    it.add_argument("--kv-blocks", type=int, help="KV memory in blocks, to make it scarce")
    it.add_argument("--block-size", type=int, default=32)
    it.add_argument("--recompute", action="store_true", help="discard the KV cache on preemption")
    it.add_argument("--margin", type=float, default=8.0, help="tokens better to take a seat")
    it.add_argument("--interval", type=int, default=1, help="tokens between two probe calls")
    it.add_argument("--until", type=int, help="also: seconds until N requests have finished")
    it.add_argument("--seed", type=int, default=0)
    _add_too_long(it)
    add_generate(it)
    add_routers(it)
    it.add_argument("--out", type=Path, default=Path("results/bench"))
    it.set_defaults(run=_bench)


def _bench(args: argparse.Namespace) -> None:
    from lengthwise.bench.compare import compare
    from lengthwise.bench.plan import Plan
    from lengthwise.models.fingerprint import model_folder
    from lengthwise.workload.prompts import held_out, read_prompts

    several = routed(args)
    given = args.rates or ("" if several and args.loads else "burst")
    at_least(1, limit=args.limit)
    prompts = read_prompts(args.prompts)
    if args.held_out:
        prompts = [prompt for prompt in prompts if held_out(prompt.id)]
    plan = Plan(
        model_folder(args.model),
        prompts[: args.limit],
        args.policies.split(","),
        args.probe,
        args.seats,
        args.cap,
        rates(given, {"burst": None}) if given else [],
        numbers("loads", args.loads) if args.loads else [],
        args.cv,
        args.trace,
        args.seed,
        args.kv_blocks,
        args.block_size,
        {"pause": not args.recompute, "margin": args.margin, "interval": args.interval},
        args.until,
        args.too_long,
    )
    if several:
        compare_routers(plan, args)
    elif args.engine == REAL:
        compare_batches(plan, args)
    else:
        refuse_others(plan.policies, f"--engine {REAL}")
        compare(plan, args.out)


def _add_demo(commands: Commands[Any]) -> None:
    it = commands.add_parser("demo", help="model, training and comparison in one go")
    it.add_argument("--out", type=Path, default=Path("results/demo"))
    it.set_defaults(run=_demo)


def _demo(args: argparse.Namespace) -> None:
    from lengthwise.vllm.engine import check_vllm, preload_libraries

    folder_for(args.out)
    check_vllm()
    preload_libraries()
    from lengthwise.cli.demo import demo

    demo(args.out)


if __name__ == "__main__":
    sys.exit(main())
