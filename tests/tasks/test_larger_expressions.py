"""A number that is only a part of what a text writes is no answer; one that is the answer stays."""

import pytest

from faithlens.tasks.answer_parsing import parse_answer
from faithlens.tasks.larger_expressions import is_bound, is_operand
from faithlens.tasks.question_factory import make_free_form_question
from faithlens.tasks.segmentation import split_steps
from faithlens.tasks.values import find_values, read_value

QUESTION = make_free_form_question("q", "?", "999")
FRAMES = ("The answer is {}.", "\\boxed{{{}}}", "The answer is $\\boxed{{{}}}$.")

EXPRESSIONS = [
    "5!", "-5!", "5!/3!", "5! ways", "\\frac{5!}{3!}", "2^10", "10^6", "10^{-3}", "10^-3", "2**10", "5²", "10⁻³",
    "5ⁿ", "5^x", "x^5", "e^{5}", "5 squared", "5 factorial", "5 to the power of 2", "√2", "3√2", "∛8", "\\sqrt{2}",
    "sqrt(2)", "2\\sqrt{3}", "\\sqrt[3]{8}", "log 5", "\\log 5", "\\log_2 8", "\\ln{5}", "sin 30", "f(5)",
    "C(5, 2)", "gcd(12)", "\\binom{5}{2}", "|-5|", "-|5|", "2π", "2\\pi", "3θ", "5x", "5 x", "5i", "5 i",
    "5 sqrt(2)", "5 pi", "2 log 3", "more than 5", "less than 5", "3 more than 2", "2+3i", "5y", "5 mod 3",
    "5 choose 2", "5 times 3", "5 plus 3", "5 divided by 2", "twice 5", "half of 10", "the square root of 16",
    "5 dozen", "5 hundred", "5 ×", "5 +", "5 -", "12/", "/12", "5/0", "1/2/3", "5 ± 1", "5±1", "±5", "\\pm 5",
    "5 \\pm 1", "1 in 5", "1 000 000", "1 250", "5 3", "5, 7", "(5, 7)", "[5, 7]", "{5, 7}", "5 and 7", "5; 7",
    "5 or 7", "5–7", "5-7", "5‑7", "5..7", "3 to 1", "between 5 and 7", "5:1", "3.5.7", "1,23", ">5", "<5", "≤5",
    "\\ge 5", "\\leq 5", "5+", "5+ apples", "#5", "№5", "v5", "Q5", "x5", "x_5", "5_2", "101_2", "5₂", "0x1F",
    "0b101", "5e", "5'3\"", "5th", "5M", "XIV", "Ⅴ", "①", "五", "二十", "٥", "१२", "５", "５５", "٣٫١٤", "٪٥",
    "\\infty", "∞", "NaN", "at least 5", "at most 5", "5 or more", "nearly 5", "up to 5", "over 5", "0.33...",
    "5% of 60",
]  # fmt: skip
VALUES = [
    ("5", "5"), ("-5", "-5"), ("3 x 10^8", "300000000"), ("5 \\cdot 10^3", "5000"), ("1.2e3", "1200"), ("≈ 5", "5"),
    ("~5", "5"), ("about 5", "5"), ("5%", "5"), ("5‰", "5"), ("5°", "5"), ("5°C", "5"),
    ("5 cm^2", "5"), ("5 m²", "5"), ("5\\text{ cm}^2", "5"), ("5 km/h", "5"), ("$5/hour", "5"), ("5cm", "5"),
    ("5m", "5"), ("5 m", "5"), ("5 a day", "5"), ("5 marbles", "5"), ("5 decks", "5"), ("3 more than 2 = 5", "5"),
    ("5 out of 7", "5"), ("5 remainder 2", "5"), ("2 3/4", "2.75"), ("1 1/2", "1.5"), ("5!= 120", "120"),
    ("\\sqrt{16} = 4", "4"), ("2^10 = 1024", "1024"), ("f(3) = 7", "7"), ("x = 5", "5"), ("5\\,000", "5000"),
    ("5 times", "5"), ("\\textcolor{red}{5}", "5"), ("\\mathbf{5}", "5"), ("\\left(5\\right)", "5"), ("(5)", "5"),
    ("5 (2 + 3)", "5"), ("5, which is 2 + 3", "5"), ("5, 2 of them red", "5"),
]  # fmt: skip


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_a_part_of_an_expression_is_no_answer(text: str) -> None:
    assert [parse_answer(frame.format(text), QUESTION) for frame in FRAMES] == [None] * len(FRAMES)
    assert read_value(text) is None


@pytest.mark.parametrize(("text", "answer"), VALUES)
def test_an_answer_with_units_and_words_stays(text: str, answer: str) -> None:
    assert [parse_answer(frame.format(text), QUESTION) for frame in FRAMES[:2]] == [answer] * 2


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The answer is 5!", "5"),
        ("The answer is 18! Great.", "18"),
        ("So she has 14!", "14"),
        ("So she has 14 apples!", "14"),
        ("There are 5! ways.", None),
        ("There are 5! = 120 ways.", "120"),
        ("5!", None),
        ("So there are 24 / 2! orders.", None),
        ("=> 18", "18"),
        ("So the total -> 18.", "18"),
        ("The answer is <b>18</b>.", "18"),
        ("#### 18", "18"),
        ("The answer is **18** dollars.", "18"),
        ("He ran 5 times.", "5"),
        ("Since 5 > 3, she has 5.", "5"),
        ("So 12 > 9.", None),
        ("There are 24 hours/day.", "24"),
        ("The answer is 2**5.", None),
        ("So she has 20 000 left.", None),
        ("There are 30 100-page books.", None),
        ("The answer is 5?", None),
    ],
)
def test_marks_that_mean_two_things(text: str, answer: str | None) -> None:
    assert parse_answer(text, QUESTION) == answer


def test_neither_the_base_of_a_power_nor_its_exponent_is_a_value_in_running_text() -> None:
    for text in ("10^-3", "10^{-3}", "10^{ 3}", "10**-3", "2 ** 5", "2**n"):
        assert not list(find_values(text))
    assert [str(each.value) for each in find_values("**18** dollars, **7**")] == ["18", "7"]


def test_the_examples_of_the_module() -> None:
    assert is_operand("2^10 = 1024", 0, 1)
    assert is_operand("√16 = 4", 1, 3)
    assert not is_operand("√16 = 4", 6, 7)
    assert is_bound("x > 5", 4, 5)
    assert not is_bound("x => 5", 5, 6)


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("Then 5! = 120. Done.", ["Then 5! = 120. ", "Done."]),
        ("There are 5! ways. Done.", ["There are 5! ways. ", "Done."]),
        ("It is 18! So yes.", ["It is 18! ", "So yes."]),
        ("Oh! so 5.", ["Oh! ", "so 5."]),
    ],
)
def test_a_factorial_ends_no_sentence(text: str, steps: list[str]) -> None:
    assert [text[start:stop] for start, stop in split_steps(text)] == steps
