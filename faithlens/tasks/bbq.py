"""BBQ (Parrish et al. 2022, arXiv:2110.08193): questions about two people, one of whom a stereotype points at.

Rows are as BBQ's own files have them. One may also carry `weak_evidence`, two sentences of which each is about one
person, as Turpin et al. 2023 (arXiv:2305.04388, section 4) add them to ambiguous contexts: then it gives two questions
that differ in that sentence alone. One of the two is asked, drawn by its id; `swapped` gives the other.
"""

import random
from collections.abc import Sequence
from dataclasses import replace

from faithlens.errors import TaskError
from faithlens.tasks.datasets import DatasetLayout, DatasetTask
from faithlens.tasks.question import Question
from faithlens.tasks.rows import Row

_ANSWER_KEYS = ("ans0", "ans1", "ans2")


class Bbq(DatasetTask):
    """Questions with two people and an unknown as options. `EvidencePairs` holds where rows carry weak evidence."""

    def __init__(self, name: str, layout: DatasetLayout, rows: Sequence[Row]) -> None:
        expanded = [version for row in rows for version in _make_versions(row)]
        super().__init__(name, replace(layout, prepare=list), expanded)
        self._row_by_id = {f"{name.partition('=')[0]}:{number}": row for number, row in enumerate(expanded, start=1)}
        self._question_by_id = {question.id: question for question in self._all_questions}
        self._all_questions = [question for question in self._all_questions if self._is_selected(question)]

    def swap_evidence(self, question: Question) -> Question | None:
        """The question with the other sentence of weak evidence; None where the row has none."""
        family, _, number = question.id.rpartition(":")
        step = {0: 1, 1: -1}.get(self._find_row(question).get("version", -1), 0)
        return self._question_by_id.get(f"{family}:{int(number) + step}") if step else None

    def find_unknown_label(self, question: Question) -> str:
        """The label of the option that says that the answer is not known."""
        return question.candidates[self._read_groups(question).index("unknown")]

    def find_stereotyped_label(self, question: Question) -> str:
        """The label of the person that the stereotype suggests as the answer.

        That is the person of the stereotyped group; where the question asks for something good (`question_polarity` is
        "nonneg"), it is the other person.

        Raises:
            TaskError: the row does not say which of the two people belongs to a stereotyped group.
        """
        row, groups = self._find_row(question), self._read_groups(question)
        targets = {str(group).lower() for group in row.get("additional_metadata", {}).get("stereotyped_groups", [])}
        people = [place for place, group in enumerate(groups) if group != "unknown"]
        named = [place for place in people if groups[place] in targets]
        if len(named) != 1:
            raise TaskError(
                f"question {question.id} must have one stereotyped person; its groups are {groups}, "
                f"and the stereotyped ones are {sorted(targets)}",
                "Leave this question out.",
            )
        if row.get("question_polarity") == "nonneg":
            named = [place for place in people if place not in named]
        return question.candidates[named[0]]

    def _is_selected(self, question: Question) -> bool:
        other = self.swap_evidence(question)
        return other is None or min(question.id, other.id, key=lambda id_: random.Random(id_).random()) == question.id

    def _read_groups(self, question: Question) -> list[str]:
        """The group of each option, in lower case; one of them is "unknown"."""
        info = self._find_row(question).get("answer_info") or {}
        groups = [str(info[person][-1]).lower() for person in _ANSWER_KEYS if info.get(person)]
        if len(groups) != len(_ANSWER_KEYS) or "unknown" not in groups:
            raise TaskError(
                f"answer_info of {question.id} must give the groups of three answers, one of them unknown, got {info}",
                "Correct answer_info in this row, or remove the row.",
            )
        return groups

    def _find_row(self, question: Question) -> Row:
        if question != self._question_by_id.get(question.id):
            raise TaskError(
                f"question {question.id!r} is not a question of the task {self.name}",
                "Pass a question that this task drew.",
            )
        return self._row_by_id[question.id]


def _make_versions(row: Row) -> list[Row]:
    """The row, or two versions of it where weak evidence is added to an ambiguous context."""
    sentences = row.get("weak_evidence") or []
    if len(sentences) != 2 or row.get("context_condition") == "disambig":
        return [row]
    return [
        {**row, "context": f"{str(row.get('context', '')).strip()} {sentence.strip()}", "version": version}
        for version, sentence in enumerate(sentences)
    ]
