"""All gates on one model and task: a profile of gates first, a word second.

1. Each gate judges every question (`gates.causal` and its neighbours). A gate whose measures the run does not have is
   "not tested".
2. `judge_gate` counts the outcomes, and `find_word` joins them (`gates.word`).
3. `find_strata` looks for a kind of question that fails more than the others (`gates.strata`).

For example, for a model whose answers come from the question, not from its right chain (an organism named O4)::

    capable      passed   40 of 40
    causal       failed    0 of 40 pass     exchanging the chain alone moves the answer 0.00 times as far as ...
    legible      passed   40 of 40
    derived      passed   40 of 40
    serial       passed   40 of 40
    do-not-trust
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from faithlens.gates import capable, causal, derived, disclosed, legible, serial, undisturbed
from faithlens.gates.outcome import Outcome, Scores, join_gates
from faithlens.gates.strata import Strata, find_strata
from faithlens.gates.word import (
    LEVEL,
    MAX_UNFAITHFUL,
    GateResult,
    Word,
    bound_accuracy,
    find_word,
    judge_gate,
    mark_failed,
)
from faithlens.measures.catalogue import MEASURES, GateName


class Gate(NamedTuple):
    """A gate by its parts.

    Attributes:
        name: its name.
        asks: the question that it asks, for readers.
        misses: what it cannot see.
        assays: the assays whose scores it reads.
        judge: the function from scores, and the outcomes of the gates in `after`, to outcomes.
        after: the gates whose outcomes it reads.
        expect_chance: the share of questions that is expected to fail by chance; None if none is.
    """

    name: GateName
    asks: str
    misses: str
    assays: tuple[str, ...]
    judge: Callable[..., list[Outcome]]
    after: tuple[GateName, ...] = ()
    expect_chance: Callable[[Scores], float] | None = None

    @property
    def measures(self) -> tuple[str, ...]:
        """The measures whose entries in the catalogue name it; without any of them it is not tested."""
        return tuple(name for name, measure in MEASURES.items() if measure.gate == self.name)


GATES: dict[GateName, Gate] = {
    module.NAME: Gate(
        module.NAME,
        module.ASKS,
        module.MISSES,
        module.ASSAYS,
        module.judge,
        getattr(module, "AFTER", ()),
        getattr(module, "expect_chance", None),
    )
    for module in (capable, causal, legible, derived, serial, undisturbed, disclosed)
}
"""The gates by name, in the order in which they are asked."""


@dataclass(frozen=True)
class Profile:
    """What the gates say of one model on one task.

    Attributes:
        results: the result of each gate, in the order of `GATES`.
        outcomes: the outcomes of each gate, one for each question and chain.
        word: the word that follows.
        strata: the worst stratum beside the rest; None where no feature tells questions apart, or none fails.
    """

    results: tuple[GateResult, ...]
    outcomes: Mapping[GateName, list[Outcome]]
    word: Word
    strata: Strata | None = None


def make_profile(
    scores: Scores,
    *,
    max_unfaithful: float = MAX_UNFAITHFUL,
    min_accuracy: float | None = None,
    level: float = LEVEL,
) -> Profile:
    """The profile of one model on one task.

    Args:
        scores: its scores, from `gates.outcome.read_scores`.
        max_unfaithful: the share of questions that may fail any gate.
        min_accuracy: the accuracy that the model must exceed; chance where none is given.
        level: the error rate of each word.
    """
    outcomes = judge_chains(scores)
    results: list[GateResult] = []
    for gate in GATES.values():
        if gate.name == "capable":
            results.append(bound_accuracy(outcomes[gate.name], scores, min_accuracy))
        else:
            chance = gate.expect_chance(scores) if gate.expect_chance and outcomes[gate.name] else 0.0
            results.append(judge_gate(gate.name, outcomes[gate.name], chance, max_unfaithful))
    first, *others = results
    counted: dict[GateName, list[Outcome]] = {name: some for name, some in outcomes.items() if name != "capable"}
    by_gate: dict[GateName, list[Outcome]] = {name: some for name, some in counted.items() if some}
    strata = find_strata(scores, join_gates(by_gate))
    word = find_word(
        counted,
        others,
        is_capable=first.status == "passed",
        is_mixed=strata is not None and strata.disagree,
        max_unfaithful=max_unfaithful,
        level=level,
    )
    return Profile((first, *(mark_failed(result, word.failed_gates) for result in others)), outcomes, word, strata)


def judge_chains(scores: Scores) -> dict[GateName, list[Outcome]]:
    """The outcomes of each gate, in the order of `GATES`: one for each question and chain, none where it is not tested.

    Args:
        scores: the scores of one model on one task, from `gates.outcome.read_scores`.
    """
    outcomes: dict[GateName, list[Outcome]] = {}
    for gate in GATES.values():
        outcomes[gate.name] = _judge(gate, scores, outcomes)
    return outcomes


def _judge(gate: Gate, scores: Scores, before: Mapping[GateName, list[Outcome]]) -> list[Outcome]:
    """The outcomes of one gate; none if the run has no scores of its measures."""
    if not scores.has(*gate.measures):
        return []
    return gate.judge(scores, *(before.get(name, []) for name in gate.after))
