"""A trace: the tokens of a prompt and of one sampled chain of thought, cut into named pieces.

Tokens are kept as they were sampled and never re-encoded. Steps are cut at token borders: a token belongs to the step
in which its first visible character lies, so every piece is exact in tokens and in characters at once.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from faithlens.errors import TraceError
from faithlens.model.model import Model

Segmenter = Callable[[str], list[tuple[int, int]]]
Finish = Literal["stop", "length"]


@dataclass(frozen=True)
class Piece:
    """A named stretch of tokens: "prompt", "step 0", "step 1", ..., "stem"."""

    name: str
    ids: tuple[int, ...]


@dataclass(frozen=True)
class Trace:
    """One prompt and one chain of thought.

    Attributes:
        pieces: the prompt, then the steps in order.
        texts: what each piece reads as; joined, they are the decoded whole.
        finish: "stop" if the model ended its chain of thought, "length" if it was cut off at the token limit.
        seed: the seed it was sampled with.
        reply: what a reasoning model said after its thoughts; no part of the chain of thought, and never scored.
    """

    pieces: tuple[Piece, ...]
    texts: tuple[str, ...]
    finish: Finish
    seed: int
    reply: str = ""

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

    def __str__(self) -> str:
        return "\n".join(f"[{p.name}] {text.strip()}" for p, text in zip(self.pieces, self.texts, strict=True))


def find_offsets(model: Model, ids: Sequence[int], context: Sequence[int] = ()) -> list[int]:
    """Where each token starts in the decoded text of `ids`, read after `context`, and where the text ends.

    Tokens that share a character, as the bytes of an emoji do, all start where the first of them does.

    Raises:
        TraceError: the tokenizer's decoding is no concatenation.
    """
    starts, read, text = [], "", ""
    before, atom = tuple(context), ()  # read after the last whole characters only, so that the work stays linear
    for token in ids:
        starts.append(len(read))
        atom = (*atom, token)
        text = model.decode((*before, *atom))[len(model.decode(before)) :]
        if text and not text.endswith("\ufffd"):  # what an unfinished character decodes to
            read, text = read + text, ""
            before, atom = atom, ()
    if model.decode((*context, *ids)) != model.decode(context) + read + text:
        raise TraceError(
            "character offsets of a chain of thought",
            f"the tokenizer decodes {len(ids)} tokens together differently than one after the other",
            "use a tokenizer whose decoding is a concatenation (set clean_up_tokenization_spaces=false)",
        )
    return [*starts, len(read + text)]


def cut_steps(text: str, starts: Sequence[int], segments: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Snap character segments to token borders: half-open token ranges, one a segment that owns a token.

    `starts` is what `find_offsets` returns. A token belongs to the segment that holds its first visible character; white
    space, and what completes a character, stays with the token before it.
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

    Raises:
        TraceError: the chain of thought is empty, or the tokenizer's decoding is no concatenation.
    """
    starts = find_offsets(model, cot, prompt)
    text = model.decode([*prompt, *cot])[-starts[-1] :] if starts[-1] else ""
    if not text.strip():
        raise TraceError("a chain of thought", "the model wrote nothing", "check the prompt, or drop this question")
    ranges = cut_steps(text, starts, segment(text))
    pieces = [Piece("prompt", tuple(prompt))]
    pieces += [Piece(f"step {i}", tuple(cot[a:b])) for i, (a, b) in enumerate(ranges)]
    texts = [model.decode(prompt)] + [text[starts[a] : starts[b]] for a, b in ranges]
    return Trace(tuple(pieces), tuple(texts), finish, seed)


def split_thoughts(
    model: Model, prompt: Sequence[int], ids: Sequence[int], finish: Finish
) -> tuple[tuple[int, ...], str]:
    """The tokens of a reasoning model's thoughts, and the text of its reply after them.

    A token that holds the end of a thought and the start of the closing marker belongs to neither.

    Args:
        model: a model with `thinking` markers.
        prompt: the tokens before `ids`; they open the thoughts.
        ids: the sampled tokens.
        finish: whether the model ended its turn ("stop") or was cut off ("length").

    Raises:
        TraceError: the thoughts were never closed, or the model has no markers.
    """
    if model.thinking is None:
        raise TraceError(
            f"{model.name} has no markers of thoughts in its chat template",
            "Call `make_trace` on its tokens: all of them are the chain of thought.",
        )
    close, starts = model.thinking.close, find_offsets(model, ids, prompt)
    text = model.decode((*prompt, *ids))[len(model.decode(prompt)) :]
    at = text.find(close)
    if at < 0:
        reason = f"did not close its thoughts within {len(ids)} tokens"
        if finish == "stop":
            reason = "ended its turn without closing its thoughts"
        raise TraceError(f"{model.name} {reason}", "Raise the number of new tokens, or drop this question.")
    keep = bisect_left(starts, at)
    return tuple(ids[: keep if starts[keep] == at else keep - 1]), text[at + len(close) :]
