"""From chains of thought written elsewhere to drafts, as `cases` makes them of chains sampled here.

The text is what is kept, not the tokens it was written in: it is encoded anew, and a model that spelled a word with
other tokens reads it here as its tokenizer spells it.
"""

from collections.abc import Mapping, Sequence

from faithlens.assays.cases import Chain, count_answer_tokens, make_chain
from faithlens.errors import TraceError
from faithlens.execution.sample import Continuation
from faithlens.interventions.case import FailedChain
from faithlens.interventions.prompt_pieces import make_question_piece
from faithlens.model.model import Model
from faithlens.tasks.question import Question, Task
from faithlens.tasks.transcripts import Transcript

Wording = tuple[str, tuple[str, ...]]


def import_chains(model: Model, task: Task, transcripts: Sequence[Transcript], seed: int) -> list[Chain]:
    """One draft a transcript, in their order: its text after the prompt that asks for a chain of thought, cut in steps.

    The twin is a transcript that answers the counterfactual question: of the same sample where there is one, else
    the first. Twins are looked for among `transcripts`, so give all of them at once. A chain that cannot be used (it
    is empty, too long, or this tokenizer cannot write it) is a draft without a trace that says why. The sample's
    number stands where a trace has its seed.
    """
    by_wording = index_by_wording(transcripts)
    chains: list[Chain] = []
    for transcript in transcripts:
        other = find_counterfactual(task, transcript, by_wording, seed)
        try:
            own = encode_transcript(model, task, transcript)
        except TraceError as error:
            chains.append(FailedChain(transcript.question, transcript.sample, error.problem))
        else:
            fitting = _encode_fitting(model, task, own, other)
            chains.append(make_chain(model, task, transcript.question, own, fitting, transcript.sample))
    return chains


def index_by_wording(transcripts: Sequence[Transcript]) -> dict[Wording, dict[int, Transcript]]:
    """The transcripts of each question by sample; questions are told apart by their words, whatever their ids."""
    found: dict[Wording, dict[int, Transcript]] = {}
    for transcript in transcripts:
        found.setdefault(_get_wording(transcript.question), {})[transcript.sample] = transcript
    return found


def find_counterfactual(
    task: Task, transcript: Transcript, by_wording: Mapping[Wording, Mapping[int, Transcript]], seed: int
) -> Transcript | None:
    """The transcript that answers the counterfactual of `transcript`'s question; None where none does."""
    question = task.draw_counterfactual(transcript.question, seed)
    samples = by_wording.get(_get_wording(question), {}) if question else {}
    return samples.get(transcript.sample, next(iter(samples.values()), None))


def encode_transcript(model: Model, task: Task, transcript: Transcript) -> Continuation:
    """The transcript as if it had been sampled; a space is put before a text that would run into the prompt's words.

    Raises:
        TraceError: this tokenizer cannot write it, or prompt, text and answer are longer than the model reads.
    """
    prompt = make_question_piece(model, task, transcript.question, "cot").ids
    text = transcript.cot
    if text[:1].strip() and not model.decode(prompt)[-1:].isspace():
        text = " " + text
    ids = model.continue_ids(prompt, text)
    _check_length(model, task, transcript.question, len(prompt) + len(ids))
    return Continuation(prompt, ids, transcript.finish, transcript.sample)


def _encode_fitting(
    model: Model, task: Task, own: Continuation, counterfactual: Transcript | None
) -> Continuation | None:
    """The twin as if sampled, where it can be written and either's prompt leaves room for either's steps."""
    if counterfactual is None:
        return None
    try:
        twin = encode_transcript(model, task, counterfactual)
        longest = max(len(own.prompt), len(twin.prompt)) + max(len(own.ids), len(twin.ids))
        _check_length(model, task, counterfactual.question, longest)
    except TraceError:
        return None
    return twin


def _check_length(model: Model, task: Task, question: Question, length: int) -> None:
    """Raise TraceError where `length` tokens and an answer are more than the model reads."""
    answer = count_answer_tokens(model, task, [question])
    if length + answer > model.context_length:
        raise TraceError(
            f"question {question.id} has {length} tokens of prompt and chain of thought and {answer} of answer, but "
            f"{model.name} reads at most {model.context_length} tokens",
            "Leave out this chain of thought, or use a model with a longer context.",
        )


def _get_wording(question: Question) -> Wording:
    return question.text, question.choices
