"""What the measures are called and mean, in words for a reader who has not read the papers."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Word:
    """A measure's `label`, and its `meaning` in one sentence."""

    label: str
    meaning: str


WORDS: dict[str, Word] = {
    "accuracy.full": Word(
        "right with CoT", "Share of questions answered right after the model's own chain of thought."
    ),
    "accuracy.no_cot": Word(
        "right, asked directly", "Share answered right when a prompt asks for the answer directly."
    ),
    "accuracy.cut@0": Word(
        "right, CoT emptied", "Share answered right after the same prompt with an empty chain of thought."
    ),
    "accuracy.empty_think": Word(
        "right, thoughts emptied", "Share a reasoning model answers right when its think block stands closed and empty."
    ),
    "accuracy.chance": Word("chance", "Share a blind guess gets right: one over the number of candidate answers."),
    "accuracy.gain": Word("gain from CoT", "Right with the chain of thought minus right when asked directly."),
    "early_answering.aoc_trapezoid_0_1": Word(
        "early answering",
        "The chain of thought is cut after each step. Area over the curve of answers already equal to the final one, "
        "0 to 1 by the trapezoid rule; high means that later steps still change the answer (Lanham et al. 2023).",
    ),
    "early_answering.aoc_mean_0_to_n-1": Word(
        "early answering, mean rule",
        "The same area as a plain mean over the cuts 0 to n - 1; the two rules differ, so both are named.",
    ),
    "mistakes.aoc_mean_0_to_n-1": Word(
        "adding mistakes",
        "One step is replaced by a wrong one, the rest stays as it is. Mean over the steps of answers that change; "
        "high means that mistakes move the answer (after Lanham et al. 2023, with the rest held fixed).",
    ),
    "same_answer.cut@0": Word(
        "same answer, CoT emptied", "Share of answers equal with the full and with an empty chain of thought."
    ),
    "same_answer.no_cot": Word(
        "same answer, asked directly", "Share of answers equal after the chain of thought and asked directly."
    ),
    "same_answer.empty_think": Word(
        "same answer, thoughts emptied", "Share of answers equal after the thoughts and with an empty think block."
    ),
    "bound.change_low": Word(
        "least possible change", "The accuracies with and without CoT force at least this share of answers to change."
    ),
    "bound.change_high": Word("most possible change", "The accuracies allow at most this share of answers to change."),
    "bound.independent": Word(
        "change if unrelated", "Share of changed answers if the two answers had nothing to do with each other."
    ),
    "bound.change_share": Word(
        "change used of possible", "Answers changed by emptying the CoT, over the most that can change."
    ),
    "bound.change_when_wrong": Word(
        "change where wrong without", "Share of answers changed among questions that are wrong with an empty CoT."
    ),
    "mediation.content_share": Word(
        "content share",
        "Question and chain of thought are swapped, alone and together, for those of a twin question with another "
        "answer. Share of the joint change in the answer's probability that the chain of thought brings alone.",
    ),
    "mediation.question_share": Word(
        "question share", "Share of that change that the question brings alone, around the chain of thought."
    ),
    "mediation.content": Word(
        "content effect", "Fall of the answer's probability when only the chain of thought is swapped."
    ),
    "mediation.question": Word(
        "question effect", "Fall of the answer's probability when only the question is swapped."
    ),
    "mediation.relay_share": Word(
        "relay share",
        "Share of that change that the positions of the steps carry, whatever they say: the words stay, but the answer "
        "reads the states that they have after the twin question.",
    ),
    "mediation.relay": Word(
        "relay effect", "Fall of the answer's probability when it reads the steps' states after the twin question."
    ),
    "mediation.total": Word("total effect", "Fall of the answer's probability when both are swapped."),
    "mediation.interaction": Word("interaction", "Total effect minus content effect minus question effect."),
    "knockout.steps": Word("steps hidden", "Fall of the answer's probability when the answer cannot see the steps."),
    "knockout.question": Word(
        "question hidden", "Fall of the answer's probability when the answer cannot see the question."
    ),
    "knockout.step_raw": Word("one step hidden", "The same for one step."),
    "knockout.step_null": Word("random stretch hidden", "The same for random stretches of the step's length."),
    "knockout.step": Word("one step hidden, excess", "One step hidden minus random stretch hidden."),
    "sufficiency.step": Word(
        "one step restored",
        "Rise of the answer's probability when one step is put back into the twin's chain of thought.",
    ),
    "states.step_raw": Word(
        "one state swapped", "Fall of the answer's probability when it reads the twin's states of one step."
    ),
    "states.step_null": Word("random states swapped", "The same for random stretches of the step's length."),
    "states.step": Word("one state swapped, excess", "One state swapped minus random states swapped."),
    "coverage.full": Word(
        "probability of the options",
        "Probability that all candidate answers hold together; low: the model would say something else.",
    ),
    "attention.span": Word(
        "attention", "Attention from the answer to a step, mean over layers and heads; describes, proves nothing."
    ),
}
"""Known measures, in the order in which a report shows them."""

STRATEGIES = {
    "direct": "direct",
    "cot": "chain of thought",
    "cot_decomposition": "CoT decomposition",
    "factored": "factored",
}
"""The ways to answer that `strategies.*` compares, in words for a figure."""

_AFTER = {
    "direct": "asked directly",
    "cot": "after its chain of thought",
    "cot_decomposition": "after sub-questions and sub-answers written in one go (CoT decomposition)",
    "factored": "from sub-answers given in contexts of their own (factored decomposition)",
}
_OF_STRATEGIES = {
    "accuracy": Word("right", "Share of questions answered right {after}."),
    "coverage": Word("probability of the options", "Probability that all candidate answers hold together {after}."),
    "steps": Word("steps", "Steps in the reasoning, {after}: sentences, or pairs of sub-question and sub-answer."),
    "truncation": Word(
        "truncation",
        "Share of answers that change when steps are cut off the end, mean over all cuts, {after} (after "
        "Radhakrishnan et al. 2023).{built}",
    ),
    "truncation_accuracy": Word(
        "right, truncated",
        "Share still right at these cuts, {after}: what it falls by is the least that the answers can change.",
    ),
    "corrupted": Word("steps that can be made wrong", "Steps that state a value which can be made wrong, {after}."),
    "corruption": Word(
        "corruption",
        "Share of answers that change when what one step states is made wrong and the rest is kept, mean over the "
        "steps, {after} (after Radhakrishnan et al. 2023).{built}",
    ),
    "corruption_accuracy": Word(
        "right, corrupted",
        "Share still right with these mistakes, {after}: what it falls by is the least that the answers can change.",
    ),
}
_BUILT = " Partly so by construction: who answers from the sub-answers never saw how they came about."


def _of_strategy(strategy: str, measure: str) -> Word:
    """The entry of one measure of one strategy."""
    word = _OF_STRATEGIES[measure]
    built = _BUILT if strategy == "factored" else ""
    return Word(f"{word.label}, {STRATEGIES[strategy]}", word.meaning.format(after=_AFTER[strategy], built=built))


WORDS |= {
    f"strategies.{strategy}.{measure}": _of_strategy(strategy, measure)
    for strategy in STRATEGIES
    for measure in (_OF_STRATEGIES if strategy != "direct" else ("accuracy", "coverage"))
}


def label(measure: str) -> str:
    """A measure's label; its own name where it has none."""
    return WORDS[measure].label if measure in WORDS else measure
