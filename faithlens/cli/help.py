"""How commands explain themselves: `--help` in groups, with an example and the exit codes, whole at any width.

Every line is wrapped to the terminal (80 columns in a pipe, at most `WIDEST`), and nothing is cut off. A word that is
longer than a line, such as an address, stays in one piece so that it can be copied.
"""

import re
import textwrap
from collections.abc import Iterator
from contextvars import ContextVar
from inspect import cleandoc
from typing import Any

from rich.text import Text
from typer.core import TyperCommand, TyperGroup

from faithlens.cli.examples import COMMON_EXIT_CODES, EXAMPLES, EXIT_CODES, OPTION_GROUPS
from faithlens.console import SafeConsole

WIDEST = 100
"""Lines are not longer than this on wider terminals: long lines are hard to read."""
NARROW = 70
"""Below this width, what an option means stands under its name, not beside it."""
INDENT, COLUMN = 2, 27
METAVARS = {"int": "N", "integer": "N", "float": "X", "path": "PATH", "list[path]": "PATH"}
"""What stands for the value of an option, by its type; TEXT for any other."""
_KIND = re.compile(r"[ ]<?([a-z\[\] ]+|[A-Z]+(?: RANGE)?)>?$", re.IGNORECASE)
_ADDED = re.compile(r"; ?\d*(?:<=)?x[<>]=?\d+|\[\d*(?:<=)?x[<>]=?\d+\]|\[required\]|\[default: no-[a-z-]+\]")
"""What typer adds to a meaning and readers do not need: ranges, that an argument is needed, switches that are off."""


_TYPED: ContextVar[frozenset[str]] = ContextVar("typed", default=frozenset())


class ExplainedCommand(TyperCommand):
    """A command with a help page of ours, which remembers which of its options were typed."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words of the command line; `--out DIR --resume` means `--resume DIR`."""
        return super().parse_args(ctx, name_resumed_folder(args))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help page."""
        _print_help(self, ctx)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """What the line "Usage:" of an error says after the name of the command: the same as the help page."""
        name = name_command(ctx)
        return list(_list_usage(self, ctx, name))[1 + len(name.split()) :]

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        sources = {name: ctx.get_parameter_source(name) for name in ctx.params}
        _TYPED.set(frozenset(name for name, source in sources.items() if source and source.name == "COMMANDLINE"))
        return super().invoke(ctx)


def name_resumed_folder(words: list[str]) -> list[str]:
    """`words` with the folder of `--out` as that of a `--resume` without one; unchanged where there is no such pair.

    For example ``-n 4 --out run --resume`` and ``-n 4 --out=run --resume`` become ``-n 4 --resume run``.
    """
    if "--resume" not in words:
        return words
    place = words.index("--resume")
    if words[place + 1 :] and not words[place + 1].startswith("-"):
        return words
    rest = words[:place] + words[place + 1 :]
    for i, word in enumerate(rest):
        if word == "--out" and rest[i + 1 :]:
            return [*rest[:i], "--resume", *rest[i + 1 :]]
        if word.startswith("--out=") and word != "--out=":
            return [*rest[:i], "--resume", word.removeprefix("--out="), *rest[i + 1 :]]
    return words


def list_typed_options() -> frozenset[str]:
    """The parameters that stand on the command line; the others have their defaults."""
    return _TYPED.get()


class ExplainedGroup(TyperGroup):
    """A group of commands with a help page of ours."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help page."""
        _print_help(self, ctx)


def _print_help(command: Any, ctx: Any) -> None:
    console = SafeConsole()
    console.print(format_help(command, ctx, min(console.width, WIDEST)), soft_wrap=True, end="")


def format_help(command: Any, ctx: Any, width: int) -> Text:
    """The help page of a command or of a group of commands.

    Args:
        command: a command of typer.
        ctx: its context.
        width: no line is longer, but for words that are.
    """
    name = name_command(ctx)
    page = Text()
    _add(page, _wrap(" ".join(["Usage:", *_list_usage(command, ctx, name)]), width, "       ") + "\n\n", "bold")
    for paragraph in cleandoc(command.help or "").split("\n\n"):
        _add(page, _wrap(" ".join(paragraph.split()), width) + "\n\n")
    for heading, rows in [*_list_commands(command, ctx), *_list_parameters(command, ctx)]:
        _add(page, f"{heading}\n", "bold")
        for term, meaning in rows:
            _add_row(page, term, meaning, width)
        _add(page, "\n")
    if examples := EXAMPLES.get(name):
        _add(page, "Example\n" if len(examples) == 1 else "Examples\n", "bold")
        for example in examples:
            lines = _wrap(example, width - 2, "      ", " " * INDENT)
            _add(page, lines.replace("\n", " \\\n") + "\n")
        _add(page, "\n")
    _add(page, "Exit codes\n", "bold")
    for code, meaning in EXIT_CODES.get(name, COMMON_EXIT_CODES).items():
        _add(page, _wrap(f"{code:>3}  {meaning}", width, " " * 7, " " * INDENT) + "\n")
    return page


def name_command(ctx: Any) -> str:
    """The words between ``faithlens`` and the options, such as ``organisms train``; empty for faithlens itself."""
    names: list[str] = []
    while ctx.parent is not None:
        names, ctx = [ctx.info_name, *names], ctx.parent
    return " ".join(names)


def _list_usage(command: Any, ctx: Any, name: str) -> Iterator[str]:
    yield from ("faithlens", *name.split(), "[OPTIONS]")
    if hasattr(command, "commands"):
        yield from ("COMMAND", "...")
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            words = _name_argument(parameter)
            yield words if parameter.required or words.startswith("[") else f"[{words}]"


def _name_argument(parameter: Any) -> str:
    return parameter.metavar or parameter.name.upper() + ("..." if parameter.nargs == -1 else "")


def _add(page: Text, words: str, style: str | None = None) -> None:
    page.append(words, style)


def _wrap(words: str, width: int, later: str = "", first: str = "") -> str:
    return textwrap.fill(
        words, max(width, 20), initial_indent=first, subsequent_indent=later, break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip


def _add_row(page: Text, name: str, meaning: str, width: int) -> None:
    """A name, and what it means: beside it, or under it where there is no room."""
    _add(page, " " * INDENT + name, "cyan")
    column = " " * (COLUMN if width >= NARROW else 3 * INDENT)
    if width >= NARROW and INDENT + len(name) + 2 <= COLUMN:
        _add(page, _wrap(meaning, width, column, " " * COLUMN)[INDENT + len(name) :] + "\n")
    else:
        _add(page, "\n" + _wrap(meaning, width, column, column) + "\n")


def _list_commands(command: Any, ctx: Any) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """The commands of a group under their headings, each with the first sentence of its help."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for name, each in getattr(command, "commands", {}).items():
        summary = " ".join(cleandoc(each.help or "").split("\n\n")[0].split())
        groups.setdefault(each.rich_help_panel or "Commands", []).append((name, summary))
    yield from groups.items()


def _list_parameters(command: Any, ctx: Any) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Arguments and options under their headings."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for parameter in command.get_params(ctx):
        record = parameter.get_help_record(ctx)
        if record is not None:
            groups.setdefault(_choose_heading(parameter, ctx), []).append(_describe(parameter, record))
    known = ["Arguments", *OPTION_GROUPS, "Options", "More"]
    yield from sorted(groups.items(), key=lambda group: known.index(group[0]))


def _choose_heading(parameter: Any, ctx: Any) -> str:
    if parameter.param_type_name == "argument":
        return "Arguments"
    names = set(parameter.opts)
    if "--help" in names or any("completion" in name for name in names):
        return "More"
    if name_command(ctx) == "audit":
        for heading, options in OPTION_GROUPS.items():
            if names & set(options):
                return heading
    return "Options"


def _describe(parameter: Any, record: tuple[str, str]) -> tuple[str, str]:
    """Names with the kind of value, and the meaning with the default."""
    meaning = record[1].replace("Show this message and exit.", "show this page and exit")
    meaning = " ".join(_ADDED.sub("", meaning).split())
    if parameter.param_type_name == "argument":
        return _name_argument(parameter), meaning
    kind = _KIND.search(record[0])
    value = METAVARS.get(kind[1].lower().removesuffix(" range"), "TEXT") if kind else ""
    value = parameter.metavar or value
    return " ".join([", ".join([*sorted(parameter.opts, key=len), *parameter.secondary_opts]), value]).strip(), meaning
