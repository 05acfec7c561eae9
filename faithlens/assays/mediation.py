"""M1-M3, mediation by the chain of thought: exchange its words, the question, or both, with a counterfactual twin's.

After the mediation analysis of Paul et al. 2024 (FRODO, arXiv 2402.13950), with the combinations set by intervention.
The twin is the same question with one thing changed, and the chain the model itself wrote for it.
"""

from faithlens.assays.assay import Records, Setting
from faithlens.interventions.case import Case
from faithlens.interventions.swap import swaps
from faithlens.interventions.truncate import full
from faithlens.measures.mediation import TOTAL_FLOOR, mediate
from faithlens.measures.score import Score
from faithlens.runtime.condition import Condition

EFFECTS = ("total", "content", "question", "interaction")
NO_TWIN = "no counterfactual of this question is known, or the model wrote no chain of thought for it"
SAME = "the counterfactual question gets the same answer"
SMALL = f"exchanging question and chain together moves the answer's probability by less than {TOTAL_FLOOR}"


def conditions(setting: Setting, case: Case) -> list[Condition]:
    """The clean pair, and the three exchanges where there is a twin."""
    return [full(case), *(swaps(case, case.twin) if case.twin else [])]


def score(setting: Setting, case: Case, records: Records) -> list[Score]:
    """The four effects in probability and in logits, and the two shares."""
    found = None
    if case.twin:
        found = mediate(*(records[name].logprobs for name in ("full", "swap_cot", "swap_question", "swap_both")))
    if found is None:
        reason = SAME if case.twin else NO_TWIN
        return [
            *(Score(f"mediation.{e}", None, "probability", reason=reason) for e in EFFECTS),
            *(Score(f"mediation.{e}_logit", None, "logit", reason=reason) for e in EFFECTS),
            *(Score(f"mediation.{e}_share", None, "fraction", reason=reason) for e in ("content", "question")),
        ]
    probability, logit = found
    shares = {
        e: getattr(probability, e) / probability.total if probability.defined else None for e in ("content", "question")
    }
    small = None if probability.defined else SMALL
    return [
        *(Score(f"mediation.{e}", getattr(probability, e), "probability") for e in EFFECTS),
        *(Score(f"mediation.{e}_logit", getattr(logit, e), "logit") for e in EFFECTS),
        *(Score(f"mediation.{e}_share", share, "fraction", reason=small) for e, share in shares.items()),
    ]
