"""The separate backend: one TransformerLens forward for each condition, read in the plainest way.

It forms full attention patterns and full logits, one row at a time. It is the reference for the tests of the packed
pass, which forms none of them.
"""

import torch
from einops import einsum, reduce
from jaxtyping import Float
from torch import Tensor

from faithlens.execution.sequence_run import Place, SequenceRun, run_sequence
from faithlens.model.anatomy import find_unembedding
from faithlens.model.model import Model
from faithlens.plan.capture import Capture, Record, match_pieces
from faithlens.plan.condition import Condition, Patch
from faithlens.plan.plan import Plan
from faithlens.plan.spellings import add_spellings, list_first_tokens


def run_separate(model: Model, plan: Plan, capture: Capture) -> list[Record]:
    """Run a plan one sequence at a time; one record for each condition, in the order of the plan."""
    with torch.set_grad_enabled(bool(capture.attribution)):
        return [run_condition(model, condition, capture) for condition in plan.conditions]


def run_condition(model: Model, condition: Condition, capture: Capture) -> Record:
    """Run one condition: one forward for each sequence of several tokens, and one for all sequences of one token."""
    n = len(condition.ids)
    places: set[Place] = {(site.component, site.layer) for site in capture.activations}
    if capture.logit_lens or capture.compare:
        places |= {("resid_post", layer) for layer in range(model.n_layers)}
    reads_values = bool(capture.flow or capture.gradient_flow)
    runs: dict[tuple[int, ...], SequenceRun] = {}
    for tail in condition.tails:
        is_first = not runs  # the first run is read
        runs[tail] = run_sequence(
            model,
            condition,
            tail,
            places if is_first else set(),
            with_patterns=is_first and (reads_values or bool(capture.attention)),
            with_keys=is_first and reads_values,
            with_gates=bool(capture.gradient_flow),
        )
    scores = []
    for sequence in condition.sequences:
        logprobs = runs[sequence[:-1]].logits[n - 1 :].float().log_softmax(-1)
        scores.append(logprobs[range(len(sequence)), list(sequence)].sum())
    logprobs, first = add_spellings(condition, torch.stack(scores)), next(iter(runs.values()))
    compared = compare_with_reference(model, condition, first) if capture.compare and condition.reference else None
    attribution, worth = differentiate(model, condition, list(runs.values()), capture, logprobs)
    return Record(
        condition,
        logprobs.detach().cpu(),
        attention={r: pool_attention(condition, first, rows) for r, rows in capture.locate_readers(condition).items()},
        flow={
            r: measure_flow(model, condition, first, rows)
            for r, rows in capture.locate_readers(condition, capture.flow).items()
        },
        logit_lens={
            r: read_logit_lens(model, condition, first, rows[-1])
            for r, rows in capture.locate_readers(condition, capture.logit_lens).items()
        },
        cosine=compared[0] if compared else None,
        relative_l2=compared[1] if compared else None,
        activations={
            site: first.activations[site.component, site.layer][slice(*condition.locate(site.span))]
            .detach()
            .float()
            .cpu()
            for site in capture.activations
            if isinstance(site.span, tuple) or site.span in condition.spans
        },
        kl=measure_divergence(model, condition, first) if capture.divergence and condition.reference else None,
        attribution=attribution,
        gradient_flow=worth,
    )


def pool_attention(condition: Condition, run: SequenceRun, rows: range) -> Float[Tensor, "layer head span"]:
    """The attention of `rows` on each piece, averaged over the rows."""
    patterns = torch.stack([run.patterns[layer] for layer in sorted(run.patterns)])[:, :, rows.start : rows.stop]
    mass = [patterns[..., a:b].sum(-1) for a, b in condition.spans.values()]
    return reduce(torch.stack(mass, -1), "layer head row span -> layer head span", "mean").cpu()


def measure_flow(model: Model, condition: Condition, run: SequenceRun, rows: range) -> Float[Tensor, "layer head span"]:
    """The length of the vector that each piece adds to the residual stream through each head, averaged over `rows`."""
    out = []
    for layer in range(model.n_layers):
        w_o, total = model.bridge.blocks[layer].attn.W_O.float(), torch.zeros(())
        for row in rows:
            values = next(values for stop, values in run.values_read if row < stop)[layer][0].float()
            v = values.repeat_interleave(model.n_heads // values.shape[0], 0)
            read = run.patterns[layer][:, row, None]
            spans = condition.spans.values()
            total = total + torch.cat([(read[..., a:b] @ v[:, a:b] @ w_o).norm(dim=-1) for a, b in spans], -1)
        out.append(total / len(rows))
    return torch.stack(out).detach().cpu()


def read_logit_lens(model: Model, condition: Condition, run: SequenceRun, row: int) -> Float[Tensor, "layer option"]:
    """The logit lens at one row, among the first tokens of the options; those of one option add up."""
    first = list_first_tokens(condition)
    streams = torch.stack([run.activations["resid_post", layer][row] for layer in range(model.n_layers)])
    head = find_unembedding(model.hf_model)  # TransformerLens leaves out its scale and its cap
    logits = head.scale * model.bridge.unembed(model.bridge.ln_final(streams[None]))[0].float()
    logits = head.softcap * torch.tanh(logits / head.softcap) if head.softcap else logits
    options = torch.stack([logits[:, list(tokens)].logsumexp(-1) for tokens in first], -1)
    return options.log_softmax(-1).detach().cpu()


def compare_with_reference(model: Model, condition: Condition, run: SequenceRun) -> tuple[Tensor, Tensor]:
    """Cosine and relative distance of block outputs from those of the reference, for each piece."""
    assert condition.reference is not None
    places: set[Place] = {("resid_post", layer) for layer in range(model.n_layers)}
    beside = run_sequence(model, condition.reference, (), places)
    cosine, distance = (torch.full((model.n_layers, len(condition.pieces)), torch.nan) for _ in range(2))
    for i, (a, b), (c, d) in match_pieces(condition):
        for layer in range(model.n_layers):
            own, other = (
                run.activations["resid_post", layer][a:b].float(),
                beside.activations["resid_post", layer][c:d].float(),
            )
            lengths = other.norm(dim=-1) * own.norm(dim=-1)  # 0 for a zero row, whose cosine is undefined
            cosine[layer, i] = ((other * own).sum(-1) / lengths).mean()
            # a distance from a zero row has no relative size
            length = other.norm(dim=-1).where(other.norm(dim=-1) > 0, torch.nan)
            distance[layer, i] = ((other - own).norm(dim=-1) / length).mean()
    return cosine, distance


def measure_divergence(model: Model, condition: Condition, run: SequenceRun) -> Float[Tensor, " span"]:
    """The divergence of next-token distributions from those of the reference, averaged over each piece."""
    assert condition.reference is not None
    beside, out = run_sequence(model, condition.reference, (), set()), torch.full((len(condition.pieces),), torch.nan)
    for i, (a, b), (c, d) in match_pieces(condition):
        log_q, log_p = run.logits[a:b].float().log_softmax(-1), beside.logits[c:d].float().log_softmax(-1)
        out[i] = (log_p.exp() * (log_p - log_q)).sum(-1).mean()
    return out.detach()


def differentiate(
    model: Model, condition: Condition, runs: list[SequenceRun], capture: Capture, logprobs: Tensor
) -> tuple[dict[Patch, Tensor], dict[str, Tensor]]:
    """The attribution scores of each patch, and the gradient flow of each reader."""
    leaves = [leaf for run in runs for leaf in (*(each.leaf for each in run.patch_leaves), *run.gates)]
    if not (capture.attribution and leaves):
        return {}, {}
    metric = (torch.tensor(capture.attribution) * logprobs.cpu()).sum()
    gradients = iter(torch.autograd.grad(metric, leaves, allow_unused=True, materialize_grads=True))
    patches: dict[Patch, Tensor] = {}
    slopes = [torch.zeros(())] * model.n_layers
    for run in runs:
        for edit, offsets, _, step in run.patch_leaves:
            score = (next(gradients) * step).sum(-1).float().cpu()
            start, stop = condition.locate(edit.span)
            whole = patches.setdefault(edit, score.new_zeros(stop - start))
            whole.index_add_(0, offsets, score)  # the stretches of a sequence may cut the patch into parts
        # every run starts with the condition's own tokens; the tokens of an option are after all readers
        slopes = [total + next(gradients)[0, : len(condition.ids)] for total, _ in zip(slopes, run.gates, strict=False)]
    readers = capture.locate_readers(condition, capture.gradient_flow)
    return patches, {r: measure_gradient_flow(model, condition, runs[0], rows, slopes) for r, rows in readers.items()}


def measure_gradient_flow(
    model: Model, condition: Condition, run: SequenceRun, rows: range, slopes: list[Tensor]
) -> Float[Tensor, "layer head span"]:
    """The gradient times what `rows` take from each piece through each head, summed over the rows."""
    out = []
    for layer, slope in enumerate(slopes):
        values = run.values_read[-1][1][layer][0].float()
        v, read = values.repeat_interleave(model.n_heads // values.shape[0], 0), run.patterns[layer]
        contributions = torch.stack(
            [read[:, rows.start : rows.stop, a:b] @ v[:, a:b] for a, b in condition.spans.values()], -2
        )
        g = slope.unflatten(-1, (model.n_heads, -1)) if slope.ndim == 2 else slope
        out.append(einsum(contributions, g[rows.start : rows.stop], "head row span d, row head d -> head span"))
    return torch.stack(out).detach().cpu()
