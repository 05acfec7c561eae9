"""The traces that are timed: real words, cut to exact lengths, so that every model has the same work."""

from dataclasses import replace
from itertools import cycle, islice

from faithlens.model.model import Model
from faithlens.model.trace import Piece
from faithlens.plan.condition import Condition

STORY = (
    "Mara runs a small bakery. On Monday she bakes 48 rolls and sells 31 of them. On Tuesday she bakes twice as many "
    "as she had left, gives 9 to the school next door, and packs the others in bags of 5. Each bag costs 3 coins, and "
    "a single roll costs 1 coin. Her cousin buys 4 bags and 2 single rolls and pays with a note of 20 coins. "
)
THOUGHT = " Step {i}: there are {a} rolls now, and {b} more are baked, so in all there are {a} + {b} = {c} rolls."
STEM = "\n\nAnswer: ("
OPTIONS = ("A", "B", "C", "D")


def repeat_tokens(model: Model, text: str, n: int) -> tuple[int, ...]:
    """The first `n` tokens of `text`, repeated if it is too short."""
    return tuple(islice(cycle(model.encode_continuation(text)), n))


def make_full_trace(model: Model, prompt: int, steps: int, step: int, first: int = 17) -> Condition:
    """A finished chain of thought: tokens of the prompt, number of steps, tokens of each; other numbers by `first`."""
    pieces = [Piece("prompt", repeat_tokens(model, STORY, prompt))]
    for i in range(steps):
        a, b = first + 3 * i, 5 + i
        text = THOUGHT.format(i=i + 1, a=a, b=b, c=a + b)
        pieces.append(Piece(f"step {i}", repeat_tokens(model, text, step)))
    options = tuple(model.encode_continuation(option)[:1] for option in OPTIONS)
    return Condition("full", (*pieces, Piece("stem", model.encode_continuation(STEM))), options)


def make_truncations(condition: Condition) -> list[Condition]:
    """The chain of thought cut short after every step, the longest first."""
    *trunk, stem = condition.pieces
    return [replace(condition, name=f"cut@{t - 1}", pieces=(*trunk[:t], stem)) for t in range(len(trunk), 0, -1)]


def split_step_ends(condition: Condition) -> Condition:
    """The same tokens, the last one of every step a piece of its own."""
    prompt, *steps, stem = condition.pieces
    split = [
        piece
        for i, step in enumerate(steps)
        for piece in (Piece(step.name, step.ids[:-1]), Piece(f"end {i}", step.ids[-1:]))
    ]
    return replace(condition, pieces=(prompt, *split, stem))
