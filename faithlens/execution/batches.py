"""Which prompts are continued together: as many as the memory of the device holds.

A sequence keeps the keys and values of every layer. For example, a float32 model of 30 layers with 3 key/value heads of
width 64 keeps 30 * 2 * 3 * 64 * 4 bytes = 46,080 bytes a token, so 64 sequences of 2,000 tokens take 5.9 GB.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby

from faithlens.model.lengths import read_size
from faithlens.model.library import get_text_config
from faithlens.model.model import Model
from faithlens.plan.memory import FREE_SHARE, read_free_bytes

MOST_SEQUENCES = {"cpu": 64, "cuda": 256}
"""The most sequences that are continued together, by the kind of device."""

LOGIT_COPIES = 4  # of the logits of one token while it is drawn, in float32


def cut_batches(model: Model, lengths: Sequence[int], limit: int, batch_size: int | None = None) -> Iterator[list[int]]:
    """Cut prompts into batches, shortest first, so that little is padded.

    If sequences may exceed a scaling length, those of a batch have equal lengths, so that they exceed it together.

    Args:
        model: the model that continues them.
        lengths: the number of tokens of each prompt.
        limit: the most tokens that are added to a prompt.
        batch_size: the most prompts in a batch; None for as many as fit in memory, `MOST_SEQUENCES` at most.

    Yields:
        The numbers of the prompts of one batch. A prompt that does not fit is a batch of its own.
    """
    order = sorted(range(len(lengths)), key=lambda i: lengths[i])
    is_scaled = any(n < max(lengths, default=0) + limit for n in model.scaling_lengths)
    most = batch_size or MOST_SEQUENCES.get(model.device.type, MOST_SEQUENCES["cpu"])
    allowed = FREE_SHARE * read_free_bytes(model.device) if order else 0.0
    for _, group in groupby(order, key=lambda i: lengths[i] if is_scaled else 0):
        batch = list[int]()
        for i in group:  # the longest of a batch comes last
            needed = (len(batch) + 1) * count_sequence_bytes(model, lengths[i], limit)
            if batch and (len(batch) == most or (batch_size is None and needed > allowed)):
                yield batch
                batch = []
            batch.append(i)
        yield batch


def count_sequence_bytes(model: Model, length: int, limit: int) -> int:
    """The bytes that one sequence of a batch takes: keys and values, twice for the prompt, and copies of its logits."""
    config = get_text_config(model.hf_model)
    heads = read_size(config, "num_attention_heads") or 1
    width = read_size(config, "head_dim") or config.hidden_size // heads
    token = 2 * width * (read_size(config, "num_key_value_heads") or heads) * model.n_layers
    prompt = length * 4 * config.hidden_size  # the residual stream of the pass that reads the prompts
    numbers = token * (2 * length + limit) + prompt
    return numbers * model.hf_model.dtype.itemsize + LOGIT_COPIES * 4 * config.vocab_size
