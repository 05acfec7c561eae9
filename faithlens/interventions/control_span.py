"""Random control spans: what does the same edit do at other tokens?

1. Take the first `end` tokens of the trace, which are those before the answer, without the first token of all. The
   first token attracts much attention whatever it says (an attention sink), so no control may contain it.
2. Draw the start uniformly, so that `length` tokens fit before `end`.
3. If they do not fit, start at token 1 and stop at `end`.

For example, with 6 tokens before the answer and a step of 2 tokens, a control starts at 1, 2, 3 or 4::

    draw_control_span(6, 2, random.Random(0))    (4, 6)
    draw_control_span(6, 2, random.Random(1))    (2, 4)
    draw_control_span(6, 9, random.Random(0))    (1, 6)    9 tokens do not fit
"""

import random

from faithlens.model.structure import Interval


def draw_control_span(end: int, length: int, rng: random.Random) -> Interval:
    """A span of `length` tokens at a random place before token `end`, without the first token.

    Args:
        end: the token before which the span stops, for example the first token of the stem.
        length: the number of tokens of the span; fewer are returned if not as many fit.
        rng: the source of randomness; one number is drawn from it.

    Returns:
        The half-open positions (start, stop).
    """
    start = rng.randint(1, max(1, end - length))
    return start, min(start + length, end)
