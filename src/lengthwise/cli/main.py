"""The command ``lengthwise``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from lengthwise import __version__
from lengthwise.cli.advise import advise
from lengthwise.cli.bench import bench
from lengthwise.cli.calibrate import calibrate
from lengthwise.cli.check_config import check_config
from lengthwise.cli.collect import collect
from lengthwise.cli.completion import completion
from lengthwise.cli.dashboard import dashboard
from lengthwise.cli.demo import demo
from lengthwise.cli.doctor import doctor
from lengthwise.cli.evaluate import evaluate
from lengthwise.cli.groups import one_line
from lengthwise.cli.model import model
from lengthwise.cli.predictors import predictors
from lengthwise.cli.record import record
from lengthwise.cli.report import report
from lengthwise.cli.route import route
from lengthwise.cli.serve import serve
from lengthwise.cli.simulate import simulate
from lengthwise.cli.theory import theory
from lengthwise.cli.train import train
from lengthwise.errors import UserError
from lengthwise.results.origin import COMMAND, command_line
from lengthwise.results.terminal import complain


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="%(version)s")
def lengthwise() -> None:
    """Schedules LLM requests by the work each still needs, inside stock vLLM."""


for command in (serve, route, advise, bench, simulate, collect, train, evaluate, calibrate, theory):
    lengthwise.add_command(command)
for command in (
    check_config,
    doctor,
    dashboard,
    record,
    report,
    predictors,
    demo,
    model,
    completion,
):
    lengthwise.add_command(command)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; bad input is one line on standard error and status 2."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    COMMAND.set(command_line(arguments))
    try:
        status = lengthwise.main(arguments, prog_name="lengthwise", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError:
        return _refuse("give a command (see lengthwise --help)")
    except click.ClickException as error:
        return _refuse(one_line(error))
    except UserError as error:
        return _refuse(str(error))
    except (KeyboardInterrupt, click.Abort):
        complain("interrupted; what was saved stays")
        return 130
    return status if isinstance(status, int) else 0


def _refuse(reason: str) -> int:
    complain(reason)
    return 2
