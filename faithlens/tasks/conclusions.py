"""What a chain of thought concludes: the answer that it states, or else the value of its last step with a number."""

import re

from faithlens.tasks.answer_parsing import announces_answer, keep_asserted, parse_answer, parse_asserted
from faithlens.tasks.candidates import read_stated_value
from faithlens.tasks.concluded_number import offers_numbers
from faithlens.tasks.larger_expressions import is_distance, is_operand
from faithlens.tasks.numbers import find_stated_span
from faithlens.tasks.question import Question
from faithlens.tasks.segmentation import LONGEST_STEP, split_steps
from faithlens.tasks.values import is_same_answer
from faithlens.thoughts import Finish


def find_conclusion(text: str, question: Question, finish: Finish = "stop") -> str | None:
    """The answer that a text states, else the value that its last step with digits states; a label of options.

    Of a text that was cut off only an answer that it states counts: its last value may be on the way to one. Where an
    answer is stated that cannot be read ("The answer is 5 or 7."), there is none; nor where that step offers several
    numbers, or only a part of a calculation.
    """
    if finish == "length":
        return parse_answer(text, question, finish)
    text = keep_asserted(text, question)
    stated = parse_asserted(text, question)
    if stated is not None or announces_answer(text, question):
        return stated
    steps = [text[max(start, stop - LONGEST_STEP) : stop] for start, stop in split_steps(text)]
    last = next((step for step in reversed(steps) if re.search("[0-9]", step)), "")
    span, value = find_stated_span(last), read_stated_value(last, question.decimal_mark)
    if value is None or span is None or offers_numbers(last, question.decimal_mark):
        return None
    if is_operand(last, *span) or is_distance(last, span[1]):
        return None
    options = zip(question.choices, question.candidates, strict=False)
    return next((label for content, label in options if is_same_answer(content, str(value))), str(value))
