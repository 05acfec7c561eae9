"""Texts that state a value only as a part, beside another value or in an instruction; labelled by hand.

Each row: the question's key in `prose_answers.QUESTIONS` or `QUESTIONS`, the text, and the answer that a careful reader
takes from it (None: no single value is stated).
"""

from faithlens.tasks.question import Question
from tests.tasks import prose_answers

QUESTIONS = prose_answers.QUESTIONS | {
    "older": Question("d", "How many years older is Ann than Bo?", ("5", "6"), "5", form="free-form"),
    "x": Question("x", "What is x?", ("2", "3"), "2", form="free-form"),
    "time": Question("m", "When does it leave?", ("9:05", "10:30"), "9:05", form="free-form"),
}

ROWS: list[tuple[str, str, str | None]] = [
    # a distance from another value
    ("number", "The answer is 3 more than Tom has.", None),
    ("number", "It is twice as many as 6.", None),
    ("number", "She has 4 more pens than her sister.", None),
    ("number", "The answer is five times as many as Ann.", None),
    ("number", "The answer is 20 kg heavier than the box.", None),
    ("number", "The answer is 12, 3 more than Tom.", "12"),
    ("number", "She has 4 more than 8, so 12.", "12"),
    ("number", "15 - 3 = 12 more than Tom.", "12"),
    ("number", "The answer is 12 rather than 13.", "12"),
    ("number", "He needs 12 more nails.", "12"),
    ("older", "Ann is 5 years older than Bo.", "5"),
    ("older", "The answer is 5 years more than Bo.", "5"),
    # corrected
    ("number", "The answer is 12 -- no, 13.", "13"),
    ("number", "The answer is 12 … no, 13.", "13"),
    ("number", "Answer: 12 (no, 13)", "13"),
    ("number", "The answer is 12 – wait, 14.", "14"),
    ("options", "Answer: (B) — no, (C)", "C"),
    ("number", "There were no 7s, so the answer is 6.", "6"),
    # an alternative in brackets or behind a comma
    ("number", "The answer is 5 (or 6 if we count the dog).", None),
    ("number", "The answer is 7, perhaps 8.", None),
    ("number", "So it comes to 7 (possibly 8).", None),
    ("number", "The answer is 6 by bus and 4 by train.", None),
    ("number", "The answer is 7 (seven).", "7"),
    ("number", "The answer is 7 (not 8).", "7"),
    ("number", "The answer is 7 (3 + 4).", "7"),
    ("time", "The answer is 9:05 (or 10:30 on Sundays).", None),
    # several values
    ("x", "x = 3 and x = -3", None),
    ("x", "The answer is x = 3, x = 8.", None),
    ("x", "x = 3 and y = 8", "3"),
    ("x", "2x = 6, so x = 3", "3"),
    ("x", "Add the hens: 3 hens + 4 hens = 7", "7"),
    ("x", "So x = -3.", "-3"),
    ("number", "The answer is 12 apples and 3 pears.", None),
    ("number", "The answer is 12 Äpfel und 3 Birnen.", None),
    ("number", "\\boxed{12 \\text{ apples and } 3 \\text{ pears}}", None),
    ("number", "The answer is 12 apples, 3 pears and 2 plums.", None),
    ("number", "The answer is 15 apples: 12 red and 3 green.", "15"),
    ("number", "The answer is 15 apples, 3 of them green.", "15"),
    ("number", "The answer is 15 apples in 3 bags.", "15"),
    ("number", "12 apples and 3 pears make 15 pieces.", "15"),
    ("options", "\\boxed{A, C}", None),
    ("options", "Answer: A + C", None),
    ("options", "Answer: (A); (C)", None),
    ("options", "The answer is A, C is too big.", "A"),
    ("options", "The answer is C, not A.", "C"),
    ("towns", "The answer is Rome, Oslo.", None),
    # an expression
    ("number", "The answer is x + 3.", None),
    ("number", "\\boxed{y - 3}", None),
    ("number", "\\boxed{\\frac{x}{3}}", None),
    ("number", "The answer is 3(x + 1).", None),
    ("number", "So she has b + 3.", None),
    ("number", "The answer is 12 cm x 5 cm.", None),
    ("number", "The answer is 12 m by 5 m.", None),
    ("number", "\\boxed{12\\,\\text{cm} \\times 5\\,\\text{cm}}", None),
    ("number", "The answer is 12 cm - 5 cm.", None),
    ("number", "The answer is 12 euros plus 5 euros.", None),
    ("number", "12 cm x 5 cm = 60 cm^2", "60"),
    ("number", "12 miles + 3 miles = 15 miles", "15"),
    ("number", "The answer is x + 3 = 15.", "15"),
    ("number", "The answer is 12 km/h.", "12"),
    ("number", "The answer is 12 - the most of all.", "12"),
    ("number", "\\boxed{12 \\text{ cm}^2}", "12"),
    ("number", "The answer is 12 and a half.", None),
    # digits that go on
    ("number", "The answer is 0.\\overline{3}.", None),
    ("number", "The answer is $2.1\\bar{6}$.", None),
    ("number", "The answer is 0.1(6).", None),
    ("number", "The answer is 0.33.", "0.33"),
    # a denied box
    ("number", "$\\boxed{12}$ is the answer, not $\\boxed{13}$.", "12"),
    ("number", "The answer is not \\boxed{13}.", None),
    ("options", "It isn't \\boxed{\\text{A}} but \\boxed{\\text{C}}.", "C"),
    # a table
    ("number", "| item | total |\n|---|---|\n| sum | 12 |", None),
    ("number", "item\ttotal\nsum\t12", None),
    ("number", "item | total\n--- | ---\nsum | 12", None),
    ("number", "P(A | B) = 0.2.\nP(B | A) = 0.5.", "0.5"),
    ("towns", "| 1 | Rome |\n| 2 | Oslo |", None),
    ("number", "| item | total |\n|---|---|\n| sum | 12 |\n\nSo it is 12.", "12"),
    # the label of one option and the content of another
    ("options", "The answer is (A) 8.", None),
    ("options", "Answer: A) 8.0", None),
    ("options", "The answer is 8 (A).", None),
    ("options", "\\boxed{\\text{(A) } 8}", None),
    ("towns", "The answer is (A) Rome.", None),
    ("options", "The answer is (B) 8.", "B"),
    ("options", "The answer is 8 (B).", "B"),
    ("options", "The answer is (B), since (A) 6 is too small.", "B"),
    ("towns", "Answer: (B) Rome, not Paris", "B"),
    ("options", "The answer is B, which is 14.", None),
    ("options", "The answer is B. 6 is too small.", "B"),
    # an instruction
    ("number", 'Write your answer as "Answer: 5" if there are 5.', None),
    ("number", "We must end with \\boxed{0}. It is \\boxed{12}.", "12"),
    ("options", "Reply in the form 'The answer is (A)'.", None),
    ("options", 'End with "The answer is (A)". The answer is (C).', "C"),
    ("number", 'Finish with "#### 5".', None),
    ("number", "I write: Answer: 5", "5"),
    ("number", "We can write the answer as \\boxed{5}.", "5"),
]
