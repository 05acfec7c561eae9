"""Conditions, and the plan that runs them: token sequences that share prefixes, packed into few rows.

A condition is a list of named pieces. Editing tokens means listing other pieces; editing the pass itself is a
`Knockout`. Equal prefixes of any conditions, of one trace or of many, become one path of a trie. Everything here is
plain data: it can be made, printed, compared and tested without a model.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from faithlens.errors import PlanError
from faithlens.runtime.structure import Interval, Structure
from faithlens.runtime.trace import Piece

BUDGET = 2048  # tokens a pass: enough to keep the cores busy, few enough for the answers' logits to stay small
Cell = tuple[int, tuple[Interval, ...]]  # a token and what it may not see: cells that are equal share a place


@dataclass(frozen=True)
class Knockout:
    """A hook edit: every attention edge from the rows of piece `reader` to what `read` names is cut, in all layers.

    `read` names pieces, or positions as half-open intervals. The last piece as reader stands for all answer rows:
    its own tokens and those of the options after it.
    """

    reader: str
    read: tuple[str | Interval, ...]


@dataclass(frozen=True)
class Condition:
    """One edited version of a trace, up to the point where it is answered.

    Attributes:
        name: what was done, such as "cut@2"; records come back in the plan's order, so it need not be unique.
        pieces: the tokens, in order; the last piece is the stem that forces the answer.
        options: the token sequences whose log-probabilities are read after the last piece.
        knockouts: attention edges that this condition cuts.
    """

    name: str
    pieces: tuple[Piece, ...]
    options: tuple[tuple[int, ...], ...]
    knockouts: tuple[Knockout, ...] = ()

    @cached_property
    def ids(self) -> tuple[int, ...]:
        """All tokens before the options."""
        return tuple(token for piece in self.pieces for token in piece.ids)

    @cached_property
    def spans(self) -> dict[str, Interval]:
        """Where each piece lies, as half-open positions of this condition's own tokens."""
        ends = list(accumulate((len(piece.ids) for piece in self.pieces), initial=0))
        return {piece.name: (a, b) for piece, a, b in zip(self.pieces, ends, ends[1:], strict=False)}

    @property
    def packed(self) -> int:
        """Tokens this condition takes in a row of its own, at most."""
        return len(self.ids) + sum(len(option) - 1 for option in self.options)

    def hidden(self, structure: Structure) -> list[tuple[Interval, ...]]:
        """For each token, the position intervals it may not attend to: the model's own and the knocked-out."""
        hidden = structure.hidden(self.ids)
        for knockout in self.knockouts:
            cut = tuple(self.span(name) for name in knockout.read)
            for i in range(*self.span(knockout.reader)):
                hidden[i] = hidden[i] + cut
        return hidden

    def span(self, name: str | Interval) -> Interval:
        """Where the piece `name` lies; an interval stands for itself.

        Raises:
            PlanError: this condition has no such piece.
        """
        if isinstance(name, tuple):
            return name
        if name not in self.spans:
            raise PlanError(
                f"piece {name!r} of condition {self.name!r}",
                f"its pieces are {', '.join(self.spans)}",
                "name one of these",
            )
        return self.spans[name]

    def sequences(self, structure: Structure) -> list[list[Cell]]:
        """The cells to run, one list an option: the option's last token is predicted, never read."""
        body = list(zip(self.ids, self.hidden(structure), strict=True))
        last = self.pieces[-1].name
        cut = tuple(self.span(name) for k in self.knockouts if k.reader == last for name in k.read)
        return [body + self.tail(option[:-1], structure, cut) for option in self.options]

    def tail(self, ids: tuple[int, ...], structure: Structure, cut: tuple[Interval, ...]) -> list[Cell]:
        """The cells of an option's tokens, which see no more than the stem before them."""
        hidden = structure.hidden(self.ids + ids)[len(self.ids) :] if ids else []
        return [(token, own + cut) for token, own in zip(ids, hidden, strict=True)]


@dataclass(frozen=True)
class Placed:
    """Where a condition lies in a packed row.

    Attributes:
        index: which of the plan's conditions this is.
        path: the packed index of each of its tokens, in its own order.
        reads: for each option, the (packed index, token) pairs whose log-probabilities add up to the option's.
    """

    index: int
    path: tuple[int, ...]
    reads: tuple[tuple[tuple[int, int], ...], ...]


@dataclass(frozen=True)
class Pass:
    """One packed row: what the model is run on."""

    ids: tuple[int, ...]
    depth: tuple[int, ...]
    visible_until: tuple[int, ...]
    hidden: tuple[tuple[Interval, ...], ...]
    placed: tuple[Placed, ...]


@dataclass(frozen=True)
class Plan:
    """Conditions, and the packed rows that run them."""

    conditions: tuple[Condition, ...]
    passes: tuple[Pass, ...]

    @property
    def tokens(self) -> int:
        """Tokens the model is run on."""
        return sum(len(p.ids) for p in self.passes)

    @property
    def tokens_apart(self) -> int:
        """Tokens the model would be run on, one forward a condition."""
        return sum(len(c.ids) for c in self.conditions)

    def describe(self) -> str:
        """What will run, in one line."""
        return (
            f"{len(self.conditions)} conditions in {len(self.passes)} passes: {self.tokens} tokens"
            f" instead of {self.tokens_apart} ({1 - self.tokens / self.tokens_apart:.0%} saved)"
        )


class Trie:
    """A growing trie of cells. Node 0 is the root, which holds no token."""

    def __init__(self) -> None:
        self.cells: list[Cell] = [(-1, ())]
        self.depth: list[int] = [-1]
        self.children: list[dict[Cell, int]] = [{}]

    def __len__(self) -> int:
        return len(self.cells) - 1

    def insert(self, cells: Sequence[Cell]) -> list[int]:
        """The nodes of a path, made where they are missing."""
        node, path = 0, []
        for depth, cell in enumerate(cells):
            child = self.children[node].get(cell)
            if child is None:
                child = len(self.cells)
                self.cells.append(cell)
                self.depth.append(depth)
                self.children.append({})
                self.children[node][cell] = child
            path.append(child)
            node = child
        return path

    def missing(self, body: Sequence[Cell], tails: int) -> int:
        """How many nodes inserting `body`, with `tails` further cells below its end, would add at most."""
        node, shared = 0, 0
        while shared < len(body) and body[shared] in self.children[node]:
            node = self.children[node][body[shared]]
            shared += 1
        return len(body) - shared + tails

    def order(self) -> list[int]:
        """All nodes but the root, depth first, the first-inserted child first: the trunk stays in one stretch."""
        out, stack = [], [0]
        while stack:
            node = stack.pop()
            out.append(node)
            stack.extend(reversed(self.children[node].values()))
        return out[1:]


def pack(trie: Trie, paths: dict[int, list[list[int]]], conditions: Sequence[Condition]) -> Pass:
    """Lay a trie out in one row. `paths` holds, for each condition's index, the trie nodes of each option's path."""
    order = trie.order()
    place = {node: i for i, node in enumerate(order)}
    until = [0] * len(order)
    for i in reversed(range(len(order))):
        below = trie.children[order[i]].values()
        until[i] = max((until[place[child]] for child in below), default=i + 1)
    placed = []
    for index, by_option in paths.items():
        condition = conditions[index]
        n = len(condition.ids)
        reads = tuple(
            tuple((place[node], token) for node, token in zip(path[n - 1 :], option, strict=True))
            for path, option in zip(by_option, condition.options, strict=True)
        )
        placed.append(Placed(index, tuple(place[node] for node in by_option[0][:n]), reads))
    return Pass(
        ids=tuple(trie.cells[node][0] for node in order),
        depth=tuple(trie.depth[node] for node in order),
        visible_until=tuple(until),
        hidden=tuple(trie.cells[node][1] for node in order),
        placed=tuple(placed),
    )


def compile_plan(
    conditions: Sequence[Condition],
    structure: Structure = Structure(),
    *,
    budget: int = BUDGET,
    context: int | None = None,
) -> Plan:
    """Pack conditions into rows of at most `budget` tokens, in the order given; a longer one has a row of its own.

    `context` is the longest sequence the model can read, in tokens.

    Raises:
        PlanError: a condition has no option to score, or does not fit `context`.
    """
    check(conditions, context)
    passes: list[Pass] = []
    trie, paths = Trie(), dict[int, list[list[int]]]()
    for index, condition in enumerate(conditions):
        sequences = condition.sequences(structure)
        n = len(condition.ids)
        if paths and len(trie) + trie.missing(sequences[0][:n], condition.packed - n) > budget:
            passes.append(pack(trie, paths, conditions))
            trie, paths = Trie(), {}
        paths[index] = [trie.insert(cells) for cells in sequences]
    if paths:
        passes.append(pack(trie, paths, conditions))
    return Plan(tuple(conditions), tuple(passes))


def check(conditions: Sequence[Condition], context: int | None) -> None:
    """Refuse conditions that no packing can run."""
    for c in conditions:
        if not c.options or not all(c.options) or not c.ids:
            raise PlanError(f"condition {c.name!r}", "it has no tokens or no option to score", "give it both")
        longest = len(c.ids) + max(map(len, c.options)) - 1
        if context is not None and longest > context:
            raise PlanError(
                f"condition {c.name!r} of {longest} tokens",
                f"the model reads at most {context}",
                "shorten the prompt or the chain of thought, or use a model with a longer context",
            )
