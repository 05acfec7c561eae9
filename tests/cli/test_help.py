"""Help pages: whole at any width and in pipes, grouped, each with an example that can be typed; version, completion."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import pytest
import typer

from faithlens.cli.examples import EXAMPLES, OPTION_GROUPS
from faithlens.cli.help import format_help, name_command, name_resumed_folder
from faithlens.cli.main import app

GROUP = typer.main.get_command(app)


def walk(command: Any, context: Any) -> Iterator[tuple[str, Any, Any]]:
    """Every command with its name and context."""
    yield name_command(context), command, context
    for name, each in getattr(command, "commands", {}).items():
        yield from walk(each, each.make_context(name, [], parent=context, resilient_parsing=True))


COMMANDS = {
    name: (command, context)
    for name, command, context in walk(GROUP, GROUP.make_context("faithlens", [], resilient_parsing=True))
}


def squeeze(text: str) -> str:
    return re.sub(r"\s+", "", text)


@pytest.mark.parametrize("width", [30, 60, 80, 200])
@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_whole_at_any_width(name: str, width: int) -> None:
    command, context = COMMANDS[name]
    page = format_help(command, context, width).plain
    for line in page.splitlines():
        words = line.removesuffix(" \\").split()
        assert len(line.rstrip()) <= width or len(words) <= 2, line  # a long word stays whole
    assert squeeze(command.help) in squeeze(page)
    for parameter in command.get_params(context):
        if parameter.param_type_name == "option":
            assert all(option in page for option in [*parameter.opts, *parameter.secondary_opts])
        assert squeeze((parameter.help or "").removesuffix("Show this message and exit.")) in squeeze(page)
    for each in getattr(command, "commands", {}).values():
        assert squeeze(each.help.split("\n\n")[0]) in squeeze(page)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_an_example_that_can_be_typed(name: str) -> None:
    for example in EXAMPLES[name]:
        program, *words = shlex.split(example)
        assert program == "faithlens"
        assert " ".join(words).startswith(name)
        path: list[str] = []
        while words and " ".join([*path, words[0]]) in COMMANDS:
            path.append(words.pop(0))
        COMMANDS[" ".join(path)][0].make_context("x", words)  # an unknown option or a missing argument raises


def test_every_option_of_audit_stands_under_a_heading() -> None:
    known = {option for parameter in COMMANDS["audit"][0].params for option in parameter.opts}
    grouped = {option for options in OPTION_GROUPS.values() for option in options}
    assert grouped <= known
    for parameter in COMMANDS["audit"][0].params:
        assert grouped & set(parameter.opts) or "--help" in parameter.opts, parameter.opts


def run(*words: str, **environment: str) -> str:
    env = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR", "FORCE_COLOR")}
    process = subprocess.run(
        [sys.executable, "-m", "faithlens.cli", *words], capture_output=True, text=True, check=True,
        env={**env, **environment},
    )  # fmt: skip
    assert process.stderr == ""
    return process.stdout


def test_help_in_a_pipe_is_plain_and_eighty_columns_wide() -> None:
    page = run("audit", "--help")
    assert "\x1b" not in page
    assert "…" not in page
    assert max(map(len, page.splitlines())) <= 80
    assert "Exit codes" in page
    wide = run("decide", "--help", COLUMNS="60")
    assert max(map(len, wide.splitlines())) <= 60
    assert re.search(r"^ +3  no verdict", wide, re.M)


def test_version() -> None:
    assert run("--version") == f"faithlens {version('faithlens')}\n"


def test_completion_names_the_commands_and_options() -> None:
    environment = {"_FAITHLENS_COMPLETE": "complete_bash", "COMP_WORDS": "faithlens or", "COMP_CWORD": "1"}
    code = "import sys; sys.argv = ['faithlens']; from faithlens.cli.main import main; main()"
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )
    assert process.stdout.split() == ["organisms"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--out run --resume", "--resume run"),
        ("-n 4 --out run --resume -m O5", "-n 4 --resume run -m O5"),
        ("--resume --out run", "--resume run"),
        ("--resume run", "--resume run"),
        ("--resume one --out other", "--resume one --out other"),  # refused later: two folders
        ("--resume", "--resume"),
        ("--out=run --resume", "--resume run"),
        ("-n 4 --out=run --resume -m O5", "-n 4 --resume run -m O5"),
        ("--resume --out=run", "--resume run"),
        ("--resume one --out=other", "--resume one --out=other"),
        ("--out= --resume", "--out= --resume"),  # refused later: a folder without a name
        ("--resume --out", "--resume --out"),  # refused later: the folder is missing
    ],
)
def test_resume_takes_the_folder_of_out(words: str, expected: str) -> None:
    assert name_resumed_folder(words.split()) == expected.split()
