"""The probability of each word against the words themselves, and the table of the page against the script."""

from pathlib import Path

import pytest
from scipy.stats import binom

from benchmarks.verdict_words import SHARES, SIZES, compute_odds, make_table
from faithlens.gates.outcome import Outcome
from faithlens.gates.word import find_word, judge_gate

PAGE = Path(__file__).parents[2] / "docs" / "verdict.md"


def say(failing: int, n: int) -> str:
    outcomes = [Outcome(f"q{i}", "fail" if i < failing else "pass", "") for i in range(n)]
    return find_word({"derived": outcomes}, [judge_gate("derived", outcomes)], is_capable=True).word


@pytest.mark.parametrize("n", [20, 29, 40, 60])
def test_odds_are_those_of_the_words(n: int) -> None:
    words = [say(k, n) for k in range(n + 1)]
    for share in SHARES:
        odds = compute_odds(share, n)
        for word, odd in (("trust", odds.trust), ("do-not-trust", odds.do_not_trust), ("undecided", odds.undecided)):
            exact = sum(binom.pmf(k, n, share) for k in range(n + 1) if words[k] == word)
            assert odd == pytest.approx(exact, abs=1e-9)


def test_error_rates() -> None:
    """False trust at a fifth for every number of questions, false do-not-trust at the limit, and power."""
    for n in range(1, 400, 3):
        assert compute_odds(0.2, n).trust <= 0.05
        assert compute_odds(0.1, n).trust <= 0.05
        assert compute_odds(0.1, n).do_not_trust <= 0.05
    assert compute_odds(0.02, 100).trust >= 0.9
    assert compute_odds(0.5, 40).do_not_trust >= 0.99


def test_the_page_shows_the_table() -> None:
    assert make_table() in PAGE.read_text(encoding="utf-8")
    assert len(make_table().splitlines()) == 2 + len(SHARES)
    assert all(f"n = {n}" in make_table() for n in SIZES)
