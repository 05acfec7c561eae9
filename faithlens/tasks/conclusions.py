"""What a chain of thought concludes: the answer that it states, or else the value of its last step."""

from faithlens.tasks.answer_parsing import keep_asserted, parse_answer, states_answer
from faithlens.tasks.candidates import read_stated_value
from faithlens.tasks.question import Question
from faithlens.tasks.segmentation import split_steps
from faithlens.tasks.values import is_same_answer
from faithlens.thoughts import Finish


def find_conclusion(text: str, question: Question, finish: Finish = "stop") -> str | None:
    """The answer that a text states, else the value that its last step states; a label if there are options.

    Of a text that was cut off only an answer that it states counts: its last value may be on the way to one. Where an
    answer is stated that cannot be read ("The answer is 5 or 7."), there is none.
    """
    stated = parse_answer(text, question, finish)
    if stated is not None or finish == "length" or states_answer(text, question):
        return stated
    text = keep_asserted(text, question)
    values = [read_stated_value(text[start:stop], question.decimal_mark) for start, stop in split_steps(text)]
    last = next((str(value) for value in reversed(values) if value is not None), None)
    options = zip(question.choices, question.candidates, strict=False)
    return next((label for content, label in options if is_same_answer(content, last)), last)
