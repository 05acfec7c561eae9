"""Text of others on the terminal: shown as it is written, never obeyed."""

import json
import unicodedata
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Group
from rich.table import Table
from rich.text import Text

from faithlens.console import SafeConsole, choose_colours, format_json, hang_lines
from faithlens.errors import escape_controls

HOSTILE = {
    "colour": "\x1b[31mred",
    "title": "\x1b]0;pwned\x07",
    "link": "\x1b]8;;http://x\x1b\\y",
    "clear": "\x1b[2J",
    "8-bit escape": "\x9b31m",
    "back space": "good\b\b\b\bevil",
    "carriage return": "good\revil",
    "right to left": "\u202eevil",
    "isolate": "\u2066x\u2069",
    "zero width": "a\u200bb",
    "line separator": "a\u2028b",
    "byte order mark": "\ufeffa",
    "surrogate": "a\ud800b",
    "tag": "a\U000e0041b",
    "delete": "a\x7fb",
    "nul": "a\x00b",
}
MARKUP = ["[/]", "[bold]", "[/b]", "[red]x", "[link=http://x]y[/link]", "[@click=f]x", ":smile:", "\\[bold]", "[["]


def show(renderable: object, **options: object) -> str:
    """What is written to a terminal of 40 columns without colours."""
    words = StringIO()
    SafeConsole(file=words, width=40, **options).print(renderable)
    return words.getvalue()


def is_safe(text: str) -> bool:
    """Whether nothing in `text` is a control character, a format character or half a pair, by Unicode's own table."""
    kinds = {unicodedata.category(each) for each in text if each not in "\n\t\u200c\u200d\u00ad"}
    return not kinds & {"Cc", "Cs", "Zl", "Zp"}


def test_the_further_parts_of_a_broken_line_are_indented() -> None:
    text = "Gates of the verdict:\n  causal  about 1.2 s: 25 edited versions\n\nmy-folder/with-a-name-of-many-parts end"
    assert hang_lines(text, 24).split("\n") == [
        "Gates of the verdict:",
        "  causal  about 1.2 s:",
        "    25 edited versions",
        "",
        "my-folder/with-a-name-of-many-parts",
        "  end",
    ]
    assert hang_lines("good\revil \x1b[31m", 40) == "good\\revil \\x1b[31m"


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_what_a_terminal_obeys_or_hides_is_shown_by_its_code(text: str) -> None:
    table = Table(text, title=text, caption=text)
    table.add_row(Text(text))
    for renderable in (text, Text(text), table, Group(text, Text(text, "red"))):
        assert is_safe(show(renderable))
        assert not set(show(renderable)) & set("\u202e\u2066\u2069\u200b\ufeff\U000e0041")
    assert is_safe(escape_controls(text))


@pytest.mark.parametrize("text", MARKUP)
def test_brackets_are_no_markup(text: str) -> None:
    table = Table(text, title=text)
    table.add_row(text)
    assert show(text) == f"{text}\n"
    assert show(table).count(text) == 3


def test_colours_of_our_own_stay_and_those_of_others_do_not() -> None:
    shown_text = show(Text("\x1b[31mx", "bold"), force_terminal=True, color_system="standard")
    assert shown_text == "\x1b[1m\\x1b[31mx\x1b[0m\n"


def test_long_lines_are_not_broken() -> None:
    words = StringIO()
    SafeConsole(file=words, width=40).print_line("path/" * 30)
    assert words.getvalue() == "path/" * 30 + "\n"


@given(st.text(st.characters()))
def test_json_on_the_terminal_is_safe_and_means_the_same(text: str) -> None:
    shown_text = format_json({"name": text, text: 1})
    assert is_safe(shown_text)
    assert json.loads(shown_text) == {"name": text, text: 1}
    assert shown_text.encode()


@given(st.text(st.characters(exclude_categories=["C", "Z"], include_characters=" \n")))
def test_plain_text_of_any_language_is_left_alone(text: str) -> None:
    assert escape_controls(text) == text
    assert json.dumps(text, ensure_ascii=False) == format_json(text)


COLOURS = {
    "NO_COLOR=1": False,
    "NO_COLOR=1 FORCE_COLOR=1": False,
    "NO_COLOR= FORCE_COLOR=1": True,
    "FORCE_COLOR=0": False,
    "CLICOLOR_FORCE=1": True,
    "CLICOLOR_FORCE=1 CLICOLOR=0": True,
    "CLICOLOR=0": False,
    "CLICOLOR=1": None,
    "": None,
}


@pytest.mark.parametrize("settings", COLOURS)
def test_colours_go_by_the_conventions_of_terminals(settings: str, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = dict(setting.split("=") for setting in settings.split())
    assert choose_colours(environment) is COLOURS[settings]
    for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "CLICOLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    words = StringIO()  # no terminal
    SafeConsole(file=words, width=40).print(Text("x", "red"))
    assert ("\x1b[31m" in words.getvalue()) is (COLOURS[settings] is True)
