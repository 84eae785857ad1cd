"""What an engine writes is kept in a file, and shown when the user asks for it."""

import os
import subprocess
import sys

import pytest

from lengthwise.bench.compare import in_fresh_processes
from lengthwise.bench.job import Job
from lengthwise.errors import UserError
from lengthwise.vllm.engine_log import engine_log


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """As for a user who says nothing of vLLM's log."""
    monkeypatch.delenv("VLLM_LOGGING_LEVEL", raising=False)


def write():
    """As native code writes, and as a child process does."""
    os.write(2, b"native\n")
    subprocess.run([sys.executable, "-c", "import sys; sys.exit('child')"], check=False)


def test_standard_error_is_the_file_and_bars_stay_on_the_terminal(capfd, tmp_path):
    path = tmp_path / "new" / "engine.log"
    with engine_log(path) as terminal:
        assert os.environ["VLLM_LOGGING_LEVEL"] == "INFO"
        write()
        print("bar", file=terminal)
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "bar\nafter\n"
    assert path.read_text() == "native\nchild\n"
    assert "VLLM_LOGGING_LEVEL" not in os.environ


def test_a_level_of_the_users_keeps_the_log_on_the_terminal(capfd, tmp_path, monkeypatch):
    monkeypatch.setenv("VLLM_LOGGING_LEVEL", "WARNING")
    with engine_log(tmp_path / "engine.log") as terminal:
        write()
        print("bar", file=terminal)
    assert capfd.readouterr().err == "native\nchild\nbar\n"
    assert os.environ["VLLM_LOGGING_LEVEL"] == "WARNING"
    assert not (tmp_path / "engine.log").exists()


def test_a_failing_engine_is_one_line_that_names_the_log(capfd, tmp_path):
    path = tmp_path / "engine.log"
    with pytest.raises(UserError) as failed, engine_log(path):
        raise RuntimeError("\n no kernel\nfor this")
    assert str(failed.value) == (
        f"the engine failed (RuntimeError: no kernel); its whole log is in {path}"
    )
    log = path.read_text()
    assert "Traceback" in log
    assert "for this" in log
    assert capfd.readouterr().err == ""


def refuse(cause):
    """As build_engine does with what vLLM raises."""
    raise UserError("vLLM did not start: x") from cause


def test_a_user_error_with_a_cause_names_the_log_too(tmp_path):
    path = tmp_path / "engine.log"
    match = r"^vLLM did not start: x; its whole log is in "
    with pytest.raises(UserError, match=match), engine_log(path):
        refuse(ValueError("x\nand why"))
    assert "and why" in path.read_text()


def test_a_user_error_stays_as_it_is(tmp_path):
    with pytest.raises(UserError, match=r"^no such probe$"), engine_log(tmp_path / "engine.log"):
        raise UserError("no such probe")


@pytest.fixture
def failing(monkeypatch, tmp_path):
    """``failing(code)``: every run's process executes this code instead of a worker's."""

    def run(code):
        worker = tmp_path / "fake"
        worker.write_text(f"#!{sys.executable}\nimport os, sys, pathlib\n{code}\n")
        worker.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(worker))
        monkeypatch.setattr("lengthwise.bench.compare.check_memory", lambda *_: None)
        bad = Job("trail", "", None, 4, 64, None, 0, [])
        with pytest.raises(UserError) as failed:
            in_fresh_processes([bad], tmp_path)
        return str(failed.value)

    return run


def test_a_refused_run_says_why(failing):
    code = "pathlib.Path(sys.argv[4]).write_text('\"no probe there\"'); sys.exit(2)"
    assert failing(code) == "policy trail: no probe there"


def test_a_killed_run_names_its_log(failing, tmp_path):
    code = "pathlib.Path(sys.argv[5]).write_text('log'); os.kill(os.getpid(), 9)"
    assert failing(code) == (
        f"policy trail: exit status -9 of the engine; its whole log is in {tmp_path}/engine-0.log"
    )


def test_a_log_of_an_earlier_run_is_not_named(failing, tmp_path):
    (tmp_path / "engine-0.log").write_text("of before")
    assert failing("sys.exit(1)") == "policy trail: exit status 1 of the engine"
