"""What faithlens asks of transformers, with the types of the answers.

The annotations of transformers are incomplete: they do not say what a tokenizer or a loader returns. The calls whose
types are missing stand here, and all other modules of the package are checked against the types that are stated here.
"""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase


def load_tokenizer(folder: Path, trust_remote_code: bool) -> PreTrainedTokenizerBase:
    """The tokenizer in a model's folder."""
    return AutoTokenizer.from_pretrained(folder, trust_remote_code=trust_remote_code)


def load_weights(
    folder: Path, dtype: torch.dtype | None, trust_remote_code: bool, spread: bool
) -> tuple[PreTrainedModel, dict[str, Any]]:
    """The model in a folder, and the report of transformers on weights that are missing or of another shape.

    Args:
        folder: it holds config.json and safetensors.
        dtype: the number format of the weights; None for that of the checkpoint.
        trust_remote_code: run Python code that comes with the model.
        spread: layers are placed on all GPUs by accelerate.
    """
    loaded: Any = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=dtype or "auto",
        use_safetensors=True,
        trust_remote_code=trust_remote_code,
        output_loading_info=True,
        device_map="auto" if spread else None,
        ignore_mismatched_sizes=True,  # so that the report names them; the caller refuses them
    )
    model, report = loaded
    return model, report


def get_text_config(hf_model: PreTrainedModel) -> PreTrainedConfig:
    """The config of the language model, also where it is a part of a larger config."""
    return hf_model.config.get_text_config()


def get_structure_entry(hf_model: PreTrainedModel) -> dict[str, Any] | None:
    """The entry `faithlens` of the config, which organisms have; None for other models."""
    return getattr(hf_model.config, "faithlens", None)


def list_stop_ids(hf_model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """The tokens that end the model's turn: those of its generation settings, and its tokenizer's end token."""
    settings = hf_model.generation_config
    ids = settings.eos_token_id if settings is not None else None
    listed = ids if isinstance(ids, list) else [ids]
    return frozenset(i for i in (*listed, tokenizer.eos_token_id) if isinstance(i, int))


def get_chat_template(tokenizer: PreTrainedTokenizerBase) -> str | None:
    """The chat template; None for a tokenizer without one."""
    return None if tokenizer.chat_template is None else str(tokenizer.chat_template)


def encode_text(tokenizer: PreTrainedTokenizerBase, text: str, *, add_special_tokens: bool) -> tuple[int, ...]:
    """The tokens of a text of any length."""
    # verbose=False: no warning about texts longer than the context
    return tuple(tokenizer.encode(text, add_special_tokens=add_special_tokens, verbose=False))


def decode_ids(tokenizer: PreTrainedTokenizerBase, ids: list[int], *, with_special_tokens: bool = True) -> str:
    """The text of `ids`, with spaces as they are."""
    text = tokenizer.decode(ids, skip_special_tokens=not with_special_tokens, clean_up_tokenization_spaces=False)
    return text if isinstance(text, str) else "".join(text)
