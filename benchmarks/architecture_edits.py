"""What a backend can do on an architecture besides answers: edits, captures and gradients, against plain transformers.

Each edit here has the answer of a forward without edits, so plain transformers says what is right for any architecture:

1. *patch*: a condition whose step gets the donor's streams answers as the donor, which differs in this step only;
   *attention, mlp*: so does one whose stem gets the donor's outputs of attention and MLP in all layers.
2. *keys*: a stem that reads all keys and values of the donor answers as the donor.
3. *knockout*: where nothing after a step sees it, its tokens do not matter.
4. *heads*: where the heads of the last block are those of the donor and so is the stream before it, so is the answer.
5. *capture*: attention is that of plain eager attention, and the streams are the outputs of plain blocks.
6. *gradients*: gradient times step of a patch is the slope of the answers along the amount of the patch.
"""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from faithlens.errors import FaithlensError
from faithlens.execution.execute import Backend, execute
from faithlens.model.anatomy import find_blocks, get_tensor
from faithlens.model.attention_choice import use_attention
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
    """How much the tokens of a step matter that nothing sees; infinite if hiding it has no effect."""
    clean, own, other = answer(model, backend, CLEAN, cut_step(CLEAN), cut_step(DONOR))
    return find_gap(own, other) if find_gap(clean, own) > EXACT else float("inf")


def measure_attention(model: Model, backend: Backend) -> float:
    """How far the attention of the stem is from that of plain transformers; NaN if that returns none."""
    capture = Capture(attention=("stem",))
    [record] = execute(model, plan_passes(model, [CLEAN]), capture, backend=backend)
    with use_attention(model.hf_model, "eager"), torch.inference_mode():
        out: Any = model.hf_model(torch.tensor([CLEAN.ids]), use_cache=False, output_attentions=True)
    rows, gaps = slice(*CLEAN.spans["stem"]), [float("nan")]
    for layer, pattern in enumerate(getattr(out, "attentions", None) or ()):
        mass = torch.stack([pattern[0][:, rows, a:b].sum(-1).mean(1) for a, b in CLEAN.spans.values()], -1)
        gaps.append(find_gap(record.attention["stem"][layer], mass))
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
    gap = abs(float(next(iter(record.attribution.values())).sum()) - slope)
    return max(0.0, gap - 5e-3) / max(abs(slope), 0.1)


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
    edits["knockout"] = (lambda: measure_knockout(model, backend), EXACT)
    capture: dict[str, tuple[Callable[[], float], float]] = {
        "attention": (lambda: measure_attention(model, backend), EXACT),
        "streams": (lambda: measure_streams(model, backend), EXACT),
    }
    gradients = {"gradients": (lambda: measure_gradient(model, backend), 0.05)}
    return describe_ability(edits), describe_ability(capture), describe_ability(gradients)
