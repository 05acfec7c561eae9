"""Mediation by the chain of thought: exchange the chain, the question, or both for those of the counterfactual
question.

After Paul et al. 2024 (FRODO, arXiv:2402.13950), where the combinations are set by intervention. The counterfactual
question is the same question with one thing changed, followed by the chain that the model itself wrote for it.

The relay effect is measured too: all words stay, but the answer reads the keys and values that the steps have after the
counterfactual question.
"""

from collections.abc import Iterator

from faithlens.assays.assay import Records, Setting
from faithlens.assays.left_out import RECURRENT
from faithlens.interventions.case import Case
from faithlens.interventions.swap import make_relay, make_swaps
from faithlens.interventions.truncation import make_full_cot
from faithlens.measures.answers import choose_option
from faithlens.measures.mediation import MIN_TOTAL_EFFECT, compute_mediation
from faithlens.measures.score import Score
from faithlens.model.attention_choice import has_recurrent_state
from faithlens.plan.condition import Condition
from faithlens.tasks.conclusions import find_conclusion
from faithlens.tasks.kinds import EFFECT_SHARES, EFFECTS
from faithlens.tasks.values import is_same_answer

READS_COUNTERFACTUAL = True
NO_COUNTERFACTUAL = "no counterfactual of this question is known, or the model wrote no chain of thought for it"
SAME_ANSWER = "the counterfactual question gets the same answer"
SAME_CONCLUSION = (
    "the right answer to the changed question is not known, and the model's chain concludes the same for both: "
    "what was changed may not matter"
)
NO_CONCLUSION = (
    "the right answer to the changed question is not known, the answer stays, and the model's chain for it concludes "
    "nothing that can be read"
)
OTHER_LENGTH = "the counterfactual question has another number of tokens, so its steps stand at other positions"
TOTAL_TOO_SMALL = (
    f"exchanging question and chain together moves the answer's probability by less than {MIN_TOTAL_EFFECT}"
)


def conditions(setting: Setting, case: Case) -> list[Condition]:
    """The full chain and, if there is a counterfactual, the three exchanges and the relay."""
    if case.counterfactual is None:
        return [make_full_cot(case)]
    can_relay = not has_recurrent_state(setting.model.hf_model)
    relayed = make_relay(case, case.counterfactual) if can_relay else None
    return [make_full_cot(case), *make_swaps(case, case.counterfactual), *([relayed] if relayed else [])]


def score(setting: Setting, case: Case, records: Records) -> list[Score]:
    """The effects, in probability and in logits, and each effect as a share of the total effect."""
    effects = None
    if case.counterfactual:
        exchanged = (records[name].logprobs for name in ("full", "swap_cot", "swap_question", "swap_both"))
        effects = compute_mediation(*exchanged, relay=records["relay"].logprobs if "relay" in records else None)
    no_relay = RECURRENT if has_recurrent_state(setting.model.hf_model) else OTHER_LENGTH
    scores = list(score_movement(case, records, has_moved=effects is not None))
    for effect in EFFECTS:
        missing = (SAME_ANSWER if case.counterfactual else NO_COUNTERFACTUAL) if effects is None else no_relay
        probability, logit = (getattr(each, effect) for each in effects) if effects else (None, None)
        reason = missing if probability is None else None
        scores.append(Score(f"mediation.{effect}", probability, reason=reason))
        scores.append(Score(f"mediation.{effect}_logit", logit, reason=reason))
        if effect in EFFECT_SHARES:
            share = effects[0].divide_by_total(probability) if effects else None
            small = reason or (TOTAL_TOO_SMALL if share is None else None)
            scores.append(Score(f"mediation.{effect}_share", share, reason=small))
    return scores


def score_movement(case: Case, records: Records, *, has_moved: bool) -> Iterator[Score]:
    """Whether the counterfactual gets another answer as it must, and whether its right answer is known.

    Where the right answer is not known, what the model's own chain for the changed question concludes stands in: an
    answer that stays although that conclusion is another one has not moved. Where the conclusion is the same answer,
    what was changed may not matter, and nothing follows.
    """
    known = case.counterfactual_question is None or case.counterfactual_question.answer is not None
    if case.counterfactual is None:
        yield Score("mediation.moves", None, reason=NO_COUNTERFACTUAL)
        yield Score("mediation.answer_known", None, reason=NO_COUNTERFACTUAL)
        return
    moves, reason = float(has_moved), None
    if not (has_moved or known):
        concluded = find_conclusion(
            case.counterfactual.reply or case.counterfactual.cot, case.question, case.counterfactual.finish
        )
        answer = case.candidates[choose_option(records["full"].logprobs)]
        if concluded is None or is_same_answer(concluded, answer, case.question.decimal_mark):
            moves, reason = None, NO_CONCLUSION if concluded is None else SAME_CONCLUSION
    yield Score("mediation.moves", moves, "swap_both", reason=reason)
    yield Score("mediation.answer_known", float(known), "swap_both")
