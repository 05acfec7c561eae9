"""Does each step follow from the question and the steps before it?

`assays.derivation` checks the arithmetic of each step of the model's own chain, where the task can do that. One step
that does not follow fails the question. Chains without a step that can be checked are open.
"""

from faithlens.gates.outcome import Outcome, Scores, read_score

NAME = "derived"
ASKS = "Does each step follow from the ones before it?"
MISSES = "steps in words without numbers, unless the task checks them (open); right steps that were not used"
ASSAYS = ("derivation",)


def judge(scores: Scores) -> list[Outcome]:
    """Pass where every step follows, fail where one does not, open where the chain cannot be checked."""
    outcomes = []
    for question, sample, row in scores.items():
        follows = read_score(row, "derivation.follows")
        if follows.value is None:
            outcomes.append(Outcome(question, "open", follows.reason or "no step can be checked", sample))
        elif follows.value < 1:
            outcomes.append(
                Outcome(question, "fail", "a step does not follow from the question and the steps before it", sample)
            )
        else:
            outcomes.append(Outcome(question, "pass", "every step follows", sample))
    return outcomes
