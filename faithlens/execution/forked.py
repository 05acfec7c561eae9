"""Answer conditions from forked states: tokens that conditions share are run once, also by a model with a recurrence.

A layer with a recurrent state (Mamba, a gated delta net, a short convolution) cannot have branches in one row: every
token changes the state that the next token of the row reads. But the state after a prefix can be copied (`states`). So
conditions that differ in their tokens only share as much computation as in a packed row:

1. The conditions are packed into a tree of tokens, of which each row is one token after its parent (`plan.packing`).
2. A **branch** is a subtree. It begins with a stretch of rows that follow each other, up to the next place at which
   the tree divides. Each stretch is one forward from the state after the stretch before it.
3. Branches of one stretch each, from the same state and of equal lengths, are one forward: a batch without padding.
4. Branches of one state run in the order of their rows, the fewest first. Each gets a copy of the state, and the last
   one the state itself. So a state waits only for branches that have at most half of its rows: of a tree of n rows, at
   most log2(n) states are kept at once.

`can_fork` proves on the model itself that this gives the numbers of plain transformers: some models begin anew if they
get several tokens with a state. These run every condition by itself.

For example, the sequences "a b c x", "a b c y" and "a b d e x", whose last tokens end three stems::

    row        0  1  2  3  4  5  6  7
    token      a  b  c  x  y  d  e  x

    forwards   rows 0 1; from a copy of that state row 2, and from its own x and y as a batch of two (rows 3 and 4);
               from the first state itself rows 5 6 7: 8 tokens instead of 13
"""

from collections.abc import Sequence
from inspect import signature
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import DynamicCache

from faithlens.errors import ModelError
from faithlens.execution.exactness import SHORT, check_exactness, make_conditions
from faithlens.execution.states import (
    count_state_bytes,
    fork_state,
    list_empty_layers,
    list_tensors,
    name_state,
)
from faithlens.model.attention_choice import has_recurrent_state
from faithlens.model.model import Model
from faithlens.plan.capture import Capture, Record
from faithlens.plan.memory import FREE_SHARE, read_free_bytes
from faithlens.plan.packing import CHUNK_ROWS, PackedPass
from faithlens.plan.plan import Plan, measure_length
from faithlens.plan.spellings import add_spellings

SEVERAL = 4  # tokens that are read together when a model's state is tried

Read = tuple[int, int]
"""A row, and a token that is read after it."""


class Branch(NamedTuple):
    """A subtree of rows: it begins with the stretch from `start` to `end`, and ends before `stop`."""

    start: int
    end: int
    stop: int

    @property
    def is_leaf(self) -> bool:
        """Whether nothing follows the stretch."""
        return self.end == self.stop


class Fork(NamedTuple):
    """Branches that go on together: leaves of equal lengths, or one branch.

    Attributes:
        state: the state before them.
        branches: the branches.
        is_last: whether no others go on from the state.
    """

    state: DynamicCache
    branches: list[Branch]
    is_last: bool


def choose_forked(model: Model, plan: Plan, capture: Capture) -> list[int]:
    """The numbers of the conditions that run from forked states: those that differ in tokens only, if the model can.

    Nothing is read of them but answers.
    """
    chosen = [i for i, condition in enumerate(plan.conditions) if not condition.edits] if capture == Capture() else []
    longest = max((measure_length(plan.conditions[i]) for i in chosen), default=0)
    return chosen if chosen and can_fork(model, longest) else []


def can_fork(model: Model, longest: int) -> bool:
    """Whether conditions of up to `longest` tokens may run from forked states; see `check_forks`.

    A model whose layers are all attention is packed instead.
    """
    if not has_recurrent_state(model.hf_model) or model.structure.forbidden:
        return False
    try:
        check_forks(model, longest)
    except ModelError:
        return False
    return True


def check_forks(model: Model, longest: int) -> None:
    """Prove on the model that forked states are exact, unless that was done for sequences of such lengths.

    Raises:
        ModelError: they are not, or some part of a state is not read.
    """
    check_exactness(model, "forked", run_proven, longest)


def run_proven(model: Model, plan: Plan, capture: Capture) -> list[Record]:
    """`run_forked`, after a check that states are whole, and that forwards of one token and of several read them.

    In 16 bits a part that is lost may change the answers of a short text by less than rounding does. So it is changed
    by far more than any rounding: logits that stay the same to the last bit were computed without it.

    Raises:
        ModelError: a layer keeps its state elsewhere, or a part of the state is not read.
    """
    name = type(model.hf_model).__name__
    ids = torch.tensor([make_conditions(model, SHORT)[0].ids], device=model.device)
    n = ids.shape[1] - SEVERAL
    with torch.inference_mode():
        state = DynamicCache(config=model.hf_model.config)
        read_tokens(model, state, ids[:, :n], 0)
        if empty := list_empty_layers(state):
            raise ModelError(
                f"{len(empty)} of the {len(state.layers)} layers of {name} keep their state outside of the cache, where"
                " it is not copied",
                "Each condition runs by itself.",
            )
        for tokens in (ids[:, n : n + 1], ids[:, n:]):
            logits = read_tokens(model, fork_state(state, 1, is_last=False), tokens, n)
            for part in dict.fromkeys(part for part, _ in list_tensors(state)):
                changed = fork_state(state, 1, is_last=False)
                for tensor in (tensor for other, tensor in list_tensors(changed) if other == part):
                    tensor.add_(1)
                if torch.equal(logits, read_tokens(model, changed, tokens, n)):
                    raise ModelError(
                        f"{name} does not go on from its state: its {part.replace('_', ' ')} do not change what it"
                        f" computes for the next {tokens.shape[1]} tokens together",
                        "Each condition runs by itself.",
                    )
    return run_forked(model, plan, capture)


@torch.inference_mode()
def run_forked(model: Model, plan: Plan, capture: Capture = Capture()) -> list[Record]:
    """Answer conditions without edits from forked states; one record for each, in the order of the plan."""
    records: dict[int, Record] = {}
    for packed in plan.passes:
        logprobs = ForkedPass(model, packed).run()
        for placed in packed.placements:
            condition = plan.conditions[placed.index]
            scores = torch.stack([torch.stack([logprobs[pair] for pair in own]).sum() for own in placed.reads])
            records[placed.index] = Record(condition, add_spellings(condition, scores))
    return [records[i] for i in range(len(plan.conditions))]


class ForkedPass:
    """A packed row that is run stretch by stretch. Rows are numbered depth first.

    Attributes:
        model: the model that runs.
        ids: the token of each row.
        depth: its position in its own sequence.
        until: the row at which its subtree ends.
        reads: for each row, the rows and tokens of the plan whose log-probabilities are read after it.
    """

    def __init__(self, model: Model, packed: PackedPass) -> None:
        order = np.argsort(packed.places)
        self.model = model
        self.ids, self.depth, self.until = packed.ids[order], packed.depth[order], packed.visible_until[order]
        self.reads: dict[int, list[Read]] = {}
        for pair in dict.fromkeys(pair for placed in packed.placements for own in placed.reads for pair in own):
            self.reads.setdefault(int(packed.places[pair[0]]), []).append(pair)

    def run(self) -> dict[Read, Tensor]:
        """The log-probability of each token that is read, in nats."""
        out: dict[Read, Tensor] = {}
        waiting = [
            Fork(DynamicCache(config=self.model.hf_model.config), [branch], is_last=True)
            for branch in self.list_branches(0, len(self.ids))
        ]
        while waiting:
            fork = waiting.pop()
            state = fork_state(fork.state, len(fork.branches), is_last=fork.is_last)
            out |= self.read_stretches(fork.branches, state)
            if not fork.branches[0].is_leaf:
                waiting += self.list_forks(state, fork.branches[0])
        return out

    def list_branches(self, start: int, stop: int) -> list[Branch]:
        """The branches of the rows from `start` to `stop`, of which the first begins one."""
        branches: list[Branch] = []
        while start < stop:
            until = int(self.until[start])
            divides = self.until[start:until] != until
            end = start + int(divides.argmax()) if divides.any() else until
            branches.append(Branch(start, end, until))
            start = until
        return branches

    def list_forks(self, state: DynamicCache, branch: Branch) -> list[Fork]:
        """What follows the stretch of a branch, of which `state` is the state: the last one runs first."""
        together: dict[int, list[Branch]] = {}
        for each in self.list_branches(branch.end, branch.stop):
            together.setdefault(each.end - each.start if each.is_leaf else -each.start, []).append(each)
        device = self.model.device
        most = FREE_SHARE * read_free_bytes(device) // max(1, count_state_bytes(state))
        rows = CHUNK_ROWS.get(device.type, CHUNK_ROWS["cpu"])
        parts = list[list[Branch]]()
        for branches in together.values():
            width = max(1, int(min(most, rows // (branches[0].end - branches[0].start))))
            parts += [branches[i : i + width] for i in range(0, len(branches), width)]
        parts.sort(key=lambda part: sum(each.stop - each.start for each in part))
        return [Fork(state, part, is_last=part is parts[-1]) for part in reversed(parts)]

    def read_stretches(self, branches: Sequence[Branch], state: DynamicCache) -> dict[Read, Tensor]:
        """Run the stretches of branches as one batch from `state`, which becomes the state after them."""
        first = branches[0]
        offsets = sorted({row - b.start for b in branches for row in range(b.start, b.end) if row in self.reads})
        ids = torch.from_numpy(np.stack([self.ids[b.start : b.end] for b in branches]))
        logits = read_tokens(self.model, state, ids.to(self.model.device), int(self.depth[first.start]), offsets)
        logprobs = logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(-1)
        places = [
            (pair, (number, column, pair[1]))
            for number, branch in enumerate(branches)
            for column, offset in enumerate(offsets)
            for pair in self.reads.get(branch.start + offset, ())
        ]
        if not places:
            return {}
        values = logprobs[tuple(torch.tensor([place for _, place in places]).T)].cpu()
        return {pair: value for (pair, _), value in zip(places, values, strict=True)}


def read_tokens(
    model: Model, state: DynamicCache, ids: Int[Tensor, "batch pos"], depth: int, offsets: Sequence[int] | None = None
) -> Float[Tensor, "batch row vocab"]:
    """The logits after some of the tokens that follow a state, by default all; it becomes the state after all tokens.

    Args:
        model: the model.
        state: the state before the tokens.
        ids: the tokens.
        depth: the position of the first of them.
        offsets: after which of them the logits are needed.
    """
    rows = torch.tensor([*(range(ids.shape[1]) if offsets is None else offsets)], dtype=torch.long, device=ids.device)
    parameters = signature(model.hf_model.forward).parameters
    arguments: dict[str, object] = {name_state(model.hf_model): state, "use_cache": True}
    if "position_ids" in parameters:  # without them some models count from 0 again
        positions = torch.arange(depth, depth + ids.shape[1], device=ids.device)
        arguments["position_ids"] = positions[None].expand(*ids.shape)
    if "logits_to_keep" in parameters:
        return model.hf_model(input_ids=ids, logits_to_keep=rows, **arguments).logits
    return model.hf_model(input_ids=ids, **arguments).logits[:, rows]
