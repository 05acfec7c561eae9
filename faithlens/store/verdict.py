"""`RunVerdict`: what a finished run says of one model and task."""

from dataclasses import dataclass

from faithlens.console import format_html_table


@dataclass(frozen=True)
class RunVerdict:
    """The verdict of a run on one model and task.

    Attributes:
        model, task: what was audited.
        word: "trust", "do-not-trust" or "undecided".
        reasons: why, in sentences.
    """

    model: str
    task: str
    word: str
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.model} on {self.task}: {self.word}. {' '.join(self.reasons)}".rstrip()

    def __repr__(self) -> str:
        return f"RunVerdict({self.model!r} on {self.task!r}: {self.word})"

    def _repr_html_(self) -> str:
        caption = f"{self.model} on {self.task}: {self.word}"
        return format_html_table(caption, ("why",), [(reason,) for reason in self.reasons])
