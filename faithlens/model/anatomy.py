"""Where the parts of a transformers model are; each part is checked on the model before it is used.

Module names differ between families, and equal names stand for different tensors: OLMo 2 and Gemma norm the outputs of
attention and MLP before they are added to the residual stream, and BLOOM adds the stream inside of its modules. So:

1. Find the blocks and the projection of the heads by their usual names.
2. Run a forward of eight tokens. The outputs of attention and MLP are those of the modules that add up: in every block,
   output = a * input + b * attention + c * MLP with constants a, b, c (`anatomy_sums`).
3. Accept the parts if their outputs add up in this way, if the final norm reads the last block's output, and if the
   unembedding of the norm's output gives the model's logits. Check the same on sequences that are longer than each
   window and each scaling length of the config (`list_check_lengths`).
4. Read from the model's own masks which keys each layer sees, at any distance (`mask_rules`).

For example, in a Llama model the name "post_attention_layernorm" is the norm before the MLP. In OLMo 2 a module of the
same name norms the output of attention; there ``attn_out`` is this norm and not ``self_attn``: with ``self_attn`` the
sum would miss the block's output by far more than 0.1 %.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedModel

from faithlens.errors import FaithlensError, ModelError, describe_crash
from faithlens.model.anatomy_sums import Addends, find_addends, measure_distance, record_sums
from faithlens.model.finite import make_finite_error
from faithlens.model.lengths import list_lengths, read_context_length, require_size
from faithlens.model.mask_rules import Sight, find_sight
from faithlens.model.quantised import check_matrix

_ATTENTION = (
    *("self_attn", "attention", "attn", "self_attention", "multi_head_attention"),
    *("attn.attention", "norm_attn_norm.attn"),
)
_OUT_PROJECTION = ("o_proj", "out_proj", "c_proj", "dense", "wo", "Wo")
_NORM = (
    *("norm", "ln_f", "final_layer_norm", "final_layernorm", "norm_f"),
    *("layer_norm", "final_norm", "embedding_norm", "layernorm"),
)
LONGEST_CHECK = 1024  # tokens
_SEPARATE = "Run this model with backend='separate' (--backend separate); docs/architectures.md lists what works."
_TOLERANCE = 1e-3  # relative: a wrong part differs by far more, rounding in bfloat16 by less than 30 times this


@dataclass(frozen=True, eq=False)
class Unembedding:
    """How a final hidden state becomes logits: ``softcap(scale * (weight @ hidden + bias))``."""

    weight: Float[Tensor, "vocab d_model"]
    bias: Float[Tensor, " vocab"] | None
    scale: float
    softcap: float | None

    def compute_logits(self, hidden: Float[Tensor, "row d_model"]) -> Float[Tensor, "row vocab"]:
        """The whole vocabulary's logits after each row."""
        logits = self.scale * nn.functional.linear(hidden.to(self.weight.device), self.weight, self.bias)
        return self.softcap * torch.tanh(logits / self.softcap) if self.softcap else logits


@dataclass(frozen=True, eq=False)
class Anatomy:
    """The parts of a model that a packed pass reads and edits, one list entry for each layer.

    Attributes:
        body: the text model, from tokens to the final norm's output.
        blocks: the transformer blocks, in order.
        attn_out: the modules whose output attention adds to the residual stream, up to a constant of the block.
        mlp_out: the modules whose outputs the MLP adds together, and then to the residual stream; mostly one.
        out_proj: the modules whose input is z, the heads' outputs side by side.
        final_norm: the final norm.
        unembedding: the unembedding.
        sight: which keys a query of each layer sees.
    """

    body: nn.Module
    blocks: tuple[nn.Module, ...]
    attn_out: tuple[nn.Module, ...]
    mlp_out: tuple[tuple[nn.Module, ...], ...]
    out_proj: tuple[nn.Module, ...]
    final_norm: nn.Module
    unembedding: Unembedding
    sight: Sight = field(default_factory=Sight)


def dissect(hf_model: PreTrainedModel) -> Anatomy:
    """Find the parts of `hf_model`, and check them on short forwards.

    Raises:
        ModelError: a part is missing, or it does something else than its name says; or the model cannot run at all.
    """
    try:
        first, *longer = list_check_lengths(hf_model)
        anatomy, addends = find_parts(hf_model, first)
        for length in longer:
            run_checked(hf_model, anatomy.blocks, anatomy.final_norm, anatomy.unembedding, length, addends)
        sight = find_sight(hf_model, len(anatomy.blocks), read_context_length(hf_model.config))
    except (FaithlensError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # whatever the code of an architecture raises
        raise ModelError(
            f"the parts of {type(hf_model).__name__} cannot be examined: {describe_crash(error)}",
            _SEPARATE,
        ) from error
    return replace(anatomy, sight=sight)


def list_check_lengths(hf_model: PreTrainedModel) -> list[int]:
    """The lengths on which the parts are checked: eight tokens, and some tokens beyond each short length of the config.

    Lengths beyond `LONGEST_CHECK` would take longer than a run; a window of any length is read from the masks, and the
    first plan that exceeds a length is compared with plain transformers (`execution.exactness`).
    """
    longest = min(LONGEST_CHECK, read_context_length(hf_model.config))
    return [8, *(n + 8 for n in list_lengths(hf_model.config) if n + 8 <= longest)]


def find_parts(hf_model: PreTrainedModel, length: int = 8) -> tuple[Anatomy, Addends]:
    """The parts of `hf_model`, checked on a forward of `length` tokens, and the names of what its blocks add.

    Raises:
        ModelError: a part is missing, or is not what its name says.
    """
    body, blocks = find_blocks(hf_model)
    projections = [find_projection(hf_model, blocks, i) for i in range(len(blocks))]
    norm, unembedding = find_child(body, _NORM), find_unembedding(hf_model)
    addends = run_checked(hf_model, blocks, norm, unembedding, length, projections)

    def collect(name: str) -> tuple[nn.Module, ...]:
        return tuple(block.get_submodule(name) for block in blocks)

    mlps = zip(*map(collect, addends.mlp), strict=True)
    out_proj = tuple(block.get_submodule(name) for block, name in zip(blocks, projections, strict=True))
    return Anatomy(body, blocks, collect(addends.attention), tuple(mlps), out_proj, norm, unembedding), addends


def find_blocks(hf_model: PreTrainedModel) -> tuple[nn.Module, tuple[nn.Module, ...]]:
    """The text model and its blocks: a model with a tower for images has a list of blocks there too.

    Raises:
        ModelError: no list of modules is as long as the config says.
    """
    layers, name = require_size(hf_model.config.get_text_config(), "num_hidden_layers"), type(hf_model).__name__
    for root in (hf_model.get_decoder(), hf_model):
        paths = [p for p, m in root.named_modules() if isinstance(m, nn.ModuleList) and len(m) == layers]
        for path in paths[:1]:
            above = path.split(".")[:-1]
            owners = [root.get_submodule(".".join(above[:n])) for n in range(len(above), -1, -1)]
            body = next((owner for owner in owners if isinstance(owner, PreTrainedModel)), root)
            return body, tuple(root.get_submodule(path))  # type: ignore[arg-type]
    raise ModelError(
        f"{name} has no list of {layers} blocks among its modules", "Use a decoder-only transformers model."
    )


def find_projection(hf_model: PreTrainedModel, blocks: Sequence[nn.Module], layer: int) -> str:
    """The name of the module that projects the heads' outputs, in the block of a layer.

    Raises:
        ModelError: the block has no attention, or its attention no such module.
    """
    block = blocks[layer]
    inside = dict(block.named_modules())
    attention = [name for name in _ATTENTION if name in inside]
    for name in attention:
        for own in _OUT_PROJECTION:
            if f"{name}.{own}" in inside:
                return f"{name}.{own}"
    if attention:
        problem = f"the attention of {type(hf_model).__name__} has no projection of its heads' outputs"
        raise ModelError(problem, _SEPARATE)
    without = [b for b in blocks if not any(name in dict(b.named_modules()) for name in _ATTENTION)]
    raise ModelError(
        f"{len(without)} of the {len(blocks)} layers of {type(hf_model).__name__} have no attention that is known (the"
        f" first is a {type(without[0]).__name__} with {', '.join(n for n, _ in without[0].named_children())}); a"
        " recurrent state cannot be packed",
        _SEPARATE,
    )


def find_child(parent: nn.Module, names: tuple[str, ...]) -> nn.Module:
    """The child of `parent` that has one of `names`.

    Raises:
        ModelError: there is no such child.
    """
    for name in names:
        if isinstance(child := getattr(parent, name, None), nn.Module):
            return child
    raise ModelError(
        f"{type(parent).__name__} has no module named {' or '.join(names)}; it has"
        f" {', '.join(name for name, _ in parent.named_children())}",
        _SEPARATE,
    )


def find_unembedding(hf_model: PreTrainedModel) -> Unembedding:
    """The unembedding, with the scale and soft cap that some families apply to logits.

    Raises:
        ModelError: the model has no unembedding matrix, or stores it in few bits.
    """
    config, out = hf_model.config.get_text_config(), hf_model.get_output_embeddings()
    if not isinstance(out, nn.Module) or not isinstance(weight := getattr(out, "weight", None), Tensor):
        raise ModelError(
            f"{type(hf_model).__name__} has no unembedding matrix",
            "Use a causal language model; a body without a language-model head does not suffice.",
        )
    check_matrix(type(hf_model).__name__, out, "the unembedding")
    scale = getattr(config, "logit_scale", None) or 1 / (getattr(config, "logits_scaling", None) or 1)
    return Unembedding(
        weight, getattr(out, "bias", None), float(scale), getattr(config, "final_logit_softcapping", None)
    )


@torch.inference_mode()
def run_checked(
    hf_model: PreTrainedModel,
    blocks: tuple[nn.Module, ...],
    norm: nn.Module,
    unembedding: Unembedding,
    length: int,
    known: Addends | Sequence[str],
) -> Addends:
    """Run `length` tokens: what the blocks add, and whether norm and unembedding make the logits of their output.

    Args:
        hf_model: the model.
        blocks: its blocks.
        norm: its final norm.
        unembedding: its unembedding.
        length: the number of tokens.
        known: what the blocks add; or, if it is to be found, the name of each block's projection.

    Raises:
        ModelError: the parts are not what they were taken for.
    """
    name, outputs = type(hf_model).__name__, dict[str, Tensor]()
    ids = torch.arange(length, device=hf_model.device)[None] % hf_model.config.get_text_config().vocab_size
    is_known = isinstance(known, Addends)

    def keep(what: str) -> Callable[[nn.Module, tuple, object], None]:
        return lambda module, args, out: outputs.update({what: get_tensor(out).detach().clone()})

    handles = [blocks[-1].register_forward_hook(keep("after")), norm.register_forward_hook(keep("normed"))]
    try:
        with record_sums(blocks, known.list_names() if is_known else None) as sums:
            logits = hf_model(input_ids=ids, use_cache=False).logits[0]
    finally:
        for handle in handles:
            handle.remove()
    if not torch.isfinite(logits).all():
        raise make_finite_error(name, hf_model, ids[0].tolist())
    slack = get_slack(hf_model)
    if is_known:
        addends, distance = known, measure_distance(sums, known.list_names())
    else:
        addends, distance = find_addends(sums, known, slack)
    if not distance <= slack:
        raise ModelError(
            f"no two or three modules of the blocks of {name} add up to what the blocks add: the nearest ones miss"
            f" {distance:.1%} of it",
            _SEPARATE,
        )
    check_agreement(hf_model, "the final norm reads the last block's output", norm(outputs["after"]), outputs["normed"])
    own = unembedding.compute_logits(outputs["normed"][0])
    check_agreement(hf_model, "the unembedding gives the model's logits", own, logits)
    return addends


def get_slack(hf_model: PreTrainedModel) -> float:
    """The largest relative distance that may come from rounding alone."""
    return max(_TOLERANCE, 30 * _TOLERANCE * (torch.finfo(hf_model.dtype).eps > _TOLERANCE))


def check_agreement(hf_model: PreTrainedModel, claim: str, left: Tensor, right: Tensor) -> None:
    """Check that two tensors agree, as `claim` says.

    Raises:
        ModelError: they do not, so the parts are not what they were taken for.
    """
    left, right = left.double().cpu().reshape(-1), right.double().cpu().reshape(-1)
    off = float((left - right).norm() / right.norm())
    if not off <= get_slack(hf_model):
        raise ModelError(
            f"in {type(hf_model).__name__} it does not hold that {claim}: the two sides differ by {off:.1%}",
            _SEPARATE,
        )


def get_tensor(out: object) -> Tensor:
    """A module's output, or the first of several."""
    first = out[0] if isinstance(out, tuple) else out
    assert isinstance(first, Tensor)
    return first


@contextmanager
def replace_forwards(replacements: dict[nn.Module, Callable]) -> Iterator[None]:
    """Call `replacements[module](forward, ...)` in place of each module's forward; restore them also after an error."""
    own = {module: module.__dict__.get("forward") for module in replacements}  # accelerate has set its own on some
    for module, call in replacements.items():
        module.forward = bind_forward(call, module.forward)
    try:
        yield
    finally:
        for module, forward in own.items():
            if forward is None:
                del module.forward
            else:
                module.forward = forward


def bind_forward(replacement: Callable, forward: Callable) -> Callable:
    """`replacement` with the original forward as its first argument."""
    return lambda *args, **kwargs: replacement(forward, *args, **kwargs)
