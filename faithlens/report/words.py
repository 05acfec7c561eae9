"""What the measures are called and mean, in words for a reader who has not read the papers."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Word:
    """A measure's `label`, and its `meaning` in one sentence."""

    label: str
    meaning: str


_HINTS = {
    "sycophancy": "professor's view",
    "consistency": "own earlier answer",
    "visual_pattern": "mark on the option",
    "metadata": "answer in metadata",
    "grader_hacking": "grading code",
    "unethical": "stolen solution",
    "silent": "followed beside the steps",
    "half": "the same, of odd digits alone",
    "avowed": "followed and said",
    "rationalised": "made the last step's total",
}


def _of_hint(kind: str, name: str) -> dict[str, Word]:
    """The words for what one kind of hint does."""
    return {
        f"hints.{kind}.switch": Word(
            f"hint: {name}, switched",
            "Share of answers that move to the hinted option where the answer without the hint was another "
            "(Chen et al. 2025).",
        ),
        f"hints.{kind}.alpha": Word(
            f"hint: {name}, alpha",
            "Share of those switches that merely wandering answers do not explain; not above 0: the hint is too weak.",
        ),
        f"hints.{kind}.revealed_mention": Word(
            f"hint: {name}, mentioned", "Share of switches whose chain of thought speaks of the hint at all."
        ),
        f"hints.{kind}.revealed_reliance": Word(
            f"hint: {name}, relied on", "Share of switches whose chain of thought gives the hint as a reason."
        ),
        f"hints.{kind}.normalised_reliance": Word(
            f"hint: {name}, relied on, normalised",
            "The same over alpha; Chen et al. cap it at 1, here it is not capped.",
        ),
        f"hints.{kind}.false_mention": Word(
            f"hint: {name}, false alarms", "Share of chains of thought without the hint that seem to speak of it."
        ),
    }


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
    "early_answering_filled.change": Word(
        "cut and filled up",
        "As early answering, but what is cut off is replaced by dots of its length: the answer keeps its place.",
    ),
    "mistakes_regenerated.change": Word(
        "mistakes, rest anew",
        "One step is replaced by a wrong one and the model writes on from there. Mean over a few steps of answers that "
        "change (Lanham et al. 2023).",
    ),
    "mistakes_regenerated.floor": Word(
        "resample floor", "Answers that change when the model writes on from the same step without a mistake."
    ),
    "mistakes_regenerated.excess": Word(
        "mistakes, rest anew, excess", "Change after mistakes minus the resample floor; may be negative."
    ),
    "mistakes_regenerated.follows": Word(
        "follows the mistake", "Mistakes after which the answer is the one that follows from the edited step."
    ),
    "mistakes_regenerated.repairs": Word(
        "repairs it in words", "Mistakes after which the new words come back to the old answer, and it is given."
    ),
    "mistakes_regenerated.ignores": Word(
        "ignores it", "Mistakes after which the old answer is given although the new words do not come to it."
    ),
    "mistakes_regenerated.harmless": Word("harmless mistake", "Mistakes from which the same answer follows."),
    "mistakes_regenerated.other": Word("answers something else", "Mistakes after which neither answer is given."),
    "propagation.follows": Word(
        "follows a carried-through change",
        "A value is changed and all later steps made to agree: share of answers that are what the text then implies.",
    ),
    "propagation.keeps": Word("keeps its answer", "Share of answers after such a change that are the old one."),
    "paraphrase.change": Word(
        "paraphrase",
        "The first steps are said in other words and the model writes on. Answers that change (Lanham et al. 2023).",
    ),
    "paraphrase.floor": Word("resample floor", "Answers that change when it writes on from its own words."),
    "paraphrase.excess": Word("paraphrase, excess", "Change after other words minus the resample floor."),
    "paraphrase.accuracy": Word("right after paraphrase", "Share answered right after other words and a new end."),
    **{
        f"filler.{kind}.{name}": Word(f"{kind}: {what}", meaning)
        for kind in ("dots", "dashes", "words")
        for name, what, meaning in (
            ("change", "answers changed", "The chain is replaced by as many tokens of filler; answers that change."),
            ("gain", "gain over none", "Right answers after filler minus right answers after an empty chain."),
            ("tokens_per_copy", "tokens a copy", "Tokens of one copy in a long run; less than one where runs merge."),
        )
    },
    "deletion.change": Word("a step left out", "Mean over the steps of answers that change when one is left out."),
    "deletion_filled.change": Word("a step filled", "The same with dots of its length in the step's place."),
    "shuffle.change": Word("steps shuffled", "Answers that change when the steps stand in another order."),
    "letters.letter_match": Word(
        "letter kept", "Asked directly with the options reordered: share of answers that keep their letter."
    ),
    "letters.content_match": Word("content kept", "Share of those answers that keep their content."),
    "letters.first": Word("answers A", "Share of direct answers, in any order of the options, that are the first."),
    "stated.unparsed": Word("no answer stated", "Chains of thought in which no answer can be read."),
    "stated.agrees": Word(
        "states the answer it gives", "Chains whose stated answer is the one that the model is made to give after them."
    ),
    "stated.right": Word("states the right answer", "Chains whose stated answer is right."),
    "stated.broken_off": Word("broken off", "Chains that the token limit broke off."),
    "same_answer.cut@0": Word(
        "same answer, CoT emptied", "Share of answers equal with the full and with an empty chain of thought."
    ),
    "same_answer.no_cot": Word(
        "same answer, asked directly", "Share of answers equal after the chain of thought and asked directly."
    ),
    "same_answer.empty_think": Word(
        "same answer, thoughts emptied", "Share of answers equal after the thoughts and with an empty think block."
    ),
    "same_answer.over_letter": Word(
        "same answer, over letters",
        "Same answer asked directly, over how often a direct answer keeps its letter when the options are reordered "
        "(Bentham et al. 2024); near 1: a habit of letters explains it all. It may exceed 1.",
    ),
    "same_answer.over_content": Word(
        "same answer, over contents", "The same over how often a direct answer keeps its content."
    ),
    "bias.suggested.drop": Word(
        "suggested answer: drop",
        "Accuracy lost where the user suggests a wrong answer, after a chain of thought (Turpin et al. 2023).",
    ),
    "bias.suggested.toward": Word("suggested answer: followed", "Share of answers that are the wrong one suggested."),
    "bias.suggested.toward_unbiased": Word(
        "suggested answer: given anyway", "Share of answers that are that one although nobody suggests it."
    ),
    "bias.suggested.drop.no_cot": Word("suggested answer: drop, asked directly", "The same drop, asked directly."),
    "bias.always_a.drop": Word(
        "always A: drop",
        "Accuracy lost where the right option of every example is (A) and that of the question is another, against the "
        "same examples in their drawn order (Turpin et al. 2023).",
    ),
    "bias.always_a.toward": Word("always A: followed", "Share of answers that are the wrong (A)."),
    "bias.always_a.toward_unbiased": Word(
        "always A: given anyway", "Share of answers that are the wrong (A) after examples in their drawn order."
    ),
    "bias.always_a.drop.no_cot": Word("always A: drop, asked directly", "The same drop, asked directly."),
    "evidence.unfaithful": Word(
        "weak evidence: unfaithful",
        "A question about two people is asked with weak evidence about either. Share of pairs of answers that neither "
        "both say that it cannot be told nor flip from one person to the other (Turpin et al. 2023).",
    ),
    "evidence.explained": Word(
        "weak evidence: explained by bias",
        "Share of unfaithful pairs that accuse nobody but the stereotyped person; half without any bias.",
    ),
    **{measure: word for kind, name in _HINTS.items() for measure, word in _of_hint(kind, name).items()},
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
