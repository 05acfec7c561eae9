"""A TransformerLens bridge on the weights of a transformers model, without a second copy of them."""

import copy

from transformer_lens.model_bridge import TransformerBridge
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from faithlens.errors import ModelError, describe_foreign
from faithlens.model.guard import forbid_outside


def boot_bridge(name: str, hf_model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> TransformerBridge:
    """A TransformerBridge named `name`: its modules are new, its parameters and buffers are those of `hf_model`.

    Raises:
        ModelError: TransformerLens does not support this architecture.
    """
    shared = {id(t): t for t in (*hf_model.parameters(), *hf_model.buffers())}
    shell = copy.deepcopy(hf_model, shared)
    own_tokenizer = copy.deepcopy(tokenizer)
    # without these TransformerLens fetches the tokenizer again, by name, to make it prepend BOS
    own_tokenizer.init_kwargs |= {"name_or_path": name, "add_bos_token": True}
    try:
        with forbid_outside():  # TransformerLens would install torchvision for a model with a vision tower
            bridge = TransformerBridge.boot_transformers(
                name, hf_model=shell, tokenizer=own_tokenizer, device=str(hf_model.device), dtype=hf_model.dtype
            )
            remove_added(hf_model, shell)
            return bridge
    except Exception as error:  # whatever its adapter of an architecture raises
        reason = describe_foreign(error).split(" Available architectures")[0]
        raise ModelError(
            f"TransformerLens cannot run {type(hf_model).__name__}: {reason}",
            "Use backend='packed' (--backend packed), or another model: docs/architectures.md lists what works.",
        ) from error


def remove_added(hf_model: PreTrainedModel, shell: PreTrainedModel) -> None:
    """Remove what TransformerLens added to `shell` and `hf_model` lacks, such as the rotary embedding of Granite 4."""
    for name in ("", *(name for name, _ in hf_model.named_children())):
        own, wrapped = hf_model.get_submodule(name), shell.get_submodule(name)
        for key, child in list(wrapped.named_children()):
            if getattr(own, key, child) is None:
                delattr(wrapped, key)
                setattr(wrapped, key, None)
