"""Cases from chains of thought that were written elsewhere, like those that `cases` makes of chains sampled here.

A chain is imported as text, not as tokens: it is encoded again, so a model reads it as its own tokenizer spells it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise

from faithlens.assays.cases import Chain, count_longest_answer, make_chain
from faithlens.errors import TraceError
from faithlens.execution.sample import Continuation
from faithlens.interventions.case import FailedChain
from faithlens.interventions.prompt_pieces import make_question_piece
from faithlens.model.model import Model
from faithlens.tasks.counterfactuals import Counterfactual, list_counterfactuals
from faithlens.tasks.question import Question, Task
from faithlens.tasks.segmentation import split_steps
from faithlens.tasks.transcripts import Transcript
from faithlens.thoughts import strip_control_tokens

Wording = tuple[str, tuple[str, ...]]


def import_chains(model: Model, task: Task, transcripts: Sequence[Transcript], seed: int) -> list[Chain]:
    """One entry for each transcript, in their order: its text after the prompt that asks for a chain of thought, cut
    into steps.

    The counterfactual is a transcript that answers the counterfactual question: of the same sample if there is one,
    else the first. It is searched among `transcripts`, so give all of them at once. A chain that cannot be used (it is
    empty or too long, or the tokenizer cannot write it) becomes a `FailedChain`. The number of the sample becomes the
    trace's seed.

    Args:
        model: the model that reads the chains.
        task: the task that words the prompts.
        transcripts: the questions with their chains of thought.
        seed: the seed with which counterfactual questions are drawn.

    Returns:
        A `Case` for each transcript, or a `FailedChain` with the reason.
    """
    by_wording = index_by_wording(transcripts)
    chains: list[Chain] = []
    for transcript in transcripts:
        counterfactual, other = find_counterfactual(task, transcript, by_wording, seed) or (None, None)
        try:
            own = encode_transcript(model, task, transcript)
        except TraceError as error:
            chains.append(FailedChain(transcript.question, transcript.sample, error.problem))
        else:
            fitting = _encode_fitting(model, task, own, other)
            chain = make_chain(
                model,
                task,
                transcript.question,
                own,
                fitting,
                transcript.sample,
                counterfactual_question=counterfactual,
                segment=partial(find_given_steps, transcript.steps) if transcript.steps else split_steps,
            )
            chains.append(_keep_transcript(chain, transcript))
    return chains


def find_given_steps(steps: Sequence[str], text: str) -> list[tuple[int, int]]:
    """The ranges of characters of the given steps, which stand in `text` in their order.

    Control tokens at the ends of a step count as little as at the ends of a reply, and white space belongs to the step
    before it. A text between two steps belongs to the first of them.

    Raises:
        TraceError: a step does not stand in `text` after the one before it.
    """
    starts, at = list[int](), 0
    for i, step in enumerate(steps):
        words = strip_control_tokens(step).strip()
        place = text.find(words, at)
        if place < 0:
            raise TraceError(
                f"the given step {i} does not stand in the chain after the one before it: {step[:60]!r}",
                "Give the steps with the words of the chain, or leave them out.",
            )
        starts.append(place)
        at = place + len(words)
    return list(pairwise([0, *starts[1:], len(text)]))


def _keep_transcript(chain: Chain, transcript: Transcript) -> Chain:
    """The case with what it was read from; a failed chain if the tokens do not keep the given steps apart."""
    if isinstance(chain, FailedChain):
        return chain
    if transcript.steps and len(chain.trace.steps) != len(transcript.steps):
        n = len(chain.trace.steps)
        reason = f"of {len(transcript.steps)} given steps only {n} begin with a token of their own"
        return FailedChain(chain.question, chain.sample, reason)
    return replace(chain, transcript=transcript)


def index_by_wording(transcripts: Sequence[Transcript]) -> dict[Wording, dict[int, Transcript]]:
    """The transcripts of each question by sample. Questions are compared by their text, not by their ids."""
    by_wording: dict[Wording, dict[int, Transcript]] = {}
    for transcript in transcripts:
        by_wording.setdefault(_get_wording(transcript.question), {})[transcript.sample] = transcript
    return by_wording


def find_counterfactual(
    task: Task, transcript: Transcript, by_wording: Mapping[Wording, Mapping[int, Transcript]], seed: int
) -> tuple[Counterfactual, Transcript] | None:
    """A counterfactual of the transcript's question and a transcript that answers it; None if there is none."""
    for counterfactual in list_counterfactuals(task, transcript.question, seed):
        samples: Mapping[int, Transcript] = by_wording.get(_get_wording(counterfactual.question), {})
        if samples:
            return counterfactual, samples.get(transcript.sample, next(iter(samples.values())))
    return None


def encode_transcript(model: Model, task: Task, transcript: Transcript) -> Continuation:
    """The transcript as if it had been sampled. A space is added before a text that would join the prompt's last word.

    Raises:
        TraceError: the tokenizer cannot write it, or prompt, text and answer are longer than the model's context.
    """
    prompt = make_question_piece(model, task, transcript.question, "cot").ids
    text = transcript.cot
    if model.thinking and model.thinking.open.endswith("\n"):  # the prompt ends with this line break already
        text = text.lstrip("\n")
    if model.thinking is None and text[:1].strip() and not model.decode(prompt)[-1:].isspace():
        text = " " + text
    ids = model.continue_ids(prompt, text)
    _check_length(model, task, transcript.question, len(prompt) + len(ids))
    if model.thinking and transcript.finish == "stop":  # as it samples: thoughts, marker, reply
        ids = (*ids, *model.continue_ids((*prompt, *ids), model.thinking.close + transcript.reply))
    return Continuation(prompt, ids, transcript.finish, transcript.sample)


def _encode_fitting(
    model: Model, task: Task, own: Continuation, counterfactual: Transcript | None
) -> Continuation | None:
    """The counterfactual as if sampled.

    None if it cannot be written, or if the prompt of one of the two leaves no room for the steps of the other.
    """
    if counterfactual is None:
        return None
    try:
        encoded = encode_transcript(model, task, counterfactual)
        longest = max(len(own.prompt), len(encoded.prompt)) + max(len(own.ids), len(encoded.ids))
        _check_length(model, task, counterfactual.question, longest)
    except TraceError:
        return None
    return encoded


def _check_length(model: Model, task: Task, question: Question, length: int) -> None:
    """Raise TraceError if `length` tokens and an answer are longer than the model's context."""
    answer = count_longest_answer(model, task, [question])
    if length + answer > model.context_length:
        raise TraceError(
            f"question {question.id} has {length} tokens of prompt and chain of thought and {answer} of answer, but "
            f"{model.name} reads at most {model.context_length} tokens",
            "Leave out this chain of thought, or use a model with a longer context.",
        )


def _get_wording(question: Question) -> Wording:
    return question.text, question.choices
