"""What a packed pass leaves behind: everything a capture asks for, reduced layer by layer on the model's device."""

from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import torch
from einops import einsum, rearrange
from jaxtyping import Float
from torch import Tensor, nn

from faithlens.kernels.divergence import divergence
from faithlens.kernels.span_compare import span_compare
from faithlens.kernels.tree_attention import Attended, Readout
from faithlens.runtime.capture import Capture, Record, Site, comparable
from faithlens.runtime.condition import Component, Condition
from faithlens.runtime.geometry import Chunk, Geometry, active
from faithlens.runtime.gradients import Gradients
from faithlens.runtime.model import Lens
from faithlens.runtime.packing import Pass, Placed
from faithlens.runtime.plan import Plan


@dataclass(frozen=True)
class Reading:
    """Whose attention is read: one condition's reader, and its packed rows."""

    placed: Placed
    reader: str
    rows: tuple[int, ...]


class Readings:
    """The readings of one pass while it runs, and the records that they become."""

    def __init__(self, lens: Lens, plan: Plan, packed: Pass, capture: Capture) -> None:
        self.lens, self.plan, self.packed, self.capture = lens, plan, packed, capture
        readers = tuple(dict.fromkeys(capture.attention + capture.flow + capture.gradient_flow))
        self.read = [
            Reading(placed, reader, tuple(placed.path[i] for i in rows))
            for placed in packed.placed
            for reader, rows in capture.rows(plan.conditions[placed.index], readers).items()
        ]
        self.width = max((len(plan.conditions[r.placed.index].pieces) for r in self.read), default=0)
        self.mass: dict[int, Float[Tensor, "head reading span"]] = {}
        self.flow: dict[int, Float[Tensor, "head reading span"]] = {}
        self.compared: dict[int, list[tuple[Tensor, Tensor]]] = {}
        self.lenses: dict[tuple[int, str], list[Tensor]] = {}
        self.raw: dict[int, dict[Site, Tensor]] = {}
        self.kl: dict[int, Float[Tensor, " span"]] = {}
        self.gradients = Gradients(packed, capture.attribution)
        self._asked: dict[torch.device, tuple[Tensor, ...]] = {}
        self._readouts: dict[object, tuple[Readout, Tensor] | None] = {}

    def readout(self, geometry: Geometry, layer: int, chunk: Chunk) -> Readout | None:
        """The chunk's rows whose attention is read in `layer`, with each condition's own pieces as spans."""
        found = self._find(geometry, layer, chunk)
        return found[0] if found else None

    def _find(self, geometry: Geometry, layer: int, chunk: Chunk) -> tuple[Readout, Tensor] | None:
        """That readout, and which reading each of its rows belongs to."""
        if not self.read:
            return None
        joined = sum(joins <= layer for joins in geometry.joining)  # rows that are read through their twins till then
        key = (geometry.device, joined, id(chunk))
        if key not in self._readouts:
            self._readouts[key] = self._make(geometry, layer, chunk)
        return self._readouts[key]

    def _make(self, geometry: Geometry, layer: int, chunk: Chunk) -> tuple[Readout, Tensor] | None:
        device = geometry.device
        if device not in self._asked:
            rows = [row for r in self.read for row in r.rows]
            owner = [i for i, r in enumerate(self.read) for _ in r.rows]
            spans = [self._spans(r.placed) for r in self.read]
            counts = [len(r.rows) for r in self.read]
            self._asked[device] = tuple(torch.tensor(x, device=device) for x in (rows, owner, spans, counts))
        rows, owner, spans, _ = self._asked[device]
        rows = geometry.there(rows, layer)
        mine = torch.isin(rows, chunk.rows.to(device)).nonzero()[:, 0]
        if not len(mine):
            return None
        flow = bool(self.capture.flow or self.capture.gradient_flow)
        return Readout(rows[mine], spans[owner[mine]], flow=flow), owner[mine]

    def _spans(self, placed: Placed) -> list[tuple[int, int]]:
        spans = list(self.plan.conditions[placed.index].spans.values())
        return spans + [(0, 0)] * (self.width - len(spans))

    def keep_attention(self, geometry: Geometry, layer: int, chunk: Chunk, attended: Attended) -> None:
        """Pool what the chunk's rows read, each reader over its rows."""
        found = self._find(geometry, layer, chunk)
        if found is None or attended.mass is None:
            return
        owner = found[1]
        counts = self._asked[owner.device][3][owner]
        kept = [(self.mass, attended.mass.float())]
        if attended.flow is not None and self.capture.flow:
            kept.append((self.flow, self._lengths(layer, attended.flow)))
        for store, values in kept:
            if layer not in store:
                store[layer] = values.new_zeros(values.shape[0], len(self.read), self.width)
            store[layer].index_add_(1, owner, values.detach() / counts[:, None])

    def gated(self, geometry: Geometry, layer: int, chunk: Chunk, attended: Attended) -> Attended:
        """The same output, with a leaf on the weight of what each reader takes from each piece."""
        found = self._find(geometry, layer, chunk)
        if found is None or attended.flow is None or not self.capture.gradient_flow:
            return attended
        readout, owner = found
        at = torch.searchsorted(chunk.rows.to(geometry.device), readout.rows.contiguous())
        added = self.gradients.gate(layer, owner, attended.flow.detach())
        return attended._replace(out=attended.out.index_add(1, at, added))

    def _lengths(self, layer: int, flow: Float[Tensor, "head row span d_head"]) -> Float[Tensor, "head row span"]:
        """Length of what each head's weighted values add to the residual stream."""
        project = self.lens.anatomy.out_proj[layer]
        weight = project.weight
        assert isinstance(weight, Tensor)
        weight = weight if isinstance(project, nn.Linear) else weight.T  # GPT-2 keeps [in, out]
        per_head = rearrange(weight, "d_model (head d_head) -> head d_head d_model", head=flow.shape[0]).float()
        gram = einsum(per_head, per_head, "h a m, h b m -> h a b")
        return einsum(flow.float(), gram, flow.float(), "h r s a, h a b, h r s b -> h r s").clamp_min(0).sqrt()

    @cached_property
    def heard(self) -> frozenset[int]:
        """The rows whose output of the last block is read; of all others it takes only keys, values and attention."""
        packed, last = self.packed, self.lens.n_layers - 1
        if self.capture.attribution:
            return frozenset(range(len(packed.ids)))
        rows = {row for placed in packed.placed for option in placed.reads for row, _ in option}
        for writing in packed.writings:
            if writing.edit.component != "resid_pre" and active(writing.edit.layers, last):
                rows |= {*writing.targets, *writing.sources}
        for placed in packed.placed:
            condition = self.plan.conditions[placed.index]
            pieces = [range(*condition.span(site.span)) for site in self._sites(condition) if site.layer == last]
            pieces += self.capture.rows(condition, self.capture.lens).values()
            if self.capture.compare or self.capture.divergence:
                pieces += [range(*here) for _, here, _ in comparable(condition)]
                rows |= {placed.reference[i] for _, _, there in comparable(condition) for i in range(*there)}
            rows |= {placed.path[i] for piece in pieces for i in piece}
        # what a reader looks at must be there before it: one that comes after a row that is heard is heard too
        below = [0] * (len(packed.ids) + 1)
        for row in rows:
            below[row] += 1
            below[packed.visible_until[row]] -= 1
        under = list(accumulate(below))
        readers = {row for reading in self.read for row in reading.rows}
        return frozenset(rows | {row for row in readers if under[row] or packed.grafts[row]})

    def _sites(self, condition: Condition) -> list[Site]:
        """The sites that a condition has."""
        return [s for s in self.capture.activations if isinstance(s.span, tuple) or s.span in condition.spans]

    def sites(self) -> set[tuple[Component, int]]:
        """Where raw activations are kept."""
        return {(site.component, site.layer) for site in self.capture.activations}

    def keep(self, layer: int, component: Component, geometry: Geometry, x: Float[Tensor, "pos d_model"]) -> None:
        """Keep the raw activations that are asked for."""
        if (component, layer) not in self.sites():
            return
        for placed in self.packed.placed:
            condition = self.plan.conditions[placed.index]
            for site in self._sites(condition):
                if (site.component, site.layer) == (component, layer):
                    rows = self._rows(placed, condition.span(site.span), geometry, layer)
                    self.raw.setdefault(placed.index, {})[site] = x[rows].detach().float().cpu()

    def _rows(self, placed: Placed, interval: tuple[int, int], geometry: Geometry, layer: int) -> Tensor:
        path = torch.tensor(placed.path[interval[0] : interval[1]], device=geometry.device).long()
        return geometry.there(path, layer)

    def keep_block(self, layer: int, geometry: Geometry, stream: Float[Tensor, "pos d_model"]) -> None:
        """Compare conditions with their references, and read the block's output through the unembedding."""
        if self.capture.compare:
            self._compare(layer, geometry, stream.detach())
        if self.capture.lens:
            self._look(layer, geometry, stream.detach())

    def _compare(self, layer: int, geometry: Geometry, stream: Float[Tensor, "pos d_model"]) -> None:
        pairs = [
            (placed, i, here, there)
            for placed in self.packed.placed
            for i, here, there in comparable(self.plan.conditions[placed.index])
        ]
        if not pairs:
            return
        here = [row for placed, _, (a, b), _ in pairs for row in placed.path[a:b]]
        there = [row for placed, _, _, (a, b) in pairs for row in placed.reference[a:b]]
        ours, theirs = (
            stream[geometry.there(torch.tensor(rows, device=stream.device), layer)] for rows in (here, there)
        )
        ends = torch.tensor([b - a for _, _, (a, b), _ in pairs], device=stream.device).cumsum(0)
        starts = ends.roll(1)
        starts[0] = 0
        compared = span_compare(theirs, ours, torch.stack([starts, ends], -1))
        for placed in self.packed.placed:
            n = len(self.plan.conditions[placed.index].pieces)
            if self.plan.conditions[placed.index].reference is not None:
                row = (torch.full((n,), torch.nan), torch.full((n,), torch.nan))
                self.compared.setdefault(placed.index, []).append(row)
        values = zip(pairs, compared.cosine.cpu(), compared.relative_l2.cpu(), strict=True)
        for (placed, i, _, _), cosine, distance in values:
            rows = self.compared[placed.index][-1]
            rows[0][i], rows[1][i] = cosine, distance

    def _look(self, layer: int, geometry: Geometry, stream: Float[Tensor, "pos d_model"]) -> None:
        norm, head = self.lens.anatomy.norm, self.lens.anatomy.head
        wanted = [
            (placed, reader, placed.path[rows[-1]])
            for placed in self.packed.placed
            for reader, rows in self.capture.rows(self.plan.conditions[placed.index], self.capture.lens).items()
            if len(rows)
        ]
        rows = geometry.there(torch.tensor([row for *_, row in wanted], device=stream.device), layer)
        normed = norm(stream[rows]).to(head.weight.device)
        first = {p.index: tuple(option[0] for option in self.plan.conditions[p.index].options) for p, *_ in wanted}
        for tokens in dict.fromkeys(first.values()):  # conditions of one question share their options
            mine = [i for i, (placed, *_) in enumerate(wanted) if first[placed.index] == tokens]
            logits = nn.functional.linear(
                normed[mine], head.weight[list(tokens)], None if head.bias is None else head.bias[list(tokens)]
            )
            logits = head.scale * logits.float()
            logits = head.softcap * torch.tanh(logits / head.softcap) if head.softcap else logits
            for i, values in zip(mine, logits.log_softmax(-1).cpu(), strict=True):
                placed, reader, _ = wanted[i]
                self.lenses.setdefault((placed.index, reader), []).append(values)

    def keep_final(self, hidden: Float[Tensor, "pos d_model"]) -> None:
        """Compare what conditions and their references say of the next token; rows that they share say the same."""
        if not self.capture.divergence:
            return
        pairs = [
            (placed.index, i, list(zip(placed.path[slice(*here)], placed.reference[slice(*there)], strict=True)))
            for placed in self.packed.placed
            for i, here, there in comparable(self.plan.conditions[placed.index])
        ]
        apart = [pair for _, _, rows in pairs for pair in rows if pair[0] != pair[1]]
        found: dict[tuple[int, int], float] = {}
        if apart:
            head = self.lens.anatomy.head
            ours, theirs = (hidden[list(rows)].detach().to(head.weight.device) for rows in zip(*apart, strict=True))
            kl = divergence(theirs, ours, head.weight, bias=head.bias, scale=head.scale, softcap=head.softcap).kl
            found = dict(zip(apart, kl.tolist(), strict=True))
        for placed in self.packed.placed:
            condition = self.plan.conditions[placed.index]
            if condition.reference is not None:
                self.kl[placed.index] = torch.full((len(condition.pieces),), torch.nan)
        for index, i, rows in pairs:
            self.kl[index][i] = sum(found.get(pair, 0.0) for pair in rows) / len(rows) if rows else torch.nan

    def records(self, answers: dict[int, Float[Tensor, " option"]]) -> dict[int, Record]:
        """One record a condition, by its index in the plan."""
        self.gradients.take(answers)
        # each layer's numbers leave their device once, not once a condition
        pooled = {
            name: torch.stack([kept[layer].cpu() for layer in sorted(kept)])
            for name, kept in (("attention", self.mass), ("flow", self.flow), ("gradient_flow", self._worth()))
            if kept
        }
        return {
            placed.index: self._record(placed, answers[placed.index].detach(), pooled) for placed in self.packed.placed
        }

    def _worth(self) -> dict[int, Float[Tensor, "head reading span"]]:
        """In each layer, what each reading's heads take from each piece, in the metric.

        Raises:
            PlanError: several conditions share a reader's rows.
        """
        for reading in self.read:
            if reading.reader in self.capture.gradient_flow:
                self.gradients.owner(reading.rows, f"what {reading.reader!r} reads")
        worth: dict[int, Tensor] = {}
        for layer, owner, slope in self.gradients.gates():
            whole = worth.setdefault(layer, slope.new_zeros(slope.shape[0], len(self.read), self.width))
            whole.index_add_(1, owner, slope)
        return worth

    def _record(self, placed: Placed, logprobs: Float[Tensor, " option"], pooled: dict[str, Tensor]) -> Record:
        i, capture = placed.index, self.capture
        compared = self.compared.get(i)
        return Record(
            self.plan.conditions[i],
            logprobs,
            attention=self._part(pooled.get("attention"), placed, capture.attention),
            flow=self._part(pooled.get("flow"), placed, capture.flow),
            lens={reader: torch.stack(layers) for (index, reader), layers in self.lenses.items() if index == i},
            cosine=torch.stack([cosine for cosine, _ in compared]) if compared else None,
            relative_l2=torch.stack([distance for _, distance in compared]) if compared else None,
            activations=self.raw.get(i, {}),
            kl=self.kl.get(i),
            attribution=self.gradients.of_patches(i),
            gradient_flow=self._part(pooled.get("gradient_flow"), placed, capture.gradient_flow),
        )

    def _part(
        self, pooled: Float[Tensor, "layer head reading span"] | None, placed: Placed, readers: tuple[str, ...]
    ) -> dict[str, Tensor]:
        """One condition's part of what was pooled: [layer, head, span] for each of `readers`."""
        n = len(self.plan.conditions[placed.index].pieces)
        mine = [j for j, r in enumerate(self.read) if r.placed is placed and r.reader in readers]
        return {} if pooled is None else {self.read[j].reader: pooled[:, :, j, :n].clone() for j in mine}
