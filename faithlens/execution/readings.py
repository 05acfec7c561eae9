"""The readings of a packed pass: all that a capture names, reduced layer by layer on the device of the model."""

from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import torch
from einops import einsum, rearrange
from jaxtyping import Float
from torch import Tensor, nn

from faithlens.execution.geometry import Chunk, Geometry
from faithlens.execution.gradients import Gradients
from faithlens.kernels.divergence import divergence
from faithlens.kernels.span_compare import compare_spans
from faithlens.kernels.tree_attention import AttentionOutput, Readout
from faithlens.model.model import Model
from faithlens.plan.capture import Capture, Record, Site, match_pieces
from faithlens.plan.condition import Component, Condition, is_active
from faithlens.plan.packing import PackedPass, Placement
from faithlens.plan.plan import Plan
from faithlens.plan.spellings import list_first_tokens


@dataclass(frozen=True)
class ReaderRows:
    """One reader of one condition, and its packed rows."""

    placed: Placement
    reader: str
    rows: tuple[int, ...]


class Readings:
    """The readings of one pass while it runs, and the records that are made of them."""

    def __init__(self, model: Model, plan: Plan, packed: PackedPass, capture: Capture) -> None:
        self.model, self.plan, self.packed, self.capture = model, plan, packed, capture
        readers = tuple(dict.fromkeys(capture.attention + capture.flow + capture.gradient_flow))
        self.readers = [
            ReaderRows(placed, reader, tuple(placed.path[i] for i in rows))
            for placed in packed.placements
            for reader, rows in capture.locate_readers(plan.conditions[placed.index], readers).items()
        ]
        self.width = max((len(plan.conditions[r.placed.index].pieces) for r in self.readers), default=0)
        self.mass: dict[int, Float[Tensor, "head reading span"]] = {}
        self.flow: dict[int, Float[Tensor, "head reading span"]] = {}
        self.comparisons: dict[int, list[tuple[Tensor, Tensor]]] = {}
        self.logit_lens: dict[tuple[int, str], list[Tensor]] = {}
        self.activations: dict[int, dict[Site, Tensor]] = {}
        self.kl: dict[int, Float[Tensor, " span"]] = {}
        self.gradients = Gradients(packed, capture.attribution)
        self._reader_rows: dict[torch.device, tuple[Tensor, ...]] = {}
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
            rows = [row for r in self.readers for row in r.rows]
            owner = [i for i, r in enumerate(self.readers) for _ in r.rows]
            spans = [self._list_spans(r.placed) for r in self.readers]
            counts = [len(r.rows) for r in self.readers]
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
    def live(self) -> frozenset[int]:
        """The live rows: those whose last-block output is read. The last block ends early for the others."""
        packed, last = self.packed, self.model.n_layers - 1
        if self.capture.attribution:
            return frozenset(range(len(packed.ids)))
        rows = {row for placed in packed.placements for option in placed.reads for row, _ in option}
        for writing in packed.overwrites:
            if writing.edit.component != "resid_pre" and is_active(writing.edit.layers, last):
                rows |= {*writing.targets, *writing.sources}
        for placed in packed.placements:
            condition = self.plan.conditions[placed.index]
            pieces = [range(*condition.locate(site.span)) for site in self._list_sites(condition) if site.layer == last]
            pieces += self.capture.locate_readers(condition, self.capture.logit_lens).values()
            if self.capture.compare or self.capture.divergence:
                pieces += [range(*here) for _, here, _ in match_pieces(condition)]
                rows |= {placed.reference_path[i] for _, _, there in match_pieces(condition) for i in range(*there)}
            rows |= {placed.path[i] for piece in pieces for i in piece}
        # the keys of a reader must be computed before it: a reader below a live row is run with the live rows
        borders = [0] * (len(packed.ids) + 1)
        for row in rows:
            borders[row] += 1
            borders[packed.visible_until[row]] -= 1
        live_above = list(accumulate(borders))
        readers = {row for reading in self.readers for row in reading.rows}
        return frozenset(rows | {row for row in readers if live_above[row] or packed.grafts[row]})

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
        path = torch.tensor(placed.path[interval[0] : interval[1]], device=geometry.device).long()
        return geometry.find_holders(path, layer)

    def keep_block(self, layer: int, geometry: Geometry, stream: Float[Tensor, "pos d_model"]) -> None:
        """Compare conditions with their references, and apply the logit lens to the output of the block."""
        if self.capture.compare:
            self._compare_block(layer, geometry, stream.detach())
        if self.capture.logit_lens:
            self._read_logit_lens(layer, geometry, stream.detach())

    def _compare_block(self, layer: int, geometry: Geometry, stream: Float[Tensor, "pos d_model"]) -> None:
        pairs = [
            (placed, i, here, there)
            for placed in self.packed.placements
            for i, here, there in match_pieces(self.plan.conditions[placed.index])
        ]
        if not pairs:
            return
        here = [row for placed, _, (a, b), _ in pairs for row in placed.path[a:b]]
        there = [row for placed, _, _, (a, b) in pairs for row in placed.reference_path[a:b]]
        own, other = (
            stream[geometry.find_holders(torch.tensor(rows, device=stream.device), layer)] for rows in (here, there)
        )
        ends = torch.tensor([b - a for _, _, (a, b), _ in pairs], device=stream.device).cumsum(0)
        starts = ends.roll(1)
        starts[0] = 0
        compared = compare_spans(other, own, torch.stack([starts, ends], -1))
        for placed in self.packed.placements:
            n = len(self.plan.conditions[placed.index].pieces)
            if self.plan.conditions[placed.index].reference is not None:
                row = (torch.full((n,), torch.nan), torch.full((n,), torch.nan))
                self.comparisons.setdefault(placed.index, []).append(row)
        values = zip(pairs, compared.cosine.cpu(), compared.relative_l2.cpu(), strict=True)
        for (placed, i, _, _), cosine, distance in values:
            rows = self.comparisons[placed.index][-1]
            rows[0][i], rows[1][i] = cosine, distance

    def _read_logit_lens(self, layer: int, geometry: Geometry, stream: Float[Tensor, "pos d_model"]) -> None:
        norm, head = self.model.anatomy.final_norm, self.model.anatomy.unembedding
        to_read = [
            (placed, reader, placed.path[rows[-1]])
            for placed in self.packed.placements
            for reader, rows in self.capture.locate_readers(
                self.plan.conditions[placed.index], self.capture.logit_lens
            ).items()
            if len(rows)
        ]
        rows = geometry.find_holders(torch.tensor([row for *_, row in to_read], device=stream.device), layer)
        normed = norm(stream[rows]).to(head.weight.device)
        first = {p.index: list_first_tokens(self.plan.conditions[p.index]) for p, *_ in to_read}
        for options in dict.fromkeys(first.values()):  # the conditions of one question have the same options
            numbers = [i for i, (placed, *_) in enumerate(to_read) if first[placed.index] == options]
            tokens = [token for own in options for token in own]
            logits = nn.functional.linear(
                normed[numbers], head.weight[tokens], None if head.bias is None else head.bias[tokens]
            )
            logits = head.scale * logits.float()
            logits = head.softcap * torch.tanh(logits / head.softcap) if head.softcap else logits
            if len(tokens) > len(options):
                logits = torch.stack([own.logsumexp(-1) for own in logits.split([*map(len, options)], -1)], -1)
            for i, values in zip(numbers, logits.log_softmax(-1).cpu(), strict=True):
                placed, reader, _ = to_read[i]
                self.logit_lens.setdefault((placed.index, reader), []).append(values)

    def keep_final(self, hidden: Float[Tensor, "pos d_model"]) -> None:
        """Compare the next-token distributions of conditions and their references; at shared rows they are equal."""
        if not self.capture.divergence:
            return
        pairs = [
            (placed.index, i, list(zip(placed.path[slice(*here)], placed.reference_path[slice(*there)], strict=True)))
            for placed in self.packed.placements
            for i, here, there in match_pieces(self.plan.conditions[placed.index])
        ]
        different = [pair for _, _, rows in pairs for pair in rows if pair[0] != pair[1]]
        divergences: dict[tuple[int, int], float] = {}
        if different:
            head = self.model.anatomy.unembedding
            own, other = (hidden[list(rows)].detach().to(head.weight.device) for rows in zip(*different, strict=True))
            kl = divergence(other, own, head.weight, bias=head.bias, scale=head.scale, softcap=head.softcap)
            divergences = dict(zip(different, kl.tolist(), strict=True))
        for placed in self.packed.placements:
            condition = self.plan.conditions[placed.index]
            if condition.reference is not None:
                self.kl[placed.index] = torch.full((len(condition.pieces),), torch.nan)
        for index, i, rows in pairs:
            self.kl[index][i] = sum(divergences.get(pair, 0.0) for pair in rows) / len(rows) if rows else torch.nan

    def make_records(self, answers: dict[int, Float[Tensor, " option"]]) -> dict[int, Record]:
        """One record for each condition, by its index in the plan."""
        self.gradients.differentiate(answers)
        # the numbers of a layer leave their device once, not once for each condition
        pooled = {
            name: torch.stack([kept[layer].cpu() for layer in sorted(kept)])
            for name, kept in (
                ("attention", self.mass),
                ("flow", self.flow),
                ("gradient_flow", self._sum_gradient_flow()),
            )
            if kept
        }
        return {
            placed.index: self._make_record(placed, answers[placed.index].detach(), pooled)
            for placed in self.packed.placements
        }

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

    def _make_record(self, placed: Placement, logprobs: Float[Tensor, " option"], pooled: dict[str, Tensor]) -> Record:
        i, capture = placed.index, self.capture
        compared = self.comparisons.get(i)
        return Record(
            self.plan.conditions[i],
            logprobs,
            attention=self._take_part(pooled.get("attention"), placed, capture.attention),
            flow=self._take_part(pooled.get("flow"), placed, capture.flow),
            logit_lens={
                reader: torch.stack(layers) for (index, reader), layers in self.logit_lens.items() if index == i
            },
            cosine=torch.stack([cosine for cosine, _ in compared]) if compared else None,
            relative_l2=torch.stack([distance for _, distance in compared]) if compared else None,
            activations=self.activations.get(i, {}),
            kl=self.kl.get(i),
            attribution=self.gradients.get_patch_scores(i),
            gradient_flow=self._take_part(pooled.get("gradient_flow"), placed, capture.gradient_flow),
        )

    def _take_part(
        self, pooled: Float[Tensor, "layer head reading span"] | None, placed: Placement, readers: tuple[str, ...]
    ) -> dict[str, Tensor]:
        """The part of one condition: [layer, head, span] for each of `readers`."""
        n = len(self.plan.conditions[placed.index].pieces)
        numbers = [j for j, r in enumerate(self.readers) if r.placed is placed and r.reader in readers]
        return {} if pooled is None else {self.readers[j].reader: pooled[:, :, j, :n].clone() for j in numbers}
