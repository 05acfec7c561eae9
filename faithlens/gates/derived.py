"""Does each step follow from the question and the steps before it?

`assays.derivation` checks the arithmetic of each step of the model's own chain, where the task can do that. One step
that does not follow fails the question, and the reason quotes it. Chains without a step that can be checked are open.

For example, "step 2 of 3 does not follow from the question and the steps before it: 'By winning 4 more he gets to 9.'".
"""

from faithlens.console import shorten_line
from faithlens.gates.outcome import Outcome, Scores, read_score

NAME = "derived"
ASKS = "Does each step follow from the ones before it?"
MISSES = "steps in words without numbers, unless the task checks them (open); right steps that were not used"
ASSAYS = ("derivation",)
QUOTED = 100
"""Characters of a wrong step that the reason quotes."""


def judge(scores: Scores) -> list[Outcome]:
    """Pass where every step follows, fail where one does not, open where the chain cannot be checked."""
    outcomes = []
    for question, sample, row in scores.items():
        follows = read_score(row, "derivation.follows")
        if follows.value is None:
            outcomes.append(Outcome(question, "open", follows.reason or "no step can be checked", sample))
        elif follows.value < 1:
            outcomes.append(Outcome(question, "fail", describe_wrong_steps(scores, question, sample), sample))
        else:
            outcomes.append(Outcome(question, "pass", "every step follows", sample))
    return outcomes


def describe_wrong_steps(scores: Scores, question: str, sample: int) -> str:
    """Which steps of a chain do not follow: the number and the words of the first, and the numbers of the others."""
    wrong, steps = scores.wrong_steps.get((question, sample), ()), scores.steps.get((question, sample), ())
    claim = "does not follow from the question and the steps before it"
    if not wrong:
        return f"a step {claim}"
    first, *others = wrong
    number = f"step {first + 1} of {len(steps)}" if steps else f"step {first + 1}"
    quoted = f": {shorten_line(steps[first], QUOTED)!r}" if steps else ""
    nor = "nor do steps" if len(others) > 1 else "nor does step"
    also = f"; {nor} {', '.join(str(step + 1) for step in others)}" if others else ""
    return f"{number} {claim}{quoted}{also}"
