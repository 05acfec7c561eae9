"""A TransformerLens bridge on the weights of a transformers model, without a second copy of them."""

import copy

from transformer_lens.model_bridge import TransformerBridge
from transformers import PreTrainedModel, PreTrainedTokenizerBase


def boot_bridge(name: str, hf_model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> TransformerBridge:
    """A TransformerBridge named `name`: its modules are new, its parameters and buffers are those of `hf_model`."""
    shared = {id(t): t for t in (*hf_model.parameters(), *hf_model.buffers())}
    shell = copy.deepcopy(hf_model, shared)
    own_tokenizer = copy.deepcopy(tokenizer)
    # without these TransformerLens fetches the tokenizer again, by name, to make it prepend BOS
    own_tokenizer.init_kwargs |= {"name_or_path": name, "add_bos_token": True}
    return TransformerBridge.boot_transformers(
        name, hf_model=shell, tokenizer=own_tokenizer, device=str(hf_model.device), dtype=hf_model.dtype
    )
