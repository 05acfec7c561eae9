"""What a backend can do on an architecture besides answers: edits, captures and gradients, against plain transformers.

Each edit here has the answer of a forward without edits, so plain transformers says what is right for any architecture:

1. *patch*: a condition whose step gets the donor's streams answers as the donor, which differs in this step only;
   *attention, mlp*: so does one whose stem gets the donor's outputs of attention and MLP in all layers.
2. *keys*: a stem that reads all keys and values of the donor answers as the donor.
3. *knockout*: where nothing after a step sees it, its tokens do not matter.
4. *heads*: where the heads of the last block are those of the donor and so is the stream before it, so is the answer.
5. *capture*: attention is that of plain eager attention, and the streams are the outputs of plain blocks.
6. *gradients*: gradient times step of a patch is the slope of the answers along the amount of the patch; or else it is
   what the backward pass of plain transformers gives, which is not the slope in a model that estimates it (PhiMoE).
"""

import random
from collections.abc import Callable
from dataclasses import replace
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn

from faithlens.errors import FaithlensError
from faithlens.execution.execute import execute
from faithlens.execution.options import Backend
from faithlens.model.anatomy import find_blocks, get_tensor
from faithlens.model.attention_choice import has_recurrent_state, use_attention
from faithlens.model.model import Model
from faithlens.model.trace import Piece
from faithlens.plan.capture import Capture, Site
from faithlens.plan.condition import Component, Condition, Edit, KeyValuePatch, Knockout, Patch
from faithlens.plan.memory import plan_passes

EXACT = 2e-4  # nats, in float32: rounding of peaked random models is below, and a wrong window or mask far above
SIZES = {"prompt": 9, "step 0": 6, "step 1": 11, "stem": 3}
WEIGHTS = (1.0, -1.0)


def make_pieces(seed: int) -> tuple[Piece, ...]:
    """A short chain of random tokens."""
    rng = random.Random(seed)
    return tuple(Piece(name, tuple(rng.randrange(2, 258) for _ in range(n))) for name, n in SIZES.items())


CLEAN = Condition("clean", make_pieces(0), ((70,), (80,)))
DONOR = replace(CLEAN, name="donor", pieces=(CLEAN.pieces[0], make_pieces(1)[1], *CLEAN.pieces[2:]))
FAR = replace(CLEAN, name="far", pieces=(*make_pieces(1)[:3], CLEAN.pieces[3]))
BEFORE = (0, sum(SIZES.values()) - SIZES["stem"])  # all tokens before the stem


def list_edits(n_layers: int) -> dict[str, tuple[tuple[Edit, ...], Condition]]:
    """For each kind of edit: edits of the clean condition, and the condition without edits that answers the same."""
    last, every = (n_layers - 1,), tuple(range(n_layers))
    parts: tuple[Component, ...] = ("attn_out", "mlp_out")
    return {
        "patch": ((Patch("resid_pre", "step 0", DONOR, every),), DONOR),
        "attention, mlp": (
            (Patch("resid_pre", "stem", FAR, (0,)), *(Patch(c, "stem", FAR, every) for c in parts)),
            FAR,
        ),
        "keys": ((KeyValuePatch("stem", BEFORE, FAR, every),), FAR),
        "heads": ((Patch("resid_pre", "stem", FAR, last), Patch("z", "stem", FAR, last)), FAR),
    }


def cut_step(condition: Condition) -> Condition:
    """The condition with `step 0` hidden from all that comes after it."""
    edits = (Knockout("step 1", ("step 0",)), Knockout("stem", ("step 0",)))
    return replace(condition, name=f"{condition.name}, cut", edits=edits)


def answer(model: Model, backend: Backend, *conditions: Condition) -> list[Tensor]:
    """The log-probabilities of each condition."""
    return [record.logprobs for record in execute(model, plan_passes(model, list(conditions)), backend=backend)]


def measure_edit(model: Model, backend: Backend, edits: tuple[Edit, ...], target: Condition) -> float:
    """How far the edited answer is from the one without edits that it should be."""
    own, other = answer(model, backend, replace(CLEAN, name="edited", edits=edits), target)
    return find_gap(own, other)


def measure_knockout(model: Model, backend: Backend) -> float:
    """How much the tokens of a step matter that nothing sees; NaN if they do not matter anyway."""
    clean, donor, own, other = answer(model, backend, CLEAN, DONOR, cut_step(CLEAN), cut_step(DONOR))
    return find_gap(own, other) if find_gap(clean, donor) > 10 * EXACT else float("nan")


def measure_attention(model: Model, backend: Backend) -> float:
    """How far the attention of the last token is from that of plain transformers; NaN if that returns none.

    Both as shares of what falls on tokens: some models return their weights before, others after those of sinks.
    """
    capture = Capture(attention=("answer",))
    [record] = execute(model, plan_passes(model, [CLEAN]), capture, backend=backend)
    with use_attention(model.hf_model, "eager"), torch.inference_mode():
        out: Any = model.hf_model(torch.tensor([CLEAN.ids]), use_cache=False, output_attentions=True)
    gaps = [float("nan")]
    for layer, pattern in enumerate(getattr(out, "attentions", None) or ()):
        plain = torch.stack([pattern[0][:, -1, a:b].sum(-1) for a, b in CLEAN.spans.values()], -1)
        own = record.attention["answer"][layer]
        gaps.append(find_gap(own / own.sum(-1, keepdim=True), plain / plain.sum(-1, keepdim=True)))
    return max(gaps[1:], default=gaps[0])


def measure_streams(model: Model, backend: Backend) -> float:
    """How far the outputs of blocks are from those of plain transformers, relative to them."""
    sites = tuple(Site("resid_post", layer, "step 1") for layer in range(model.n_layers - 1))
    [record] = execute(model, plan_passes(model, [CLEAN]), Capture(activations=sites), backend=backend)
    outputs: list[Tensor] = []
    _, blocks = find_blocks(model.hf_model)
    handles = [block.register_forward_hook(lambda m, args, out: outputs.append(get_tensor(out))) for block in blocks]
    try:
        with torch.inference_mode():
            model.hf_model(torch.tensor([CLEAN.ids]), use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    plain = [outputs[site.layer][0, slice(*CLEAN.spans["step 1"])] for site in sites]
    return max(find_gap(record.activations[s], x) / float(x.abs().max()) for s, x in zip(sites, plain, strict=True))


def measure_gradient(model: Model, backend: Backend) -> float:
    """How far the gradient is from the slope between two amounts, relative to the slope, beyond rounding."""

    def patch(amount: float) -> Condition:
        edit = Patch("resid_pre", "step 1", FAR, (1,), amount=amount)
        return replace(CLEAN, name=str(amount), edits=(edit,))

    capture, width = Capture(attribution=WEIGHTS), 0.002
    [record] = execute(model, plan_passes(model, [patch(0.3)]), capture, backend=backend)
    high, low = answer(model, backend, patch(0.3 + width), patch(0.3 - width))
    slope = float((torch.tensor(WEIGHTS) * (high - low)).sum()) / (2 * width)
    own = float(next(iter(record.attribution.values())).sum())
    gap = max(0.0, abs(own - slope) - 5e-3) / max(abs(slope), 0.1)
    return min(gap, abs(own - differentiate_plainly(model, 0.3)) / max(abs(own), 0.1))


def differentiate_plainly(model: Model, amount: float) -> float:
    """Gradient times step of the same patch, by a hook and the backward pass of plain transformers."""
    block, rows, streams = find_blocks(model.hf_model)[1][1], slice(*CLEAN.spans["step 1"]), list[Tensor]()
    leaf = torch.zeros(())

    def write(module: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
        nonlocal leaf
        stream = args[0] if args else kwargs["hidden_states"]
        streams.append(stream[0, rows].detach())
        new, leaf = stream.clone(), torch.zeros_like(streams[-1], requires_grad=True)
        if len(streams) == 2:  # the first forward is that of the donor
            new[0, rows] = streams[1] + amount * (streams[0] - streams[1]) + leaf
        return ((new, *args[1:]), kwargs) if args else (args, kwargs | {"hidden_states": new})

    handle = block.register_forward_pre_hook(write, with_kwargs=True)
    try:
        _, clean = (model.hf_model(torch.tensor([c.ids]), use_cache=False).logits[0, -1] for c in (FAR, CLEAN))
    finally:
        handle.remove()
    chosen = clean.log_softmax(-1)[[option[0] for option in CLEAN.options]]
    [gradient] = torch.autograd.grad((torch.tensor(WEIGHTS) * chosen).sum(), [leaf])
    return float((gradient * (streams[0] - streams[1])).sum())


def find_gap(own: Tensor, other: Tensor) -> float:
    """The largest difference."""
    return float((own - other).abs().max())


def describe_ability(measures: dict[str, tuple[Callable[[], float], float]]) -> str:
    """ "yes" if all measures are below their limits; otherwise what is refused, wrong, or could not be compared."""
    words: dict[str, list[str]] = {}
    for name, (measure, limit) in measures.items():
        try:
            gap = measure()
        except FaithlensError:
            words.setdefault("refused", []).append(name)
        except Exception as error:  # noqa: BLE001  what must not reach a user
            words.setdefault(f"foreign {type(error).__name__}", []).append(name)
        else:
            kind = "not compared" if gap != gap else "yes" if gap < limit else "WRONG"
            words.setdefault(kind, []).append(name)
    if len(words) == 1:
        return next(iter(words))
    left_out = [f"{kind}: {'; '.join(names)}" for kind, names in words.items() if kind != "yes"]
    return f"{'yes, ' if 'yes' in words else ''}{', '.join(left_out)}"


def describe_abilities(model: Model, backend: Backend) -> tuple[str, str, str]:
    """What a backend does of edits, captures and gradients."""
    edits: dict[str, tuple[Callable[[], float], float]] = {
        name: (lambda e=edits, t=target: measure_edit(model, backend, e, t), EXACT)
        for name, (edits, target) in list_edits(model.n_layers).items()
    }
    if has_recurrent_state(model.hf_model):  # a state adds to the stream too
        edits["attention, mlp"] = (lambda: float("nan"), EXACT)
    if any("original_hidden_states" in signature(b.forward).parameters for b in model.hf_model.modules()):
        edits["patch"] = (lambda: float("nan"), EXACT)  # the blocks of Zamba read the donor's tokens once more
    edits["knockout"] = (lambda: measure_knockout(model, backend), EXACT)
    capture: dict[str, tuple[Callable[[], float], float]] = {
        "attention": (lambda: measure_attention(model, backend), EXACT),
        "streams": (lambda: measure_streams(model, backend), EXACT),
    }
    gradients = {"gradients": (lambda: measure_gradient(model, backend), 0.05)}
    return describe_ability(edits), describe_ability(capture), describe_ability(gradients)
