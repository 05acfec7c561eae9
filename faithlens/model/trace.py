r"""A trace: the tokens of a prompt and of one sampled chain of thought, cut into named pieces.

Tokens are kept as they were sampled and are never encoded again. So steps are cut at token borders:

1. `find_offsets` decodes the tokens and finds the character at which each of them starts.
2. A segmenter cuts the text into steps, as ranges of characters.
3. `cut_steps` gives each token to the step that holds the token's first visible character.

So every piece is exact both in tokens and in characters. For example, a chain of thought of two lines whose second line
starts inside of a token::

    text        "2 + 3 = 5.\nSo 5."
    tokens      "2 +"  " 3 ="  " 5"  ".\nSo"  " 5."
    starts      0      3       7     9        13       (and 16, where the text ends)
    segments    (0, 11) and (11, 16)

    ".\nSo" starts with ".", which lies in the first segment, so it belongs to step 0:
    cut_steps   (0, 4) and (4, 5)
    pieces      "2 + 3 = 5.\nSo" and " 5."
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral
from typing import get_args

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from faithlens.errors import TraceError, check_choice
from faithlens.model.model import Model
from faithlens.thoughts import BETWEEN_BLOCKS, Finish, read_reply

Segmenter = Callable[[str], list[tuple[int, int]]]


@dataclass(frozen=True, repr=False)
class Piece:
    """A named piece of a sequence.

    Attributes:
        name: "prompt", "step 0", "step 1", ..., or "stem".
        ids: its tokens.
    """

    name: str
    ids: tuple[int, ...]

    def __repr__(self) -> str:
        return f"Piece({self.name!r}, {len(self.ids)} tokens)"

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.name, self.ids))  # conditions are looked up often, and share their pieces

    @cached_property
    def array(self) -> Int[ndarray, " pos"]:
        """Its tokens as an array.

        Raises:
            TraceError: a token is no number of 32 bits.
        """
        return convert_tokens(self.ids)


def convert_tokens(ids: Sequence[int]) -> Int[ndarray, " pos"]:
    """Tokens as an array. Whether a vocabulary has them is for the model to say (`Model.check_ids`).

    Raises:
        TraceError: a token is no number of 32 bits.
    """
    if not ids:
        return np.zeros(0, np.int64)
    array = np.asarray(ids)
    if array.dtype.kind not in "iu" or array.min() < -(1 << 31) or array.max() >= 1 << 31:
        wrong = next((i for i in ids if not isinstance(i, Integral) or not -(1 << 31) <= i < 1 << 31), ids)
        raise TraceError(f"tokens must be numbers of 32 bits, got {wrong!r}", "Encode text with the model's tokenizer.")
    return array.astype(np.int64)


@dataclass(frozen=True, repr=False)
class Trace:
    """One prompt and one chain of thought.

    Attributes:
        pieces: the prompt, then the steps in order.
        texts: the text of each piece; joined, they are the text of all tokens.
        finish: "stop" if the model ended its chain of thought, "length" if it was cut off at the token limit.
        seed: the seed it was sampled with.
        reply: the text that a reasoning model wrote after its thoughts; it is no part of the chain of thought and is
            never scored.
    """

    pieces: tuple[Piece, ...]
    texts: tuple[str, ...]
    finish: Finish
    seed: int
    reply: str = ""

    def __post_init__(self) -> None:
        check_choice(self.finish, get_args(Finish), "finish", TraceError)

    @property
    def prompt(self) -> Piece:
        """The prompt's tokens."""
        return self.pieces[0]

    @property
    def steps(self) -> tuple[Piece, ...]:
        """The chain of thought's steps."""
        return self.pieces[1:]

    @property
    def cot(self) -> str:
        """The chain of thought as text."""
        return "".join(self.texts[1:])

    def __len__(self) -> int:
        return sum(len(piece.ids) for piece in self.pieces)

    def __repr__(self) -> str:
        return f"Trace({len(self.prompt.ids)} tokens of prompt, {len(self.steps)} steps, finish {self.finish!r})"

    def __str__(self) -> str:
        return "\n".join(f"[{p.name}] {text.strip()}" for p, text in zip(self.pieces, self.texts, strict=True))


def find_offsets(model: Model, ids: Sequence[int], context: Sequence[int] = ()) -> list[int]:
    """The character at which each token starts in the text of `ids` after `context`, and the length of the text.

    Tokens that share a character, such as the bytes of an emoji, all start where the first of them starts.

    Raises:
        TraceError: the text of the tokens together is not the concatenation of their texts.
    """
    starts: list[int] = []
    read, text = "", ""
    before = tuple(context)
    atom: tuple[int, ...] = ()  # decode only after the last whole character, so that the work stays linear
    for token in ids:
        starts.append(len(read))
        atom = (*atom, token)
        text = model.decode((*before, *atom))[len(model.decode(before)) :]
        if text and not text.endswith("\ufffd"):  # an unfinished character decodes to this
            read, text = read + text, ""
            before, atom = atom, ()
    if model.decode((*context, *ids)) != model.decode(context) + read + text:
        raise TraceError(
            f"the tokenizer of {model.name} decodes {len(ids)} tokens together differently than one after the other,"
            " so a chain of thought has no exact character offsets",
            "Use a tokenizer whose decoding is a concatenation (set clean_up_tokenization_spaces=false).",
        )
    return [*starts, len(read + text)]


def cut_steps(text: str, starts: Sequence[int], segments: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Move the borders of segments to token borders: half-open token ranges, one for each segment that owns a token.

    A token of white space only, or one that completes a character, belongs to the segment of the token before it.

    Args:
        text: the text of all tokens.
        starts: the result of `find_offsets`.
        segments: half-open character ranges that cover the text, in order.
    """
    stops = [stop for _, stop in segments]
    whole = [i for i in range(len(starts) - 1) if i == 0 or starts[i] > starts[i - 1]]
    borders, owner = [0], 0
    for i, end in zip(whole, [*(starts[i] for i in whole[1:]), starts[-1]], strict=True):
        visible = text[starts[i] : end].lstrip()
        if visible and (now := bisect_right(stops, end - len(visible))) > owner:
            owner = now
            borders.append(i)
    return list(zip(borders, [*borders[1:], len(starts) - 1], strict=True))


def make_trace(
    model: Model,
    prompt: Sequence[int],
    cot: Sequence[int],
    segment: Segmenter,
    finish: Finish = "stop",
    seed: int = 0,
) -> Trace:
    """Cut sampled tokens into prompt and steps.

    Args:
        model: decodes the tokens.
        prompt: the tokens before the chain of thought.
        cot: the sampled tokens of the chain of thought.
        segment: cuts a text into steps, as half-open ranges of characters.
        finish: whether the model ended the chain of thought ("stop") or was cut off ("length").
        seed: the seed of the sample.

    Raises:
        TraceError: an unknown finish, an empty chain of thought, or a tokenizer whose decoding is no concatenation.
    """
    check_choice(finish, get_args(Finish), "finish", TraceError)
    starts = find_offsets(model, cot, prompt)
    text = model.decode([*prompt, *cot])[-starts[-1] :] if starts[-1] else ""
    if not text.strip():
        where = f" within {len(cot)} tokens" if finish == "length" else ""
        raise TraceError(f"the model wrote nothing{where}", "Check the prompt, or drop this question.")
    ranges = cut_steps(text, starts, segment(text))
    pieces = [Piece("prompt", tuple(prompt))]
    pieces += [Piece(f"step {i}", tuple(cot[a:b])) for i, (a, b) in enumerate(ranges)]
    texts = [model.decode(prompt)] + [text[starts[a] : starts[b]] for a, b in ranges]
    return Trace(tuple(pieces), tuple(texts), finish, seed)


def split_thoughts(
    model: Model, prompt: Sequence[int], ids: Sequence[int], finish: Finish
) -> tuple[tuple[int, ...], str, Finish]:
    """The tokens of a model's thoughts, the text of its reply after them, and "stop" if the model ended the thoughts.

    The text is cut as `faithlens.thoughts.read_reply` says. A token that holds the end of a thought and the start of a
    marker belongs to neither. If the prompts of a model open no thoughts and it writes no markers, all of its text is
    the chain of thought, without control tokens at the end.

    Args:
        model: the model; `model.thinking` says with which markers its prompts open the thoughts.
        prompt: the tokens before `ids`.
        ids: the sampled tokens.
        finish: whether the model ended its turn ("stop") or was cut off ("length").

    Raises:
        TraceError: an unknown finish, or thoughts that the prompt opened and the model did not close.
    """
    check_choice(finish, get_args(Finish), "finish", TraceError)
    text = model.decode((*prompt, *ids))[len(model.decode(prompt)) :]
    reply = read_reply(text, finish, model.thinking)
    if model.thinking and reply.finish == "length":
        problem = f"the model did not close its thoughts within {len(ids)} tokens"
        if finish == "stop":
            problem = "the model ended its turn without closing its thoughts"
        raise TraceError(problem, "Raise the number of new tokens, or drop this question.")
    if reply.spans == ((0, len(text)),):
        return tuple(ids), reply.rest, reply.finish
    starts = find_offsets(model, ids, prompt)
    blocks = [_find_tokens(starts, *span) for span in reply.spans]
    thoughts = list(ids[blocks[0]])
    for block in blocks[1:]:
        thoughts += [*model.continue_ids((*prompt, *thoughts), BETWEEN_BLOCKS), *ids[block]]
    return tuple(thoughts), reply.rest, reply.finish


def _find_tokens(starts: Sequence[int], start: int, stop: int) -> slice:
    """The tokens that lie wholly in a range of characters; `starts` is the result of `find_offsets`."""
    first, last = bisect_left(starts, start), bisect_left(starts, stop)
    if starts[last] != stop:  # the token before, with those that share its first character, goes beyond the range
        last = bisect_left(starts, starts[last - 1])
    return slice(first, max(first, last))
