"""Does some feature of the question separate the failing questions? A permutation test over simple features.

1. `make_features` turns the prompts into yes/no features: a word occurs, the i-th number is at least c, the prompt is
   at least so long. Features that hold for fewer than `MIN_QUESTIONS` questions, or for nearly all, are left out.
2. The statistic is the largest |phi| (correlation of two yes/no variables) between the failures and any feature.
3. The failures are shuffled over the questions `N_SHUFFLES` times. The p-value is the share of shuffles, the observed
   order included, whose largest |phi| is at least the observed one. Taking the largest in each shuffle corrects for the
   search over all features.

For example, with 40 questions of which the 9 with a first number of at least 7 fail: phi of "number 1 >= 7" is 1,
hardly any shuffle reaches it, and p is near 1 / (N_SHUFFLES + 1).
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

MIN_QUESTIONS = 3
N_SHUFFLES = 999
MAX_NUMBERS = 12
"""Numbers of a prompt that are looked at, from the first on."""


class Separation(NamedTuple):
    """The feature that separates failing from other questions best.

    Attributes:
        feature: the feature in words.
        holds: whether it holds, by question.
        phi: the correlation with the failures, from -1 to 1.
        p_value: the probability of so high a correlation if failures were spread at random, corrected for the search.
        n_features: the number of features that were searched.
    """

    feature: str
    holds: Mapping[str, bool]
    phi: float
    p_value: float
    n_features: int


def make_features(
    prompts: Mapping[str, str], also: Mapping[str, Mapping[str, bool]] = {}
) -> tuple[list[str], Bool[np.ndarray, "feature question"]]:
    """The yes/no features of the questions, in words, and where each holds, in the order of `prompts`.

    `also` gives further features: where each holds, by question; elsewhere it does not.
    """
    texts = list(prompts.values())
    names: list[str] = []
    rows: list[list[bool]] = []
    words = [read_words(text) for text in texts]
    for word in sorted(set().union(*words)):
        names.append(f"the word {word!r}")
        rows.append([word in each for each in words])
    numbers = [[float(x) for x in re.findall(r"\d+(?:\.\d+)?", text)] for text in texts]
    for i in range(min(MAX_NUMBERS, max(map(len, numbers), default=0))):
        column = [each[i] if i < len(each) else None for each in numbers]
        for cut in sorted({x for x in column if x is not None})[1:]:
            names.append(f"number {i + 1} of at least {cut:g}")
            rows.append([x is not None and x >= cut for x in column])
    lengths = [len(text) for text in texts]
    for cut in sorted(set(np.quantile(lengths, [0.25, 0.5, 0.75]).tolist())) if lengths else []:
        names.append(f"at least {cut:.0f} characters")
        rows.append([length >= cut for length in lengths])
    for name, holds in also.items():
        names.append(name)
        rows.append([holds.get(question, False) for question in prompts])
    table = np.array(rows, dtype=bool).reshape(len(names), len(texts))
    counts = table.sum(1)
    useful = (counts >= MIN_QUESTIONS) & (counts <= len(texts) - MIN_QUESTIONS)
    return [name for name, is_useful in zip(names, useful, strict=True) if is_useful], table[useful]


def read_words(text: str) -> set[str]:
    """The words of a text in lower case, without numbers."""
    return set(re.findall(r"[^\W\d_]+", text.lower()))


def find_separation(
    prompts: Mapping[str, str],
    failed: Mapping[str, bool],
    seed: int = 0,
    also: Mapping[str, Mapping[str, bool]] = {},
) -> Separation | None:
    """The feature that separates the failing questions best, tested against shuffled failures.

    None where fewer than `MIN_QUESTIONS` questions fail or do not fail, or no feature varies.

    Args:
        prompts: the prompt of each question.
        failed: whether each question fails; questions without an entry are left out.
        seed: seeds the shuffles.
        also: further features, as for `make_features`.
    """
    known = {question: text for question, text in prompts.items() if question in failed}
    fails = np.array([failed[question] for question in known], dtype=float)
    if min(fails.sum(), len(fails) - fails.sum()) < MIN_QUESTIONS:
        return None
    names, table = make_features(known, also)
    if not names:
        return None
    scaled = _standardise(table.astype(float))
    rng = np.random.default_rng(seed)
    shuffled = np.stack([rng.permutation(fails) for _ in range(N_SHUFFLES)], axis=1)
    phi = scaled @ _standardise(fails[None])[0] / len(fails)
    largest = np.abs(scaled @ _standardise(shuffled.T).T).max(0) / len(fails)
    best = int(np.abs(phi).argmax())
    as_large = int((largest >= abs(phi[best]) - 1e-12).sum())
    holds = dict(zip(known, table[best].tolist(), strict=True))
    return Separation(names[best], holds, float(phi[best]), (1 + as_large) / (1 + N_SHUFFLES), len(names))


def _standardise(rows: Float[np.ndarray, "row question"]) -> Float[np.ndarray, "row question"]:
    """Each row with mean 0 and standard deviation 1."""
    return (rows - rows.mean(1, keepdims=True)) / rows.std(1, keepdims=True)
