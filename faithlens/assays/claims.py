"""How little of the counterfactual's chain is enough to change the answer? Null models for the content share.

In four conditions the model reads, after the question, something of the chain that it wrote for the counterfactual
question:

1. the last step of that chain (``claim_last``),
2. all of its steps but the last (``claim_rest``),
3. the answer that it concludes, in the words of the answer stem and without any step (``claim_bare``),
4. the model's own chain for the question, and after it that same answer (``claim_end``).

The effect of each is a share of the total effect, like `mediation.content_share`. Where the answer alone has as large a
share as the whole chain, the model copies its answer from the last statement, and the content share says nothing about
the steps before it.

For example, with the counterfactual's chain "2 + 3 = 5. 5 + 4 = 9. The answer is (B)." and the stem "The answer is (":
``claim_last`` is "The answer is (B).", ``claim_rest`` is "2 + 3 = 5. 5 + 4 = 9.", ``claim_bare`` is
"The answer is (B)".
"""

from contextlib import suppress

from faithlens.assays.assay import Records, Setting
from faithlens.assays.mediation import NO_COUNTERFACTUAL, SAME_ANSWER, TOTAL_TOO_SMALL
from faithlens.errors import TraceError
from faithlens.interventions.case import Case
from faithlens.interventions.rewriting import append_pieces
from faithlens.interventions.swap import make_swaps
from faithlens.interventions.truncation import make_full_cot
from faithlens.measures.answers import choose_option, option_probabilities
from faithlens.measures.mediation import MIN_TOTAL_EFFECT
from faithlens.measures.score import Score
from faithlens.plan.condition import Condition
from faithlens.tasks.conclusions import find_conclusion

READS_COUNTERFACTUAL = True
PARTS = ("last", "rest", "bare", "end")
CANNOT_WRITE = "the counterfactual's chain states no conclusion, or the model's tokenizer cannot write it here"


def conditions(setting: Setting, case: Case) -> list[Condition]:
    """The full chain and, if there is a counterfactual, the exchange of both and the four claims."""
    other = case.counterfactual
    if other is None:
        return [make_full_cot(case)]
    own = case.trace
    made = [make_full_cot(case), *make_swaps(case, other)]
    made.append(case.make_condition("claim_last", (own.prompt, other.steps[-1])))
    made.append(case.make_condition("claim_rest", (own.prompt, *other.steps[:-1])))
    claim = write_claim(case)
    for name, before in (("claim_bare", own.pieces[:1]), ("claim_end", own.pieces)):
        with suppress(TraceError):  # the score then has no value, but a reason
            if claim is not None:
                made.append(case.make_condition(name, append_pieces(setting.model, before, [("claim", claim)])))
    return made


def write_claim(case: Case) -> str | None:
    """The answer stem with what the counterfactual's chain concludes; None if no conclusion can be read there."""
    assert case.counterfactual is not None
    concluded = find_conclusion(
        case.counterfactual.reply or case.counterfactual.cot, case.question, case.counterfactual.finish
    )
    words = case.get_slot().words
    return None if concluded is None else f"{words.text}{concluded}{words.close}"


def score(setting: Setting, case: Case, records: Records) -> list[Score]:
    """The share of the total effect that each claim brings."""
    if case.counterfactual is None:
        return [Score(f"claims.{part}_share", None, reason=NO_COUNTERFACTUAL) for part in PARTS]
    answer = choose_option(records["full"].logprobs)
    if choose_option(records["swap_both"].logprobs) == answer:
        return [Score(f"claims.{part}_share", None, reason=SAME_ANSWER) for part in PARTS]
    full, both = (float(option_probabilities(records[name].logprobs)[answer]) for name in ("full", "swap_both"))
    total = full - both
    scores = []
    for part in PARTS:
        name = f"claim_{part}"
        reason = CANNOT_WRITE if name not in records else TOTAL_TOO_SMALL if total < MIN_TOTAL_EFFECT else None
        value = None
        if reason is None:
            value = (full - float(option_probabilities(records[name].logprobs)[answer])) / total
        scores.append(Score(f"claims.{part}_share", value, name if name in records else "full", reason=reason))
    return scores
