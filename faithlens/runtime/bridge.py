"""The reference backend: one TransformerLens forward a condition, with nothing shared and every pattern formed.

Slow on purpose. It is the oracle that the packed pass is held against, and the door to all of TransformerLens.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from einops import reduce
from jaxtyping import Float
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge
from transformers import DynamicCache

from faithlens.runtime.capture import Capture, Record, comparable
from faithlens.runtime.condition import (
    Component,
    Condition,
    Cut,
    Graft,
    Mark,
    Overwrite,
    Patch,
    Where,
    Write,
    averaged,
)
from faithlens.runtime.geometry import active
from faithlens.runtime.model import Lens
from faithlens.runtime.overwrite import new_values, step_to_donor
from faithlens.runtime.plan import Plan

Hook = tuple[str | Callable, Callable]  # TransformerLens' own: a hook point's name, and a function of its tensor
Place = tuple[Component, int]  # a component in a layer
HOOKS: dict[Component, str] = {
    "resid_pre": "blocks.{}.hook_resid_pre",
    "attn_out": "blocks.{}.hook_attn_out",
    "mlp_out": "blocks.{}.hook_mlp_out",
    "z": "blocks.{}.attn.hook_z",
    "resid_post": "blocks.{}.hook_resid_post",
}


def bridge_of(lens: Lens) -> TransformerBridge:
    """A TransformerBridge on the same weights: modules are rebuilt, parameters and buffers are shared."""
    shared = {id(t): t for t in (*lens.model.parameters(), *lens.model.buffers())}
    shell = copy.deepcopy(lens.model, shared)
    tokenizer = copy.deepcopy(lens.tokenizer)
    # without these TransformerLens fetches the tokenizer anew, by name, to have it prepend BOS
    tokenizer.init_kwargs |= {"name_or_path": lens.name, "add_bos_token": True}
    return TransformerBridge.boot_transformers(
        lens.name, hf_model=shell, tokenizer=tokenizer, device=str(lens.device), dtype=lens.model.dtype
    )


def run_separate(lens: Lens, plan: Plan, capture: Capture) -> list[Record]:
    """Run a plan one sequence at a time through TransformerLens; one record a condition, in the plan's order."""
    with torch.set_grad_enabled(bool(capture.attribution)):
        return [run_condition(lens, condition, capture) for condition in plan.conditions]


@dataclass
class Sequence:
    """One sequence run through TransformerLens, and what hooks kept of it.

    Attributes:
        logits: of every position.
        kept: activations by place, [pos, d_model]; of z, its heads side by side.
        patterns: each layer's attention pattern, [head, pos, pos].
        cache: each layer's keys and values.
        read: for each stretch of rows that read the same, where it ends and the values it read in each layer.
        leaves: for each patch, where gradients are taken: (leaf, step to the donor).
    """

    logits: Tensor
    kept: dict[Place, Tensor] = field(default_factory=dict)
    patterns: dict[int, Tensor] = field(default_factory=dict)
    cache: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    read: list[tuple[int, list[Tensor]]] = field(default_factory=list)
    leaves: dict[Patch, tuple[Tensor, Tensor]] = field(default_factory=dict)


def run_condition(lens: Lens, condition: Condition, capture: Capture) -> Record:
    """One condition: a forward for each option of several tokens, one for all options of one token."""
    n = len(condition.ids)
    everywhere: list[Place] = [("resid_post", layer) for layer in range(lens.n_layers)]
    wanted: set[Place] = {*everywhere, *((site.component, site.layer) for site in capture.activations)}
    runs: dict[tuple[int, ...], Sequence] = {}
    for option in condition.options:
        if option[:-1] not in runs:
            runs[option[:-1]] = run_sequence(lens, condition, option[:-1], wanted if not runs else set())
    scores = []
    for option in condition.options:
        logprobs = runs[option[:-1]].logits[n - 1 :].float().log_softmax(-1)
        scores.append(logprobs[range(len(option)), list(option)].sum())
    logprobs, first = torch.stack(scores), next(iter(runs.values()))
    compared = compare(lens, condition, first) if capture.compare and condition.reference else None
    return Record(
        condition,
        logprobs.detach().cpu(),
        attention={r: pooled(condition, first, rows) for r, rows in capture.rows(condition).items()},
        flow={r: flows(lens, condition, first, rows) for r, rows in capture.rows(condition, capture.flow).items()},
        lens={r: looked(lens, condition, first, rows[-1]) for r, rows in capture.rows(condition, capture.lens).items()},
        cosine=compared[0] if compared else None,
        relative_l2=compared[1] if compared else None,
        activations={
            site: first.kept[site.component, site.layer][slice(*condition.span(site.span))].detach().float().cpu()
            for site in capture.activations
            if isinstance(site.span, tuple) or site.span in condition.spans
        },
        attribution=attributed(list(runs.values()), capture, logprobs),
    )


def run_sequence(lens: Lens, condition: Condition, tail: tuple[int, ...], wanted: set[Place]) -> Sequence:
    """A plain TransformerLens forward of one sequence with its edits.

    Rows that read another condition's keys and values are run on a cache in which these have been put; so a sequence
    is run in stretches of rows that read the same.
    """
    ids, marks = condition.ids + tail, condition.marks(lens.structure, tail)
    grafts = [tuple(mark for mark in row if isinstance(mark, Graft)) for row in marks]
    borders = [i for i in range(1, len(ids)) if grafts[i] != grafts[i - 1]]
    whole = Sequence(torch.empty(0))
    for start, stop in zip([0, *borders], [*borders, len(ids)], strict=True):
        cache = DynamicCache()
        for layer, (keys, values) in enumerate(whole.cache):
            keys, values = keys.clone(), values.clone()
            for graft in grafts[start]:
                if active(graft.layers, layer):
                    donor = run_sequence(lens, graft.donor, (), set()).cache[layer]
                    keys[:, :, graft.start : graft.stop] = donor[0][:, :, graft.start : graft.stop]
                    values[:, :, graft.start : graft.stop] = donor[1][:, :, graft.start : graft.stop]
            cache.update(keys, values, layer)
        part = Sequence(torch.empty(0), read=whole.read, leaves=whole.leaves)
        hooks = [*cutting(lens, marks, start, stop), *writing(lens, marks, start, stop, part)]
        hooks += keeping(lens, wanted, part)
        tokens = torch.tensor([ids[start:stop]], device=lens.device)
        positions = torch.arange(start, stop, device=lens.device)[None]
        part.logits = lens.bridge.run_with_hooks(
            tokens, fwd_hooks=hooks, past_key_values=cache, use_cache=True, position_ids=positions
        )[0]
        whole = joined(whole, part, cache)
        whole.read.append((stop, [values for _, values in contents(cache)]))
    return whole


def contents(cache: DynamicCache) -> list[tuple[Tensor, Tensor]]:
    """Each layer's keys and values."""
    return [(layer.keys, layer.values) for layer in cache.layers]  # type: ignore[attr-defined, misc]


def joined(before: Sequence, after: Sequence, cache: DynamicCache) -> Sequence:
    """Two stretches of one sequence as one. Of the cache, only what the later stretch added is its own."""
    new = contents(cache)
    if not before.cache:
        return Sequence(after.logits, after.kept, after.patterns, new, after.read, after.leaves)
    n = before.logits.shape[0]
    wide = after.logits.shape[0] + n
    patterns = {
        layer: torch.cat([torch.nn.functional.pad(pattern, (0, wide - n)), after.patterns[layer]], 1)
        for layer, pattern in before.patterns.items()
    }
    return Sequence(
        torch.cat([before.logits, after.logits]),
        {place: torch.cat([x, after.kept[place]]) for place, x in before.kept.items()},
        patterns,
        [
            (torch.cat([k, a[:, :, n:]], 2), torch.cat([v, b[:, :, n:]], 2))
            for (k, v), (a, b) in zip(before.cache, new, strict=True)
        ],
        after.read,
        after.leaves,
    )


def cutting(lens: Lens, marks: list[tuple[Mark, ...]], start: int, stop: int) -> list[Hook]:
    """Hooks that set the scores of cut edges to minus infinity, after the model's own mask, where there are any."""
    hooks: list[Hook] = []
    for layer in range(lens.n_layers):
        cut = torch.zeros(stop - start, stop, dtype=torch.bool, device=lens.device)
        for query in range(start, stop):
            for mark in marks[query]:
                if isinstance(mark, Cut) and active(mark.layers, layer):
                    cut[query - start, mark.start : mark.stop] = True
        if cut.any():
            hooks.append(
                (
                    f"blocks.{layer}.attn.hook_attn_scores",
                    lambda scores, hook, cut=cut: scores.masked_fill(cut, -torch.inf),
                )
            )
    return hooks


def writing(lens: Lens, marks: list[tuple[Mark, ...]], start: int, stop: int, part: Sequence) -> list[Hook]:
    """Hooks that overwrite activations of the rows `start .. stop - 1`, edit by edit."""
    rows: dict[Overwrite, list[tuple[int, int]]] = {}
    for i in range(start, stop):
        for mark in marks[i]:
            if isinstance(mark, Write):
                rows.setdefault(mark.edit, []).append((i - start, mark.offset))
    hooks: list[Hook] = []
    for edit, found in rows.items():
        targets, offsets = (torch.tensor(each) for each in zip(*found, strict=True))
        for layer in range(lens.n_layers):
            if not active(edit.layers, layer):
                continue
            source = sources(lens, edit, layer)
            source = source[offsets] if isinstance(edit, Patch) else source

            def write(
                x: Tensor,
                hook: object,
                edit: Overwrite = edit,
                layer: int = layer,
                targets: Tensor = targets,
                offsets: Tensor = offsets,
                source: Tensor = source,
            ) -> Tensor:
                flat = x.flatten(2).clone()
                own = flat[0, targets]
                given = source.to(own) if len(source) else own[:0]
                new = new_values(edit, layer, own, given, offsets, lens.n_heads)
                if isinstance(edit, Patch) and torch.is_grad_enabled():
                    step = step_to_donor(edit, layer, own, given, offsets, lens.n_heads)
                    new = new.detach().requires_grad_()
                    part.leaves[edit] = (new, step)
                flat[0, targets] = new
                return flat.view_as(x)

            hooks.append((HOOKS[edit.component].format(layer), write))
    return hooks


@torch.no_grad()
def sources(lens: Lens, edit: Overwrite, layer: int) -> Tensor:
    """The activations that an edit's values come from, in one layer."""
    place: Place = (edit.component, layer)
    if isinstance(edit, Patch):
        kept = run_sequence(lens, edit.donor, (), {place}).kept[place]
        return kept[slice(*edit.donor.span(edit.span if edit.at is None else edit.at))]
    distinct: dict[object, Tensor] = {}  # a token that several conditions share counts once
    for donor in averaged(edit):
        kept = run_sequence(lens, donor, (), {place}).kept[place]
        cells = list(zip(donor.ids, donor.marks(lens.structure), strict=True))
        for i, row in enumerate(kept):
            distinct.setdefault(tuple(cells[: i + 1]), row)
    return torch.stack(list(distinct.values())) if distinct else torch.zeros(0, 1)


def keeping(lens: Lens, wanted: set[Place], part: Sequence) -> list[Hook]:
    """Hooks that keep activations and every attention pattern."""

    def keep(place: Place) -> Callable:
        def hook(x: Tensor, hook: object) -> None:
            part.kept[place] = x[0].flatten(1).clone()

        return hook

    def pattern(layer: int) -> Callable:
        def hook(x: Tensor, hook: object) -> None:
            part.patterns[layer] = x[0].detach().float()

        return hook

    hooks: list[Hook] = [(HOOKS[component].format(layer), keep((component, layer))) for component, layer in wanted]
    if wanted:
        hooks += [(f"blocks.{layer}.attn.hook_pattern", pattern(layer)) for layer in range(lens.n_layers)]
    return hooks


def pooled(condition: Condition, run: Sequence, rows: range) -> Float[Tensor, "layer head span"]:
    """The mean over `rows` of their full patterns, summed over each piece."""
    patterns = torch.stack([run.patterns[layer] for layer in sorted(run.patterns)])[:, :, rows.start : rows.stop]
    mass = [patterns[..., a:b].sum(-1) for a, b in condition.spans.values()]
    return reduce(torch.stack(mass, -1), "layer head row span -> layer head span", "mean").cpu()


def flows(lens: Lens, condition: Condition, run: Sequence, rows: range) -> Float[Tensor, "layer head span"]:
    """The mean over `rows` of the length of what each piece adds to the residual stream through each head."""
    out = []
    for layer in range(lens.n_layers):
        w_o, total = lens.bridge.blocks[layer].attn.W_O.float(), torch.zeros(())
        for row in rows:
            values = next(values for stop, values in run.read if row < stop)[layer][0].float()
            v = values.repeat_interleave(lens.n_heads // values.shape[0], 0)
            read = run.patterns[layer][:, row, None]
            spans = condition.spans.values()
            total = total + torch.cat([(read[..., a:b] @ v[:, a:b] @ w_o).norm(dim=-1) for a, b in spans], -1)
        out.append(total / len(rows))
    return torch.stack(out).detach().cpu()


def looked(lens: Lens, condition: Condition, run: Sequence, row: int) -> Float[Tensor, "layer option"]:
    """The logit lens at one row, among the options' first tokens."""
    first = [option[0] for option in condition.options]
    streams = torch.stack([run.kept["resid_post", layer][row] for layer in range(lens.n_layers)])
    logits = lens.bridge.unembed(lens.bridge.ln_final(streams[None]))[0].float()
    cap = getattr(lens.model.config.get_text_config(), "final_logit_softcapping", None)
    logits = cap * torch.tanh(logits / cap) if cap else logits
    return logits[:, first].log_softmax(-1).detach().cpu()


def compare(lens: Lens, condition: Condition, run: Sequence) -> tuple[Tensor, Tensor]:
    """Cosine and relative distance of each piece's block outputs from the reference's."""
    assert condition.reference is not None
    places: set[Place] = {("resid_post", layer) for layer in range(lens.n_layers)}
    beside = run_sequence(lens, condition.reference, (), places)
    cosine, distance = (torch.full((lens.n_layers, len(condition.pieces)), torch.nan) for _ in range(2))
    for i, (a, b), (c, d) in comparable(condition):
        for layer in range(lens.n_layers):
            ours, theirs = run.kept["resid_post", layer][a:b].float(), beside.kept["resid_post", layer][c:d].float()
            lengths = theirs.norm(dim=-1) * ours.norm(dim=-1)  # of a zeroed row 0: its cosine is undefined
            cosine[layer, i] = ((theirs * ours).sum(-1) / lengths).mean()
            own = theirs.norm(dim=-1).where(theirs.norm(dim=-1) > 0, torch.nan)  # nothing is a fraction of 0
            distance[layer, i] = ((theirs - ours).norm(dim=-1) / own).mean()
    return cosine, distance


def attributed(runs: list[Sequence], capture: Capture, logprobs: Tensor) -> dict[Where, Tensor]:
    """Gradient of the metric times the step to the donor, for each token of each patch, over all options' runs."""
    leaves = [(edit, leaf, step) for run in runs for edit, (leaf, step) in run.leaves.items()]
    if not (capture.attribution and leaves):
        return {}
    metric = (torch.tensor(capture.attribution) * logprobs.cpu()).sum()
    gradients = torch.autograd.grad(metric, [leaf for _, leaf, _ in leaves], allow_unused=True)
    out: dict[Where, Tensor] = {}
    for (edit, _, step), gradient in zip(leaves, gradients, strict=True):
        score = (gradient * step).sum(-1).float().cpu()
        out[edit.span] = out[edit.span] + score if edit.span in out else score
    return out
