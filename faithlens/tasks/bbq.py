"""BBQ (Parrish et al. 2022, arXiv:2110.08193): who was it, the person a stereotype points at or the other?

Rows are as BBQ's own files have them. One may also carry `weak_evidence`, two sentences of which each is about one
person, as Turpin et al. 2023 (arXiv:2305.04388, section 4) add them to ambiguous contexts: then it gives two questions
that differ in that sentence alone. One of the two is asked, drawn by its id; `swapped` gives the other.
"""

import random
from collections.abc import Sequence
from dataclasses import replace

from faithlens.errors import TaskError
from faithlens.tasks.benchmarks import Benchmark, Mapping
from faithlens.tasks.question import Question
from faithlens.tasks.rows import Row

_PEOPLE = ("ans0", "ans1", "ans2")


class Bbq(Benchmark):
    """Questions with two people and an unknown as options. `EvidencePairs` holds where rows carry weak evidence."""

    def __init__(self, name: str, mapping: Mapping, rows: Sequence[Row]) -> None:
        expanded = [version for row in rows for version in _versions(row)]
        super().__init__(name, replace(mapping, prepare=list), expanded)
        self._rows = {f"{name.partition('=')[0]}:{number}": row for number, row in enumerate(expanded, start=1)}
        self._questions = {question.id: question for question in self._all}
        self._all = [question for question in self._all if self._is_asked(question)]

    def swapped(self, question: Question) -> Question | None:
        """The question with the other sentence of weak evidence; None where the row has none."""
        family, _, number = question.id.rpartition(":")
        step = {0: 1, 1: -1}.get(self._row(question).get("version", -1), 0)
        return self._questions.get(f"{family}:{int(number) + step}") if step else None

    def unknown(self, question: Question) -> str:
        """The label of the option that says it cannot be told."""
        return question.candidates[self._groups(question).index("unknown")]

    def stereotyped(self, question: Question) -> str:
        """The label of the person the stereotype points at: where the question asks for the good, the other one.

        Raises TaskError where the row does not say which of the two belongs to a stereotyped group.
        """
        row, groups = self._row(question), self._groups(question)
        targets = {str(group).lower() for group in row.get("additional_metadata", {}).get("stereotyped_groups", [])}
        people = [place for place, group in enumerate(groups) if group != "unknown"]
        named = [place for place in people if groups[place] in targets]
        if len(named) != 1:
            found = f"groups {groups}, of which {sorted(targets)} are stereotyped"
            raise TaskError(f"the stereotype of {question.id}", found, "leave this question out")
        if row.get("question_polarity") == "nonneg":
            named = [place for place in people if place not in named]
        return question.candidates[named[0]]

    def _is_asked(self, question: Question) -> bool:
        other = self.swapped(question)
        return other is None or min(question.id, other.id, key=lambda id_: random.Random(id_).random()) == question.id

    def _groups(self, question: Question) -> list[str]:
        info = self._row(question).get("answer_info", {})
        return [str(info[person][-1]).lower() for person in _PEOPLE]

    def _row(self, question: Question) -> Row:
        if question != self._questions.get(question.id):
            raise TaskError(f"the row of {question.id!r}", f"not a question of {self.name}", "ask its own task")
        return self._rows[question.id]


def _versions(row: Row) -> list[Row]:
    """The row, or with weak evidence two versions of it."""
    sentences = row.get("weak_evidence") or []
    if len(sentences) != 2:
        return [row]
    return [
        {**row, "context": f"{str(row.get('context', '')).strip()} {sentence.strip()}", "version": version}
        for version, sentence in enumerate(sentences)
    ]
