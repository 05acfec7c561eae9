"""What is printed on a terminal: text of others is shown as it is written, and never obeyed.

Names of models, tasks and runs, replies of endpoints, and errors of chat templates may hold anything. Brackets are no
markup here, and characters that a terminal obeys or hides are shown by their code: an escape becomes ``\\x1b``.
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from textwrap import wrap
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from faithlens.errors import escape_controls


def format_json(value: Any) -> str:
    """Plain data as JSON for a terminal: readable, valid, and without characters that a terminal obeys or hides."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return "".join(c if c.isprintable() or c == "\n" else _name_code(c) for c in text)


def _name_code(character: str) -> str:
    """A character as JSON writes its code."""
    return json.dumps(character)[1:-1] if ord(character) > 0xFFFF else f"\\u{ord(character):04x}"


def shorten_line(text: str, length: int) -> str:
    """A text on one line, with "…" in place of what goes beyond `length` characters."""
    line = " ".join(text[: 20 * length].split())
    return line if len(line) <= length else line[: length - 1] + "…"


def hang_lines(text: str, width: int) -> str:
    """The lines of a text, each broken after at most `width` characters; its further parts are indented more deeply."""
    return "\n".join(part for line in escape_controls(text).split("\n") for part in _hang_line(line, width))


def _hang_line(line: str, width: int) -> list[str]:
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    parts = wrap(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return parts or [""]


def format_html_table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A plain table for a notebook; every text is escaped, so that what a model wrote is shown and never obeyed."""
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = "".join(f"<tr>{''.join(f'<td>{_format_cell(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _format_cell(cell: object) -> str:
    """Three significant digits of a number, a dash for what is missing, and any other value as text."""
    if cell is None or cell != cell:
        return "–"
    return f"{cell:.3g}" if isinstance(cell, float) else escape(str(cell))


def choose_colours(environment: Mapping[str, str]) -> bool | None:
    """Whether the conventions of terminals ask for colours: True, False, or None, where the terminal decides.

    The first that is set decides: NO_COLOR (any value: none), FORCE_COLOR and CLICOLOR_FORCE (0: none, else colours),
    CLICOLOR (0: none). See https://no-color.org and https://bixense.com/clicolors.
    """
    if environment.get("NO_COLOR"):
        return False
    for name in ("FORCE_COLOR", "CLICOLOR_FORCE"):
        if value := environment.get(name):
            return value.lower() not in ("0", "false")
    return False if environment.get("CLICOLOR") == "0" else None


class SafeConsole(Console):
    """A console of rich whose text is never markup, and where no character of a text is obeyed by the terminal."""

    def __init__(self, **options: Any) -> None:
        colours = choose_colours(os.environ)
        if colours is not None and "force_terminal" not in options:
            options |= {"no_color": not colours, "force_terminal": True if colours else None}
            options |= {} if colours else {"color_system": None}
        super().__init__(markup=False, highlight=False, emoji=False, **options)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as rich does; a bell or a carriage return in a plain text is shown too, which rich would drop."""
        super().print(*(escape_controls(each) if isinstance(each, str) else each for each in objects), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of a renderable; styles and movements of the cursor, which rich adds itself, stay."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=escape_controls(segment.text))

    def print_lines(self, text: str) -> None:
        """Print lines, each whole; where a terminal is too narrow, its further parts are indented."""
        self.print_line(hang_lines(text, self.width) if self.file.isatty() else text)

    def print_line(self, text: str, style: str | None = None) -> None:
        """Print a text without breaking its lines, so that paths and commands can be copied."""
        self.print(text, style=style, soft_wrap=True)
