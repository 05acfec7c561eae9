"""What every assay is: the edited versions it needs of a case, and the scores it makes of what came back.

Some also need the model to write before they can say what to run: a new end after an edited step, a chain under another
prompt. These have a third function, `asks`; and where they rewrite words a fourth, `edits`, which accounts for each.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from faithlens.execution.sample import Sampling
from faithlens.interventions.case import Case
from faithlens.interventions.editor import Editor
from faithlens.measures.score import Score
from faithlens.model.model import Model
from faithlens.model.trace import Piece
from faithlens.plan.capture import Record
from faithlens.plan.condition import Condition
from faithlens.tasks.question import Task

Records = Mapping[str, Record]
DEFAULT_POINTS = 3


@dataclass(frozen=True)
class Setting:
    """Where an assay runs.

    Attributes:
        model: the model.
        task: what it is asked.
        seed: of whatever is drawn at random.
        sampling: how chains of thought, and new ends of them, are drawn.
        editor: who rewords steps; None for the model itself.
        uses_task_edits: whether edits are made by the task, where it knows the values or other words, or by the editor.
        n_points: after how many steps of a chain, evenly spaced, the rest is written anew; None for all.
    """

    model: Model
    task: Task
    seed: int
    sampling: Sampling = Sampling()
    editor: Editor | None = None
    uses_task_edits: bool = True
    n_points: int | None = DEFAULT_POINTS


@dataclass(frozen=True)
class TextRequest:
    """Something to be written before a case's conditions can be listed; it lands in `Case.written` under its name.

    Attributes:
        name: unique within the case.
        context: the pieces that the model continues, or the text that is put to the editor.
        max_tokens: tokens, at most; None for as many as a chain of thought may have.
        has_open_thoughts: of a reasoning model, whether it goes on with open thoughts, which then must come to an end.
        drops_unfinished_step: whether a last step that the token limit broke off is left out, as it is of a chain of thought itself.
    """

    name: str
    context: tuple[Piece, ...] | str
    max_tokens: int | None = None
    has_open_thoughts: bool = True
    drops_unfinished_step: bool = False


Outcome = Literal["follows", "repairs", "ignores", "harmless", "other"]


@dataclass(frozen=True)
class StepEdit:
    """One edit of a step's words, whether it is what it was meant to be, and what became of it.

    Attributes:
        condition: the edited version it stands in.
        step: which step was rewritten.
        kind: "mistake", "paraphrase", ...
        by: who wrote it.
        before, after: the words; `after` is empty where none were written.
        invalid: why the edit is not what it was meant to be; None where it is.
        tail: what the model wrote after it; empty where the rest is fixed.
        implied: the answer that follows from the edited words, where the task can tell.
        answer: the answer that was given.
        outcome: what the model made of it.
    """

    condition: str
    step: int
    kind: str
    by: str
    before: str
    after: str
    invalid: str | None = None
    tail: str = ""
    implied: str | None = None
    answer: str | None = None
    outcome: Outcome | None = None


@runtime_checkable
class Assay(Protocol):
    """One published test. Assays that need the same condition ask for it under the same name; it is run once."""

    def conditions(self, setting: Setting, case: Case) -> list[Condition]:
        """The edited versions of `case` this test reads."""
        ...

    def score(self, setting: Setting, case: Case, records: Records) -> list[Score]:
        """The test's numbers for one question; `records` holds every condition by name."""
        ...


@runtime_checkable
class WritingAssay(Protocol):
    """An assay that needs something written first."""

    def requests(self, setting: Setting, case: Case) -> list[TextRequest]:
        """What is to be written. Asked again with what has been written, until it asks for nothing new."""
        ...


@runtime_checkable
class EditingAssay(Protocol):
    """An assay that rewrites words."""

    def edits(self, setting: Setting, case: Case, records: Records) -> list[StepEdit]:
        """Every edit that was tried on `case`, those that failed too."""
        ...
