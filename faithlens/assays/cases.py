"""From questions to cases: chains of thought are sampled and cut into steps, and an answer stem is chosen.

1. `check_room` refuses a question that leaves no room for a chain of thought and an answer.
2. `sample_chains` samples the chains of thought of all questions, and of their counterfactual questions, in one call.
3. `make_chain` cuts each into steps: a `Case` without a stem, or a `FailedChain` that says why there is none.
4. `choose_stem` tries each of the task's stems on a few cases and takes the one under which the model answers.
5. `Case.with_stem` makes each case answerable.

`make_cases` does steps 2 to 5.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from faithlens.errors import ModelError, PlanError, TaskError, TraceError, check_choice, check_elements, check_type
from faithlens.execution.execute import execute
from faithlens.execution.options import BACKENDS, Backend, Sampling
from faithlens.execution.sample import Continuation
from faithlens.execution.samplers.own import OWN
from faithlens.execution.samplers.sampler import Sampler
from faithlens.interventions.case import Case, FailedChain, make_case, make_key
from faithlens.interventions.prompt_pieces import make_question_piece
from faithlens.interventions.truncation import make_full_cot
from faithlens.measures.answers import option_coverage
from faithlens.model.model import Model, check_model
from faithlens.model.trace import Finish, Segmenter, Trace, make_trace, split_thoughts
from faithlens.plan.memory import plan_passes
from faithlens.tasks.counterfactuals import Counterfactual, find_counterfactual
from faithlens.tasks.question import Question, Stem, Task
from faithlens.tasks.seeds import derive_seed
from faithlens.tasks.segmentation import split_steps

Chain = Case | FailedChain
"""What one sampled chain of thought became."""

CHAIN_DRAFTS = ("chain", "counterfactual")
"""The names of the drafts of a question's own chain of thought, and of the one for its counterfactual question."""
MIN_COVERAGE = 0.5  # the options must hold this much of the model's probability under a stem
N_TRIED_CHAINS = 6  # the stems are tried on so many finished chains of thought
_QUESTIONS_FIX = "Pass a list, such as task.draw_questions(8, seed=0)."
_TASK_FIX = "fl.load_task gives one, of a name or of a class of your own."


@dataclass(frozen=True)
class ChosenStem:
    """An answer stem, and the mean probability that the options hold under it.

    Attributes:
        stem: the stem.
        coverage: the mean over the tried chains of the options' summed probability.
    """

    stem: Stem
    coverage: float


def derive_chain_seed(seed: int, question: Question, sample: int = 0) -> int:
    """The seed of one chain of thought. It depends on the run's seed, the question and the chain's number alone."""
    return derive_seed(f"{seed}:{make_key(question, sample)}")


def count_longest_answer(model: Model, task: Task, questions: Sequence[Question]) -> int:
    """The length in tokens of the longest answer to `questions`, with the stem and the closing of thoughts."""
    end = model.thinking.ending if model.thinking else ""
    answers = {end + stem.text + c + stem.close for stem in task.stems for q in questions for c in q.candidates}
    return max(len(model.encode_continuation(text)) for text in answers)


def check_room(model: Model, task: Task, questions: Sequence[Question], sampling: Sampling, seed: int) -> None:
    """Check, before any is sampled, that every question leaves room for a chain of thought and an answer.

    The counterfactual questions are checked too.

    Raises:
        PlanError: a question leaves too little room; it is named.
    """
    counterfactuals = [find_counterfactual(task, q, seed) for q in questions]
    every = [*questions, *(each.question for each in counterfactuals if each is not None)]
    answer, limit = count_longest_answer(model, task, every), sampling.find_limit(model)
    for q in every:
        prompt = len(make_question_piece(model, task, q, "cot").ids)
        if prompt + limit + answer > model.context_length:
            raise PlanError(
                f"question {q.id} needs {prompt} tokens for the prompt, {limit} for the chain of "
                f"thought and {answer} for the answer, but {model.name} reads at most {model.context_length} tokens",
                "Shorten or leave out this question, or lower the number of new tokens (--max-new-tokens).",
            )


def make_cases(
    model: Model,
    task: Task,
    questions: Sequence[Question],
    sampling: Sampling = Sampling(),
    seed: int = 0,
    *,
    samples: int = 1,
    with_counterfactuals: bool = True,
) -> list[Case]:
    """Sample chains of thought for `questions`, choose a stem, and return the cases, ready for edited versions.

    A chain that cannot be used is left out.

    Args:
        model: the model that writes the chains and answers.
        task: the task that words the prompts.
        questions: the questions.
        sampling: how tokens are drawn.
        seed: the seed of the chains and of the counterfactual questions.
        samples: the number of chains for each question.
        with_counterfactuals: whether a chain is sampled for the counterfactual of each question too.

    Returns:
        A case for each usable chain, in the order of the questions.

    Raises:
        TaskError: not a task, or no list of questions.
        ModelError: not a model, it wrote no usable chain of thought, or it answers under none of the task's stems.
    """
    check_model(model)
    check_type(task, Task, "the task", _TASK_FIX, TaskError)
    check_elements(questions, Question, "the argument questions", _QUESTIONS_FIX, TaskError)
    if not questions:
        raise TaskError("at least one question is needed, got none", _QUESTIONS_FIX)
    chains = sample_chains(
        model, task, questions, sampling, seed, samples=samples, with_counterfactuals=with_counterfactuals
    )
    stem = choose_stem(model, task, chains).stem
    return [chain.with_stem(model, stem) for chain in chains if isinstance(chain, Case)]


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
    sampler: Sampler = OWN,
) -> list[Chain]:
    """Sample chains of thought, and cut them into steps.

    Args:
        model: the model that writes.
        task: the task that words the prompts.
        questions: the questions.
        sampling: how tokens are drawn.
        seed: the run's seed.
        notify: is called with the number of tokens written so far in each decoding step.
        samples: the number of chains for each question.
        with_counterfactuals: whether a chain is also sampled for the counterfactual question of each question.
        sampler: who draws the tokens.

    Returns:
        `samples` entries for each question, in the order of the questions.
    """
    own = [(q, k) for q in questions for k in range(samples)]
    counterfactuals = {q.id: find_counterfactual(task, q, seed) if with_counterfactuals else None for q in questions}
    other = [(c.question, k) for q, k in own if (c := counterfactuals[q.id]) is not None]
    all_questions = [*own, *other]
    prompts = {q.id: make_question_piece(model, task, q, "cot").ids for q, _ in all_questions}
    drawn = sampler.draw(
        model,
        [prompts[q.id] for q, _ in all_questions],
        [derive_chain_seed(seed, q, k) for q, k in all_questions],
        sampling,
        notify=notify,
    )
    written = {(q.id, k): continuation for (q, k), continuation in zip(all_questions, drawn, strict=True)}
    chains: list[Chain] = []
    for q, k in own:
        counterfactual = counterfactuals[q.id]
        other_continuation = None if counterfactual is None else written[counterfactual.question.id, k]
        chains.append(
            make_chain(model, task, q, written[q.id, k], other_continuation, k, counterfactual_question=counterfactual)
        )
    return chains


def make_chain(
    model: Model,
    task: Task,
    question: Question,
    own: Continuation,
    counterfactual: Continuation | None = None,
    sample: int = 0,
    *,
    counterfactual_question: Counterfactual | None = None,
    segment: Segmenter = split_steps,
) -> Chain:
    """The case of one sampled chain of thought, without a stem; or why the chain cannot be used.

    A counterfactual chain that cannot be used is left out. `counterfactual_question` is the one that it answers;
    `segment` cuts the chain into steps.
    """
    drawn = zip(CHAIN_DRAFTS, (own, counterfactual), strict=True)
    drafts = {name: continuation for name, continuation in drawn if continuation is not None}
    try:
        trace = make_cot_trace(model, own, segment)
    except TraceError as error:
        return FailedChain(question, sample, error.problem, drafts)
    try:
        other = make_cot_trace(model, counterfactual) if counterfactual else None
    except TraceError:
        other = None
    case = make_case(model, task, question, trace, other, sample, counterfactual_question=counterfactual_question)
    return replace(case, drafts=drafts)


def make_cot_trace(model: Model, continuation: Continuation, segment: Segmenter = split_steps) -> Trace:
    """Cut sampled tokens into steps. A last step that the token limit cut off is left out, unless it is the only one.

    The thoughts are cut into steps, and the text after them becomes the trace's `reply`.

    Raises:
        TraceError: the model wrote no chain of thought, did not finish its thoughts, or its tokens are not known.
    """
    if continuation.unusable_reason:
        raise TraceError(continuation.unusable_reason, "Use a sampler that states tokens, or drop this question.")
    prompt, seed = continuation.prompt, continuation.seed
    thoughts, reply, finish = split_thoughts(model, prompt, continuation.ids, continuation.finish)
    return replace(split_chain(model, prompt, thoughts, finish, seed, segment), reply=reply)


def split_chain(
    model: Model,
    prompt: Sequence[int],
    ids: Sequence[int],
    finish: Finish = "stop",
    seed: int = 0,
    segment: Segmenter = split_steps,
) -> Trace:
    """Cut the tokens of a chain of thought into steps. A last step that was cut off is left out, unless it is the only
    one.

    Raises:
        TraceError: there is no chain of thought.
    """
    trace = make_trace(model, prompt, ids, segment, finish, seed)
    if finish == "length" and len(trace.steps) > 1:
        return replace(trace, pieces=trace.pieces[:-1], texts=trace.texts[:-1])
    return trace


def choose_stem(model: Model, task: Task, chains: Sequence[Chain], *, backend: Backend = "packed") -> ChosenStem:
    """The stem under which the options hold most of the model's probability, tried on a few finished chains.

    How able a model seems can depend on the stem alone, so every stem is tried.

    Args:
        model: the model.
        task: the task, which offers the stems.
        chains: the chains on which the stems are tried.
        backend: "packed" or "separate", as for `fl.execute`.

    Returns:
        The stem, with the mean probability that the options hold under it.

    Raises:
        ModelError: under every stem the options hold less than `MIN_COVERAGE` of the probability, or no chain of
            thought can be used.
        ConfigError: there is no such backend.
    """
    check_choice(backend, BACKENDS, "backend")
    cases = [chain for chain in chains if isinstance(chain, Case)]
    finished = [case for case in cases if case.trace.finish == "stop"] or cases
    tried = list(try_stems(model, task, finished[:N_TRIED_CHAINS], backend))
    best = max(tried, key=lambda chosen: chosen.coverage, default=None)
    if best is not None and best.coverage >= MIN_COVERAGE:
        return best
    if best is None:
        reasons = dict.fromkeys(chain.reason for chain in chains if isinstance(chain, FailedChain))
        problem = "; ".join([f"{model.name} wrote no chain of thought for {task.name} that can be answered", *reasons])
    else:
        problem = (
            f"{model.name} does not answer {task.name}: under the best of {len(tried)} answer stems, "
            f"{best.stem.text!r}, the options hold {best.coverage:.0%} of its probability, and {MIN_COVERAGE:.0%} "
            "is needed"
        )
    fix = "Use another task or another form of it, or another model."
    if model.thinking or best is None:
        fix = f"Give the model more new tokens (--max-new-tokens). {fix}"
    raise ModelError(problem, fix)


def try_stems(model: Model, task: Task, cases: Sequence[Case], backend: Backend) -> Iterator[ChosenStem]:
    """Each of the task's stems that the tokenizer can write, with the mean coverage of the options under it."""
    for stem in task.stems if cases else ():
        try:
            answerable = [case.with_stem(model, stem) for case in cases]
        except TraceError:
            continue
        plan = plan_passes(model, [make_full_cot(case) for case in answerable])
        held = [option_coverage(record.logprobs) for record in execute(model, plan, backend=backend)]
        yield ChosenStem(stem, sum(held) / len(held))
