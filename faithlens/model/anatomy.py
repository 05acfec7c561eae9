"""Where the parts of a transformers model are; each part is checked on the model before it is used.

Module names differ between families, and equal names stand for different tensors: OLMo 2 and Gemma norm the outputs of
attention and MLP before they are added to the residual stream, Granite scales them. So:

1. Find each part by its usual names.
2. Run a forward of eight tokens with hooks on the parts.
3. Accept the parts if their outputs add up: in every block, input + attention + MLP = output; the final norm reads the
   last block's output; and the unembedding of its output gives the model's logits. Check the same on sequences that are
   longer than each window and each scaling length of the config (`list_check_lengths`).
4. Read the window of each layer from the model's own masks (`mask_rules`), at any distance.

For example, in a Llama model the name "post_attention_layernorm" is the norm before the MLP. In OLMo 2 a module of the
same name norms the output of attention; there ``attn_out`` is this norm and not ``self_attn``, which the sum in step 3
confirms: ``before + self_attn(...)`` alone would miss the block's output by far more than 0.1 %.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedModel

from faithlens.errors import FaithlensError, ModelError, describe_foreign
from faithlens.model.finite import make_finite_error
from faithlens.model.lengths import list_lengths, read_context_length
from faithlens.model.mask_rules import find_windows

_ATTENTION = ("self_attn", "attention", "attn")
_OUT_PROJECTION = ("o_proj", "out_proj", "c_proj", "dense")
_MLP = ("mlp", "block_sparse_moe", "feed_forward")
_NORM = ("norm", "ln_f", "final_layer_norm", "final_layernorm")
LONGEST_CHECK = 1024  # tokens
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
        blocks: the transformer blocks, in order.
        attn_out: the modules whose output attention adds to the residual stream.
        mlp_out: the modules whose output the MLP adds to the residual stream.
        out_proj: the modules whose input is z, the heads' outputs side by side.
        final_norm: the final norm.
        unembedding: the unembedding.
        windows: how many keys a query of each layer sees at most, its own among them, and None for a layer without a
            window; None in all for a model that makes its masks by itself.
    """

    blocks: tuple[nn.Module, ...]
    attn_out: tuple[nn.Module, ...]
    mlp_out: tuple[nn.Module, ...]
    out_proj: tuple[nn.Module, ...]
    final_norm: nn.Module
    unembedding: Unembedding
    windows: tuple[int | None, ...] | None = None


def dissect(hf_model: PreTrainedModel) -> Anatomy:
    """Find the parts of `hf_model`, and check them on short forwards.

    Raises:
        ModelError: a part is missing, or it does something else than its name says; or the model cannot run at all.
    """
    try:
        anatomy = find_parts(hf_model)
        for length in list_check_lengths(hf_model):
            check_anatomy(hf_model, anatomy, length)
        windows = find_windows(hf_model, len(anatomy.blocks), read_context_length(hf_model.config))
    except (FaithlensError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # whatever the code of an architecture raises
        raise ModelError(
            f"the parts of {type(hf_model).__name__} cannot be examined: {describe_foreign(error)}",
            "Run this model with backend='separate' (--backend separate).",
        ) from error
    return replace(anatomy, windows=windows)


def list_check_lengths(hf_model: PreTrainedModel) -> list[int]:
    """The lengths on which the parts are checked: eight tokens, and some tokens beyond each short length of the config.

    Lengths beyond `LONGEST_CHECK` would take longer than a run; a window of any length is read from the masks, and the
    first plan that exceeds a length is compared with plain transformers (`execution.exactness`).
    """
    longest = min(LONGEST_CHECK, read_context_length(hf_model.config))
    return [8, *(n + 8 for n in list_lengths(hf_model.config) if n + 8 <= longest)]


def find_parts(hf_model: PreTrainedModel) -> Anatomy:
    """The parts of `hf_model` by their names, unchecked.

    Raises:
        ModelError: a part is missing.
    """
    layers = hf_model.config.get_text_config().num_hidden_layers
    body = hf_model.base_model
    lists = [m for m in body.modules() if isinstance(m, nn.ModuleList) and len(m) == layers]
    if not lists:
        raise ModelError(
            f"{type(hf_model).__name__} has no list of {layers} blocks among its modules",
            "Use a decoder-only transformers model.",
        )
    blocks = tuple(lists[0])
    attention = tuple(find_child(block, _ATTENTION) for block in blocks)
    normed = hasattr(blocks[0], "post_feedforward_layernorm")  # then outputs are normed before they are added
    return Anatomy(
        blocks=blocks,
        attn_out=tuple(find_child(b, ("post_attention_layernorm",)) for b in blocks) if normed else attention,
        mlp_out=tuple(find_child(b, ("post_feedforward_layernorm",) if normed else _MLP) for b in blocks),
        out_proj=tuple(find_child(a, _OUT_PROJECTION) for a in attention),
        final_norm=find_child(body, _NORM),
        unembedding=find_unembedding(hf_model),
    )


def find_child(parent: nn.Module, names: tuple[str, ...]) -> nn.Module:
    """The child of `parent` that has one of `names`."""
    for name in names:
        if isinstance(found := getattr(parent, name, None), nn.Module):
            return found
    raise ModelError(
        f"{type(parent).__name__} has no module named {' or '.join(names)}; it has"
        f" {', '.join(name for name, _ in parent.named_children())}",
        "Use a model whose layers are all attention and MLP.",
    )


def find_unembedding(hf_model: PreTrainedModel) -> Unembedding:
    """The unembedding, with the scale and soft cap that some families put on logits."""
    config, out = hf_model.config.get_text_config(), hf_model.get_output_embeddings()
    if not isinstance(out, nn.Module) or not isinstance(weight := getattr(out, "weight", None), Tensor):
        raise ModelError(
            f"{type(hf_model).__name__} has no unembedding matrix",
            "Use a causal language model; a body without a language-model head does not suffice.",
        )
    scale = getattr(config, "logit_scale", None) or 1 / (getattr(config, "logits_scaling", None) or 1)
    return Unembedding(
        weight, getattr(out, "bias", None), float(scale), getattr(config, "final_logit_softcapping", None)
    )


@torch.inference_mode()
def check_anatomy(hf_model: PreTrainedModel, anatomy: Anatomy, length: int = 8) -> None:
    """Run `length` tokens: the residual stream's parts must add up, and the unembedding must give the model's logits.

    Raises:
        ModelError: they do not.
    """
    outputs: dict[str, list[Tensor]] = {name: [] for name in ("before", "attn", "mlp", "after", "normed")}
    ids = torch.arange(length, device=hf_model.device)[None] % hf_model.config.get_text_config().vocab_size

    def keep(name: str) -> Callable[[nn.Module, tuple, object], None]:
        return lambda module, args, out: outputs[name].append(get_tensor(out).detach().clone())

    def enter(module: nn.Module, args: tuple, kwargs: dict) -> None:
        outputs["before"].append((args[0] if args else kwargs["hidden_states"]).detach().clone())

    handles = [b.register_forward_pre_hook(enter, with_kwargs=True) for b in anatomy.blocks]
    handles += [b.register_forward_hook(keep("after")) for b in anatomy.blocks]
    handles += [m.register_forward_hook(keep("attn")) for m in anatomy.attn_out]
    handles += [m.register_forward_hook(keep("mlp")) for m in anatomy.mlp_out]
    handles.append(anatomy.final_norm.register_forward_hook(keep("normed")))
    try:
        logits = hf_model(input_ids=ids, use_cache=False).logits[0]
    finally:
        for handle in handles:
            handle.remove()
    if not torch.isfinite(logits).all():
        raise make_finite_error(type(hf_model).__name__, hf_model, ids[0].tolist())
    for layer, (before, attn, mlp, after) in enumerate(zip(*list(outputs.values())[:4], strict=True)):
        check_agreement(
            hf_model, f"attention and MLP of block {layer} add up to its output", before + attn + mlp, after
        )
    check_agreement(
        hf_model,
        "the final norm reads the last block's output",
        anatomy.final_norm(outputs["after"][-1]),
        outputs["normed"][0],
    )
    own = anatomy.unembedding.compute_logits(outputs["normed"][0][0])
    check_agreement(hf_model, "the unembedding gives the model's logits", own, logits)


def check_agreement(hf_model: PreTrainedModel, claim: str, left: Tensor, right: Tensor) -> None:
    """Check that two tensors agree, as `claim` says.

    Raises:
        ModelError: they do not, so the parts are not what they were taken for.
    """
    left, right = left.double().cpu().reshape(-1), right.double().cpu().reshape(-1)
    slack = max(_TOLERANCE, 30 * _TOLERANCE * (torch.finfo(hf_model.dtype).eps > _TOLERANCE))
    off = float((left - right).norm() / right.norm())
    if not off <= slack:
        raise ModelError(
            f"in {type(hf_model).__name__} it does not hold that {claim}: the two sides differ by {off:.1%}",
            "Run this model with backend='separate' (--backend separate).",
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
