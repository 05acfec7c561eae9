"""What edits mean, written a second time: plain transformers with attention and hooks of its own.

It shares no code with either backend: it reads the fields of conditions and edits, and nothing else. It runs one
condition at a time, and needs a model in float64, inside `NoFloat32`.

1. `Oracle.run` runs one sequence: all donors first, each by itself.
2. `attend` is plain attention with one row of scores for each query, so that each query can have keys of its own.
3. `Oracle.edit` writes the edits of a place one after another, in the order of the list.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, eager_mask

from faithlens.model.model import Model
from faithlens.plan.condition import Ablation, Apply, Condition, KeyValuePatch, Knockout, Patch

NAME = "faithlens_oracle"


@dataclass
class Run:
    """One sequence: what is edited in its attention, and all that it computes."""

    cut: dict[int, list[tuple[range, range]]] = field(default_factory=dict)  # layer -> (rows, hidden positions)
    exchanged: dict[int, list[tuple[range, range, Tensor, Tensor]]] = field(default_factory=dict)
    keys: dict[int, Tensor] = field(default_factory=dict)
    values: dict[int, Tensor] = field(default_factory=dict)
    patterns: dict[int, Tensor] = field(default_factory=dict)
    activations: dict[tuple[str, int], Tensor] = field(default_factory=dict)
    logits: Tensor = field(default_factory=lambda: torch.empty(0))


RUNS: list[Run] = []  # the last one is running


def attend(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None,
    scaling: float | None = None, softcap: float | None = None, s_aux: Tensor | None = None, **others: object,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Attention in which each query has keys and values of its own: [head, query, key] and [head, query, key, d]."""
    run, layer, n_heads, n = RUNS[-1], module.layer_idx, query.shape[1], query.shape[2]

    def spread(x: Tensor) -> Tensor:
        heads = x.repeat_interleave(n_heads // x.shape[0], 0)
        return heads[:, None].expand(-1, n, -1, -1)

    keys, values = spread(key[0]).clone(), spread(value[0]).clone()
    for rows, read, other_keys, other_values in run.exchanged.get(layer, ()):
        for row in rows:
            keys[:, row, read] = spread(other_keys)[:, row, read]
            values[:, row, read] = spread(other_values)[:, row, read]
    scores = (query[0][:, :, None] * keys).sum(-1) * (query.shape[-1] ** -0.5 if scaling is None else scaling)
    scores = scores if softcap is None else softcap * torch.tanh(scores / softcap)
    seen = torch.ones(n, n, dtype=torch.bool).tril()
    if attention_mask is not None:  # holds the window
        seen &= attention_mask[0, 0, :, :n] > -1
    for rows, read in run.cut.get(layer, ()):
        seen[rows.start : rows.stop, read.start : read.stop] = False
    scores = scores.masked_fill(~seen, -torch.inf)
    if s_aux is not None:
        scores = torch.cat([scores, s_aux.to(scores)[:, None, None].expand(-1, n, 1)], -1)
    pattern = scores.softmax(-1)[..., :n]
    run.keys[layer], run.values[layer], run.patterns[layer] = key[0], value[0], pattern
    return torch.einsum("hqk,hqkd->qhd", pattern, values)[None], pattern[None]


AttentionInterface.register(NAME, attend)
ALL_MASK_ATTENTION_FUNCTIONS.register(NAME, eager_mask)


# the blocks of some architectures, and in a block what reads z, what attention adds, and what the MLP adds
PLACES = {
    "AfmoeForCausalLM": ("model.layers", "self_attn.o_proj", "post_attention_layernorm", "post_mlp_layernorm"),
    "DbrxForCausalLM": ("transformer.blocks", "norm_attn_norm.attn.out_proj", "norm_attn_norm.attn", "ffn"),
    "Gemma4ForCausalLM": (
        "model.layers", "self_attn.o_proj", "post_attention_layernorm", "post_feedforward_layernorm",
    ),
    "Glm4ForCausalLM": ("model.layers", "self_attn.o_proj", "post_self_attn_layernorm", "post_mlp_layernorm"),
    "GraniteMoeSharedForCausalLM": ("model.layers", "self_attn.o_proj", "self_attn", "shared_mlp"),
    "Llama4ForCausalLM": ("model.layers", "self_attn.o_proj", "self_attn", "feed_forward"),
    "OPTForCausalLM": ("model.decoder.layers", "self_attn.out_proj", "self_attn", "fc2"),
}  # fmt: skip


def find_modules(hf_model: Any) -> list[dict[str, nn.Module]]:
    """For each layer: the block, the module that reads z, and the modules whose outputs join the residual stream."""
    if type(hf_model).__name__ in PLACES:
        blocks, *names = PLACES[type(hf_model).__name__]
        return [
            {"block": block}
            | {place: block.get_submodule(n) for place, n in zip(("z", "attn_out", "mlp_out"), names, strict=True)}
            for block in hf_model.get_submodule(blocks)
        ]
    base, out = hf_model.base_model, []
    for block in base.h if hasattr(base, "h") else base.layers:
        attention = next(getattr(block, name) for name in ("self_attn", "attention", "attn") if hasattr(block, name))
        project = next(getattr(attention, n) for n in ("o_proj", "c_proj", "dense") if hasattr(attention, n))
        mlp = next(getattr(block, name) for name in ("mlp", "block_sparse_moe") if hasattr(block, name))
        if hasattr(block, "post_feedforward_layernorm"):  # the norms come after, and before the sum
            attention, mlp = block.post_attention_layernorm, block.post_feedforward_layernorm
        out.append({"block": block, "z": project, "attn_out": attention, "mlp_out": mlp})
    return out


class Oracle:
    """Runs conditions in a model in float64."""

    def __init__(self, model: Model) -> None:
        self.hf_model, self.modules = model.hf_model, find_modules(model.hf_model)
        self.n_layers, self.n_heads = len(self.modules), model.hf_model.config.num_attention_heads
        self._runs: dict[object, Run] = {}

    def find_span(self, condition: Condition, name: object) -> range:
        if isinstance(name, tuple):
            return range(*name)
        start = 0
        for piece in condition.pieces:
            if piece.name == name:
                return range(start, start + len(piece.ids))
            start += len(piece.ids)
        raise KeyError(name)

    def run(self, condition: Condition, tail: tuple[int, ...] = ()) -> Run:
        """One sequence with its edits."""
        if (condition, tail) not in self._runs:
            self._runs[condition, tail] = self._run(condition, tail)
        return self._runs[condition, tail]

    def _run(self, condition: Condition, tail: tuple[int, ...]) -> Run:
        ids = [token for piece in condition.pieces for token in piece.ids] + list(tail)
        new, last = Run(), condition.pieces[-1].name
        for edit in condition.edits:
            if isinstance(edit, Patch):
                self.run(edit.donor)
            if isinstance(edit, Ablation):
                for other in edit.over or (replace(condition, edits=(), reference=None),):
                    self.run(other)
            if isinstance(edit, Knockout | KeyValuePatch):
                rows = self.find_span(condition, last if edit.reader == "answer" else edit.reader)
                rows = range(rows.start, len(ids)) if edit.reader in ("answer", last) else rows
                for layer in range(self.n_layers) if edit.layers is None else edit.layers:
                    if isinstance(edit, Knockout):
                        hidden = [(rows, self.find_span(condition, name)) for name in edit.read]
                        new.cut.setdefault(layer, []).extend(hidden)
                        continue
                    donor, read = self.run(edit.donor), self.find_span(condition, edit.read)
                    other = (rows, read, pad(donor.keys[layer], len(ids)), pad(donor.values[layer], len(ids)))
                    new.exchanged.setdefault(layer, []).append(other)
        before, handles = self.hf_model.config._attn_implementation or "eager", []
        self.hf_model.set_attn_implementation(NAME)
        for layer, modules in enumerate(self.modules):
            for place, module in modules.items():
                handles += self._hook(condition, new, place, layer, module)
        RUNS.append(new)
        try:
            new.logits = self.hf_model(torch.tensor([ids]), use_cache=False).logits[0]
        finally:
            RUNS.pop()
            self.hf_model.set_attn_implementation(before)
            for handle in handles:
                handle.remove()
        return new

    def _hook(self, condition: Condition, run: Run, place: str, layer: int, module: nn.Module) -> list[Any]:
        def write(component: str, x: Tensor) -> Tensor:
            run.activations[component, layer] = self.edit(condition, component, layer, x[0])
            return run.activations[component, layer][None]

        def before(module: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
            name = "z" if place == "z" else "resid_pre"
            if args:
                return (write(name, args[0]), *args[1:]), kwargs
            return args, {**kwargs, "hidden_states": write(name, kwargs["hidden_states"])}

        def after(module: nn.Module, args: tuple, out: Any) -> Any:
            name = "resid_post" if place == "block" else place
            block = self.modules[layer]["block"]
            if place == "mlp_out" and hasattr(block, "shared_mlp"):  # the experts are added to it
                experts = block.block_sparse_moe(args[0])
                return write(name, experts + out) - experts
            first = out[0] if isinstance(out, tuple) else out
            new = write(name, first.reshape(1, -1, first.shape[-1])).view(first.shape)  # some have no batch
            return (new, *out[1:]) if isinstance(out, tuple) else new

        handles = []
        if place in ("block", "z"):
            handles.append(module.register_forward_pre_hook(before, with_kwargs=True))
        if place != "z":
            handles.append(module.register_forward_hook(after))
        return handles

    def edit(self, condition: Condition, component: str, layer: int, x: Tensor) -> Tensor:
        """The values of one place [pos, d_model], after the condition's edits."""
        for edit in condition.edits:
            if isinstance(edit, Knockout | KeyValuePatch) or edit.component != component:
                continue
            if edit.layers is not None and layer not in edit.layers:
                continue
            rows = self.find_span(condition, edit.span)
            own, positions = x[rows.start : rows.stop], torch.arange(len(rows))
            if not len(rows):
                continue
            if isinstance(edit, Patch):
                there = self.find_span(edit.donor, edit.span if edit.at is None else edit.at)
                source = self.run(edit.donor).activations[component, layer][there.start : there.stop]
                new = own + edit.amount * (source - own)
            elif isinstance(edit, Apply):
                new = edit.function(own, positions)
            elif edit.how == "zero":
                new = torch.zeros_like(own)
            else:
                others = edit.over or (replace(condition, edits=(), reference=None),)
                source = self.collect_tokens(others, component, layer)
                new = source.mean(0).expand_as(own)
                if edit.how == "noise":
                    drawn = np.random.default_rng((edit.seed, layer)).standard_normal(own.shape)
                    new = own + edit.scale * source.std(correction=0) * torch.from_numpy(drawn)
            if edit.heads is not None:
                parts, others = new.chunk(self.n_heads, -1), own.chunk(self.n_heads, -1)
                new = torch.cat([parts[h] if h in edit.heads else others[h] for h in range(self.n_heads)], -1)
            x = torch.cat([x[: rows.start], new, x[rows.stop :]])
        return x

    def collect_tokens(self, conditions: Sequence[Condition], component: str, layer: int) -> Tensor:
        """The activations of all tokens; a token that several conditions share counts once.

        Conditions share no token from the first edited row on.
        """
        retained: dict[object, Tensor] = {}
        for condition in conditions:
            ids = tuple(token for piece in condition.pieces for token in piece.ids)
            firsts = [len(ids)]
            for edit in condition.edits:
                name = edit.reader if isinstance(edit, Knockout | KeyValuePatch) else edit.span
                firsts.append(self.find_span(condition, condition.pieces[-1].name if name == "answer" else name).start)
            for i, row in enumerate(self.run(condition).activations[component, layer]):
                retained.setdefault((ids[: i + 1], condition.edits if i >= min(firsts) else ()), row)
        return torch.stack(list(retained.values()))

    def score(self, condition: Condition) -> Tensor:
        """The log-probability of each option."""
        n, out = sum(len(piece.ids) for piece in condition.pieces), []
        for option in condition.options:
            logprobs = self.run(condition, option[:-1]).logits.log_softmax(-1)
            out.append(torch.stack([logprobs[n - 1 + i, token] for i, token in enumerate(option)]).sum())
        return torch.stack(out)

    def pool_attention(self, condition: Condition, rows: range) -> Tensor:
        """The attention of `rows` on each piece, as a mean over the rows: [layer, head, piece]."""
        spans = [self.find_span(condition, piece.name) for piece in condition.pieces]
        patterns = [self.run(condition).patterns[layer][:, rows.start : rows.stop] for layer in range(self.n_layers)]
        mass = [torch.stack([p[..., s.start : s.stop].sum(-1).mean(1) for s in spans], -1) for p in patterns]
        return torch.stack(mass)


def pad(x: Tensor, n: int) -> Tensor:
    """`x` [head, pos, d] with `n` positions: what a longer or shorter donor has beyond them is never read."""
    x = x[:, :n]
    return torch.nn.functional.pad(x, (0, 0, 0, n - x.shape[1]))
