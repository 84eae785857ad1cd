"""Where an engine's own lines go: into a file, that is named if the engine fails."""

from __future__ import annotations

import gc
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from lengthwise.errors import UserError

_LEVEL = "VLLM_LOGGING_LEVEL"
_STDERR = 2


@contextmanager
def engine_log(path: Path) -> Iterator[TextIO]:
    """Within the block standard error is the file; gives the terminal, for progress bars.

    The file holds all that vLLM, PyTorch and their processes write. Users who set
    VLLM_LOGGING_LEVEL want to see it: then it stays on the terminal, and there is no file.

    Raises:
        UserError: what the block raises, as one line that names the file, where the traceback
            is; a UserError of the block stays as it is.
    """
    if _LEVEL in os.environ:
        yield sys.stderr
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    sys.stderr.flush()
    # Native code and child processes write to the descriptor, past sys.stderr.
    with path.open("w") as log, os.fdopen(os.dup(_STDERR), "w", buffering=1) as terminal:
        os.dup2(log.fileno(), _STDERR)
        os.environ[_LEVEL] = "INFO"
        try:
            yield terminal
        except Exception as error:
            if isinstance(error, UserError) and error.__cause__ is None:
                raise
            traceback.print_exc(file=log)
            line = _line(error)
            _let_go(error)
            raise UserError(f"{line}; its whole log is in {path}") from None
        finally:
            sys.stderr.flush()
            os.dup2(terminal.fileno(), _STDERR)
            del os.environ[_LEVEL]


def _let_go(error: BaseException | None) -> None:
    """End what a failed engine has left open, as its progress bars: they write once more."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
    gc.collect()


def _line(error: Exception) -> str:
    if isinstance(error, UserError):
        return str(error)
    reason = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"the engine failed ({': '.join([type(error).__name__, *reason[:1]])})"
