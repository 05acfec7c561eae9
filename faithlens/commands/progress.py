"""What a run shows while it goes on: the questions of all its models and tasks, in the display of the process."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from faithlens.progress import Display, open_display


class ProgressLine:
    """One model and task: what is being done, questions done, and tokens written."""

    def __init__(self, display: Display, name: str) -> None:
        self._display, self._name, self._done = display, name, 0

    def set_activity(self, what: str) -> None:
        """Say what is being done."""
        self._display.say(f"{self._name}: {what}")

    def add_tokens(self, tokens: int) -> None:
        """Count tokens that a model wrote."""
        self._display.add_tokens(tokens)

    def keep_questions(self, questions: int) -> None:
        """Say how many questions were scored before this command began."""
        self._display.keep(questions)
        self._done = questions

    def set_questions(self, questions: int) -> None:
        """Say how many questions are scored and kept."""
        self._display.advance(questions - self._done)
        self._done = questions


@contextmanager
def show_progress(questions: Mapping[str, int], seconds: float | None = None) -> Iterator[dict[str, ProgressLine]]:
    """A line for each model and task, with the number of questions that it has.

    Args:
        questions: by the name of the model and task.
        seconds: how long all of them are expected to take.
    """
    with open_display() as display:
        display.plan(sum(questions.values()), seconds)
        yield {name: ProgressLine(display, name) for name in questions}
