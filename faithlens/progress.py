"""What a command shows while it works: one display for the whole process, however deep the part that reports.

1. The outermost `open_display` makes the display; what is opened inside of it reports to the same one.
2. On a terminal it is two lines on stderr that are drawn over, never wider than the terminal::

       O5 running-sum: writing and scoring
       ━━━━──────── 12 of 40 questions · 1:20 left · 310 tokens/s

3. In a notebook it is one output that is replaced, at most twice a second.
4. Elsewhere (a pipe, a file) only a command says anything: a line when its stage or its number of questions changes.
"""

import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

from rich.console import Console, ConsoleOptions
from rich.live import Live
from rich.text import Text

from faithlens.console import SafeConsole

RECENT = 15.0
"""Seconds over which tokens per second are counted."""
LOADING = "loading torch and transformers"
"""The first stage of a command that runs models: these imports take seconds."""
PAUSE = 0.5
"""Seconds between two updates of a notebook's output."""
BAR, SHORTEST_BAR = 12, 5
"""The width of the bar and its least width, in characters; where there is no room for the least, no bar is drawn."""


class Display:
    """Stage, questions done of all, time left and tokens per second.

    Args:
        talks: whether lines are printed where there is neither a terminal nor a notebook.
        clock: the time in seconds.
    """

    def __init__(self, talks: bool = False, clock: Callable[[], float] = monotonic) -> None:
        self.talks, self.clock = talks, clock
        self.stage, self.part = "", ""
        self.done = self.total = self.kept = 0
        self.expected: float | None = None
        self._started: float | None = None
        self._tokens: deque[tuple[float, int]] = deque()
        self._on_change: Callable[[], None] = lambda: None
        self._console: SafeConsole | None = None

    def say(self, stage: str) -> None:
        """Show what is being done."""
        if stage != self.stage:
            self.stage = stage
            self._on_change()
            self.print_line(stage)

    def plan(self, questions: int, seconds: float | None = None) -> None:
        """Show how many questions there are, and how many seconds they are expected to take; start the clock."""
        self.done, self.total, self.kept = 0, questions, 0
        self.expected, self._started = seconds, self.clock()
        self._on_change()

    def keep(self, questions: int) -> None:
        """Count questions that were done before the clock started."""
        self.done += questions
        self.kept += questions
        self._on_change()

    def advance(self, questions: int) -> None:
        """Count questions that are done."""
        self.done += questions
        self._on_change()
        if questions:
            self.print_line(" · ".join([self.stage, *self.list_counts()]))

    def add_tokens(self, tokens: int) -> None:
        """Count tokens that a model wrote."""
        self._tokens.append((self.clock(), tokens))
        self._on_change()

    @contextmanager
    def show_part(self, label: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """Show a part of a stage, such as a download; the yielded function is called with the amount newly done."""
        before, done = self.part, 0

        def advance(amount: int) -> None:
            nonlocal done
            done += amount
            self.part = f"{label}: {100 * done / total:.0f} %" if total else label
            self._on_change()

        try:
            advance(0)
            yield advance
        finally:
            self.part = before
            self._on_change()

    def note(self, words: str, breaks_lines: bool = True) -> None:
        """Print lines that stay, on stderr, above the display.

        Args:
            words: the lines.
            breaks_lines: whether lines are broken where a terminal is too narrow; commands that can be copied are not.
        """
        console = self._console or SafeConsole(stderr=True)
        (console.print_lines if breaks_lines else console.print_line)(words)

    def print_line(self, words: str) -> None:
        """Print a line where there is neither a terminal nor a notebook, if the display prints lines there."""
        if self.talks and not is_terminal() and not is_notebook():
            SafeConsole(stderr=True).print_line(words)

    def count_seconds_left(self) -> float | None:
        """The time that the questions left will take: as the ones done took, at first as expected; None if unknown."""
        if self._started is None or self.done >= self.total:
            return None
        passed = self.clock() - self._started
        if newly_done := self.done - self.kept:
            return passed / newly_done * (self.total - self.done)
        return None if self.expected is None else max(self.expected - passed, 0.0)

    def count_tokens_per_second(self) -> float | None:
        """Tokens written in the last `RECENT` seconds, per second; None if there were none."""
        now = self.clock()
        while self._tokens and self._tokens[0][0] < now - RECENT:
            self._tokens.popleft()
        if not self._tokens:
            return None
        return sum(tokens for _, tokens in self._tokens) / max(now - self._tokens[0][0], 1.0)

    def list_counts(self) -> list[str]:
        """Questions done of all, time left and tokens per second, as far as they are known."""
        counts = [f"{self.done} of {self.total} questions"] if self.total else []
        if (left := self.count_seconds_left()) is not None:
            counts.append(f"{format_time(left)} left")
        is_writing = not self.total or self.done < self.total
        if is_writing and (speed := self.count_tokens_per_second()) is not None:
            counts.append(f"{speed:,.0f} tokens/s")
        return counts

    def format_lines(self, width: int) -> list[str]:
        """The display, in lines of at most `width` characters."""
        lines = [shorten(f"{self.stage}; {self.part}" if self.stage and self.part else self.part or self.stage, width)]
        counts = self.list_counts()
        while counts and len(" · ".join(counts)) > width:
            counts.pop()
        if counts:
            words = " · ".join(counts)
            bar = min(BAR, width - 1 - len(words)) if self.total else 0
            full = round(bar * self.done / self.total) if self.total else 0
            lines.append(f"{'━' * full}{'─' * (bar - full)} {words}" if bar >= SHORTEST_BAR else words)
        return lines

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        for line in self.format_lines(options.max_width - 1):
            yield Text(line, no_wrap=True, overflow="ellipsis")

    @contextmanager
    def draw(self) -> Iterator[None]:
        """Draw the display while the block runs, and remove it at the end."""
        if is_notebook():
            with _draw_in_notebook(self):
                yield
            return
        if not is_terminal():
            yield
            return
        self._console = SafeConsole(stderr=True)
        live = Live(
            self,
            console=self._console,
            refresh_per_second=5,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        with live:
            yield
        self._console = None


_open: list[Display] = []
"""The display that is open, if any."""


@contextmanager
def open_display(talks: bool = False) -> Iterator[Display]:
    """The display of this process; it is made here if none is open.

    Args:
        talks: as for `Display`.
    """
    if _open:
        yield _open[0]
        return
    display = Display(talks)
    _open.append(display)
    try:
        with display.draw():
            yield display
    finally:
        _open.clear()


@contextmanager
def show_work(stage: str, talks: bool = True) -> Iterator[Display]:
    """The display of a command, with what it does first: at once, before libraries are imported.

    Results are printed after this block: a terminal shows either them or the display.
    """
    with open_display(talks) as display:
        display.say(stage)
        yield display


@contextmanager
def show_part(label: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Show a part of the work, such as a download; call the yielded function with the amount newly done."""
    with open_display() as display, display.show_part(label, total) as advance:
        yield advance


def is_terminal() -> bool:
    """Whether stderr is a terminal that a line can be drawn over in."""
    return sys.stderr.isatty() and not SafeConsole(stderr=True).is_dumb_terminal


def is_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


def format_time(seconds: float) -> str:
    """A time as ``1:20`` or ``2:03:20``."""
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def shorten(words: str, width: int) -> str:
    """`words` with an ellipsis where they are longer than `width`."""
    return words if len(words) <= width else words[: max(width - 1, 0)] + "…"


@contextmanager
def _draw_in_notebook(display: Display) -> Iterator[None]:
    """One output that is replaced; its metadata tell it from the results of the cell."""
    from IPython.display import display as show

    last, metadata = 0.0, {"faithlens": "progress"}
    handle: Any = None

    def update(is_end: bool = False) -> None:
        nonlocal last, handle
        now = display.clock()
        if now - last < PAUSE and not is_end:
            return
        last = now
        text = {"text/plain": "\n".join(display.format_lines(78)) if not is_end else ""}
        if handle is None:
            handle = show(text, raw=True, display_id=True, metadata=metadata)
        else:
            handle.update(text, raw=True, metadata=metadata)

    display._on_change = update
    try:
        yield
    finally:
        if handle is not None:
            update(is_end=True)
