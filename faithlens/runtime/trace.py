"""A trace: the tokens of a prompt and of one sampled chain of thought, cut into named pieces.

Tokens are kept as they were sampled and never re-encoded. Steps are cut at token borders: a token belongs to the step
in which its first visible character lies, so every piece is exact in tokens and in characters at once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from faithlens.errors import TraceError
from faithlens.runtime.model import Lens

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
    """

    pieces: tuple[Piece, ...]
    texts: tuple[str, ...]
    finish: Finish
    seed: int

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


def offsets(lens: Lens, ids: Sequence[int], context: Sequence[int] = ()) -> list[int]:
    """Where each token starts in the decoded text of `ids`, read after `context`, and where the text ends.

    A token that only completes a character begun by the tokens before it starts where that character starts.
    """
    head = lens.decode(context)
    whole = lens.decode([*context, *ids])
    starts = []
    for i in range(len(ids)):
        text = lens.decode([*context, *ids[:i]])
        # an unfinished multi-byte character decodes to U+FFFD: the token border lies before it
        starts.append(len(text) if whole.startswith(text) else len(text.rstrip("\ufffd")))
    if not whole.startswith(head):
        raise TraceError(
            "character offsets of a chain of thought",
            f"the tokenizer decodes the prompt differently once {len(ids)} tokens follow it",
            "use a tokenizer whose decoding is a concatenation (set clean_up_tokenization_spaces=false)",
        )
    return [start - len(head) for start in starts] + [len(whole) - len(head)]


def cut_steps(text: str, starts: Sequence[int], segments: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Snap character segments to token borders: half-open token ranges, one a segment that owns a token.

    `starts` is what `offsets` returns. A token belongs to the segment that holds its first visible character.
    """
    owners = []
    for a, b in zip(starts, starts[1:], strict=False):
        blank = len(text[a:b]) - len(text[a:b].lstrip())
        at = a + blank if blank < b - a else a
        owners.append(next((s for s, (_, stop) in enumerate(segments) if at < stop), len(segments) - 1))
    for i in range(1, len(owners)):  # a token inside a split character starts nowhere new: it stays with its head
        owners[i] = max(owners[i], owners[i - 1])
    borders = [i for i in range(len(owners)) if i == 0 or owners[i] != owners[i - 1]]
    return list(zip(borders, [*borders[1:], len(owners)], strict=True))


def make_trace(
    lens: Lens,
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
    starts = offsets(lens, cot, prompt)
    text = lens.decode([*prompt, *cot])[-starts[-1] :] if starts[-1] else ""
    if not text.strip():
        raise TraceError("a chain of thought", "the model wrote nothing", "check the prompt, or drop this question")
    ranges = cut_steps(text, starts, segment(text))
    pieces = [Piece("prompt", tuple(prompt))]
    pieces += [Piece(f"step {i}", tuple(cot[a:b])) for i, (a, b) in enumerate(ranges)]
    texts = [lens.decode(prompt)] + [text[starts[a] : starts[b]] for a, b in ranges]
    return Trace(tuple(pieces), tuple(texts), finish, seed)
