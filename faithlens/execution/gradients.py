"""Gradients of a packed pass.

1. Where a gradient is needed, zeros that require one (a leaf) are added, which changes no value.
2. After the pass, the metric is differentiated at all leaves at once.
3. The gradient at a patched row times the step to the donor is its attribution score (attribution patching, Nanda
   2023).

What a condition takes from its donors is a constant: no gradient goes through it. Donors lie in the same packed row,
and may share rows with the condition, so their values are detached where they are read (`overwrite_rows`,
`build_detached_tree`).

For example, a row with the value u = 2 is patched at amount 0 from a donor with the value v = 5, and the metric is the
square of the row. The leaf is 0, the metric (2 + 0)^2, its gradient 4, the step 5 - 2 = 3, and the score 4 * 3 = 12.
The true effect of the patch is 25 - 4 = 21, which is the mean of the scores over amounts from 0 to 1 (integrated
gradients).
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from einops import einsum
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from faithlens.errors import PlanError
from faithlens.plan.condition import Patch
from faithlens.plan.overwrites import OverwrittenRows
from faithlens.plan.packing import PackedPass


class PatchLeaf(NamedTuple):
    """Zeros that were added to the rows of a patch; `step` is the donor's value minus the own one."""

    writing: OverwrittenRows
    leaf: Float[Tensor, "row d_model"]
    step: Float[Tensor, "row d_model"]


class FlowGate(NamedTuple):
    """Zeros that were added to the weight of each span in each read row; `owner` is the number of the row's reader."""

    layer: int
    owner: Int[Tensor, " row"]
    leaf: Float[Tensor, "head row span"]


class Gradients:
    """The leaves of one pass, and after `differentiate` the gradients at them.

    The metric is summed over all conditions. So a gradient belongs to one condition only at rows that no other has.
    """

    def __init__(self, packed: PackedPass, weights: Sequence[float]) -> None:
        self.packed, self.weights = packed, weights
        self._leaves: list[PatchLeaf] = []
        self._gates: list[FlowGate] = []
        self._gradients: tuple[Tensor, ...] = ()

    def add_leaf(
        self,
        writing: OverwrittenRows,
        new: Float[Tensor, "row d_model"],
        step: Float[Tensor, "row d_model"],
    ) -> Float[Tensor, "row d_model"]:
        """The patched rows, with a leaf."""
        self._leaves.append(PatchLeaf(writing, torch.zeros_like(new, requires_grad=True), step))
        return new + self._leaves[-1].leaf

    def add_gate(
        self, layer: int, owner: Int[Tensor, " row"], flow: Float[Tensor, "head row span d_head"]
    ) -> Float[Tensor, "head row d_head"]:
        """Leaves on the weights of `flow`; the zeros that they add to the output of each read row."""
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
    def _owners(self) -> tuple[Int[ndarray, " pos"], Int[ndarray, " pos"]]:
        """For each packed row, how many conditions have it, and the index of the last of them."""
        counts, last = np.zeros(len(self.packed), np.int64), np.full(len(self.packed), -1)
        for placed in self.packed.placements:
            rows = placed.path[:]
            counts[rows] += 1
            last[rows] = placed.index
        return counts, last

    def find_owner(self, rows: Int[ndarray, " row"], what: str) -> int:
        """The index of the only condition that has `rows`.

        Raises:
            PlanError: several conditions have them, so their gradients would add up.
        """
        counts, last = self._owners
        owners = {int(owner) for owner in np.unique(last[rows]) if owner >= 0}
        if len(owners) != 1 or counts[rows].max() > 1:
            n = sum(bool(np.isin(placed.path[:], rows).any()) for placed in self.packed.placements)
            raise PlanError(
                f"the gradient at {what} is not of one condition: {n} conditions share its rows, so their gradients"
                " would add up",
                "Let each condition patch its own amount, or run the conditions in plans of their own.",
            )
        return owners.pop()

    def get_patch_scores(self, index: int) -> dict[Patch, Float[Tensor, " pos"]]:
        """Gradient times step for each token of each patch of condition `index`, over all its layers.

        Patches that are equal have one score, which is the sum of theirs.
        """
        return self._patch_scores.get(index, {})

    @cached_property
    def _patch_scores(self) -> dict[int, dict[Patch, Float[Tensor, " pos"]]]:
        out: dict[int, dict[Patch, Tensor]] = {}
        for (writing, _, step), gradient in zip(self._leaves, self._gradients, strict=False):
            edit = writing.edit
            assert isinstance(edit, Patch)
            start, stop = edit.locate_source()
            score = (gradient * step).sum(-1).float().cpu()
            for number, row in enumerate(writing.targets.tolist()):  # levels may have cut the patch into parts
                if self._owners[0][row]:  # other rows belong to donors only, whose values are constants
                    patches = out.setdefault(self.find_owner(np.array([row]), "a patch"), {})
                    patches.setdefault(edit, score.new_zeros(stop - start))[int(writing.offsets[number])] += score[
                        number
                    ]
        return out

    def list_gates(self) -> Iterator[tuple[int, Int[Tensor, " row"], Float[Tensor, "head row span"]]]:
        """For each group of read rows: the layer, the reader of each row, and the gradients at the gates."""
        for (layer, owner, _), gradient in zip(self._gates, self._gradients[len(self._leaves) :], strict=True):
            yield layer, owner, gradient
