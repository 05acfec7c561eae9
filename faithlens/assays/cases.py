"""From questions to cases: prompts are rendered, chains of thought sampled, steps cut, and an answer stem chosen."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from faithlens.errors import ModelError, PlanError, TraceError
from faithlens.execution.execute import Backend, execute
from faithlens.execution.sample import Continuation, Sampling, sample
from faithlens.interventions.case import Case, make_case
from faithlens.interventions.truncation import make_full_cot
from faithlens.measures.answers import option_coverage
from faithlens.model.model import Model
from faithlens.model.trace import Trace, make_trace, split_thoughts
from faithlens.plan.memory import plan_passes
from faithlens.tasks.numbers import find_stated_value
from faithlens.tasks.question import Prompt, Question, Stem, Strategy, Task
from faithlens.tasks.segmentation import split_steps

MIN_COVERAGE = 0.5  # under a stem that works, the options hold at least half of the model's probability
N_TRIED_CHAINS = 6  # finished chains of thought on which the stems are tried


@dataclass(frozen=True)
class Draft:
    """A question with one chain of thought and its counterfactual twin's, not yet answered.

    Where the model wrote none, or did not finish its thoughts, `trace` is None and `reason` says why.
    """

    question: Question
    trace: Trace | None
    counterfactual: Trace | None
    reason: str | None = None
    sample: int = 0


@dataclass(frozen=True)
class ChosenStem:
    """An answer stem, and the mean probability the options hold under it."""

    stem: Stem
    coverage: float


def derive_chain_seed(seed: int, question: Question, sample: int = 0) -> int:
    """The seed of one chain of thought: a function of the run's seed, the question, and which of its chains it is."""
    which = f":{sample}" if sample else ""
    return int.from_bytes(sha256(f"{seed}:{question.id}{which}".encode()).digest()[:6])


def encode_question(model: Model, task: Task, question: Question, strategy: Strategy) -> tuple[int, ...]:
    """The tokens that ask `question`."""
    return encode_for_strategy(model, task.make_prompt(question, strategy), strategy)


def encode_for_strategy(model: Model, prompt: Prompt, strategy: Strategy) -> tuple[int, ...]:
    """The tokens of a prompt. A reasoning model opens its turn with its own thoughts, or without any."""
    if model.thinking is None:
        return model.encode_prompt(model.render(prompt.user, prompt.prefill))
    ask = model.thinking.open_thoughts if strategy == "cot" else model.thinking.skip_thoughts
    return model.encode_prompt(ask(model.render, prompt.user))


def encode_empty_think(model: Model, task: Task, question: Question) -> tuple[int, ...] | None:
    """The tokens that ask `question` with the think block closed and empty; None where the model has none."""
    if model.thinking is None:
        return None
    return model.encode_prompt(model.thinking.empty_thoughts(model.render, task.make_prompt(question, "cot").user))


def check_room(model: Model, task: Task, questions: Sequence[Question], sampling: Sampling, seed: int) -> None:
    """See that every question and its twin leave room for a chain of thought and an answer, before any is sampled.

    Raises:
        PlanError: one does not; it is named.
    """
    twins = [task.draw_counterfactual(q, seed) for q in questions]
    asked = [*questions, *(t for t in twins if t is not None)]
    end = model.thinking.ending if model.thinking else ""
    answers = {end + stem.text + c + stem.close for stem in task.stems for q in asked for c in q.candidates}
    answer = max(len(model.encode_continuation(text)) for text in answers)
    for q in asked:
        prompt = len(encode_question(model, task, q, "cot"))
        if prompt + sampling.max_new_tokens + answer > model.context_length:
            raise PlanError(
                f"question {q.id}: a prompt of {prompt} tokens, {sampling.max_new_tokens} new ones and an answer of "
                f"{answer}",
                f"{model.name} reads at most {model.context_length} tokens",
                "shorten or leave out this question, or lower the number of new tokens (--max-new-tokens)",
            )


def sample_chains(
    model: Model,
    task: Task,
    questions: Sequence[Question],
    sampling: Sampling = Sampling(),
    seed: int = 0,
    notify: Callable[[int], None] = lambda tokens: None,
    *,
    samples: int = 1,
    with_counterfactuals: bool = True,
) -> list[Draft]:
    """Sample `samples` chains of thought for each question and, with `with_counterfactuals`, one for its counterfactual each."""
    own = [(q, k) for q in questions for k in range(samples)]
    other = [(t, k) for q, k in own if with_counterfactuals and (t := task.draw_counterfactual(q, seed)) is not None]
    prompts = {q.id: encode_question(model, task, q, "cot") for q, _ in (*own, *other)}
    asked = [*own, *other]
    drawn = sample(
        model,
        [prompts[q.id] for q, _ in asked],
        [derive_chain_seed(seed, q, k) for q, k in asked],
        sampling,
        notify=notify,
    )
    written = {(q.id, k): one for (q, k), one in zip(asked, drawn, strict=True)}

    def twin_of(q: Question, k: int) -> Continuation | None:
        twin = task.draw_counterfactual(q, seed) if with_counterfactuals else None
        return None if twin is None else written[twin.id, k]

    return [make_draft(model, q, written[q.id, k], twin_of(q, k), k) for q, k in own]


def make_draft(model: Model, question: Question, own: Continuation, counterfactual: Continuation | None, sample: int = 0) -> Draft:
    """Cut what was sampled into steps."""
    try:
        trace = make_cot_trace(model, own)
    except TraceError as error:
        return Draft(question, None, None, error.found, sample)
    try:
        return Draft(question, trace, make_cot_trace(model, counterfactual) if counterfactual else None, sample=sample)
    except TraceError:
        return Draft(question, trace, None, sample=sample)


def make_cot_trace(model: Model, continuation: Continuation) -> Trace:
    """Cut sampled tokens into steps; where the token limit broke off the last of several steps, it is left out.

    Of what a reasoning model wrote, its thoughts are cut into steps, and what it said after them is kept apart.

    Raises:
        TraceError: the model wrote no chain of thought, or did not finish its thoughts.
    """
    if model.thinking:
        thoughts, said = split_thoughts(model, continuation.prompt, continuation.ids, continuation.finish)
        return replace(make_trace(model, continuation.prompt, thoughts, split_steps, "stop", continuation.seed), reply=said)
    return drop_unfinished_step(make_trace(model, continuation.prompt, continuation.ids, split_steps, continuation.finish, continuation.seed))


def drop_unfinished_step(trace: Trace) -> Trace:
    """The trace without its last step where the token limit broke that off, unless it is the only one."""
    if trace.finish == "length" and len(trace.steps) > 1:
        return replace(trace, pieces=trace.pieces[:-1], texts=trace.texts[:-1])
    return trace


def collect_candidates(draft: Draft) -> tuple[str, ...]:
    """The answers to score: the question's own, and for open questions every value the chains of thought state."""
    own = draft.question.candidates
    if draft.question.form == "choice":
        return own
    texts = [text for trace in (draft.trace, draft.counterfactual) if trace for text in trace.texts[1:]]
    stated = (find_stated_value(text) for text in texts)
    return tuple(dict.fromkeys([*own, *(value for value in stated if value)]))


def to_case(model: Model, task: Task, draft: Draft, stem: Stem) -> Case:
    """A draft, ready to be answered under `stem`.

    Raises:
        TraceError: the model wrote no chain of thought, or the tokenizer cannot write the stem or a candidate.
    """
    if draft.trace is None:
        raise TraceError(f"a case of question {draft.question.id}", str(draft.reason), "drop this question")
    direct, empty = encode_question(model, task, draft.question, "no_cot"), encode_empty_think(model, task, draft.question)
    return make_case(
        model, draft.question, draft.trace, direct, stem, collect_candidates(draft), draft.counterfactual, empty, draft.sample
    )


def choose_stem(model: Model, task: Task, drafts: Sequence[Draft], *, backend: Backend = "packed") -> ChosenStem:
    """The stem under which this model answers: tried on a few finished chains, the options must hold most probability.

    The stem alone can decide how able a model seems, so none is taken on faith.

    Raises:
        ModelError: under no stem do the options hold `MIN_COVERAGE` of the probability: the model does not answer.
    """
    written = [d for d in drafts if d.trace is not None]
    finished = [d for d in written if d.trace and d.trace.finish == "stop"] or written
    tried = list(try_stems(model, task, finished[:N_TRIED_CHAINS], backend))
    best = max(tried, key=lambda chosen: chosen.coverage, default=None)
    if best is None or best.coverage < MIN_COVERAGE:
        reasons = dict.fromkeys(d.reason for d in drafts if d.reason)
        found = "; ".join(["it wrote no chain of thought that could be answered", *reasons])
        if best is not None:
            found = (
                f"under the best of {len(tried)} answer stems, {best.stem.text!r}, the options hold "
                f"{best.coverage:.0%} of its probability"
            )
        do = "use another task or form of it, or another model"
        if model.thinking:
            do = f"give it more new tokens to finish its thoughts (--max-new-tokens), {do}"
        raise ModelError(f"answers of {model.name} to {task.name}", found, do)
    return best


def try_stems(model: Model, task: Task, drafts: Sequence[Draft], backend: Backend) -> Iterator[ChosenStem]:
    """Each of the task's stems that the tokenizer can write, with the probability the options hold under it."""
    for stem in task.stems if drafts else ():
        try:
            cases = [to_case(model, task, d, stem) for d in drafts]
        except TraceError:
            continue
        plan = plan_passes(model, [make_full_cot(case) for case in cases])
        held = [option_coverage(record.logprobs) for record in execute(model, plan, backend=backend)]
        yield ChosenStem(stem, sum(held) / len(held))
