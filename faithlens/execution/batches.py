"""Which prompts are continued together: as many as the memory of the device holds.

A sequence keeps the keys and values of every layer. For example, a float32 model of 30 layers with 3 key/value heads of
width 64 keeps 30 * 2 * 3 * 64 * 4 bytes = 46,080 bytes a token, so 64 sequences of 2,000 tokens take 5.9 GB.
"""

from collections.abc import Iterable, Sequence
from math import inf

from faithlens.model.lengths import read_size
from faithlens.model.library import get_text_config
from faithlens.model.model import Model
from faithlens.plan.memory import FREE_SHARE, read_free_bytes

MOST_SEQUENCES = {"cpu": 64, "cuda": 256}
"""The most sequences that are continued together, by the kind of device."""

JOIN_SHARE = 1 / 8  # of the places of a batch: prompts wait until so many are free

LOGIT_COPIES = 4  # of the logits of one token while it is drawn, in float32


class Admission:
    """Decides which waiting prompts enter a batch: as many as fit in memory.

    Prompts enter shortest first, so that little is padded. They do not enter one by one: they wait until an eighth of
    the places is free, so that prefixes which they share are read once, and reading them stops the others rarely. If
    sequences may exceed a scaling length, those of a batch have equal lengths and begin together, so that they exceed
    it together.

    Attributes:
        most: the most sequences in a batch. Lower it where memory runs out.
    """

    def __init__(self, model: Model, lengths: Sequence[int], limit: int, batch_size: int | None = None) -> None:
        """Read the free memory.

        Args:
            model: the model that continues the prompts.
            lengths: the number of tokens of each prompt.
            limit: the most tokens that are added to a prompt.
            batch_size: the most prompts in a batch; None for as many as fit in memory, `MOST_SEQUENCES` at most.
        """
        self.model, self.lengths, self.limit = model, lengths, limit
        self.most = batch_size or MOST_SEQUENCES.get(model.device.type, MOST_SEQUENCES["cpu"])
        self.is_scaled = any(n < max(lengths, default=0) + limit for n in model.scaling_lengths)
        self.allowed = inf if batch_size else FREE_SHARE * read_free_bytes(model.device)

    def sort(self, numbers: Iterable[int]) -> list[int]:
        """Prompts by their numbers, the shortest first."""
        return sorted(numbers, key=lambda i: self.lengths[i])

    def choose(self, waiting: Sequence[int], live: Sequence[int]) -> list[int]:
        """The prompts that enter now, by their numbers; at least one if none is live.

        Args:
            waiting: the numbers of the prompts that have not begun, in the order of `sort`.
            live: the numbers of those that are being continued.
        """
        if self.is_scaled and live:
            return []
        chosen: list[int] = []
        longest = max((self.lengths[i] for i in live), default=0)
        for i in waiting:
            together, longest = len(live) + len(chosen) + 1, max(longest, self.lengths[i])
            is_full = together > self.most or together * self._count_bytes(longest) > self.allowed
            is_apart = self.is_scaled and chosen and self.lengths[i] != self.lengths[chosen[0]]
            if together > 1 and (is_full or is_apart):
                break
            chosen.append(i)
        enough = (len(live) + len(chosen)) * JOIN_SHARE
        return chosen if not live or len(chosen) >= min(enough, len(waiting)) else []

    def _count_bytes(self, length: int) -> int:
        return count_sequence_bytes(self.model, length, self.limit)


def count_sequence_bytes(model: Model, length: int, limit: int) -> int:
    """The bytes that one sequence of a batch takes: keys and values, twice for the prompt, and copies of its logits."""
    config = get_text_config(model.hf_model)
    heads = read_size(config, "num_attention_heads") or 1
    width = read_size(config, "head_dim") or config.hidden_size // heads
    token = 2 * width * (read_size(config, "num_key_value_heads") or heads) * model.n_layers
    prompt = length * 4 * config.hidden_size  # the residual stream of the pass that reads the prompts
    numbers = token * (2 * length + limit) + prompt
    return numbers * model.hf_model.dtype.itemsize + LOGIT_COPIES * 4 * config.vocab_size
