"""Where numbers stop being numbers: the layer after which a model's activations are NaN or infinite, and the cause."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from faithlens.errors import ModelError
from faithlens.model.lengths import read_size


def make_finite_error(name: str, hf_model: PreTrainedModel, ids: Sequence[int], where: str = "") -> ModelError:
    """The error for logits that are NaN or infinite.

    Args:
        name: the name of the model.
        hf_model: the model; it is run once more without edits, to find the first layer.
        ids: the tokens after which its logits are not finite.
        where: the condition or text in which they are, such as " in the condition 'cut@0'".
    """
    weight = next((key for key, w in hf_model.named_parameters() if w.is_floating_point() and not _is_finite(w)), None)
    dtype = str(hf_model.dtype).removeprefix("torch.")
    if weight and dtype == "float16" and not bool(hf_model.get_parameter(weight).isnan().any()):
        fix = f"The weight {weight} has numbers beyond float16: pass dtype='float32' (--dtype float32)."
    elif weight:
        fix = f"The weight {weight} holds such values: get the files of the model again."
    elif dtype == "float16":
        fix = "The numbers of this model are too large for float16: pass dtype='float32' (--dtype float32)."
    elif dtype == "float32":
        fix = "No number format helps: use another model, or leave out this edit if only edited conditions fail."
    else:
        fix = "Pass dtype='float32' (--dtype float32)."
    return ModelError(f"the logits of {name} are NaN or infinite{where}; {_describe_first(hf_model, ids)}", fix)


@torch.inference_mode()
def _describe_first(hf_model: PreTrainedModel, ids: Sequence[int]) -> str:
    """The first part of the model whose output is not finite, on a plain forward of `ids`."""
    n = read_size(hf_model.config.get_text_config(), "num_hidden_layers")
    blocks = next((m for m in hf_model.base_model.modules() if isinstance(m, nn.ModuleList) and len(m) == n), [])
    bad: list[int] = []

    def enter(module: nn.Module, args: tuple, kwargs: dict) -> None:
        if not _is_finite(args[0] if args else kwargs.get("hidden_states")):
            bad.append(-1)

    def leave(layer: int) -> object:
        return lambda module, args, out: (
            None if _is_finite(out[0] if isinstance(out, tuple) else out) else bad.append(layer)
        )

    handles = [block.register_forward_pre_hook(enter, with_kwargs=True) for block in list(blocks)[:1]]
    handles += [block.register_forward_hook(leave(i)) for i, block in enumerate(blocks)]  # type: ignore[arg-type]
    try:
        logits = hf_model(input_ids=torch.tensor([list(ids)], device=hf_model.device), use_cache=False).logits
    finally:
        for handle in handles:
            handle.remove()
    if bad:
        first = "the embeddings" if bad[0] < 0 else f"layer {bad[0]} of {n} (from 0)"
        return f"the first such numbers come from {first}"
    if not _is_finite(logits):
        return f"the first such numbers come after the last of its {n} layers, in the final norm or the unembedding"
    return "without the edits of the condition all numbers are finite"


def _is_finite(x: object) -> bool:
    return not isinstance(x, Tensor) or bool(torch.isfinite(x).all())
