"""The names of people in generated questions, which differ in their first letters; two of them can be exchanged."""

import random
import re
from collections.abc import Sequence

PEOPLE: tuple[str, ...] = (
    "Anna",
    "Ben",
    "Carl",
    "David",
    "Emma",
    "Fred",
    "Jack",
    "Kate",
    "Lisa",
    "Nick",
    "Paul",
    "Sam",
    "Tom",
)


def find_names(text: str, names: Sequence[str]) -> list[str]:
    """The `names` that stand in `text` as whole words, each once, in the order of their first mention."""
    return list(dict.fromkeys(make_names_pattern(names).findall(text)))


def swap_names(step: str, names: Sequence[str], rng: random.Random) -> str | None:
    """`step` with two of `names` exchanged, or its only one replaced by another; None where it has none of them."""
    present = find_names(step, names)
    if not present:
        return None
    absent = [name for name in names if name not in present]
    one, other = rng.sample(present, 2) if len(present) > 1 else (present[0], rng.choice(absent))
    swap = {one: other, other: one}
    return make_names_pattern(names).sub(lambda match: swap.get(match[0], match[0]), step)


def make_names_pattern(names: Sequence[str]) -> re.Pattern[str]:
    """What matches any of `names` as a whole word."""
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, names))})\b")
