"""Gradients of a packed pass: zeros added where one is wanted, so that nothing else in the pass changes."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import torch
from einops import einsum
from jaxtyping import Float, Int
from torch import Tensor

from faithlens.errors import PlanError
from faithlens.plan.condition import Patch
from faithlens.plan.packing import OverwrittenRows, PackedPass


class PatchLeaf(NamedTuple):
    """Zeros added to rows of a patch, number `numbers` of the writing's, which are `step` away from the donor's."""

    writing: OverwrittenRows
    numbers: Int[Tensor, " row"]
    leaf: Float[Tensor, "row d_model"]
    step: Float[Tensor, "row d_model"]


class FlowGate(NamedTuple):
    """Zeros added to the weight of what each read row takes from each span; `owner` says which reading a row is of."""

    layer: int
    owner: Int[Tensor, " row"]
    leaf: Float[Tensor, "head row span"]


class Gradients:
    """The leaves of one pass and, once they are taken, the gradients at them.

    The metric is the sum over all conditions, so a gradient belongs to one of them only at rows that no other has.
    """

    def __init__(self, packed: PackedPass, weights: Sequence[float]) -> None:
        self.packed, self.weights = packed, weights
        self._leaves: list[PatchLeaf] = []
        self._gates: list[FlowGate] = []
        self._gradients: tuple[Tensor, ...] = ()

    def add_leaf(
        self,
        writing: OverwrittenRows,
        mine: Int[Tensor, " row"],
        new: Float[Tensor, "row d_model"],
        step: Float[Tensor, "row d_model"],
    ) -> Float[Tensor, "row d_model"]:
        """Patched rows, number `mine` of the writing's, with a leaf."""
        self._leaves.append(PatchLeaf(writing, mine, torch.zeros_like(new, requires_grad=True), step))
        return new + self._leaves[-1].leaf

    def add_gate(
        self, layer: int, owner: Int[Tensor, " row"], flow: Float[Tensor, "head row span d_head"]
    ) -> Float[Tensor, "head row d_head"]:
        """What leaves on the weights of `flow` add to each read row's output: nothing yet."""
        self._gates.append(FlowGate(layer, owner, flow.new_zeros(flow.shape[:-1]).requires_grad_()))
        return einsum(self._gates[-1].leaf, flow, "h r s, h r s d -> h r d")

    def differentiate(self, answers: dict[int, Float[Tensor, " option"]]) -> None:
        """Differentiate the metric, given the options' log-probabilities of each condition."""
        leaves = [each.leaf for each in (*self._leaves, *self._gates)]
        if leaves:
            weights = torch.tensor(self.weights)
            total = torch.stack([(weights * logprobs).sum() for logprobs in answers.values()]).sum()
            self._gradients = torch.autograd.grad(total, leaves, allow_unused=True, materialize_grads=True)

    @cached_property
    def _owners(self) -> dict[int, set[int]]:
        owners: dict[int, set[int]] = {}
        for placed in self.packed.placements:
            for row in placed.path:
                owners.setdefault(row, set()).add(placed.index)
        return owners

    def find_owner(self, rows: Sequence[int], what: str) -> int:
        """The one condition that has `rows`.

        Raises:
            PlanError: there are others, whose gradients would add up with its own.
        """
        owners = set().union(*(self._owners.get(row, ()) for row in rows))
        if len(owners) != 1:
            raise PlanError(
                f"the gradient at {what}",
                f"{len(owners)} conditions share its rows, so their gradients would add up",
                "let each condition patch its own amount, or run them in plans of their own",
            )
        return owners.pop()

    def get_patch_scores(self, index: int) -> dict[Patch, Float[Tensor, " pos"]]:
        """Gradient times step for each token of each patch of condition `index`, over all its layers."""
        return self._patch_scores.get(index, {})

    @cached_property
    def _patch_scores(self) -> dict[int, dict[Patch, Float[Tensor, " pos"]]]:
        out: dict[int, dict[Patch, Tensor]] = {}
        for (writing, mine, _, step), gradient in zip(self._leaves, self._gradients, strict=False):
            assert isinstance(writing.edit, Patch)
            score = (gradient * step).sum(-1).float().cpu()
            patches = out.setdefault(self.find_owner(writing.targets, "a patch"), {})
            whole = patches.setdefault(writing.edit, score.new_zeros(len(writing.targets)))
            whole.index_add_(0, mine.cpu(), score)  # chunks may have cut the writing into parts
        return out

    def list_gates(self) -> Iterator[tuple[int, Int[Tensor, " row"], Float[Tensor, "head row span"]]]:
        """For each stretch of read rows in a layer, which reading each is of, and the gradients at their gates."""
        for (layer, owner, _), gradient in zip(self._gates, self._gradients[len(self._leaves) :], strict=True):
            yield layer, owner, gradient
