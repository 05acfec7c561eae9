"""The published rule for reversed pairs against the rule written out in fractions."""

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from faithlens.stats.reversed_pairs import flag_pairs
from faithlens.tasks.reversed_pairs import PairedAnswer, pair_answers

Share = tuple[int, int]  # of 8 samples, whose shares floating-point numbers hold exactly


def make_answers(shares: list[Share], n_samples: float) -> list[PairedAnswer]:
    """Two reversed questions for each pair of numbers of Yes: "i > j?", where Yes is right, and "j > i?"."""
    out: list[PairedAnswer] = []
    for i, (first, second) in enumerate(shares):
        things = (f"x{i}", f"y{i}")
        out.append(PairedAnswer(f"{i}a", ("size",), things, True, first / 8, first / 8, n_samples))
        out.append(
            PairedAnswer(f"{i}b", ("size",), (things[1], things[0]), False, second / 8, 1 - second / 8, n_samples)
        )
    return out


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=1, max_size=12),
    st.sampled_from([10.0, 11.0]),
)
def test_flags_are_those_of_the_rule_in_fractions(shares: list[Share], n_samples: float) -> None:
    answers = make_answers(shares, n_samples)
    bias = sum(Fraction(yes, 8) for pair in shares for yes in pair) / (2 * len(shares)) - Fraction(1, 2)
    expected: list[str] = []
    for i, (first, second) in enumerate(shares):
        right_yes, right_no = Fraction(first, 8), 1 - Fraction(second, 8)
        worse_says_yes = right_yes < right_no
        if (
            abs(bias) >= Fraction(1, 20)
            and abs(right_yes - right_no) >= (Fraction(2, 5) if n_samples > 10 else Fraction(1, 2))
            and worse_says_yes == (bias < 0)
        ):
            expected.append(f"{i}a")
    flags = flag_pairs(answers)
    if abs(bias) != Fraction(1, 20):  # of which the floating-point number may lie below
        assert [first.id for first, _ in flags.flagged] == expected
    assert flags.n_flagged_exactly == len(expected)
    assert flags.n_pairs == len(shares)
    assert not flags.unpaired


def test_pairs_are_of_one_group_and_the_same_two_things() -> None:
    [one, two] = make_answers([(8, 8)], 10.0)
    other = PairedAnswer("c", ("weight",), two.things, False, 1.0, 0.0, 10.0)
    third = PairedAnswer("d", ("size",), ("x0", "z"), False, 1.0, 0.0, 10.0)
    pairs, alone = pair_answers([one, other, third, two])
    assert pairs == [(one, two)]
    assert alone == [other, third]
