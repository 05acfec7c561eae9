"""The noun `Model`: one model, its tokenizer and its structural truth, with text handled exactly.

Positions are the coin of every measurement here, so text becomes tokens in one place only, and a continuation is
accepted only where the decoded whole equals the text that was meant.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from faithlens.errors import TraceError
from faithlens.model.anatomy import Anatomy, dissect
from faithlens.model.structure import Structure
from faithlens.model.thinking import Thinking, find_thinking

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

# Some chat templates write today's date unless given one; any fixed day keeps equal runs equal.
_TEMPLATE_DAY = "26 Jul 2024"

# The names under which chat templates let thoughts be switched on and off.
_THINKING_SWITCHES = ("enable_thinking", "thinking")

# Written before a continuation while it is encoded, where a tokenizer opens every text with a space of its own.
_ANCHORS = ("\n", "=", "a")


@dataclass(frozen=True, eq=False, repr=False)
class Model:
    """A model ready to be looked into: in evaluation mode, without gradients for its weights.

    Attributes:
        name: what the user called it.
        hf_model: a causal language model.
        tokenizer: its tokenizer, with the chat template if it has one.
        structure: the attention edges it was trained without; empty for ordinary models.
    """

    name: str
    hf_model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    structure: Structure

    def __repr__(self) -> str:
        dtype = str(self.hf_model.dtype).removeprefix("torch.")
        return f"Model({self.name!r}, {self.n_layers} layers, {self.n_heads} heads, {dtype}, {self.device})"

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.hf_model.device

    @property
    def n_layers(self) -> int:
        """Transformer blocks."""
        return self.hf_model.config.get_text_config().num_hidden_layers

    @property
    def n_heads(self) -> int:
        """Query heads of one block."""
        return self.hf_model.config.get_text_config().num_attention_heads

    @property
    def context_length(self) -> int:
        """The longest sequence the model takes, in tokens; a model that names no limit has none."""
        return getattr(self.hf_model.config.get_text_config(), "max_position_embeddings", sys.maxsize)

    @property
    def source(self) -> str:
        """The folder the weights were read from; for a hub model its last part is the commit."""
        return str(self.hf_model.name_or_path)

    @property
    def stop_ids(self) -> frozenset[int]:
        """The tokens that end the model's turn: those of its generation settings and its tokenizer's end."""
        settings = self.hf_model.generation_config
        ids = settings.eos_token_id if settings is not None else None
        listed = ids if isinstance(ids, list) else [ids]
        return frozenset(i for i in (*listed, self.tokenizer.eos_token_id) if isinstance(i, int))

    @cached_property
    def anatomy(self) -> Anatomy:
        """Where the model's parts are; the first use checks them on a short forward.

        Raises:
            ModelError: the model is not built as a packed pass needs it.
        """
        return dissect(self.hf_model)

    @cached_property
    def bridge(self) -> "TransformerBridge":
        """A TransformerLens bridge on the same weights, without a second copy of them; the first use makes it.

        The bridge does not know `structure`: an organism's forbidden edges exist only inside `execute` and `sample`.
        """
        from faithlens.model.bridge import boot_bridge  # transformer_lens takes seconds to import

        return boot_bridge(self.name, self.hf_model, self.tokenizer)

    @cached_property
    def thinking(self) -> Thinking | None:
        """The markers between which a reasoning model thinks; None for a model whose chat template has none."""
        return find_thinking(self.tokenizer)

    def render(self, user: str, prefill: str = "", *, thinking: bool | None = None) -> str:
        """The text that puts `user` to the model and opens its turn with `prefill`.

        Through the chat template where there is one; else as ``Q: ... / A: ...``, with no space left hanging at the
        end, since the model's next word brings its own. `thinking` turns the template's switch for thoughts, where it
        has one; left out, it stays as the template has it. What opens thoughts is `thinking.opened`.
        """
        if self.tokenizer.chat_template is None:
            space = " " if prefill and not prefill[0].isspace() else ""
            return f"Q: {user}\nA:{space}{prefill}"
        turn = [{"role": "user", "content": user}]
        switches = {} if thinking is None else dict.fromkeys(_THINKING_SWITCHES, thinking)
        opened = self.tokenizer.apply_chat_template(
            turn, tokenize=False, add_generation_prompt=True, date_string=_TEMPLATE_DAY, **switches
        )
        return f"{opened}{prefill}"

    def encode_prompt(self, text: str) -> tuple[int, ...]:
        """The tokens of a rendered prompt.

        A chat template writes its own special tokens, so none is added; without a template the sequence opens with
        the beginning-of-sequence token if this tokenizer is of the kind that adds one.
        """
        ids = self.encode_continuation(text)
        bos = self.tokenizer.bos_token_id
        if self.tokenizer.chat_template is not None or not isinstance(bos, int) or ids[:1] == (bos,):
            return ids
        return (bos, *ids) if self.tokenizer.encode("", add_special_tokens=True)[:1] == [bos] else ids

    def encode_continuation(self, text: str) -> tuple[int, ...]:
        """The tokens of `text` alone, no special token added. To continue a sequence use `continue_ids`."""
        return tuple(self.tokenizer.encode(text, add_special_tokens=False, verbose=False))  # its length is checked here

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids`, special tokens included, nothing tidied."""
        text = self.tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return text if isinstance(text, str) else "".join(text)

    def continue_ids(self, prefix_ids: Sequence[int], text: str) -> tuple[int, ...]:
        """Tokens that write exactly `text` after `prefix_ids`: ``decode(prefix + ids) == decode(prefix) + text``.

        Tokens do not span the seam, so a text has the same tokens after every prefix.

        Raises:
            TraceError: this tokenizer cannot write `text` there.
        """
        meant = self.decode(prefix_ids) + text
        for ids in self._try_spellings(text):
            if self.decode((*prefix_ids, *ids)) == meant:
                return ids
        raise TraceError(
            f"to continue {len(prefix_ids)} tokens with {_shorten(text)}",
            f"the tokenizer of {self.name} reads it back as {_shorten(self.decode(self.encode_continuation(text)))}",
            "leave out characters or spacing this tokenizer changes, or use another model",
        )

    def _try_spellings(self, text: str) -> Iterator[tuple[int, ...]]:
        yield self.encode_continuation(text)
        for anchor in _ANCHORS:
            head, whole = self.encode_continuation(anchor), self.encode_continuation(anchor + text)
            if whole[: len(head)] == head:
                yield whole[len(head) :]


def _shorten(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
