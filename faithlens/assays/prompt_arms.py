"""Answers under prompts other than the question's own, each with a chain of thought or without one.

Such a prompt is called an arm, as in an experiment with several arms.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from faithlens.assays.assay import Records, Setting, TextRequest
from faithlens.assays.cases import split_chain
from faithlens.errors import FaithlensError, TaskError, TraceError
from faithlens.interventions.case import Case
from faithlens.interventions.prompt_pieces import THOUGHTS_BY_STRATEGY, make_prompt_piece
from faithlens.interventions.truncation import make_full_cot, make_no_cot
from faithlens.measures.answers import choose_option, option_coverage
from faithlens.model.trace import Piece, Trace
from faithlens.plan.condition import Condition
from faithlens.tasks.answer_parsing import states_answer
from faithlens.tasks.biased_prompts import shows_options
from faithlens.tasks.conclusions import find_conclusion
from faithlens.tasks.question import Prompt, Strategy
from faithlens.tasks.values import is_same_answer

CUT_OFF = "the chain of thought under this prompt was cut off; --max-new-tokens allows longer ones"
UNREAD = "the chain of thought under this prompt concludes nothing that can be read, and the model writes no candidate"
LEAST_HELD = 0.5
"""The least probability that the options hold where the chain of a free-form question concludes nothing readable."""
NO_OPTIONS = "the prompt shows no options, so no hint or bias can point to one"


@dataclass(frozen=True)
class PromptArm:
    """One prompt for a case's question.

    Attributes:
        name: the name of its condition, and of the chain of thought written for it.
        prompt: the prompt in tokens.
        strategy: "cot" if a chain of thought is written after it, "no_cot" if not.
    """

    name: str
    prompt: Piece
    strategy: Strategy


@dataclass(frozen=True)
class HintPair:
    """A prompt with a hint or a bias that points to an option, and its plain counterpart.

    Attributes:
        kind: the kind of hint or bias.
        label: the option that it points to.
        hinted: the prompt with the hint.
        plain: its counterpart; None if that is the question's own prompt.
    """

    kind: str
    label: str
    hinted: PromptArm
    plain: PromptArm | None

    @property
    def arms(self) -> list[PromptArm]:
        """The prompts that are not the question's own."""
        return [self.hinted] if self.plain is None else [self.hinted, self.plain]


MakePair = Callable[[Setting, Case, str], HintPair]
"""Makes the prompts of one kind of hint; raises a FaithlensError where the question takes none."""


@runtime_checkable
class PairingAssay(Protocol):
    """An assay whose prompts with a hint or a bias each have a plain counterpart."""

    def list_hint_pairs(self, setting: Setting, case: Case) -> Iterator[HintPair]:
        """The pairs of prompts that the question takes; a chain of thought is written after each."""
        ...


def list_pairs(setting: Setting, case: Case, kinds: Iterable[str], make_pair: MakePair) -> Iterator[HintPair]:
    """The prompts of all kinds that the question takes."""
    for kind in kinds:
        with suppress(FaithlensError):
            yield make_pair(setting, case, kind)


def make_arm(setting: Setting, name: str, prompt: Prompt, strategy: Strategy) -> PromptArm:
    """`prompt` in tokens. The name of an arm without a chain of thought ends in `_no_cot`."""
    named = name if strategy == "cot" else f"{name}_no_cot"
    return PromptArm(named, make_prompt_piece(setting.model, prompt, THOUGHTS_BY_STRATEGY[strategy]), strategy)


def make_own_prompt(setting: Setting, case: Case, strategy: Strategy) -> Prompt:
    """The question's own prompt.

    Raises:
        TaskError: it shows no options that something could point to.
    """
    prompt = setting.task.make_prompt(case.question, strategy)
    if not shows_options(prompt, case.question):
        raise TaskError(NO_OPTIONS, "Use a task whose questions have lettered options, such as arithmetic-mc.")
    return prompt


def request_chains(setting: Setting, case: Case, arms: Iterable[PromptArm]) -> list[TextRequest]:
    """The chains of thought for the arms that have one and leave room for it."""
    return [TextRequest(a.name, (a.prompt,)) for a in arms if a.strategy == "cot" and not is_too_long(setting, case, a)]


def make_conditions_of_both(setting: Setting, case: Case, arms: Iterable[PromptArm]) -> list[Condition]:
    """The question's own prompt and those of the arms, each with and without a chain of thought."""
    return [make_full_cot(case), make_no_cot(case), *make_arm_conditions(setting, case, arms)]


def make_arm_conditions(setting: Setting, case: Case, arms: Iterable[PromptArm]) -> Iterator[Condition]:
    """The condition of each arm. An arm that cannot be answered is left out; `read_answer` then says why."""
    for each in arms:
        with suppress(FaithlensError):
            yield make_arm_condition(setting, case, each)


def make_arm_condition(setting: Setting, case: Case, arm: PromptArm) -> Condition:
    """The condition of one arm.

    Raises:
        TraceError: the arm cannot be answered.
    """
    if arm.strategy == "cot":
        chain = read_chain(setting, case, arm)
        return case.add_conclusion(setting.model, case.make_condition(arm.name, chain.pieces), chain.cot, chain.finish)
    check_arm_room(setting, case, arm)
    return case.make_direct_condition(arm.name, arm.prompt)


def read_chain(setting: Setting, case: Case, arm: PromptArm) -> Trace:
    """The chain of thought that was written for an arm, cut into steps like the question's own.

    Raises:
        TraceError: there is no room, nothing was written, or the chain was cut off, so that an answer after it would
            not be an answer to it.
    """
    check_arm_room(setting, case, arm)
    written = case.generated_texts[arm.name]
    cut_off = CUT_OFF if written.finish == "length" else None
    if reason := written.unusable_reason or cut_off:
        raise TraceError(reason, "Raise the number of new tokens (--max-new-tokens).")
    return split_chain(setting.model, arm.prompt.ids, written.ids, written.finish)


def read_answer(setting: Setting, case: Case, arm: PromptArm, records: Records) -> int:
    """The index of the answer under an arm, among the candidates and then what the arm's chain concludes.

    A model without a block of thoughts states its answer in the text that is the chain. Where it then gives another
    answer after the stem, nobody can say which of the two a user would get.

    Raises:
        TraceError: the arm could not be answered; its chain concludes nothing and no candidate is likely after it; or
            its chain states another answer than the one that is given after it.
    """
    if arm.name not in records:
        make_arm_condition(setting, case, arm)  # raises the reason
    logprobs = records[arm.name].logprobs
    index = choose_option(logprobs)
    if arm.strategy == "no_cot":
        return index
    chain = read_chain(setting, case, arm)
    concluded = find_conclusion(chain.cot, case.question, chain.finish)
    if case.question.form == "free-form" and concluded is None and option_coverage(logprobs) < LEAST_HELD:
        raise TraceError(UNREAD, "Read the chain, which run.drafts holds: it ends without such an answer.")
    is_candidate = index < len(case.candidates)  # any other option is what the chain concludes
    if is_candidate and setting.model.thinking is None and states_answer(chain.cot, case.question):
        answer = case.candidates[index]
        if not is_same_answer(concluded, answer, case.question.decimal_mark):
            stated = concluded or "one that cannot be read"
            problem = f"the chain of thought under this prompt states another answer ({stated}) than is given after it"
            raise TraceError(f"{problem} ({answer})", "Read the chain, which run.drafts holds.")
    return index


def name_answer(setting: Setting, case: Case, arm: PromptArm, index: int) -> str:
    """The answer with the index that `read_answer` gave."""
    if index < len(case.candidates):
        return case.candidates[index]
    chain = read_chain(setting, case, arm)
    return str(find_conclusion(chain.cot, case.question, chain.finish))


def read_own_answer(strategy: Strategy, records: Records) -> int:
    """The index of the candidate with which the question's own prompt was answered."""
    return choose_option(records["full" if strategy == "cot" else "no_cot"].logprobs)


def read_plain_answer(setting: Setting, case: Case, pair: HintPair, records: Records) -> int:
    """The index of the candidate with which the plain counterpart of a hinted prompt was answered.

    Raises:
        TraceError: it could not be answered.
    """
    if pair.plain is None:
        return read_own_answer(pair.hinted.strategy, records)
    return read_answer(setting, case, pair.plain, records)


def read_plain_chain(setting: Setting, case: Case, pair: HintPair) -> Trace:
    """The chain of thought that was written under the plain counterpart of a hinted prompt.

    Raises:
        TraceError: there is no room, nothing was written, or the thoughts are unfinished.
    """
    return case.trace if pair.plain is None else read_chain(setting, case, pair.plain)


def check_arm_room(setting: Setting, case: Case, arm: PromptArm) -> None:
    """Refuse an arm whose prompt leaves no room.

    Raises:
        TraceError: prompt, chain of thought and answer are longer than the model's context.
    """
    if is_too_long(setting, case, arm):
        raise TraceError(
            f"the prompt leaves no room in the {setting.model.context_length} tokens that the model reads",
            "Lower the number of new tokens (--max-new-tokens), or use shorter questions.",
        )


def is_too_long(setting: Setting, case: Case, arm: PromptArm) -> bool:
    """Whether prompt, chain of thought and answer are longer than the model's context."""
    new = setting.sampling.find_limit(setting.model) if arm.strategy == "cot" else 0
    return not case.has_room_after(setting.model, len(arm.prompt.ids) + new)
