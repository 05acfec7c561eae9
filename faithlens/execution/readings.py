"""The readings of a packed pass: all that a capture names, reduced layer by layer on the device of the model.

1. During the pass each layer writes into buffers of all layers: what readers attend to (`readers`), the rows of the
   logit lens (`logit_lens`), and the comparison with references (`matched`).
2. After the pass the numbers leave the device together (`fetch`), and are distributed to the records.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from faithlens.execution.geometry import Chunk, Geometry
from faithlens.execution.gradients import Gradients
from faithlens.execution.logit_lens import LogitLens
from faithlens.execution.matched import MatchedPieces, RowComparison
from faithlens.execution.readers import Readers
from faithlens.kernels.divergence import divergence
from faithlens.kernels.tree_attention import Readout
from faithlens.kernels.tree_attention.tree import find_queries
from faithlens.model.model import Model
from faithlens.plan.capture import Capture, Record, Site
from faithlens.plan.condition import Component
from faithlens.plan.plan import Plan
from faithlens.plan.spellings import add_spellings


class Readings:
    """The readings of one pass while it runs, and the records that are made of them."""

    def __init__(
        self, model: Model, plan: Plan, geometry: Geometry, capture: Capture, matched: MatchedPieces | None
    ) -> None:
        self.model, self.plan, self.packed, self.capture = model, plan, geometry.packed, capture
        self.geometry = geometry
        self.readers = Readers(model, plan, geometry, capture)
        self.logit_lens = LogitLens(model, plan, geometry, capture)
        self.matched = matched
        self.comparison: RowComparison | None = None
        if capture.compare and matched is not None and matched.pieces:
            self.comparison = RowComparison(matched, geometry)
        self.activations: dict[int, dict[Site, Tensor]] = {}
        self.kl: dict[int, Float[Tensor, " span"]] = {}
        self.gradients = Gradients(self.packed, capture.attribution)

    def get_readout(self, layer: int, chunk: Chunk) -> Readout | None:
        """The rows of the chunk whose attention is read in `layer`, with the pieces of their conditions as spans."""
        return self.readers.get_readout(layer, chunk)

    def get_mass(self, layer: int, like: Float[Tensor, "head ..."]) -> Float[Tensor, "head reader span"]:
        """Where the attention of `layer` is added."""
        return self.readers.get_buffer("attention", layer, like)

    def keep_flow(
        self,
        layer: int,
        chunk: Chunk,
        readout: Readout,
        out: Float[Tensor, "head query d_head"],
        flow: Float[Tensor, "head row span d_head"],
    ) -> Float[Tensor, "head query d_head"]:
        """Keep flow; the same output, with a leaf for gradients on the weight with which rows take from each piece."""
        if self.capture.flow:
            self.readers.keep_flow(layer, readout, flow.detach())
        if not self.capture.gradient_flow:
            return out
        added = self.gradients.add_gate(layer, readout.readers.to(out.device), flow.detach())
        return out.index_add(1, find_queries(chunk.rows, readout.rows).to(out.device), added)

    def list_places(self) -> set[tuple[Component, int]]:
        """The components and layers whose raw activations are kept."""
        return {(site.component, site.layer) for site in self.capture.activations}

    def keep_activations(self, layer: int, component: Component, x: Float[Tensor, "pos d_model"]) -> None:
        """Keep the raw activations of the capture's sites."""
        if (component, layer) not in self.list_places():
            return
        for placed in self.packed.placements:
            condition = self.plan.conditions[placed.index]
            for site in self.capture.list_sites(condition):
                if (site.component, site.layer) == (component, layer):
                    path = placed.path[slice(*condition.locate(site.span))]
                    rows = torch.from_numpy(self.geometry.find_holders(path, layer)).to(x.device)
                    self.activations.setdefault(placed.index, {})[site] = x[rows].detach().float().cpu()

    def keep_block(self, layer: int, stream: Float[Tensor, "pos d_model"]) -> None:
        """Read the output of a block: for the comparison with references, and for the logit lens."""
        if self.comparison is not None:
            self.comparison.keep_block(layer, stream.detach())
        self.logit_lens.keep_block(layer, stream.detach())

    def keep_final(self, hidden: Float[Tensor, "pos d_model"]) -> None:
        """Compare the next-token distributions of conditions and their references; at shared rows they are equal."""
        matched = self.matched
        if not self.capture.divergence or matched is None:
            return
        kl = np.zeros(len(matched.rows))
        different = (matched.rows != matched.reference_rows).nonzero()[0]
        if len(different):
            head, pairs = self.model.anatomy.unembedding, np.stack([matched.rows, matched.reference_rows])[:, different]
            pairs, which = np.unique(pairs, axis=1, return_inverse=True)
            own, other = (hidden[torch.from_numpy(rows).to(hidden.device)].detach() for rows in pairs)
            own, other = own.to(head.weight.device), other.to(head.weight.device)
            each = divergence(other, own, head.weight, bias=head.bias, scale=head.scale, softcap=head.softcap)
            kl[different] = each.double().cpu().numpy()[which.reshape(-1)]
        lengths = np.diff(matched.ends, prepend=0)
        sums = np.bincount(np.repeat(np.arange(len(lengths)), lengths), kl, len(lengths))
        means = torch.from_numpy(sums / np.where(lengths, lengths, np.nan))
        self.kl = {index: own[0] for index, own in matched.spread(means[None]).items()}

    def make_records(self, scores: Float[Tensor, " sequence"]) -> dict[int, Record]:
        """One record for each condition, by its index in the plan, given the log-probabilities of all sequences."""
        if self.capture.attribution:
            scores = scores.cpu()
            self.gradients.differentiate(self._add_up(scores))
            self.readers.sum_gradient_flow(self.gradients)
        pooled, compared = self.readers.list_buffers(), self.comparison.list_buffers() if self.comparison else []
        logits = self.logit_lens.read()
        read = [] if logits is None else [logits]
        values = iter(fetch([scores.detach(), *pooled.values(), *compared, *read]))
        answers = self._add_up(next(values))
        whole: dict[str, Tensor] = {}
        for (what, _), part in zip(pooled, values):  # noqa: B905  the other numbers follow
            whole[what] = whole[what] + part if what in whole else part  # zeros for layers on another device
        rowwise = [next(values) for _ in compared]
        cosine, distance = self.comparison.average(rowwise) if self.comparison else ({}, {})
        lens = self.logit_lens.list_readings(next(values)) if read else {}
        records = {}
        for placed in self.packed.placements:
            condition, capture = self.plan.conditions[placed.index], self.capture
            attention, flow, gradient_flow = (
                self.readers.take_part(whole.get(what), placed, len(condition.pieces), names)
                for what, names in (
                    ("attention", capture.attention),
                    ("flow", capture.flow),
                    ("gradient flow", capture.gradient_flow),
                )
            )
            records[placed.index] = Record(
                condition,
                answers[placed.index],
                attention=attention,
                flow=flow,
                logit_lens=lens.get(placed.index, {}),
                cosine=cosine.get(placed.index),
                relative_l2=distance.get(placed.index),
                activations=self.activations.get(placed.index, {}),
                kl=self.kl.get(placed.index),
                attribution=self.gradients.get_patch_scores(placed.index),
                gradient_flow=gradient_flow,
            )
        return records

    def _add_up(self, scores: Float[Tensor, " sequence"]) -> dict[int, Float[Tensor, " option"]]:
        """The log-probabilities of the options of each condition, by its index in the plan."""
        placements = self.packed.placements
        each = scores.split([len(placed.reads) for placed in placements])
        return {
            placed.index: add_spellings(self.plan.conditions[placed.index], own.clone())
            for placed, own in zip(placements, each, strict=True)
        }


def fetch(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The tensors on the host; those of one device by one copy."""
    out = dict[int, Tensor]()
    for device in dict.fromkeys(tensor.device for tensor in tensors):
        own = [i for i, tensor in enumerate(tensors) if tensor.device == device]
        if device.type == "cpu" or len(own) == 1:
            out |= {i: tensors[i].cpu() for i in own}
            continue
        whole = torch.cat([tensors[i].flatten() for i in own]).cpu()
        parts = whole.split([tensors[i].numel() for i in own])
        out |= {i: part.view(tensors[i].shape) for i, part in zip(own, parts, strict=True)}
    return [out[i] for i in range(len(tensors))]
