"""Option labels in text: the conclusion of a chain of thought over options, and a wrong one in its place.

Models that choose among options close with "The correct choice is (D)". Where that sentence stays, a mistake in any
number before it may be corrected by merely copying the letter, so it is a stated value of its own.
"""

import random
import re

from faithlens.tasks.question import Question

_LABEL = re.compile(
    r"(?:(?<=\()|(?<=\{)|(?<=[Oo]ption )|(?<=[Cc]hoice )|(?<=choice is )|(?<=option is )|(?<=answer is )|(?<=nswer: ))"
    r"([A-Z])(?=[)}.,:;*]|\s*$)"
)


def misstate_option(step: str, question: Question, rng: random.Random) -> str | None:
    """`step` with the last option label it names replaced by another, together with the content that follows it.

    None where it names no label of `question`, or the question has no options.
    """
    named = [match for match in _LABEL.finditer(step) if match[1] in question.candidates]
    if not named or not question.choices:
        return None
    contents = dict(zip(question.candidates, question.choices, strict=True))
    old = named[-1][1]
    new = rng.choice([label for label in question.candidates if label != old])
    before, after = step[: named[-1].start()], step[named[-1].end() :]
    content = re.match(rf"([)}}.,:;*\s]*){re.escape(contents[old])}(?!\w)", after)
    return before + new + (content[1] + contents[new] + after[content.end() :] if content else after)
