"""What a run shows while it goes on: one display on a terminal's stderr, a line for each model and task."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from faithlens.console import SafeConsole

_TEXTS = (
    "{task.fields[doing]}",
    "{task.completed:.0f} of {task.total:.0f} questions",
    "{task.fields[written]:,} tokens",
)


class ProgressLine:
    """The line of one model and task: what is being done, questions done, and tokens written so far."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task, self._written = progress, task, 0

    def set_activity(self, what: str) -> None:
        """Say what is being done."""
        self._progress.update(self._task, doing=what)

    def add_tokens(self, tokens: int) -> None:
        """Count tokens that a model wrote."""
        self._written += tokens
        self._progress.update(self._task, written=self._written)

    def add_questions(self, questions: int) -> None:
        """Count questions that are scored and kept."""
        self._progress.advance(self._task, questions)


@contextmanager
def show_progress(questions: dict[str, int]) -> Iterator[dict[str, ProgressLine]]:
    """A line for each name, with the number of questions that it has."""
    texts = [TextColumn(text) for text in _TEXTS]
    console = SafeConsole(stderr=True)
    name = TextColumn("{task.description}", markup=False)
    columns = (name, BarColumn(), *texts, TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        tasks = {name: progress.add_task(name, total=n, doing="waiting", written=0) for name, n in questions.items()}
        yield {name: ProgressLine(progress, task) for name, task in tasks.items()}
