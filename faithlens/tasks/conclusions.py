"""What a chain of thought concludes: the answer that it states, or else the value of its last step with a number."""

import re

from faithlens.tasks.answer_parsing import keep_asserted, parse_answer, states_answer
from faithlens.tasks.candidates import read_stated_value
from faithlens.tasks.larger_expressions import is_distance, is_operand
from faithlens.tasks.question import Question
from faithlens.tasks.segmentation import split_steps
from faithlens.tasks.values import find_values, is_same_answer
from faithlens.thoughts import Finish


def find_conclusion(text: str, question: Question, finish: Finish = "stop") -> str | None:
    """The answer that a text states, else the value that its last step with digits states; a label of options.

    Of a text that was cut off only an answer that it states counts: its last value may be on the way to one. Where an
    answer is stated that cannot be read ("The answer is 5 or 7."), there is none; nor where that step has several
    numbers, or only a part of a calculation.
    """
    stated = parse_answer(text, question, finish)
    if stated is not None or finish == "length" or states_answer(text, question):
        return stated
    text = keep_asserted(text, question)
    steps = [text[start:stop] for start, stop in split_steps(text)]
    last = next((step for step in reversed(steps) if re.search("[0-9]", step)), "")
    numbers = [each for each in find_values(last, question.decimal_mark) if each.value.is_number]
    if len(numbers) != 1 or is_operand(last, *numbers[0][:2]) or is_distance(last, numbers[0].stop):
        return None
    value = read_stated_value(last, question.decimal_mark)
    if value is None:
        return None
    options = zip(question.choices, question.candidates, strict=False)
    return next((label for content, label in options if is_same_answer(content, str(value))), str(value))
