'''What an assay is: the conditions that it needs of a case, and the scores that it makes of their records.

An assay is anything with two functions, a module or an object:

1. `conditions(setting, case)` returns edited versions of the case's chain of thought.
2. All conditions of all assays run together, in packed passes. Each gives one record: the log-probabilities of the
   candidate answers after it.
3. `score(setting, case, records)` makes numbers of these records.

For example, an assay that asks whether the last step alone changes the answer::

    import faithlens as fl
    from faithlens.assays import Score, run_battery

    fl.measures.register_measure(
        fl.measures.Measure(
            name="last_step.change",
            label="last step left out",
            meaning="The answer changes when the last step is left out.",
            unit="fraction",
            kind="yes/no",
            range=(0.0, 1.0),
            assay="last_step",
        )
    )

    class LastStep:
        """Leave out the last step: does the answer change?"""

        name = "last_step"

        def conditions(self, setting, case):
            return [fl.interventions.make_full_cot(case), fl.interventions.truncate(case, len(case.trace.steps) - 1)]

        def score(self, setting, case, records):
            cut = records[f"cut@{len(case.trace.steps) - 1}"]
            changed = cut.logprobs.argmax() != records["full"].logprobs.argmax()
            return [Score("last_step.change", float(changed), cut.condition.name)]

    run_battery(setting, cases, ["early_answering", LastStep()])

The command line takes it as ``--assays package.module:LastStep``.
'''

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from faithlens.execution.options import Sampling
from faithlens.execution.samplers.own import OWN
from faithlens.execution.samplers.sampler import Sampler
from faithlens.interventions.case import Case
from faithlens.interventions.editor import Editor
from faithlens.measures.edit_counts import DEFAULT_ENDS, DEFAULT_POINTS, DEFAULT_REGENERATIONS
from faithlens.measures.score import Score
from faithlens.model.model import Model
from faithlens.model.trace import Piece
from faithlens.plan.capture import Record
from faithlens.plan.condition import Condition
from faithlens.tasks.question import Task

Records = Mapping[str, Record]
"""The record of each condition of a case, by the condition's name."""


@dataclass(frozen=True)
class Setting:
    """What an assay runs on.

    Attributes:
        model: the model under test.
        task: the task that its questions come from.
        seed: the seed of everything that is drawn at random.
        sampling: how chains of thought, and new ends of them, are sampled.
        editor: the model that rewords steps; None for the model under test.
        uses_task_edits: whether the task makes an edit where it can. If False, the editor makes all of them.
        regenerations: the number of steps of a chain, evenly spaced, after which the rest is regenerated; None for
            all that are edited.
        points: the number of steps that are edited in a chain of more than twice as many (`assays.points`); None for
            all.
        sampler: who draws the tokens of the model under test.
        ends: the number of new ends that `resampling` writes before a step and after it.
    """

    model: Model
    task: Task
    seed: int
    sampling: Sampling = Sampling()
    editor: Editor | None = None
    uses_task_edits: bool = True
    regenerations: int | None = DEFAULT_REGENERATIONS
    points: int | None = DEFAULT_POINTS
    sampler: Sampler = OWN
    ends: int = DEFAULT_ENDS


@dataclass(frozen=True)
class TextRequest:
    """A text that must be written before a case's conditions can be listed.

    The text that is written becomes ``case.generated_texts[name]``.

    Attributes:
        name: a name that is unique within the case. The seed of the text depends on it.
        context: the pieces that the model under test continues, or the request that the editor answers.
        max_tokens: the number of tokens, at most; None for as many as a chain of thought may have.
        has_open_thoughts: whether a reasoning model writes thoughts, which then must come to an end.
        drops_unfinished_step: whether a last step that the token limit cut off is left out.
    """

    name: str
    context: tuple[Piece, ...] | str
    max_tokens: int | None = None
    has_open_thoughts: bool = True
    drops_unfinished_step: bool = False


Outcome = Literal["follows", "repairs", "ignores", "harmless", "other"]


@dataclass(frozen=True)
class StepEdit:
    """One edit of the words of a step, whether it is valid, and what the model did after it.

    Attributes:
        condition: the name of the condition that contains the edit.
        step: the index of the step.
        kind: "mistake", "paraphrase" or "propagation".
        by: who wrote the edit.
        before: the words of the step.
        after: the new words; empty if none were written.
        invalid: why the edit is not of its kind; None if it is.
        tail: what the model wrote after it; empty if the later steps were kept.
        implied: the answer that follows from the edited words, if the task can compute it.
        answer: the answer that the model gave.
        outcome: what the answer says about the edit.
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
    """One test of faithfulness. A module with these two functions is an assay, and so is an object with these methods.

    Five more attributes are optional:

    - `name`: the assay's name in messages and in the manifest of a run. Default: the name of the class.
    - `READERS`: names of pieces; the attention from each to every piece is captured, and is found in
      ``records[...].attention``. "answer" is the row that predicts the answer.
    - `READS_COUNTERFACTUAL`: True if the assay reads ``case.counterfactual``. It is sampled only if some assay does.
    - `NEEDS_ATTENTION_ALONE`: True if its edits mean something only where a token reads earlier ones by attention
      alone. For a model with a recurrent state such an assay is left out, and so is one with `READERS`: its measures
      have a reason in place of a value.
    - `requests` and `edits`: see `WritingAssay` and `EditingAssay`.

    Every measure in a score must be in the catalogue; `faithlens.measures.catalogue.register_measure` adds one.
    """

    def conditions(self, setting: Setting, case: Case) -> list[Condition]:
        """The edited versions of the case that this assay reads.

        Conditions of different assays with the same name must be equal; they are run once. The names of faithlens are
        "full" for the unedited chain, "cut@2" for its first two steps, "no_cot" for the direct prompt. Choose a prefix
        of your own for other edits.

        Args:
            setting: the model, the task, and how texts are written.
            case: the case, with the texts that `requests` asked for.
        """
        ...

    def score(self, setting: Setting, case: Case, records: Records) -> list[Score]:
        """The numbers of one case. A score that cannot be computed has the value None and a reason.

        Args:
            setting: as for `conditions`.
            case: as for `conditions`.
            records: the record of every condition of every assay, by name; `record.logprobs` has one log-probability
                for each option of the condition, in the order of `case.candidates`.
        """
        ...


@runtime_checkable
class WritingAssay(Protocol):
    """An assay that needs texts before it can list its conditions."""

    def requests(self, setting: Setting, case: Case) -> list[TextRequest]:
        """The texts that this assay needs.

        The function is called again after the texts were written, so that one text can depend on another, until it
        returns no request with a new name.
        """
        ...


@runtime_checkable
class EditingAssay(Protocol):
    """An assay that rewrites the words of steps."""

    def edits(self, setting: Setting, case: Case, records: Records) -> list[StepEdit]:
        """Every edit that was tried on the case, including the invalid ones."""
        ...
