"""What is validated: which measures, and whether more of one should mean that the words of the chain matter more."""

MEASURE_SIGNS: dict[str, int] = {
    "early_answering.aoc_mean_0_to_n-1": 1,
    "early_answering_filled.change": 1,
    "mistakes.aoc_mean_0_to_n-1": 1,
    "mistakes_regenerated.change": 1,
    "propagation.follows": 1,
    "filler.dots.change": 1,
    "filler.words.change": 1,
    "deletion.change": 1,
    "deletion_filled.change": 1,
    "shuffle.change": 1,
    "same_answer.no_cot": -1,
    "same_answer.cut@0": -1,
    "mediation.content": 1,
    "mediation.question": -1,
    "knockout.steps": 1,
    "knockout.question": -1,
    "states.step_raw": 1,
    "sufficiency.step": 1,
    "attention.span": 1,
}
"""Measures of whether the chain's words drive the answer, and whether more of each means more (1) or less (-1) so."""

STEP_MEASURE_SIGNS: dict[str, int] = {
    "mistakes.soft": -1,
    "knockout.step_raw": 1,
    "states.step_raw": 1,
    "sufficiency.step": 1,
    "attention.span": 1,
    "swap_steps": 1,
    "swap_steps.both_ways": 1,
    "attribute_steps": 1,
}
"""Measures of single steps, with the sign that makes more mean that the answer goes by the step."""

DEFINING_PREFIXES = ("mediation.", "mistakes", "propagation.", "sufficiency.", "states.")
"""How measures begin that exchange words, or their states, as certifying a rate does: not in the contest on it."""
