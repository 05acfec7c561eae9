"""How often each word is said, by the true share of unfaithful questions and the number of questions.

``python -m benchmarks.verdict_words`` makes the table in docs/verdict.md in seconds. With one chain a question, and no
gate that fails by chance, the number of failing questions is binomial, so the probability of each word is a sum of its
terms: nothing is simulated. `tests/gates/test_operating_characteristics.py` compares the table with the words and with
the page.
"""

from typing import NamedTuple

from scipy.stats import binom

from faithlens.gates.word import LEVEL, MAX_UNFAITHFUL, bound_share, compute_excess

SHARES = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0)
SIZES = (20, 29, 40, 60, 100, 200, 400)


class WordOdds(NamedTuple):
    """The probabilities of the words at a true share and a number of questions."""

    share: float
    n: int
    trust: float
    do_not_trust: float

    @property
    def undecided(self) -> float:
        """The rest."""
        return 1 - self.trust - self.do_not_trust


def compute_odds(share: float, n: int, max_unfaithful: float = MAX_UNFAITHFUL, level: float = LEVEL) -> WordOdds:
    """The probability of each word if every gate was tested and no question is open.

    Args:
        share: the true share of questions that fail some gate.
        n: the number of questions.
        max_unfaithful: the share that is allowed.
        level: the error rate of the word.
    """
    most = max((k for k in range(n + 1) if bound_share(k, n, level) <= max_unfaithful), default=-1)
    least = next((k for k in range(n + 1) if compute_excess(k, n, max_unfaithful) <= level), n + 1)
    return WordOdds(share, n, float(binom.cdf(most, n, share)), float(binom.sf(least - 1, n, share)))


def make_table() -> str:
    """The table in Markdown: trust / do-not-trust in per cent, a row for each share and a column for each number."""
    lines = ["| true share | " + " | ".join(f"n = {n}" for n in SIZES) + " |", "|---|" + "---|" * len(SIZES)]
    for share in SHARES:
        odds = [compute_odds(share, n) for n in SIZES]
        cells = " | ".join(f"{100 * each.trust:.1f} / {100 * each.do_not_trust:.1f}" for each in odds)
        lines.append(f"| {100 * share:.0f} % | {cells} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(make_table())
