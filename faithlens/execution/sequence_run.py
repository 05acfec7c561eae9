"""One sequence run through TransformerLens, with the edits of its condition as hooks.

This code is slow and plain on purpose: no computation is shared, and every attention pattern is formed in full. It is
the reference that the packed pass is tested against.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import DynamicCache

from faithlens.errors import ModelError
from faithlens.execution.edits import compute_donor_step, compute_new_values
from faithlens.model.attention_choice import has_recurrent_state
from faithlens.model.model import Model
from faithlens.plan.condition import Component, Condition, Overwrite, Patch, is_active, list_averaged
from faithlens.plan.marks import Cut, Graft, Mark, mark_rows
from faithlens.plan.sites import HOOK_NAMES

Hook = tuple[str | Callable, Callable]  # TransformerLens' own: a hook point's name, and a function of its tensor
Place = tuple[Component, int]  # a component in a layer


class SequencePatchLeaf(NamedTuple):
    """Zeros that were added to patched rows, at `offsets` within the patch's span; `step` is donor minus own value."""

    edit: Patch
    offsets: Tensor
    leaf: Tensor
    step: Tensor


@dataclass
class SequenceRun:
    """The result of one sequence in TransformerLens, and the values that hooks kept.

    Attributes:
        logits: the logits of every position, [pos, vocab].
        activations: activations by place, [pos, d_model]; of z, the heads side by side.
        patterns: the attention pattern of each layer, [head, pos, pos].
        keys_values: the keys and values of each layer.
        values_read: for each stretch of rows that read the same keys: its end, and the values it read in each layer.
        patch_leaves: the leaves of patches, in each layer.
        gates: leaves at the output of the heads of each layer, [pos, d_model].
    """

    logits: Tensor
    activations: dict[Place, Tensor] = field(default_factory=dict)
    patterns: dict[int, Tensor] = field(default_factory=dict)
    keys_values: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    values_read: list[tuple[int, list[Tensor]]] = field(default_factory=list)
    patch_leaves: list[SequencePatchLeaf] = field(default_factory=list)
    gates: list[Tensor] = field(default_factory=list)


def run_sequence(
    model: Model,
    condition: Condition,
    tail: tuple[int, ...],
    places: set[Place],
    *,
    with_patterns: bool = False,
    with_keys: bool = False,
    with_gates: bool = False,
) -> SequenceRun:
    """A plain TransformerLens forward of one sequence with its edits.

    Rows that read the keys and values of another condition run on a cache that holds these. So a sequence is run in
    stretches of rows that read the same keys. Without such rows there is no cache, which a model with a recurrent state
    could not fill.

    Args:
        model: the model.
        condition: what runs.
        tail: tokens of an option after it.
        places: the activations that are kept.
        with_patterns: whether attention patterns are kept.
        with_keys: whether keys and values are kept.
        with_gates: whether there are leaves for gradients at the output of the heads.

    Raises:
        ModelError: the model has no such place in one of the layers, see `check_hooks`.
    """
    ids, marks = condition.ids + tail, mark_rows(condition, model.structure, tail)
    grafts = [tuple(mark for mark in row if isinstance(mark, Graft)) for row in marks]
    borders = [i for i in range(1, len(ids)) if grafts[i] != grafts[i - 1]]
    whole = SequenceRun(torch.empty(0))
    for start, stop in zip([0, *borders], [*borders, len(ids)], strict=True):
        part = SequenceRun(
            torch.empty(0), values_read=whole.values_read, patch_leaves=whole.patch_leaves, gates=whole.gates
        )
        hooks = [*make_cut_hooks(model, marks, start, stop), *make_write_hooks(model, condition, start, stop, part)]
        hooks += make_keep_hooks(model, places, with_patterns, part)
        hooks += make_gate_hooks(model, part) if with_gates else ()
        check_hooks(model, hooks)
        options: dict[str, Any] = {"use_cache": False}
        cache = make_cache(model, whole, grafts[start]) if borders or with_keys else None
        if cache is not None:
            positions = torch.arange(start, stop, device=model.device)[None]
            options = {"past_key_values": cache, "use_cache": True, "position_ids": positions}
        tokens = torch.tensor([ids[start:stop]], device=model.device)
        part.logits = model.bridge.run_with_hooks(tokens, fwd_hooks=hooks, **options)[0]
        if len(part.activations) < len(places) or (cache is not None and len(cache.layers) < model.n_layers):
            raise ModelError(
                f"in {type(model.hf_model).__name__} TransformerLens misses some places, or keeps no keys and values",
                "Run without this edit or capture.",
            )
        whole = join_runs(whole, part, [] if cache is None else get_keys_values(cache))
        if cache is not None:
            whole.values_read.append((stop, [values for _, values in get_keys_values(cache)]))
    return whole


def check_hooks(model: Model, hooks: list[Hook]) -> None:
    """Check that the model has the places of all hooks: without them TransformerLens would raise an error of its own.

    Raises:
        ModelError: it has not; a layer with a recurrent state, for example, has no attention pattern.
    """
    known = model.bridge.hook_dict
    for name in (name for name, _ in hooks if isinstance(name, str) and name not in known):
        _, layer, place = name.split(".", 2)
        layers = [i for i in range(model.n_layers) if f"blocks.{i}.{place}" in known]
        raise ModelError(
            f"layer {layer} of {type(model.hf_model).__name__} has no {place} in TransformerLens, so it cannot be read"
            " or edited there",
            f"Name the layers that have it: {layers}." if layers else "Run without this edit or capture.",
        )


def make_cache(model: Model, before: SequenceRun, grafts: tuple[Graft, ...]) -> DynamicCache:
    """A cache with the keys and values of the rows before, in which those of other conditions are in their places.

    Raises:
        ModelError: some layers have a state that is not keys and values.
    """
    check_hooks(model, [(f"blocks.{layer}.attn.hook_pattern", check_cut) for layer in range(model.n_layers)])
    cache = DynamicCache()
    for layer, (keys, values) in enumerate(before.keys_values):
        keys, values = keys.clone(), values.clone()
        for graft in grafts:
            if is_active(graft.layers, layer):
                donor = run_sequence(model, graft.donor, (), set(), with_keys=True).keys_values[layer]
                keys[:, :, graft.start : graft.stop] = donor[0][:, :, graft.start : graft.stop]
                values[:, :, graft.start : graft.stop] = donor[1][:, :, graft.start : graft.stop]
        cache.update(keys, values, layer)
    return cache


def get_keys_values(cache: DynamicCache) -> list[tuple[Tensor, Tensor]]:
    """The keys and values of each layer."""
    return [(layer.keys, layer.values) for layer in cache.layers]  # type: ignore[attr-defined, misc]


def join_runs(before: SequenceRun, after: SequenceRun, new: list[tuple[Tensor, Tensor]]) -> SequenceRun:
    """Two stretches of one sequence as one. Of the keys and values, only those of the later stretch's rows are new."""
    if not before.keys_values:
        return SequenceRun(
            after.logits, after.activations, after.patterns, new, after.values_read, after.patch_leaves, after.gates
        )
    n = before.logits.shape[0]
    wide = after.logits.shape[0] + n
    patterns = {
        layer: torch.cat([torch.nn.functional.pad(pattern, (0, wide - n)), after.patterns[layer]], 1)
        for layer, pattern in before.patterns.items()
    }
    return SequenceRun(
        torch.cat([before.logits, after.logits]),
        {place: torch.cat([x, after.activations[place]]) for place, x in before.activations.items()},
        patterns,
        [
            (torch.cat([k, a[:, :, n:]], 2), torch.cat([v, b[:, :, n:]], 2))
            for (k, v), (a, b) in zip(before.keys_values, new, strict=True)
        ],
        after.values_read,
        after.patch_leaves,
        after.gates,
    )


def make_cut_hooks(model: Model, marks: list[tuple[Mark, ...]], start: int, stop: int) -> list[Hook]:
    """Hooks that set the scores of cut edges to minus infinity, in the layers with cut edges.

    Raises:
        ModelError: edges are cut in all layers of a model with a recurrent state, which carries what they hide.
    """
    hooks: list[Hook] = []
    cuts = [mark for row in marks[start:stop] for mark in row if isinstance(mark, Cut)]
    if any(mark.layers is None for mark in cuts) and has_recurrent_state(model.hf_model):
        raise ModelError(
            f"{type(model.hf_model).__name__} carries a recurrent state from token to token, so a knockout in all"
            " layers does not hide anything from later tokens",
            "Name the layers whose attention is to be cut (layers=...), and read the effect as that of attention only.",
        )
    for layer in range(model.n_layers):
        cut = torch.zeros(stop - start, stop, dtype=torch.bool, device=model.device)
        for query in range(start, stop):
            for mark in marks[query]:
                if isinstance(mark, Cut) and is_active(mark.layers, layer):
                    cut[query - start, mark.start : mark.stop] = True
        if cut.any():
            scores, pattern = f"blocks.{layer}.attn.hook_attn_scores", f"blocks.{layer}.attn.hook_pattern"
            hooks.append((scores, lambda x, hook, cut=cut: x.masked_fill(cut, -torch.inf)))
            hooks.append((pattern, partial(check_cut, model, cut)))
    return hooks


def check_cut(model: Model, cut: Tensor, pattern: Tensor, hook: object) -> None:
    """Check that cut edges have no weight: for some architectures TransformerLens discards what hooks do to scores.

    Raises:
        ModelError: they have one.
    """
    if pattern[..., cut].any():
        raise ModelError(
            f"attention edges of {type(model.hf_model).__name__} cannot be cut: in TransformerLens this model computes"
            " its attention by itself, and an edit of its scores has no effect",
            "Run knockouts on this model with backend='packed' (--backend packed).",
        )


def make_write_hooks(model: Model, condition: Condition, start: int, stop: int, part: SequenceRun) -> list[Hook]:
    """Hooks that overwrite activations of the rows `start` to `stop - 1`, in the order of the condition's edits."""
    hooks: list[Hook] = []
    for edit in map(condition.complete, condition.edits):
        if not isinstance(edit, Overwrite):
            continue
        first, end = condition.locate(edit.span)
        if max(first, start) >= min(end, stop):
            continue
        rows = torch.arange(max(first, start), min(end, stop))
        targets, offsets = rows - start, rows - first
        for layer in range(model.n_layers):
            if not is_active(edit.layers, layer):
                continue
            source = compute_source(model, edit, layer)
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
                values = source.to(own) if len(source) else own[:0]
                new = compute_new_values(edit, layer, own, values, offsets, model.n_heads)
                if isinstance(edit, Patch) and torch.is_grad_enabled():
                    step = compute_donor_step(edit, layer, own, values, offsets, model.n_heads)
                    part.patch_leaves.append(
                        SequencePatchLeaf(edit, offsets, torch.zeros_like(new, requires_grad=True), step)
                    )
                    new = new + part.patch_leaves[-1].leaf
                flat[0, targets] = new
                return flat.view_as(x)

            hooks.append((HOOK_NAMES[edit.component].format(layer), write))
    return hooks


@torch.no_grad()
def compute_source(model: Model, edit: Overwrite, layer: int) -> Tensor:
    """The source activations of an edit, in one layer."""
    place: Place = (edit.component, layer)
    if isinstance(edit, Patch):
        activations = run_sequence(model, edit.donor, (), {place}).activations[place]
        return activations[slice(*edit.locate_source())]
    distinct: dict[object, Tensor] = {}  # a token that several conditions share is counted once
    for donor in list_averaged(edit):
        activations = run_sequence(model, donor, (), {place}).activations[place]
        symbols = list(zip(donor.ids, mark_rows(donor, model.structure), strict=True))
        for i, row in enumerate(activations):
            distinct.setdefault(tuple(symbols[: i + 1]), row)
    return torch.stack(list(distinct.values())) if distinct else torch.zeros(0, 1)


def make_keep_hooks(model: Model, places: set[Place], with_patterns: bool, part: SequenceRun) -> list[Hook]:
    """Hooks that keep activations, and all attention patterns if they are read."""

    def keep(place: Place) -> Callable:
        def hook(x: Tensor, hook: object) -> None:
            part.activations[place] = x[0].flatten(1).clone()

        return hook

    def keep_pattern(layer: int) -> Callable:
        def hook(x: Tensor, hook: object) -> None:
            part.patterns[layer] = x[0].detach().float()

        return hook

    hooks: list[Hook] = [(HOOK_NAMES[component].format(layer), keep((component, layer))) for component, layer in places]
    if with_patterns:
        hooks += [(f"blocks.{layer}.attn.hook_pattern", keep_pattern(layer)) for layer in range(model.n_layers)]
    return hooks


def make_gate_hooks(model: Model, part: SequenceRun) -> list[Hook]:
    """Hooks that add leaves to the output of the heads, layer by layer."""

    def gate(z: Tensor, hook: object) -> Tensor:
        part.gates.append(torch.zeros_like(z, requires_grad=True))
        return z + part.gates[-1]

    return [(HOOK_NAMES["z"].format(layer), gate) for layer in range(model.n_layers)]
