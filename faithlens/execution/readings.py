"""The readings of a packed pass: all that a capture names, reduced layer by layer on the device of the model."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from einops import einsum, rearrange
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor, nn

from faithlens.execution.geometry import Chunk, Geometry
from faithlens.execution.gradients import Gradients
from faithlens.execution.matched import MatchedPieces, match_rows
from faithlens.kernels.divergence import divergence
from faithlens.kernels.span_compare import compare_spans
from faithlens.kernels.tree_attention import AttentionOutput, Readout
from faithlens.model.model import Model
from faithlens.plan.capture import Capture, Record, Site
from faithlens.plan.condition import Component, Condition, is_active
from faithlens.plan.packing import PackedPass, Placement
from faithlens.plan.plan import Plan
from faithlens.plan.spellings import Sequences, list_first_tokens


@dataclass(frozen=True)
class ReaderRows:
    """One reader of one condition, and its packed rows."""

    placed: Placement
    reader: str
    rows: Int[ndarray, " row"]


class Readings:
    """The readings of one pass while it runs, and the records that are made of them."""

    def __init__(self, model: Model, plan: Plan, packed: PackedPass, capture: Capture) -> None:
        self.model, self.plan, self.packed, self.capture = model, plan, packed, capture
        readers = tuple(dict.fromkeys(capture.attention + capture.flow + capture.gradient_flow))
        self.readers = [
            ReaderRows(placed, reader, placed.path[rows.start : rows.stop])
            for placed in packed.placements
            for reader, rows in capture.locate_readers(plan.conditions[placed.index], readers).items()
        ]
        self.width = max((len(plan.conditions[r.placed.index].pieces) for r in self.readers), default=0)
        self.mass: dict[int, Float[Tensor, "head reading span"]] = {}
        self.flow: dict[int, Float[Tensor, "head reading span"]] = {}
        self.comparisons: list[Float[Tensor, "two span"]] = []  # cosine and distance, layer by layer
        self.logit_lens: dict[Sequences, list[Float[Tensor, "row option"]]] = {}
        self.activations: dict[int, dict[Site, Tensor]] = {}
        self.kl: dict[int, Float[Tensor, " span"]] = {}
        self.gradients = Gradients(packed, capture.attribution)
        self._reader_rows: dict[torch.device, tuple[Tensor, ...]] = {}
        self._compared_rows: dict[torch.device, tuple[Tensor, ...]] = {}
        self._readouts: dict[object, tuple[Readout, Tensor] | None] = {}

    def get_readout(self, geometry: Geometry, layer: int, chunk: Chunk) -> Readout | None:
        """The rows of the chunk whose attention is read in `layer`, with the pieces of their conditions as spans."""
        pair = self._find_readout(geometry, layer, chunk)
        return pair[0] if pair else None

    def _find_readout(self, geometry: Geometry, layer: int, chunk: Chunk) -> tuple[Readout, Tensor] | None:
        """The same readout, with the number of the reader that each of its rows belongs to."""
        if not self.readers:
            return None
        joined = sum(joins <= layer for joins in geometry.rows_joining)  # before, originals stand for rows
        key = (geometry.device, joined, id(chunk))
        if key not in self._readouts:
            self._readouts[key] = self._make_readout(geometry, layer, chunk)
        return self._readouts[key]

    def _make_readout(self, geometry: Geometry, layer: int, chunk: Chunk) -> tuple[Readout, Tensor] | None:
        device = geometry.device
        if device not in self._reader_rows:
            rows, counts = np.concatenate([r.rows for r in self.readers]), [len(r.rows) for r in self.readers]
            owner, spans = np.repeat(np.arange(len(counts)), counts), [self._list_spans(r.placed) for r in self.readers]
            self._reader_rows[device] = tuple(torch.tensor(x, device=device) for x in (rows, owner, spans, counts))
        rows, owner, spans, _ = self._reader_rows[device]
        rows = geometry.find_holders(rows, layer)
        here = torch.isin(rows, chunk.rows.to(device)).nonzero()[:, 0]
        if not len(here):
            return None
        flow = bool(self.capture.flow or self.capture.gradient_flow)
        return Readout(rows[here], spans[owner[here]], reads_flow=flow), owner[here]

    def _list_spans(self, placed: Placement) -> list[tuple[int, int]]:
        spans = list(self.plan.conditions[placed.index].spans.values())
        return spans + [(0, 0)] * (self.width - len(spans))

    def keep_attention(self, geometry: Geometry, layer: int, chunk: Chunk, attended: AttentionOutput) -> None:
        """Add the attention of the chunk's rows to their readers, as a mean over the rows of each reader."""
        pair = self._find_readout(geometry, layer, chunk)
        if pair is None or attended.mass is None:
            return
        owner = pair[1]
        counts = self._reader_rows[owner.device][3][owner]
        pooled = [(self.mass, attended.mass.float())]
        if attended.flow is not None and self.capture.flow:
            pooled.append((self.flow, self._measure_lengths(layer, attended.flow)))
        for store, values in pooled:
            if layer not in store:
                store[layer] = values.new_zeros(values.shape[0], len(self.readers), self.width)
            store[layer].index_add_(1, owner, values.detach() / counts[:, None])

    def add_gates(self, geometry: Geometry, layer: int, chunk: Chunk, attended: AttentionOutput) -> AttentionOutput:
        """The same output, with a leaf for gradients on the weight with which each reader takes from each piece."""
        pair = self._find_readout(geometry, layer, chunk)
        if pair is None or attended.flow is None or not self.capture.gradient_flow:
            return attended
        readout, owner = pair
        at = torch.searchsorted(chunk.rows.to(geometry.device), readout.rows.contiguous())
        added = self.gradients.add_gate(layer, owner, attended.flow.detach())
        return attended._replace(out=attended.out.index_add(1, at, added))

    def _measure_lengths(
        self, layer: int, flow: Float[Tensor, "head row span d_head"]
    ) -> Float[Tensor, "head row span"]:
        """The length of the vector that the weighted values of each head add to the residual stream."""
        project = self.model.anatomy.out_proj[layer]
        weight = project.weight
        assert isinstance(weight, Tensor)
        weight = weight if isinstance(project, nn.Linear) else weight.T  # GPT-2 keeps [in, out]
        per_head = rearrange(weight, "d_model (head d_head) -> head d_head d_model", head=flow.shape[0]).float()
        gram = einsum(per_head, per_head, "h a m, h b m -> h a b")
        return einsum(flow.float(), gram, flow.float(), "h r s a, h a b, h r s b -> h r s").clamp_min(0).sqrt()

    @cached_property
    def live(self) -> Bool[ndarray, " pos"]:
        """The live rows: those whose last-block output is read. The last block ends early for the others."""
        packed, last = self.packed, self.model.n_layers - 1
        live = np.full(len(packed), bool(self.capture.attribution))
        if live.all():
            return live
        live[[row for placed in packed.placements for option in placed.reads for row, _ in option]] = True
        for writing in packed.overwrites:
            if writing.edit.component != "resid_pre" and is_active(writing.edit.layers, last):
                live[writing.targets] = live[writing.sources] = True
        for placed in packed.placements:
            condition = self.plan.conditions[placed.index]
            pieces = [condition.locate(site.span) for site in self._list_sites(condition) if site.layer == last]
            for start, stop in pieces:
                live[placed.path[start:stop]] = True
            for rows in self.capture.locate_readers(condition, self.capture.logit_lens).values():
                live[placed.path[rows.start : rows.stop]] = True
        if self.capture.compare or self.capture.divergence:
            live[self.matched.rows] = live[self.matched.reference_rows] = True
        # the keys of a reader must be computed before it: a reader below a live row is run with the live rows
        below = np.bincount(live.nonzero()[0], minlength=len(packed) + 1)
        below -= np.bincount(packed.visible_until[live], minlength=len(packed) + 1)
        reads_grafts = np.array([bool(own) for own in packed.grafts])[packed.mark_sets]
        readers = np.zeros(len(packed), bool)
        for reading in self.readers:
            readers[reading.rows] = True
        return live | (readers & ((below.cumsum()[:-1] > 0) | reads_grafts))

    @cached_property
    def matched(self) -> MatchedPieces:
        """The pieces that conditions share with their references."""
        return match_rows(self.plan.conditions, self.packed)

    def _list_sites(self, condition: Condition) -> list[Site]:
        """The sites whose span the condition has."""
        return [s for s in self.capture.activations if isinstance(s.span, tuple) or s.span in condition.spans]

    def list_places(self) -> set[tuple[Component, int]]:
        """The components and layers whose raw activations are kept."""
        return {(site.component, site.layer) for site in self.capture.activations}

    def keep_activations(
        self, layer: int, component: Component, geometry: Geometry, x: Float[Tensor, "pos d_model"]
    ) -> None:
        """Keep the raw activations of the capture's sites."""
        if (component, layer) not in self.list_places():
            return
        for placed in self.packed.placements:
            condition = self.plan.conditions[placed.index]
            for site in self._list_sites(condition):
                if (site.component, site.layer) == (component, layer):
                    rows = self._find_rows(placed, condition.locate(site.span), geometry, layer)
                    self.activations.setdefault(placed.index, {})[site] = x[rows].detach().float().cpu()

    def _find_rows(self, placed: Placement, interval: tuple[int, int], geometry: Geometry, layer: int) -> Tensor:
        path = torch.from_numpy(placed.path[interval[0] : interval[1]]).to(geometry.device)
        return geometry.find_holders(path, layer)

    def keep_block(self, layer: int, geometry: Geometry, stream: Float[Tensor, "pos d_model"]) -> None:
        """Compare conditions with their references, and apply the logit lens to the output of the block."""
        if self.capture.compare:
            self._compare_block(layer, geometry, stream.detach())
        if self.capture.logit_lens:
            self._read_logit_lens(layer, geometry, stream.detach())

    def _compare_block(self, layer: int, geometry: Geometry, stream: Float[Tensor, "pos d_model"]) -> None:
        if not self.matched.pieces:
            return
        device = stream.device
        if device not in self._compared_rows:
            rows, others, ends = self.matched.rows, self.matched.reference_rows, self.matched.ends
            spans = np.stack([np.append(0, ends[:-1]), ends], -1)
            self._compared_rows[device] = tuple(torch.from_numpy(x).to(device) for x in (rows, others, spans))
        rows, others, spans = self._compared_rows[device]
        own, other = (stream[geometry.find_holders(each, layer)] for each in (rows, others))
        compared = compare_spans(other, own, spans)
        self.comparisons.append(torch.stack([compared.cosine, compared.relative_l2]))

    def _read_logit_lens(self, layer: int, geometry: Geometry, stream: Float[Tensor, "pos d_model"]) -> None:
        norm, head = self.model.anatomy.final_norm, self.model.anatomy.unembedding
        rows = geometry.find_holders(self._lens_rows.to(stream.device), layer)
        normed = norm(stream[rows]).to(head.weight.device)
        for options, numbers in self._lens_options.items():
            tokens = [token for own in options for token in own]
            logits = nn.functional.linear(
                normed[numbers], head.weight[tokens], None if head.bias is None else head.bias[tokens]
            )
            logits = head.scale * logits.float()
            logits = head.softcap * torch.tanh(logits / head.softcap) if head.softcap else logits
            if len(tokens) > len(options):
                logits = torch.stack([own.logsumexp(-1) for own in logits.split([*map(len, options)], -1)], -1)
            self.logit_lens.setdefault(options, []).append(logits.log_softmax(-1))

    @cached_property
    def _lens(self) -> list[tuple[Placement, str, int]]:
        """The row at which each reader of each condition is read through the logit lens."""
        return [
            (placed, reader, placed.path[rows[-1]])
            for placed in self.packed.placements
            for reader, rows in self.capture.locate_readers(
                self.plan.conditions[placed.index], self.capture.logit_lens
            ).items()
            if len(rows)
        ]

    @cached_property
    def _lens_rows(self) -> Int[Tensor, " row"]:
        return torch.tensor([row for *_, row in self._lens], dtype=torch.long)

    @cached_property
    def _lens_options(self) -> dict[Sequences, list[int]]:
        """The numbers of the rows with the same options: the conditions of one question have the same."""
        first = {placed.index: list_first_tokens(self.plan.conditions[placed.index]) for placed, *_ in self._lens}
        out: dict[Sequences, list[int]] = {}
        for i, (placed, *_) in enumerate(self._lens):
            out.setdefault(first[placed.index], []).append(i)
        return out

    def keep_final(self, hidden: Float[Tensor, "pos d_model"]) -> None:
        """Compare the next-token distributions of conditions and their references; at shared rows they are equal."""
        if not self.capture.divergence:
            return
        matched = self.matched
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

    def make_records(self, answers: dict[int, Float[Tensor, " option"]]) -> dict[int, Record]:
        """One record for each condition, by its index in the plan."""
        self.gradients.differentiate(answers)
        # the numbers of a layer leave their device once, not once for each condition
        pooled = {
            name: torch.stack([by_layer[layer].cpu() for layer in sorted(by_layer)])
            for name, by_layer in (
                ("attention", self.mass),
                ("flow", self.flow),
                ("gradient_flow", self._sum_gradient_flow()),
            )
            if by_layer
        }
        compared = torch.stack([each.cpu() for each in self.comparisons]).unbind(1) if self.comparisons else ()
        cosine, distance = (self.matched.spread(each) for each in compared) if compared else ({}, {})
        lens = self._list_lens()
        return {
            placed.index: Record(
                self.plan.conditions[placed.index],
                answers[placed.index].detach(),
                attention=self._take_part(pooled.get("attention"), placed, self.capture.attention),
                flow=self._take_part(pooled.get("flow"), placed, self.capture.flow),
                logit_lens=lens.get(placed.index, {}),
                cosine=cosine.get(placed.index),
                relative_l2=distance.get(placed.index),
                activations=self.activations.get(placed.index, {}),
                kl=self.kl.get(placed.index),
                attribution=self.gradients.get_patch_scores(placed.index),
                gradient_flow=self._take_part(pooled.get("gradient_flow"), placed, self.capture.gradient_flow),
            )
            for placed in self.packed.placements
        }

    def _list_lens(self) -> dict[int, dict[str, Float[Tensor, "layer option"]]]:
        """What the logit lens shows of each reader of each condition, by the condition's index."""
        out: dict[int, dict[str, Tensor]] = {}
        for options, numbers in self._lens_options.items() if self.logit_lens else ():
            for i, values in zip(numbers, torch.stack(self.logit_lens[options], 1).cpu(), strict=True):
                placed, reader, _ = self._lens[i]
                out.setdefault(placed.index, {})[reader] = values.clone()
        return out

    def _sum_gradient_flow(self) -> dict[int, Float[Tensor, "head reading span"]]:
        """For each layer, the contribution of each piece to the metric through each head of each reader.

        Raises:
            PlanError: several conditions share the rows of a reader.
        """
        for reading in self.readers:
            if reading.reader in self.capture.gradient_flow:
                self.gradients.find_owner(reading.rows, f"the reader {reading.reader!r}")
        worth: dict[int, Tensor] = {}
        for layer, owner, slope in self.gradients.list_gates():
            whole = worth.setdefault(layer, slope.new_zeros(slope.shape[0], len(self.readers), self.width))
            whole.index_add_(1, owner, slope)
        return worth

    def _take_part(
        self, pooled: Float[Tensor, "layer head reading span"] | None, placed: Placement, readers: tuple[str, ...]
    ) -> dict[str, Tensor]:
        """The part of one condition: [layer, head, span] for each of `readers`."""
        n = len(self.plan.conditions[placed.index].pieces)
        numbers = [j for j in self._reader_numbers.get(placed.index, ()) if self.readers[j].reader in readers]
        return {} if pooled is None else {self.readers[j].reader: pooled[:, :, j, :n].clone() for j in numbers}

    @cached_property
    def _reader_numbers(self) -> dict[int, list[int]]:
        """The numbers of the readers of each condition, by the condition's index."""
        out: dict[int, list[int]] = {}
        for number, reading in enumerate(self.readers):
            out.setdefault(reading.placed.index, []).append(number)
        return out
