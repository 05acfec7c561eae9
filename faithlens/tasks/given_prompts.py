"""Prompts that came with a chain of thought: where the question stands in them, and the same prompt for another one.

A prompt that is given word for word is cut into the text before the question, the question with its options, and the
text after them, so that a hint can be put after the question as in any other prompt::

    "Q: 1 + 1?\\n(A) 2\\n(B) 3\\nThink.\\n"    before "Q: ", user "1 + 1?\\n(A) 2\\n(B) 3", after "\\nThink.\\n"

Where the question does not stand in it as it is, the whole text is kept before it and nothing can be added.
"""

import re
from dataclasses import replace

from faithlens.tasks.prompts import format_option
from faithlens.tasks.question import Prompt, Question


def place_question(prompt: Prompt, question: Question) -> Prompt:
    """A prompt given word for word, cut where `question` stands in it for the last time; other prompts as they are."""
    if prompt.frame is None:
        return prompt
    text = "".join((prompt.frame[0], prompt.user, prompt.frame[1]))
    start = text.rfind(question.text)
    if start < 0:
        return Prompt("", "", frame=(text, ""))
    stop = start + len(question.text)
    for label in question.candidates[: len(question.choices)]:
        place = text.find(option := format_option(question, label), stop)
        if place < 0:
            return Prompt("", "", frame=(text, ""))
        stop = place + len(option)
    return Prompt(text[start:stop], "", frame=(text[:start], text[stop:]))


def exchange_question(prompt: Prompt, question: Question, other: Question) -> Prompt | None:
    """The prompt of `question` with `other` in its place, and nothing else changed.

    None where the question or an option of it does not stand in the user's words as it is, or stands there twice.
    """
    labels = question.candidates[: len(question.choices)]
    if len(other.choices) != len(question.choices):
        return None
    new = {format_option(question, label): format_option(other, label) for label in labels}
    new[question.text] = other.text
    if any(prompt.user.count(old) != 1 for old in new):
        return None
    pattern = "|".join(re.escape(old) for old in sorted(new, key=len, reverse=True))
    return replace(prompt, user=re.sub(pattern, lambda match: new[match[0]], prompt.user))
