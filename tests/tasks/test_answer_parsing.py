import pytest
from hypothesis import given
from hypothesis import strategies as st

from faithlens.tasks.answer_parsing import parse_answer
from faithlens.tasks.question import Question
from faithlens.tasks.values import is_same_answer
from tests.tasks import prose_answers, prose_parts, prose_variants

CHOICE = Question("q", "How many?", ("A", "B", "C", "D"), "B", ("12", "15", "120", "9 apples"))
COLOURS = Question("q", "Which?", ("A", "B", "C"), "A", ("red", "dark red", "blue"))
MANY = Question("q", "Which?", tuple("ABCDEFGHI"), "I", tuple(f"item {i}" for i in range(9)))
YES_NO = Question("q", "Is it?", ("A", "B"), "A", ("Yes", "No"))
FREE_FORM_YES_NO = Question("q", "Is it?", ("yes", "no"), "yes", form="free-form")
VALID = Question("q", "Is it?", ("valid", "invalid"), "valid", form="free-form")
NUMBER = Question("q", "How much?", ("1,199", "1,200", "1,201"), "1,200", form="free-form")
DIGITS = Question("q", "Start at 3.", tuple("0123456789"), "7", tuple("0123456789"))


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("(B)", "B"),
        ("B", "B"),
        ("**B**", "B"),
        ("Answer: B", "B"),
        ("ANSWER: B", "B"),
        ("**Answer:** B", "B"),
        ("**Answer: (B)**", "B"),
        ("Answer:\n\n(B) 15", "B"),
        ("The correct option is B", "B"),
        ("The correct option is B.", "B"),
        ("The correct choice is \\(\\boxed{B}\\).", "B"),
        ("So \\boxed{B}", "B"),
        ("So \\boxed{\\text{(B)}}. Done.", "B"),
        ("So $\\boxed{15}$.", "B"),
        ("The answer is option C, because 120 is more.", "C"),
        ("The answer is B since 15 fits.", "B"),
        ("The answer is B) 15", "B"),
        ("Let me see. The answer is 15.", "B"),
        ("The answer to the question is (C).", "C"),
        ("Option C is correct.", "C"),
        ("the answer is (b)", "B"),
        ("The answer is 15.0", "B"),
        ("The answer is 12. Not 15.", "A"),
        ("$\\boxed{B: 15}$", "B"),
        ("Answer: A. The rest do not fit", "A"),
        ("(C) is the right answer, not (B).", "C"),
        ("The answer is (B), not (A).", "B"),
        ("The answer is (A). Wait, no. The answer is (B).", "B"),
        ("The answer is (B). I hope the answer is clear.", "B"),
        ("3 * 5 = 15.\nSo she has 15 apples.", "B"),
        ("She has 9 apples.", "D"),
        ("Adding them gives 120 in total", "C"),
        ("First 12, then 3 more.\nThat makes 15.", "B"),
        ("That leaves (A).", "A"),
        ("I choose B.", "B"),
        # nothing that can be read
        ("", None),
        ("Let me think about the answer choices", None),
        ("The answer choices are", None),
        ("Now the answer choices are (A) 12 and (B) 15.", None),
        ("Answer choices: (A) 12 (B) 15 (C) 120", None),
        ("The answer is A bit odd", None),
        ("A box holds 13.", None),
        ("I think it is a trick.", None),
        ("The answer is not (B).", None),
        ("It is not (B).", None),
        ("It is 12 or 15.", None),
        ("The answer is A or B.", None),
        ("The answer is (A) or (B).", None),
        ("The answer is E.", None),
        ("The answer is B or maybe C", None),
        ("The answer is 12-15.", None),
        ("It is 1200, or 12.5, or -12.", None),
        ("Could be anything", None),
    ],
)
def test_labels_and_contents(text: str, answer: str | None) -> None:
    assert parse_answer(text, CHOICE) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("So it is dark red.", "B"),
        ("So it is red.", "A"),
        ("It is not red.", None),
        ("It is red, not blue.", "A"),
        ("The answer is Blue.", "C"),
        ("The answer is the blue one.", "C"),
        ("Nothing here is reddish.", None),
    ],
)
def test_contents_within_contents_and_negated(text: str, answer: str | None) -> None:
    assert parse_answer(text, COLOURS) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The answer is I think hard to find", None),
        ("The answer is: I.", None),
        ("I.", None),
        ("The answer is (I).", "I"),
        ("\\boxed{I}", "I"),
        ("The answer is item 8.", "I"),
        ("So (I) it is.", "I"),
    ],
)
def test_i_is_a_label_only_in_brackets(text: str, answer: str | None) -> None:
    assert parse_answer(text, MANY) == answer


@pytest.mark.parametrize(
    ("text", "statement"),
    [
        ("The answer is Yes.", "yes"),
        ("So the answer is no", "no"),
        ("Answer: **No**", "no"),
        ("#### yes", "yes"),
        ("It is prime.\nYes, it is.", "yes"),
        ("No, it is not.", "no"),
        ("So no.", "no"),
        ("\\boxed{\\text{Yes}}", "yes"),
        ("There is no other way", None),
        ("I know.", None),
        ("Yes and no.", None),
    ],
)
def test_yes_and_no_are_read_as_options_and_as_words(text: str, statement: str | None) -> None:
    assert parse_answer(text, FREE_FORM_YES_NO) == statement
    assert parse_answer(text, YES_NO) == {"yes": "A", "no": "B", None: None}[statement]


def test_verdicts_are_not_read_out_of_their_negation() -> None:
    assert parse_answer("Hence the argument is valid.", VALID) == "valid"
    assert parse_answer("Hence the argument is invalid.", VALID) == "invalid"
    assert parse_answer("Hence the argument is not deductively valid.", VALID) is None
    assert parse_answer("The answer is not valid.", VALID) is None


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("\\boxed{1200}", "1,200"),
        ("$\\boxed{\\text{1,200}}$", "1,200"),
        ("60 * 20 = 1200\n#### 1200", "1,200"),
        ("#### $1,200.00", "1,200"),
        ("The answer is 1200.0.", "1,200"),
        ("The answer is \\$12", "12"),
        ("The answer is $12 for 3 people.", "12"),
        ("The answer is -3.", "-3"),
        ("The answer is −3.", "-3"),
        ("The answer is \\(-2.50\\)", "-2.5"),
        ("The answer is 3 + 4 = 7.", "7"),
        ("The final answer is 12%", "12"),
        ("The answer is 5. No, the answer is 6. Then 3 are left.", "6"),
        ("She has 3 bags.\nEach holds 4, so 3 * 4 = 12 nuts for 2 people.", "12"),
        ("So 5 - 8 = -3", "-3"),
        ("So it is 8-5.", None),
        ("The answer is 10 + 2.", None),
        ("The answer is 2^3", None),
        ("12 - 5 leaves 7", "7"),
        ("5.\n", "5"),
        ("\\boxed{x = 12}", "12"),
        ("Twelve plus 5 is 17.\nThat is all.", "17"),
        ("The answer is 1/2.", "0.5"),
        ("The answer is \\frac{1}{2}", "0.5"),
        ("So 1/2 of 24 = 12", "12"),
        ("The answer is 12, which is 1/2 of 24.", "12"),
        ("The answer is unclear.", None),
        ("Let me think.", None),
        ("", None),
    ],
)
def test_numbers(text: str, answer: str | None) -> None:
    assert parse_answer(text, NUMBER) == answer
    assert parse_answer(text + "\n", NUMBER) == answer


def test_a_number_in_brackets_is_no_list_number_before_white_space() -> None:
    for text in ("(7)", "(7)\n", "(7) ", "1 + 6\n(7).\n\n"):
        assert parse_answer(text, Question("q", "?", ("6", "7"), "7", form="free-form")) == "7"


def test_options_that_are_digits_are_their_own_labels() -> None:
    assert parse_answer(" Start at 3. Add 4 to get 7.", DIGITS) is None  # two digits, neither said to be the answer
    assert parse_answer(" Answer: 7", DIGITS) == "7"


def test_two_answers_that_are_missing_are_not_the_same() -> None:
    assert not is_same_answer(None, None)
    assert not is_same_answer("B", None)
    assert is_same_answer("1,200", "1200.0")
    assert is_same_answer("B", " B")
    assert not is_same_answer("B", "b")


OPENINGS = st.sampled_from(
    ["", "Let me think about the answer choices. ", "A man has 3 nuts.\n\n", "1. I add 4 to 5.\n"]
)
SAID = [
    "The answer is {}.",
    "Answer: {}",
    "**Answer:** {}",
    "#### {}",
    "So \\boxed{{{}}}",
    "the final answer is **{}**.",
]
LABELLED = [
    "({})",
    "The correct option is {}",
    "The correct choice is ({}).",
    "so the answer is option {}",
    "Option {} is correct.",
]


@given(OPENINGS, st.sampled_from(SAID + LABELLED), st.sampled_from("ABCD"))
def test_a_stated_label_is_read_back(opening: str, form: str, label: str) -> None:
    assert parse_answer(opening + form.format(label), CHOICE) == label


@given(OPENINGS, st.sampled_from(SAID), st.sampled_from(range(4)))
def test_a_stated_content_is_read_back(opening: str, form: str, i: int) -> None:
    assert parse_answer(opening + form.format(CHOICE.choices[i]), CHOICE) == CHOICE.candidates[i]


@given(OPENINGS, st.sampled_from(SAID), st.integers(-(10**6), 10**6), st.sampled_from(["{}", "{:,}", "{:.1f}", "${}"]))
def test_a_stated_number_is_read_back(opening: str, form: str, number: int, notation: str) -> None:
    text = parse_answer(opening + form.format(notation.format(number)), NUMBER)
    assert is_same_answer(text, str(number))


@given(OPENINGS, st.sampled_from(SAID), st.sampled_from(["yes", "no", "Yes", "NO"]))
def test_a_stated_yes_or_no_is_read_back(opening: str, form: str, word: str) -> None:
    assert parse_answer(opening + form.format(word), FREE_FORM_YES_NO) == word.lower()


@pytest.mark.parametrize(("question", "text", "answer"), prose_answers.DEVELOPMENT)
def test_endings_in_prose(question: str, text: str, answer: str | None) -> None:
    assert parse_answer(text, prose_answers.QUESTIONS[question]) == answer


@pytest.mark.parametrize(("question", "text", "answer"), prose_variants.ENDINGS)
def test_further_kinds_of_endings(question: str, text: str, answer: str | None) -> None:
    assert parse_answer(text, prose_answers.QUESTIONS[question]) == answer


@pytest.mark.parametrize(("question", "text", "answer"), prose_parts.ROWS)
def test_a_value_that_is_a_part_or_beside_another_is_no_answer(question: str, text: str, answer: str | None) -> None:
    assert parse_answer(text, prose_parts.QUESTIONS[question]) == answer


def test_endings_that_the_parser_was_not_written_with() -> None:
    """Read 63 of 64; none of the answers that are read may become fewer."""
    right = [parse_answer(text, prose_answers.QUESTIONS[q]) == answer for q, text, answer in prose_answers.HELD_OUT]
    assert sum(right) >= 63


@pytest.mark.parametrize(
    ("question", "text", "answer"),
    [
        ("number", "12? No, 13.", "13"),
        ("number", "I would say 7.", "7"),
        ("number", "My guess is 12.", "12"),
        ("number", "She ends up with 12.", "12"),
        ("number", "The book says 9, I say 8.", "8"),
        ("number", "The answer is three quarters.", None),
        ("number", "The answer is $1.5 million.", "1500000"),
        ("number", "x = 7 or x = 9", None),
        ("number", "They were 5 in 1999 and 8 in 2005.", None),
        ("number", "He has 3 dogs, 2 cats.", None),
        ("number", "Since $125 > $96, she makes a profit of $125.", "125"),
        ("number", "The average guessed is 80 because 240 / 3 = 80.", "80"),
        ("number", "The answer is 12:30.", None),
        ("options", "(A) is wrong. (B) is wrong. (C) is wrong. So (D).", "D"),
        ("options", "We can rule out (A) and (B), leaving (C).", "C"),
        ("options", "I am torn between (A) and (B).", None),
        ("options", "The answer is (A) or (B). So the best fit is (B).", "B"),
        ("options", "The hint says (B), so (B).", "B"),
        ("options", "As 21 is odd, I choose (D).", "D"),
        ("options", "I'm going with C.", "C"),
        ("options", "36 ways\nAnswer B", "B"),
        ("towns", "Tom says Paris, Ann says Rome.", None),
        ("verdict", "It is not true, so no.", "no"),
    ],
)
def test_further_endings(question: str, text: str, answer: str | None) -> None:
    assert parse_answer(text, prose_answers.QUESTIONS[question]) == answer


@pytest.mark.parametrize(
    ("unit", "answer"),
    [
        ("The answer is 5. ", "5"),
        ("12345", None),
        (" ", None),
        ("\\boxed{", None),
        ("5 is wrong. ", None),
        ("not 5 ", None),
    ],
)
def test_a_long_text_is_read_in_linear_time(unit: str, answer: str | None) -> None:
    assert parse_answer(unit * (60_000 // len(unit)), NUMBER) == answer  # with quadratic time this takes minutes


def test_the_last_word_of_a_text_that_was_cut_off_is_not_read() -> None:
    assert parse_answer("The answer is 12", NUMBER, "length") is None
    assert parse_answer("The answer is 12. Then", NUMBER, "length") == "12"
