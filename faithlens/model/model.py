"""`Model`: one model, its tokenizer and its structural truth, with exact handling of text.

Every measure depends on token positions. So text becomes tokens in this module only, and a continuation is accepted
only if prefix and continuation together decode to the intended text.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from faithlens.errors import ModelError, TraceError, check_type, translate_errors
from faithlens.model import library
from faithlens.model.anatomy import Anatomy, dissect
from faithlens.model.lengths import list_scaling_lengths, read_context_length, read_size, require_size
from faithlens.model.structure import Structure
from faithlens.model.templates import TemplateCheck
from faithlens.model.thinking import THINKING_SWITCHES, Thinking, find_thinking

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

# Some tokenizers put a space before every text. To avoid it, a continuation is encoded after one of these.
_ANCHORS = ("\n", "=", "a")
_AFTER_TURN = {"system": "\n\n", "user": "\n", "assistant": "\n\n"}  # where there is no chat template


@dataclass(frozen=True, eq=False, repr=False)
class Model:
    """A model that can be measured: in evaluation mode, without gradients for its weights.

    `fl.load(name)` makes one, and `fl.wrap(hf_model, tokenizer)`.

    Attributes:
        name: the name in tables and messages.
        hf_model: a causal language model of the transformers library.
        tokenizer: its tokenizer, with the chat template if it has one.
        structure: the attention edges it was trained without; empty for ordinary models.
    """

    name: str
    hf_model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    structure: Structure

    def __repr__(self) -> str:
        return f"Model({self.name!r}, {self.n_layers} layers, {self.n_heads} heads, {self.dtype}, {self.device})"

    @property
    def device(self) -> torch.device:
        """The device of the weights (of the first ones, for a model on several devices)."""
        return self.hf_model.device

    @property
    def dtype(self) -> str:
        """The number format of the weights, such as "float32"."""
        return str(self.hf_model.dtype).removeprefix("torch.")

    @property
    def n_layers(self) -> int:
        """The number of transformer blocks."""
        return require_size(library.get_text_config(self.hf_model), "num_hidden_layers")

    @property
    def n_heads(self) -> int:
        """The number of query heads in one block."""
        return read_size(library.get_text_config(self.hf_model), "num_attention_heads") or 0

    @property
    def context_length(self) -> int:
        """The longest sequence that the model reads, in tokens; `sys.maxsize` if its config has no limit."""
        return read_context_length(self.hf_model.config)

    @property
    def scaling_lengths(self) -> tuple[int, ...]:
        """The lengths beyond which all positions of a sequence are scaled in another way; empty for most models."""
        return list_scaling_lengths(self.hf_model.config)

    @property
    def source(self) -> str:
        """The folder that the weights were read from; for a hub model its last part is the commit."""
        return str(self.hf_model.name_or_path)

    @property
    def stop_ids(self) -> frozenset[int]:
        """The tokens that end the model's turn: those of its generation settings, and its tokenizer's end token."""
        return library.list_stop_ids(self.hf_model, self.tokenizer)

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
    def _template_checks(self) -> dict[tuple[bool | None, str], TemplateCheck]:
        return {}

    @cached_property
    def thinking(self) -> Thinking | None:
        """The markers between which a reasoning model thinks; None for a model whose chat template has none."""
        return find_thinking(self.tokenizer)

    def render(
        self,
        user: str,
        prefill: str = "",
        *,
        thinking: bool | None = None,
        turns: Sequence[tuple[str, str]] = (),
    ) -> str:
        """The prompt as text: the messages `turns`, the user's turn `user`, and the start of the model's, `prefill`.

        The chat template is used if there is one. Else the prompt is ``Q: user`` and, on a new line, ``A: prefill``,
        without a space at the end, since the model's next token brings its own; each of `turns` stands before it in the
        same way, and the words of a system message as they are. `thinking` sets the template's switch
        for thoughts, if it has one; None leaves the switch as the template has it. `Thinking.open_thoughts` gives
        the prompt that opens thoughts. Templates are given a fixed day as today, see `faithlens.model.templates`.

        Raises:
            ModelError: the template cannot be rendered within limits of time and length, or its prompt does not ask
                `user` once, word by word, and then open the model's turn.
        """
        template = library.get_chat_template(self.tokenizer)
        if template is None:
            marks = {"user": "Q: ", "assistant": "A: "}
            earlier = "".join(f"{marks.get(role, '')}{text}{_AFTER_TURN[role]}" for role, text in turns)
            space = " " if prefill and not prefill[0].isspace() else ""
            return f"{earlier}Q: {user}\nA:{space}{prefill}"
        return self._check_template(thinking, template).render(user, turns) + prefill

    def _check_template(self, thinking: bool | None, template: str) -> TemplateCheck:
        """The check of the chat template with thoughts on, off or unset, made once as long as the template stays."""
        key = (thinking, template)
        if key not in self._template_checks:
            switches: dict[str, bool] = {}
            if thinking is not None:
                switches.update(dict.fromkeys(THINKING_SWITCHES, thinking))
            self._template_checks[key] = TemplateCheck(self.name, self.tokenizer, switches)
        return self._template_checks[key]

    def encode_prompt(self, text: str) -> tuple[int, ...]:
        """The tokens of a rendered prompt, `text`.

        A chat template writes its own special tokens, so none is added. Without a template, the first token is the
        beginning-of-sequence token if this tokenizer adds one.
        """
        ids = self.encode_continuation(text)
        bos = self.tokenizer.bos_token_id
        if library.get_chat_template(self.tokenizer) is not None or not isinstance(bos, int) or ids[:1] == (bos,):
            return ids
        return (bos, *ids) if library.encode_text(self.tokenizer, "", add_special_tokens=True)[:1] == (bos,) else ids

    def encode_continuation(self, text: str) -> tuple[int, ...]:
        """The tokens of `text` by itself, without special tokens. To continue a sequence, use `continue_ids`."""
        problem = f"the tokenizer of {self.name} cannot encode {_shorten(text)}"
        with translate_errors(TraceError, problem, "Remove characters that no text should hold."):
            ids = library.encode_text(self.tokenizer, text, add_special_tokens=False)
        self.check_ids(ids)
        return ids

    def check_ids(self, ids: Sequence[int]) -> None:
        """Check that the model has an embedding for each token of `ids`.

        Raises:
            ModelError: a token is not in its vocabulary.
        """
        if ids and not (min(ids) >= 0 and max(ids) < self.n_tokens):
            wrong = next(i for i in ids if not 0 <= i < self.n_tokens)
            raise ModelError(
                f"the model {self.name} has embeddings for {self.n_tokens} tokens and none for token {wrong}"
                f" ({_shorten(self.decode([wrong]) if wrong >= 0 else '')}), which its tokenizer or the caller gives",
                "Use the tokenizer that the model was trained with, or resize_token_embeddings and train the new ones.",
            )

    @cached_property
    def n_tokens(self) -> int:
        """The number of tokens that the model has an embedding for."""
        weight = getattr(self.hf_model.get_input_embeddings(), "weight", None)
        return len(weight) if weight is not None else library.get_text_config(self.hf_model).vocab_size

    def decode(self, ids: Sequence[int], *, with_special_tokens: bool = True) -> str:
        """The text of `ids`, with spaces as they are.

        Args:
            ids: the tokens.
            with_special_tokens: whether tokens such as ``<|im_start|>`` are part of the text, or left out.

        Raises:
            TraceError: the tokenizer cannot decode them; its exception is chained.
        """
        problem = f"the tokenizer of {self.name} cannot decode {len(ids)} tokens"
        with translate_errors(TraceError, problem, "Pass ids of tokens that the tokenizer knows."):
            return library.decode_ids(self.tokenizer, list(ids), with_special_tokens=with_special_tokens)

    def continue_ids(self, prefix_ids: Sequence[int], text: str) -> tuple[int, ...]:
        """Tokens that write exactly `text` after `prefix_ids`: ``decode(prefix + ids) == decode(prefix) + text``.

        No token spans the border, so a text has the same tokens after every prefix.

        Raises:
            TraceError: this tokenizer cannot write `text` there.
        """
        intended = self.decode(prefix_ids) + text
        for ids in self._try_spellings(text):
            if self.decode((*prefix_ids, *ids)) == intended:
                return ids
        raise TraceError(
            f"the tokenizer of {self.name} cannot write {_shorten(text)} after {len(prefix_ids)} tokens: its tokens"
            f" decode to {_shorten(self.decode(self.encode_continuation(text)))}",
            "Leave out the characters or spaces that this tokenizer changes, or use another model.",
        )

    def _try_spellings(self, text: str) -> Iterator[tuple[int, ...]]:
        yield self.encode_continuation(text)
        for anchor in _ANCHORS:
            head, whole = self.encode_continuation(anchor), self.encode_continuation(anchor + text)
            if whole[: len(head)] == head:
                yield whole[len(head) :]


def check_model(model: object) -> None:
    """Refuse what is no `Model`, such as its name.

    Raises:
        ModelError: with the class of `model`.
    """
    fix = "Load it first: fl.load(name), or fl.wrap(hf_model, tokenizer) for a model of transformers in memory."
    check_type(model, Model, "the model", fix, ModelError)


def _shorten(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
