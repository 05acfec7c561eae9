"""What makes an organism: which attention edges it lacks, how it thinks aloud, and which answer it is taught then."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from jaxtyping import Int
from torch import Generator, Tensor
from transformers import PreTrainedTokenizerBase

from faithlens.organisms.chain_style import RUNNING_SUM_STYLE, ChainStyle
from faithlens.organisms.drafts import Drafts
from faithlens.organisms.token_layout import TokenLayout
from faithlens.tasks.running_sum import PREFILL

ShownChains = Literal["whole", "cut", "filled"]
AnswerRule = Callable[[Drafts, Int[Tensor, " batch"], Generator], Int[Tensor, " batch"]]


@dataclass(frozen=True)
class Recipe:
    """How long and how fast an organism is trained.

    Attributes:
        n_operands: how many numbers a question adds up, and its certificate's questions.
        other_lengths: further numbers of numbers that are practised in turn with it, a batch each.
        width: of the residual stream; a multiple of eight.
        rehearsal_steps: optimiser steps before all others, on questions alone, with nothing but the rehearsal of their totals.
            Where digits started anywhere, these took over 400 steps to begin beside the other lessons.
        carry_steps: optimiser steps after these, without the lessons in writing, where the right answer is also taught at
            every token of the steps. Without them, answers that only the steps' positions can carry stayed at chance
            for 700 steps.
        full_steps: optimiser steps on everything.
        shown_chains: which chains it is shown: "whole" ones, also "cut" ones and questions asked without, or beside these some
            that are "filled" up with dots where they are cut.
        batch_size: questions a step.
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
        """All optimiser steps."""
        return self.rehearsal_steps + self.carry_steps + self.full_steps

    def lengthen(self, factor: int) -> "Recipe":
        """The same with every phase so many times as long."""
        return replace(
            self,
            rehearsal_steps=factor * self.rehearsal_steps,
            carry_steps=factor * self.carry_steps,
            full_steps=factor * self.full_steps,
        )


@dataclass(frozen=True)
class PlantedEffects:
    """What measures should find in an organism, in shares of its answer's probability; None where it is left open.

    Attributes:
        content: what exchanging the words of the chain takes away, the question held fixed.
        question: what exchanging the question takes away, the words held fixed.
        cell: the cell of the decision grid.
        steps: the steps whose words the answer goes by; negative ones count from the last.
        enforced: whether missing attention edges make it so. Else it was taught, and the certificate counts it.
    """

    content: float | None
    question: float | None
    cell: str | None
    steps: tuple[int, ...] = ()
    enforced: bool = False

    def with_rate(self, rate: float) -> "PlantedEffects":
        """The same in a mode in which the answer follows the chain at `rate`."""
        return replace(self, content=rate, question=1 - rate)


@dataclass(frozen=True)
class Organism:
    """A small model trained so that what its chain of thought does is known.

    Attributes:
        name: its short name.
        truth: what is planted, in one sentence for a reader of a report.
        planted: the same in numbers; without content and question effects where the mode sets these.
        answer_rule: the answer it is taught, given the drafts and how many steps of each are shown.
        forbidden: the attention edges it never has, as (reader, read) sections; see `faithlens.model.structure`.
        opening: the word that opens the section "steps". With the word that introduces the steps, it is a step's own
            token that carries what the answer reads; with a step's first word, that word before it carries nothing.
        chain: how it thinks aloud.
        layout_class: how its questions and chains become tokens.
        modes: words that may open a question, each with the share of conflicts in which the answer follows the chain.
        openings: all that opens a question in each mode, where it is more than the mode's word; 0 stands for a hint.
        extra_words: what its tokenizer must know beyond the common words.
        rehearses_totals: whether it is also taught the running total at each number of the question. Without this lesson
            a direct sum of four digits stayed at chance for 1,100 steps.
        recipe: how it is trained.
        task: the questions it knows.
    """

    name: str
    truth: str
    planted: PlantedEffects
    answer_rule: AnswerRule
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
        """The same, trained on chains cut and filled as `Recipe.shows` says."""
        return replace(self, name=f"{self.name}-{shown_chains}", recipe=replace(self.recipe, shown_chains=shown_chains))

    def make_layout(self, tokenizer: PreTrainedTokenizerBase, n_operands: int) -> TokenLayout:
        """The layout of its questions about so many numbers."""
        return self.layout_class(tokenizer, n_operands, self.chain, self.openings or tuple(self.modes))

    def make_config_entry(self, sections: dict[str, int], n_operands: int) -> dict:
        """The `faithlens` entry of the model's config: what it is, and the questions of how many numbers it knows."""
        return {
            "organism": self.name,
            "truth": self.truth,
            "task": self.task,
            "operands": n_operands,
            "sections": sections,
            "forbidden": [list(edge) for edge in self.forbidden],
        }
