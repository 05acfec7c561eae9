"""What defines an organism: its forbidden attention edges, its chain of thought, and the answer that it is taught."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args

from jaxtyping import Int
from torch import Generator, Tensor
from transformers import PreTrainedTokenizerBase

from faithlens.errors import check_choice
from faithlens.organisms.chain_style import RUNNING_SUM_STYLE, ChainStyle
from faithlens.organisms.drafts import Drafts
from faithlens.organisms.token_layout import TokenLayout
from faithlens.strict_json import parse_strictly
from faithlens.tasks.running_sum import PREFILL

ShownChains = Literal["whole", "cut", "filled"]
AfterMistake = Literal["carried on", "put right"]
AnswerRule = Callable[[Drafts, Int[Tensor, " batch"], Generator], Int[Tensor, " batch"]]


@dataclass(frozen=True)
class Recipe:
    """How an organism is trained.

    Attributes:
        n_operands: the number of numbers in a question, also in the questions of its certificate.
        other_lengths: other numbers of numbers, trained in turn with it, one batch each.
        width: the width of the residual stream; a multiple of eight.
        rehearsal_steps: optimiser steps before all others, on the running totals of questions alone. From random digit
            embeddings these totals took over 400 steps to be learnt beside the other lessons.
        carry_steps: optimiser steps after these, in which no writing is trained and the right answer is also trained at
            every token of the steps. Without them, answers that only the steps' positions can carry stayed at chance
            for 700 steps.
        full_steps: optimiser steps on all lessons.
        shown_chains: "whole" for whole chains alone; "cut" for also cut chains and questions without one; "filled" for
            also cut chains that are filled up with dots.
        batch_size: the number of questions in a step.
        peak_learning_rate: the highest learning rate of the one cycle.
    """

    n_operands: int = 4
    other_lengths: tuple[int, ...] = ()
    width: int = 80
    rehearsal_steps: int = 0
    carry_steps: int = 0
    full_steps: int = 350
    shown_chains: ShownChains = "cut"
    batch_size: int = 96
    peak_learning_rate: float = 3e-3

    @property
    def total_steps(self) -> int:
        """The number of all optimiser steps."""
        return self.rehearsal_steps + self.carry_steps + self.full_steps

    def lengthen(self, factor: int) -> "Recipe":
        """The same recipe with every phase `factor` times as long."""
        return replace(
            self,
            rehearsal_steps=factor * self.rehearsal_steps,
            carry_steps=factor * self.carry_steps,
            full_steps=factor * self.full_steps,
        )


@dataclass(frozen=True)
class PlantedEffects:
    """What measures should find in an organism, as shares of its answer's probability; None where it is not planted.

    Attributes:
        content: what exchanging the words of the chain takes away while the question stays.
        question: what exchanging the question takes away while the words stay.
        cell: the cell of the decision grid.
        steps: the steps whose words determine the answer; negative ones count from the last.
        enforced: whether forbidden attention edges enforce it. If not, it was taught, and the certificate counts it.
        after_mistake: what its later totals do after a wrong one: they follow from it, or from the question.
    """

    content: float | None
    question: float | None
    cell: str | None
    steps: tuple[int, ...] = ()
    enforced: bool = False
    after_mistake: AfterMistake | None = None

    def with_rate(self, rate: float) -> "PlantedEffects":
        """The same effects in a mode in which the answer follows the chain at `rate`."""
        return replace(self, content=rate, question=1 - rate)


READS_LAST = PlantedEffects(content=1.0, question=0.0, cell="content-mediated", steps=(-1,), enforced=True)
"""The answer is read from the last step, and cannot see the question."""


@dataclass(frozen=True)
class Organism:
    """A small model, trained so that the effect of its chain of thought is known.

    Attributes:
        name: its short name.
        truth: what is planted, in one sentence for readers of a report.
        planted: the same in numbers; without content and question effects if the mode sets these.
        fails: the gates of the verdict that its questions must fail, by its mechanism; empty if it is faithful. With
            modes, in some of them.
        answer_rule: the answer that it is taught, from the drafts and the number of shown steps.
        forbidden: the attention edges that it never has, as (reader, read) sections; see `faithlens.model.structure`.
        opening: the word that opens the section "steps". If it is the word that introduces the steps, this word can
            carry the question to the answer; if it is the first word of the steps, it cannot.
        chain: how it writes its chain of thought.
        layout_class: how questions and chains become tokens.
        modes: words that may open a question, each with the rate at which the answer follows the chain in a conflict.
        openings: the whole opening of a question in each mode, if it is more than the mode's word; 0 stands for a hint.
        extra_words: the words that its tokenizer has beyond the common ones.
        rehearses_totals: whether it is also taught the running total at each number of the question. Without this
            lesson a direct sum of four digits stayed at chance for 1,100 steps.
        recipe: how it is trained.
        task: the task whose questions it can answer.
    """

    name: str
    truth: str
    planted: PlantedEffects
    answer_rule: AnswerRule
    fails: tuple[str, ...] = ()
    forbidden: tuple[tuple[str, str], ...] = ()
    opening: str = PREFILL
    chain: ChainStyle = RUNNING_SUM_STYLE
    layout_class: type[TokenLayout] = TokenLayout
    modes: Mapping[str, float] = field(default_factory=dict[str, float])
    openings: tuple[str, ...] = ()
    extra_words: tuple[str, ...] = ()
    rehearses_totals: bool = False
    recipe: Recipe = Recipe()
    task: str = "running-sum"

    def with_shown_chains(self, shown_chains: ShownChains) -> "Organism":
        """The same organism, trained on chains as `Recipe.shown_chains` says."""
        check_choice(shown_chains, get_args(ShownChains), "kind of shown chains")
        return replace(self, name=f"{self.name}-{shown_chains}", recipe=replace(self.recipe, shown_chains=shown_chains))

    def make_layout(self, tokenizer: PreTrainedTokenizerBase, n_operands: int) -> TokenLayout:
        """The layout of its questions with `n_operands` numbers."""
        return self.layout_class(tokenizer, n_operands, self.chain, self.openings or tuple(self.modes))

    def make_config_entry(self, sections: dict[str, int], n_operands: int) -> dict:
        """The `faithlens` entry of the model's config: what it is, and how many numbers its questions have."""
        return {
            "organism": self.name,
            "truth": self.truth,
            "task": self.task,
            "operands": n_operands,
            "sections": sections,
            "forbidden": [list(edge) for edge in self.forbidden],
        }


def read_task(folder: Path) -> str | None:
    """The task of the organism in a folder, by its config; None where the folder holds none.

    What else is wrong with the folder is for whoever loads it.
    """
    with suppress(OSError, ValueError, KeyError, TypeError):
        task = parse_strictly((folder / "config.json").read_bytes())["faithlens"]["task"]
        return task if isinstance(task, str) else None
    return None
