r"""Other names for the people or variables of a question and of its chain of thought: the same question for a reader.

1. Each name gets another: a person one that the same pronouns fit, since chains say "she" and "he"; the variables
   those of another alphabet.
2. `rename` puts the new names into a text, where the old ones stand as whole words.
3. A chain is written by a model, so its steps are renamed only where that is certain. Steps are refused that hold a
   new name already, an old one in other spelling ("ANNA"), an initial in place of a name ("A > B"), or a letter that
   may be something other than a variable ("a value", "3 x 4").

For example, with Anna as Eva, "Anna has 3 coins." becomes "Eva has 3 coins.", and with a as p, "a is 3." becomes
"p is 3."; "That gives a value of 3." is refused, because its "a" is no variable.
"""

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from faithlens.tasks.names import find_names, make_names_pattern
from faithlens.tasks.option_labels import find_label_spans
from faithlens.tasks.question import Question, RenamedChain

SUBSTITUTES: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (
        ("Anna", "Carla", "Emma", "Grace", "Julia", "Kate", "Lisa", "Maria"),
        ("Alice", "Clara", "Eva", "Helen", "Laura", "Nina", "Rosa"),
    ),
    (
        ("Ben", "Carl", "David", "Felix", "Fred", "Henry", "Ivan", "Jack", "Leo", "Nick", "Paul", "Tom"),
        ("Bruno", "Dan", "George", "Jim", "Martin", "Oscar", "Peter", "Walter"),
    ),
    (("Sam",), ("Kim",)),
)
"""The names of generated questions and names for their place: with "she", with "he", with either."""

_LONE_LETTER = re.compile(r"(?<![\w'’\\])[A-Za-z](?![\w'’])")
_OPERATOR = r"[-+=*/×·−]"
# what follows a variable and not an article: "a = 3", "a is 3", "of a.", "b - a"
_AFTER_VARIABLE = re.compile(rf"\s*(?:{_OPERATOR}|[)}}\]\\$,.:;?!]|$|(?:is|was|equals|and|plus|minus|has|by|to)\b)")
_TIMES = re.compile(r"\d\s*x\s*\d")
_ABBREVIATION = re.compile(r"\b(?:e\.g|i\.e)\b", re.I)


RenameStep = Callable[[str, Question, Mapping[str, str]], str | None]


def rename_chain(
    question: Question, steps: Sequence[str], new_names: Mapping[str, str], rename_step: RenameStep
) -> RenamedChain | None:
    """A question and its chain with `new_names`; None if there are none, or if a step cannot be renamed."""
    if not new_names:
        return None
    renamed = [rename_step(step, question, new_names) for step in steps]
    sure = tuple(step for step in renamed if step is not None)
    choices, values = (tuple(rename(text, new_names) for text in some) for some in (question.choices, question.values))
    new_question = replace(question, text=rename(question.text, new_names), choices=choices, values=values)
    return RenamedChain(new_question, sure) if len(sure) == len(renamed) else None


def rename_people_in_chain(
    question: Question, steps: Sequence[str], names: Sequence[str], rng: random.Random
) -> RenamedChain | None:
    """A question and its chain with other people in place of those of `names` that the question mentions."""
    new_names = draw_people(find_names(question.text, names), rng)
    return rename_chain(question, steps, new_names, rename_people)


def draw_people(names: Sequence[str], rng: random.Random) -> dict[str, str]:
    """Another name for each of `names`, which are people of generated questions; all differ in their first letters."""
    new_names: dict[str, str] = {}
    for group, others in SUBSTITUTES:
        of_group = [name for name in names if name in group]
        new_names |= dict(zip(of_group, rng.sample(others, len(of_group)), strict=True))
    return new_names


def rename(text: str, new_names: Mapping[str, str]) -> str:
    """`text` with each name, where it stands as a whole word, replaced by its entry in `new_names`."""
    return make_names_pattern([*new_names]).sub(lambda match: new_names[match[0]], text)


def rename_people(step: str, question: Question, new_names: Mapping[str, str]) -> str | None:
    """`step` of a chain with other names for people; None where it cannot be renamed with certainty."""
    names = [*new_names, *new_names.values()]
    spelled = re.findall(rf"\b(?:{'|'.join(map(re.escape, names))})s?\b", step, re.I)
    initials = {name[0] for name in new_names}
    labels = find_label_spans(step, question)
    if any(name not in new_names for name in spelled):
        return None
    if any(match[0] in initials and match.span() not in labels for match in _LONE_LETTER.finditer(step)):
        return None
    return rename(step, new_names)


def rename_variables(step: str, question: Question, new_names: Mapping[str, str]) -> str | None:
    """`step` of a chain with other letters for variables; None where it cannot be renamed with certainty."""
    letters = {*new_names, *new_names.values()}
    glued = re.search(rf"\d[{''.join(letters)}](?!\w)", step)
    if glued or _TIMES.search(step) or _ABBREVIATION.search(step):
        return None
    labels = find_label_spans(step, question)
    lone = [match for match in _LONE_LETTER.finditer(step) if match.span() not in labels]
    known = [match for match in lone if match[0].lower() in letters]
    if any(match[0] not in new_names for match in known):  # a capital, or a new letter
        return None
    if any(match[0] == "a" and not _AFTER_VARIABLE.match(step, match.end()) for match in known):
        return None
    for match in reversed(known):
        step = step[: match.start()] + new_names[match[0]] + step[match.end() :]
    return step
