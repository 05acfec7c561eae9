"""The display of a command: never wider than the terminal, lines in a pipe, one output in a notebook."""

import io
import re
import sys

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from faithlens.cli.interrupt import Interrupted, keeping
from faithlens.commands.progress import show_progress
from faithlens.progress import Display, format_time, open_display, show_part, show_work


class Clock:
    """A clock that is set by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_time_left_goes_by_what_was_expected_and_then_by_what_was_done(clock: Clock) -> None:
    display = Display(clock=clock)
    display.say("O5 running-sum: writing and scoring")
    display.plan(40, seconds=80.0)
    clock.now += 20
    assert display.list_counts() == ["0 of 40 questions", "1:00 left"]
    display.advance(10)
    assert display.list_counts() == ["10 of 40 questions", "1:00 left"]  # 2 s each
    clock.now += 40
    display.advance(20)
    assert display.list_counts() == ["30 of 40 questions", "0:20 left"]
    display.advance(10)
    assert display.list_counts() == ["40 of 40 questions"]


def test_what_was_done_before_does_not_shorten_the_time_left(clock: Clock) -> None:
    display = Display(clock=clock)
    display.plan(40)
    display.keep(30)
    assert display.list_counts() == ["30 of 40 questions"]
    clock.now += 20
    display.advance(5)
    assert display.list_counts() == ["35 of 40 questions", "0:20 left"]  # 4 s each


def test_tokens_per_second_are_those_of_the_last_seconds(clock: Clock) -> None:
    display = Display(clock=clock)
    for _ in range(10):
        display.add_tokens(300)
        clock.now += 1
    assert display.count_tokens_per_second() == pytest.approx(300)
    clock.now += 60
    assert display.count_tokens_per_second() is None


@pytest.mark.parametrize("width", [5, 20, 40, 59, 60, 80, 200])
def test_no_line_is_wider_than_the_terminal(width: int, clock: Clock) -> None:
    display = Display(clock=clock)
    display.say("a model with a long name/revision@0123456789 on a task of a long name: writing and scoring")
    display.plan(1000, seconds=36_000.0)
    display.add_tokens(123_456)
    clock.now += 1
    display.advance(250)
    with display.show_part("downloading a file of a long name", 10) as advance:
        advance(5)
        lines = display.format_lines(width)
    assert all(len(line) <= width for line in lines)
    if width >= 59:
        assert lines[1].startswith("━━────" if width < 70 else "━━━───────── ")
        assert "250 of 1000 questions" in lines[1]
    if width == 200:
        assert lines[0].endswith("; downloading a file of a long name: 50 %")


def test_times_are_short() -> None:
    assert [format_time(seconds) for seconds in (0.4, 59.6, 3599.0, 7322.0)] == ["0:00", "1:00", "59:59", "2:02:02"]


def test_a_command_in_a_pipe_says_each_stage_and_count_once(monkeypatch: pytest.MonkeyPatch) -> None:
    words = io.StringIO()
    monkeypatch.setattr(sys, "stderr", words)
    with show_work("loading"), show_progress({"O5 sums": 4, "O4 sums": 2}) as lines:
        for line in lines.values():
            line.set_activity("scoring")
            line.set_activity("scoring")
            line.set_questions(2)
    with open_display() as display:  # of a library, which is silent
        display.say("nothing")
    text = words.getvalue().splitlines()
    assert [line.split(" · ")[:2] for line in text] == [
        ["loading"],
        ["O5 sums: scoring"],
        ["O5 sums: scoring", "2 of 6 questions"],
        ["O4 sums: scoring"],
        ["O4 sums: scoring", "4 of 6 questions"],
    ]
    assert "\x1b" not in words.getvalue()
    assert "\r" not in words.getvalue()


def test_a_note_in_a_pipe_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    words = io.StringIO()
    monkeypatch.setattr(sys, "stderr", words)
    note = "  causal  " + "25 edited versions, " * 20
    with show_work("loading") as display:
        display.note(note)
    assert words.getvalue().splitlines() == ["loading", note]


class Terminal(io.StringIO):
    """A terminal of unlimited width, of which the lines are read that are left at the end."""

    def isatty(self) -> bool:
        return True

    def list_lines(self) -> list[str]:
        lines, row, column = [""], 0, 0
        for part in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|[\r\n]|[^\x1b\r\n]+", self.getvalue()):
            if part == "\n":
                row, column = row + 1, 0
                lines += [""] * (row + 1 - len(lines))
            elif part == "\r":
                column = 0
            elif part.endswith("A") and part.startswith("\x1b"):
                row -= int(part[2:-1])
            elif part == "\x1b[2K":
                lines[row] = ""
            elif not part.startswith("\x1b"):
                lines[row] = lines[row][:column].ljust(column) + part + lines[row][column + len(part) :]
                column += len(part)
        return lines


def test_what_ctrl_c_says_is_not_drawn_over(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    command = "To go on, run: faithlens audit --resume " + "a-long-name/" * 20

    def work() -> None:
        with show_work("loading") as display, keeping(lambda: f"Kept.\n{command}"):
            display.plan(40, seconds=80.0)
            display.note("a note")
            raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        work()
    assert [line for line in terminal.list_lines() if line] == ["a note", "Interrupted. Kept.", command]


def test_there_is_one_display_however_deep_a_part_reports() -> None:
    with open_display() as outer, show_part("reading", 4) as advance:
        advance(1)
        assert outer.part == "reading: 25 %"
        with open_display() as inner:
            assert inner is outer
    assert outer.part == ""


def test_a_notebook_shows_progress_without_warnings() -> None:
    code = """
from faithlens.commands.progress import show_progress
with show_progress({"O5 sums": 4}) as lines:
    for line in lines.values():
        line.set_activity("scoring")
        line.set_questions(4)
print("result")
"""
    book = new_notebook(cells=[new_code_cell(code)])
    NotebookClient(book, timeout=120).execute()
    progress, result = book.cells[0].outputs
    assert progress.metadata == {"faithlens": "progress"}
    assert result == nbformat.v4.new_output("stream", name="stdout", text="result\n")
