"""The docs: links resolve, files and modules exist, commands have the options that are named."""

from __future__ import annotations

import importlib.util
import re
import shlex
import tomllib
from dataclasses import fields
from pathlib import Path
from unittest.mock import patch

import click
import pytest

from lengthwise.cli.groups import Modes
from lengthwise.cli.main import lengthwise
from lengthwise.policies.registry import POLICIES
from lengthwise.results.record import Run
from lengthwise.results.setups import STUDIES

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "lengthwise"
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])

_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")

FOREIGN = {
    *("--additional-config", "--scheduler-cls", "--max-num-seqs", "--no-enforce-eager"),  # vLLM's
    "--no-async-scheduling",  # vLLM's
    "--enable-scale-out",  # vLLM's
    *("--max-num-active-seqs", "--data-parallel-size", "--api-server-count"),
    *("--tensor-parallel-size", "--pipeline-parallel-size", "--speculative-config"),
    *("--otlp-traces-endpoint", "--enable-log-requests", "--enable-log-outputs"),  # vLLM's
    *("--max-log-len", "--middleware", "--api-key"),  # vLLM's
    "--disable-log-stats",  # vLLM's
    "--max-log-len",  # vLLM's
    *("--uds", "--allowed-origins"),  # vLLM's
    *("--scheduling-policy", "--max-model-len"),  # vLLM's
    "--save-detailed",  # of vLLM's benchmark
    "--no-deps",  # pip's
    "--help",
}


def command_of(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that the words name (without a mode, its first), and its arguments."""
    command: click.Command = lengthwise
    while isinstance(command, click.Group):
        if words and words[0] in command.commands:
            command, words = command.commands[words[0]], words[1:]
        else:
            assert isinstance(command, Modes), f"no command {words}"
            command = next(iter(command.commands.values()))
    return command, words


def options(words: tuple[str, ...]) -> frozenset[str]:
    """The options of ``lengthwise WORDS``."""
    command, _ = command_of([*words])
    return frozenset(option for each in command.params for option in each.opts) | {"--help"}


def shell_of(page: Path) -> list[str]:
    """The page's shell lines, without comments; continued lines are joined."""
    text = "\n".join(body for kind, body in _FENCED.findall(page.read_text()) if kind == "sh")
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return [line.split(" # ")[0].strip() for line in lines]


def code_of(page: Path) -> list[str]:
    """The page's shell lines and code in sentences."""
    return shell_of(page) + _INLINE.findall(_FENCED.sub("", page.read_text()))


def commands_of(page: Path) -> list[tuple[tuple[str, ...], set[str]]]:
    """Each ``lengthwise`` command that a page names: its leading words, and its options."""
    found = []
    for code in code_of(page):
        bare = re.sub(r"\$\(lengthwise model\)", "MODEL", code)
        for words, rest in re.findall(
            r"(?:^|[ \"])lengthwise((?: [a-z]+(?:-[a-z]+)*)+)\b([^\n]*)", bare
        ):
            found.append((tuple(words.split()), set(_OPTION.findall(rest))))
    return found


def modules_of(page: Path) -> list[tuple[str, set[str]]]:
    """Each ``python -m lengthwise...`` that a page names, and its options."""
    found = []
    for code in code_of(page):
        for module, rest in re.findall(r"python -m (lengthwise[\w.]*)(.*)", code):
            found.append((module, set(_OPTION.findall(rest))))
    return found


def options_of_module(module: str) -> set[str]:
    """The options that a module's own command adds."""
    spec = importlib.util.find_spec(module)
    assert spec is not None, module
    assert spec.origin is not None, module
    return set(re.findall(r'"(--[a-z-]+)"', Path(spec.origin).read_text()))


def anchors(page: Path) -> set[str]:
    """The names that GitHub gives a page's headings."""
    heads = re.findall(r"^#+ (.*)$", _FENCED.sub("", page.read_text()), re.MULTILINE)
    texts = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", head).lower() for head in heads]
    return {re.sub(r"[^\w\- ]", "", text).strip().replace(" ", "-") for text in texts}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_resolve(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", _FENCED.sub("", page.read_text())):
        if re.match(r"https?:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_have_the_options_that_are_named(page: Path) -> None:
    for words, named in commands_of(page):
        known = options(words)
        if words[0] not in ("serve", "route", "doctor"):  # hand every other option on to vLLM
            assert named <= known, (words, named - known)
    for module, named in modules_of(page):
        assert named <= options_of_module(module), module


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_can_be_parsed(page: Path) -> None:
    for line in shell_of(page):
        bare = re.sub(r"\$\(lengthwise model\)", "MODEL", line)
        parse(re.sub(r"\$\(\(.*?\)\)", "1", bare))


def test_examples_of_the_help_can_be_parsed() -> None:
    commands: list[click.Command] = [lengthwise]
    for command in commands:
        if isinstance(command, click.Group):
            commands += command.commands.values()
        for line in (command.epilog or "").splitlines():
            parse(re.sub(r"^ +eval .*", "", line))


def parse(line: str) -> None:
    """Read a shell line's command, if it is ours, without running it."""
    _, ours, words = line.partition("lengthwise ")
    if ours:
        command, arguments = command_of(shlex.split(re.split(r";| > ", words)[0]))
        command.make_context(line, arguments)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_runs(page: Path) -> None:
    for kind, body in _FENCED.findall(page.read_text()):
        if kind != "python":
            continue
        with patch.dict(POLICIES):  # a page may register policies
            exec(compile(body, page.name, "exec"), {"__name__": "example"})


def test_every_option_in_the_docs_is_some_commands() -> None:
    known = set(FOREIGN)
    for page in PAGES:
        known.update(*(options(words) for words, _ in commands_of(page)))
        known.update(*(options_of_module(module) for module, _ in modules_of(page)))
    for page in PAGES:
        named = {option for code in code_of(page) for option in _OPTION.findall(code)}
        assert named <= known, (page.name, named - known)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_are_named_exist(page: Path) -> None:
    text = _FENCED.sub("", page.read_text())
    places = [ROOT, SOURCE]
    if page.name == "architecture.md":  # its tables name a room's files from the room on
        places += SOURCE.iterdir()
    for name in re.findall(r"`((?:[\w.-]+/)+[\w.-]+\.(?:py|md|toml))`", text):
        assert any((place / name).exists() for place in places), name


def test_docs_that_the_source_names_exist() -> None:
    for file in SOURCE.rglob("*.py"):
        for name in re.findall(r"docs/[\w/-]+\.md", file.read_text()):
            assert (ROOT / name).exists(), (file.name, name)


def test_every_field_of_a_run_and_every_study_is_described() -> None:
    text = (ROOT / "docs" / "reference" / "results.md").read_text()
    for name in (*(each.name for each in fields(Run)), *STUDIES):
        assert f"`{name}`" in text, name


def test_every_page_is_in_an_index() -> None:
    linked = set()
    for index in (ROOT / "docs" / "README.md", ROOT / "docs" / "experiments" / "README.md"):
        for target in re.findall(r"\]\(([^)#\s]+)", index.read_text()):
            linked.add((index.parent / target).resolve())
    assert set(PAGES) - linked <= {ROOT / "README.md", ROOT / "docs" / "README.md"}


def test_architecture_has_every_module() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    named: set[str] = set()
    for room, rows in re.findall(r"^### `(\w+)/`[^\n]*\n(.*?)(?=^###|\Z)", text, re.M | re.S):
        named |= {f"{room}/{name}" for name in re.findall(r"^\| `([\w/]+\.py)` \|", rows, re.M)}
    modules = {str(path.relative_to(SOURCE)) for path in SOURCE.glob("*/**/*.py")}
    assert named == {name for name in modules if not name.endswith("__.py")}


def test_architecture_has_the_floors_that_are_checked() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    floors = [floor.replace(" : ", " · ") for floor in contracts["contracts"][0]["layers"]]
    text = (ROOT / "docs" / "architecture.md").read_text()
    assert "\n".join(["```text", *floors, "```"]) in text
