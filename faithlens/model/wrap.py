"""`wrap`: a transformers model that is already in memory, as a `Model`.

The user's model stays as it is, because faithlens runs a view of it:

1. `copy.deepcopy` makes new modules and a new config; parameters and buffers share the memory of the old ones.
2. The view is put into evaluation mode, and its parameters take no gradient.
3. `execute` and `sample` replace forwards, add hooks and set the attention implementation on the view only.

For example, for a model in training whose weights take 1 GB::

    hf_model.training                                    True     view.training                    False
    hf_model.lm_head.weight.requires_grad                True     view.lm_head.weight.requires_grad    False
    hf_model.config._attn_implementation               "sdpa"     during a pass         "faithlens_packed"
    hf_model.lm_head.weight.data_ptr() == view.lm_head.weight.data_ptr()                           True

So the second of two passes sees the training step between them, and no second GB is needed.
"""

import copy

from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from faithlens.errors import ModelError
from faithlens.model import library
from faithlens.model.model import Model
from faithlens.model.structure import Structure


def wrap(hf_model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, *, name: str | None = None) -> Model:
    """Make a `Model` of a causal transformers model in memory.

    The model is left as it was: its weights, `requires_grad`, training mode, hooks and attention implementation do not
    change, neither here nor in any later call, also where a call raises an error. The weights are shared, not copied.

    Args:
        hf_model: a decoder-only language model, such as `AutoModelForCausalLM` gives, on any device and in any dtype.
        tokenizer: its tokenizer, with the chat template if it has one.
        name: what the model is called in tables and messages; by default, where it was loaded from, or else its class.

    Returns:
        The model, for every function that takes one.

    Raises:
        ModelError: not a transformers model with a language-model head, or not a transformers tokenizer.
    """
    _check_causal(hf_model)
    _check_tokenizer(tokenizer)
    called = name or hf_model.name_or_path or type(hf_model).__name__
    structure = Structure.from_config(library.get_structure_entry(hf_model), called)
    return Model(called, _make_view(called, hf_model), tokenizer, structure)


def _check_causal(hf_model: object) -> None:
    if not isinstance(hf_model, PreTrainedModel):
        inner = getattr(hf_model, "_orig_mod", None)
        fix = "Load it with AutoModelForCausalLM.from_pretrained."
        if isinstance(inner, PreTrainedModel):
            fix = "The model is compiled: pass the model that was given to torch.compile (its _orig_mod)."
        elif callable(getattr(hf_model, "merge_and_unload", None)):
            fix = "The model has adapters: pass model.merge_and_unload()."
        raise ModelError(f"the model must be a transformers model, got {type(hf_model).__name__}", fix)
    if getattr(hf_model.config, "is_encoder_decoder", False) or hf_model.get_output_embeddings() is None:
        raise ModelError(
            f"{type(hf_model).__name__} is no causal language model: a decoder with a language-model head is needed",
            "Load it with AutoModelForCausalLM.from_pretrained.",
        )


def _check_tokenizer(tokenizer: object) -> None:
    if not isinstance(tokenizer, PreTrainedTokenizerBase):
        raise ModelError(
            f"the tokenizer must be a transformers tokenizer, got {type(tokenizer).__name__}",
            "Pass the tokenizer second, as in wrap(hf_model, tokenizer); AutoTokenizer.from_pretrained gives one.",
        )


def _make_view(name: str, hf_model: PreTrainedModel) -> PreTrainedModel:
    """The same model in new modules, in evaluation mode, on the memory of the same weights."""
    shared: dict[int, object] = {id(buffer): buffer for buffer in hf_model.buffers()}
    for weight in hf_model.parameters():
        # a quantised weight is of a class of its own and takes no gradient, so it needs no new object
        is_plain = type(weight) is nn.Parameter
        shared[id(weight)] = nn.Parameter(weight.detach(), requires_grad=False) if is_plain else weight
    try:
        view = copy.deepcopy(hf_model, shared)
    except (TypeError, RuntimeError) as error:  # such as a hook that holds a lock, or a tensor with a gradient history
        raise ModelError(
            f"the modules of {name} cannot be copied: {error}",
            "Remove hooks and attributes that do not belong to the model, or load the model with faithlens.load.",
        ) from error
    view.config.architectures = view.config.architectures or [type(hf_model).__name__]
    return view.eval()
