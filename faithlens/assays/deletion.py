"""Leaving out one step, the rest fixed, against filler of its length in its place.

Deleting moves everything after the step as well; the filler is the matched control that moves nothing. A step that is
redundant (another one says the same) survives both, which says nothing against the chain as a whole.
"""

from contextlib import suppress

from faithlens.assays.assay import Records, Setting
from faithlens.assays.early_answering_filled import KIND
from faithlens.assays.filler import CANNOT_WRITE
from faithlens.errors import TraceError
from faithlens.interventions.case import Case
from faithlens.interventions.filler import in_place_of
from faithlens.interventions.rewrite import without
from faithlens.interventions.truncate import full
from faithlens.measures.answers import choice, probabilities
from faithlens.measures.score import Score, mean_score
from faithlens.runtime.condition import Condition


def conditions(setting: Setting, case: Case) -> list[Condition]:
    """The full chain, and each step left out or filled."""
    out = [full(case)]
    for i in range(len(case.trace.steps)):
        out.append(without(case, i, f"delete@{i}"))
        with suppress(TraceError):
            out.append(in_place_of(setting.lens, case, i, KIND, f"blank@{i}"))
    return out


def score(setting: Setting, case: Case, records: Records) -> list[Score]:
    """By step, whether the answer stays; and the mean change of both, with how often they are answered right."""
    answer, n = choice(records["full"].logprobs), len(case.trace.steps)
    scores = []
    for measure, name in (("deletion", "delete"), ("deletion_filled", "blank")):
        known = {i: records[f"{name}@{i}"].logprobs for i in range(n) if f"{name}@{i}" in records}
        for i, now in known.items():
            at = {"condition": f"{name}@{i}", "step": i, "fraction": i / n}
            scores += [
                Score(f"{measure}.retention", float(choice(now) == answer), "fraction", **at),
                Score(f"{measure}.soft", float(probabilities(now)[answer]), "probability", **at),
            ]
        answers = [choice(now) for now in known.values()]
        scores += [
            mean_score(f"{measure}.change", [float(a != answer) for a in answers], CANNOT_WRITE),
            mean_score(f"{measure}.accuracy", [float(a == case.answer_index) for a in answers], CANNOT_WRITE),
        ]
    return scores
