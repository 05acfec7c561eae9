"""Read the answer that a text states, for chains of thought and replies in any format.

1. Blank out what the text does not assert: denied, said by others, asked, taken back (`tasks.asserted_text`).
2. Collect the statements of an answer: "The answer is (B).", ``\\boxed{12}``, "(B) is correct", "I choose C".
3. Return the answer of the last statement that can be read, since models correct themselves. Where it offers several
   ("5 or 7"), or a value that cannot be read ("at least 5"), there is none. Where a doubt follows it ("Wait, ..."), a
   firm conclusion after that ("so 9") replaces it.
4. If no statement can be read, read the concluding sentence: the last step, or the last step with a number.
5. There, an option's label or content counts only if it is the only one named and is not negated
   (`tasks.named_answers`), and a number only if it is what the sentence comes to (`tasks.concluded_number`).
6. Otherwise return None; the parser never guesses, and two missing answers are not the same answer.

Example::

    question = Question("q", "?", ("A", "B", "C"), "B", ("12", "15", "9"))
    parse_answer("The answer is (A). Wait, no: 12 + 3 = 15. The answer is (B).", question)  # "B": the last statement
    parse_answer("It is not 12. It is 15.", question)  # "B": 12 is denied
    parse_answer("The user thinks (A), but it is (C).", question)  # "C": (A) is what another says
    parse_answer("It is 12 or 15.", question)  # None: two options are named
    parse_answer("It is not 15.", question)  # None: the only option is denied
    parse_answer("The answer choices are given.", question)  # None: nothing is stated
"""

import re
from collections.abc import Iterator
from itertools import islice
from operator import itemgetter
from typing import Literal, NamedTuple, cast, get_args

from faithlens.tasks import moments
from faithlens.tasks.asserted_text import blank_unasserted
from faithlens.tasks.assigned_numbers import read_assignments, select_asked
from faithlens.tasks.concluded_number import offers_numbers, read_concluded_number, read_leading_number
from faithlens.tasks.named_answers import (
    VERDICTS,
    make_labels_pattern,
    make_names_pattern,
    map_names,
    offers_names,
    read_concluded_name,
    read_leading_name,
)
from faithlens.tasks.question import Question
from faithlens.tasks.segmentation import split_steps
from faithlens.tasks.stated_moment import offers_moments, read_concluded_moment, read_stated_moment
from faithlens.tasks.values import Value, read_value
from faithlens.thoughts import Finish

AnswerKind = Literal["name", "moment", "number"]
"""How an answer is looked for: by its name, or by its value, which is a date or a time, or a number."""

_LEAD = re.compile(
    r"\b(?:answer|option|choice)\b(?: (?:to|for) [^.\n]{1,80}?)?[*_\"'’]*\s*"
    r"(?:\b(?:is|would be|should be|must be|will be)\b(?: (?:clearly|obviously|definitely|surely|simply|therefore|thus"
    r"|hence|then|indeed|actually|really))?|[:=])[*_]*(?:\s*[:=])?|####"
    r"|\b(?:right|correct|best) (?:one|letter|label) (?:is|must be|should be)\b|\bmy (?:pick|selection) ?(?:is\b|:)",
    re.I,
)
_CHOOSES = re.compile(
    r"\b(?:I|we|I['’]ll|I['’]d|let['’]s|let me|we['’]ll)(?: (?:\w+ly|will|would|now|thus|therefore|also|then))*"
    r" (?:choose|pick|select|go (?:with|for)|settle on|opt for|answer|say)\b:?"
    r"|\b(?:I['’]m|I am|we are|we['’]re) going (?:with|for)\b",
    re.I,
)
_CALLED_RIGHT = re.compile(
    r"\s*(?:option|choice|answer)?\s*(?:is|was|must be|should be|has to be)\s+"
    r"(?:clearly |therefore |thus )?(?:(?:the )?(?:correct|right|best)\b"
    r"|(?:the|my|our) (?:final )?(?:answer|choice|pick)\b|the only (?:\w+ ){0,3}?(?:that|which|left)\b)"
    r"|\s+(?:seems|looks|appears)(?: to be)? (?:the )?(?:correct|right|best)\b|\s+remains(?=[.,!])"
)
_CONCLUDES = r"(?:(?i:\bso|\bhence|\bthus|\btherefore|\bconsequently)[,:]?\s+(?:(?i:it is|it must be)\s+)?)"
_COMES_TO = (  # in the last sentence
    r"(?i:(?:\b(?:it|this) (?:is|must be|should be|has to be|would be)|\b(?:only|has to|must|should) be"
    r"|\b(?:is|matches|corresponds to)(?=\s+(?:option|choice|letter|answer))"
    r"|\b(?:leaves|leaving|gives)(?: us)?(?: with)?)(?: only| just| clearly| therefore)?)\s+(?![0-9])"
)
_TAGGED = re.compile(r"<answer>((?:(?!<answer>).)*?)</answer>", re.I | re.S)
_CLAUSE = re.compile(r"[.;!](?:\s|$)")
_LONGEST_SENTENCE = 2_000  # characters of one that are read
_BULLET = re.compile(r"\s*[-–−*•]\s+[0-9]")
_ROW = re.compile(r"\s*\|.*\|\s*|[^=]*\S(?:\t+|\s\|\s)\S[^=]*|.*&.*\\\\.*|\W*")  # of a table
_BEGINS_WITH_DIGITS = re.compile(r"\W*(?:[A-Za-z]+\W+){0,3}?[0-9]")
_IS_FURTHER = re.compile(r"\s*(?:also|equally|likewise)\b", re.I)
_IS_SUPPOSED = re.compile(
    r"\bif (?!(?:you|we|I) (?:would|prefer)|needed|necessary|not|so\b)\w+ (?:had|were|would)\b", re.I
)
_UNFINISHED = re.compile(r"[\w.,/:]{0,80}\w\Z")
_MOST_STATEMENTS = 50  # that are read, so that long texts take linear time
_BRACE = re.compile(r"[{}]")
_BETWEEN_BOXES = re.compile(r"[\s$\\()\[\]]*(?:,\s*(?:and|or)?|;|and|or|/)[\s$\\()\[\]]*")
_BOXED = re.compile(r"\\boxed\s*\{")
_WRAPPER = re.compile(r"\\(?:text(?:bf|it|rm|sf|tt)?|math(?:rm|bf|it|sf|tt))\s*\{([^{}]*)\}")
_DOUBT = re.compile(
    r"(?:^|(?<=[.!?;:—–-]\s)|(?<=\n))(?:oh|ah|hm+|but|okay|ok)?,?[^\S\n]*(?:no,?\s+)?"
    r"(?:(?:wait|hold on|hm+|actually|on reflection|edit(?=:)|let me (?:re-?|double-?)?check"
    r"|I (?:forgot|misread|miscounted|miscalculated|mistook|overlooked))\b[,.…:]*\s*)+",
    re.I,
)
_FIRM = re.compile(
    r"\b(?:so|thus|hence|therefore|it is|it['’]s|that is|that['’]s|that (?:gives|makes|leaves)|should be|must be)\b",
    re.I,
)


class _Statement(NamedTuple):
    """What a text states as its answer, and the half-open range of characters in which it is stated."""

    start: int
    stop: int
    text: str


def parse_answer(text: str, question: Question, finish: Finish = "stop") -> str | None:
    """The answer to `question` that `text` states, as one of its candidates; None where none can be read.

    If the answer to a free-form question is a number, any number that the text states is returned: as the candidate
    with its value, else in plain notation. The same holds for dates and times. In a text that was cut off (`finish` is
    "length") only a statement of an answer counts, without its last word: its last sentence concludes nothing yet.
    """
    text = text if finish == "stop" else _UNFINISHED.sub("", text)
    return parse_asserted(keep_asserted(text, question), question, finish)


def parse_asserted(text: str, question: Question, finish: Finish = "stop") -> str | None:
    """The same for a text in which `keep_asserted` has blanked out what it does not assert."""
    for place, stop, statement in islice(_find_statements(text, question), _MOST_STATEMENTS):
        if _offers_several(statement, question):
            return _read_conclusion(text[stop:], question)
        if (answer := _read_statement(statement, question)) is not None:
            return _read_second_thought(text[place:], question) or answer
        if _names_unread_value(statement, question):
            return _read_conclusion(text[place:], question)
    return _read_conclusion(text, question) if finish == "stop" else None


def states_answer(text: str, question: Question) -> bool:
    """Whether `text` announces an answer to `question`, be it one that can be read or not."""
    return announces_answer(keep_asserted(text, question), question)


def announces_answer(text: str, question: Question) -> bool:
    """The same as `states_answer` for a text in which `keep_asserted` has blanked out what it does not assert."""
    return next(_find_statements(text, question), None) is not None


def keep_asserted(text: str, question: Question) -> str:
    """`text` with blanks in place of what it does not assert, where answers to `question` are looked for."""
    text = _WRAPPER.sub(r"\1", text)
    labels = make_labels_pattern(question)
    bare = rf"(?-i:(?:{labels})(?<=[A-Z])(?<!I)(?=\s*(?:[.,;!)]|$|but\b)))"
    names = rf"(?:option )?(?:\((?:{labels})\)|\b{bare})|(?-i:{make_names_pattern(_list_deniable(question))})"
    return blank_unasserted(text, names, any(name.casefold() in VERDICTS for name in map_names(question)))


def find_boxed(text: str) -> str | None:
    r"""What the last \boxed{...} of `text` holds, without a wrapper such as \text; None where there is none."""
    boxes = list(_BOXED.finditer(text))
    return _take_braced(text, boxes[-1].end()) if boxes else None


def list_answer_kinds(question: Question) -> tuple[AnswerKind, ...]:
    """How answers to `question` are looked for, in this order; options go by their names."""
    if question.choices:
        return ("name",)
    values = [read_value(text, question.decimal_mark) for text in (question.answer, *question.candidates)]
    kinds = {"name" if value is None else "number" if value.is_number else "moment" for value in values}
    return tuple(kind for kind in get_args(AnswerKind) if kind in kinds)


def _list_deniable(question: Question) -> list[str]:
    """The names that a "not" before them denies; without yes, no and the like, which are read with their "not"."""
    names: list[str] = []
    for name in map_names(question):
        value = read_value(name, question.decimal_mark)
        if value is None:
            names += [] if name.casefold() in VERDICTS else [name]
        elif not value.is_number:
            names += [name, *moments.list_spellings(cast(moments.Moment, value.content))]
    return names


def _find_statements(text: str, question: Question) -> Iterator[_Statement]:
    """The places where the text states its answer, each up to the end of the sentence; the last first."""
    places = [(match.start(), match.end(), _take_sentence) for match in _LEAD.finditer(text)]
    places += [(first.start(), last.end(), _take_boxes) for first, last in _group_boxes(text)]
    places += [(*match.span(1), _take_span) for match in _TAGGED.finditer(text)]
    for match in _CHOOSES.finditer(text):
        # "I choose 7.", not "I choose 2 of 7 in 21 ways"
        if question.choices or re.fullmatch(r"\W*\w+\W*", _take_sentence(text, match.start(), match.end()).text):
            places.append((match.start(), match.end(), _take_sentence))
    if question.choices:
        label = rf"(\(?(?:{make_labels_pattern(question)})\)?|\((?i:{make_labels_pattern(question)})\))"
        bare = rf"(?<![\w(])(?:(?i:option |choice ))?{label}(?![\w)])"
        named = [match for match in re.finditer(bare, text) if _CALLED_RIGHT.match(text, match.end())]
        # "so 7" may be a value on the way where numbers follow, unlike "so B" or "so (7)"
        is_number = all(each.isdigit() for each in question.candidates)
        last_digit = max((match.start() for match in re.finditer(r"\d", text)), default=0) if is_number else 0
        announced = rf"(?:{_CONCLUDES}|(?:^|\n|[.!]\s+)(?i:(?:final )?answer )|{_COMES_TO}(?=[^\n]{{1,12}}\s*$))"
        kind = "(?:(?i:option|choice|letter|answer) )?"
        concluded = rf"{announced}{kind}{label}(?=[.!]*\s*(?:$|\n|[.!]\s))|(?<!\w){label} it is\b"
        for match in re.finditer(concluded, text):
            is_on_the_way = is_number and match[1] and match[1].isdigit() and match.end(1) <= last_digit
            named += [] if is_on_the_way else [match]
        whole = re.fullmatch(rf"\W*(?i:option|choice|letter)\W+{label}\W*", text)
        for match in [*named, *filter(None, [whole])]:
            answer = match.span(1) if match[1] else match.span(2)
            if text[slice(*answer)] != "I":
                places.append((*answer, _take_span))
    for start, stop, take in sorted(places, key=itemgetter(0), reverse=True):
        yield take(text, start, stop)


def _group_boxes(text: str) -> Iterator[tuple[re.Match[str], re.Match[str]]]:
    """The first and the last box of each run of boxes that only commas, "and" or "or" part."""
    run: list[re.Match[str]] = []
    for box in _BOXED.finditer(text):
        if run and not _BETWEEN_BOXES.fullmatch(text, _find_brace(text, run[-1].end()), box.start()):
            yield run[0], run[-1]
            run = []
        run.append(box)
    if run:
        yield run[0], run[-1]


def _take_sentence(text: str, place: int, start: int) -> _Statement:
    """The first sentence at or after `start`, white space before it left out, as a statement made at `place`."""
    rest = text[start : start + _LONGEST_SENTENCE]
    start += len(rest) - len(rest.lstrip())
    rest = rest.lstrip()
    sentence = rest[slice(*split_steps(rest)[0])] if rest else ""
    return _Statement(place, start + len(sentence), sentence.strip())


def _take_boxes(text: str, start: int, inside: int) -> _Statement:
    """The boxes from `start` to the one whose inside begins at `inside`; one alone without a wrapper in it."""
    stop = _find_brace(text, inside)
    if single := _BOXED.fullmatch(text, start, inside):
        return _Statement(start, stop, f"\\boxed{{{_take_braced(text, single.end())}}}")
    return _Statement(start, stop, re.sub(r"\\boxed|[{}$]", " ", text[start:stop]))


def _take_span(text: str, start: int, stop: int) -> _Statement:
    return _Statement(start, stop, text[start:stop].strip())


def _take_braced(text: str, start: int) -> str:
    """What stands between the brace before `start` and the one that closes it, without a wrapper such as \\text."""
    stop = _find_brace(text, start)
    return _WRAPPER.sub(r"\1", text[start : stop - 1]).strip() if stop > start else ""


def _find_brace(text: str, start: int) -> int:
    """The place after the brace that closes the one before `start`; `start` where none does."""
    depth = 1
    for brace in _BRACE.finditer(text, start, start + _LONGEST_SENTENCE):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return brace.end()
    return start


def _offers_several(statement: str, question: Question) -> bool:
    """Whether a statement leaves open which of several answers it means."""
    kinds = list_answer_kinds(question)
    if _IS_FURTHER.match(statement) or _IS_SUPPOSED.search(statement):
        return True
    if "name" in kinds and offers_names(find_boxed(statement) or statement, question):
        return True
    clause = _CLAUSE.split(statement, maxsplit=1)[0]
    if "moment" in kinds and offers_moments(clause):
        return True
    return "number" in kinds and "=" not in statement and offers_numbers(clause, question.decimal_mark)


def _names_unread_value(statement: str, question: Question) -> bool:
    """Whether a statement that cannot be read is about a value all the same: it fills a box, or begins with digits."""
    is_number = "number" in list_answer_kinds(question)
    return bool(find_boxed(statement) or (is_number and _BEGINS_WITH_DIGITS.match(statement)))


def _read_statement(statement: str, question: Question) -> str | None:
    boxed = find_boxed(statement)
    content = boxed or statement
    for kind in list_answer_kinds(question):
        match kind:
            case "name":
                answer = read_leading_name(content, question, bool(boxed))
            case "moment":
                answer = _match_candidate(read_stated_moment(content), question)
            case "number":
                number = read_leading_number(content, question) or _read_asked_number(content, question)
                answer = _match_candidate(number, question)
        if answer is not None:
            return answer
    return None


def _read_second_thought(text: str, question: Question) -> str | None:
    """The answer of a firm conclusion after the last doubt in `text`; None where there is no doubt, or nothing firm."""
    doubts = list(_DOUBT.finditer(text))
    if not doubts:
        return None
    after = text[doubts[-1].end() :]
    firm = list(_FIRM.finditer(after))
    if not firm and not re.fullmatch(r"\W*\w+\W*", after):
        return None
    return _read_conclusion(after[firm[-1].start() if firm else 0 :], question)


def _read_conclusion(text: str, question: Question) -> str | None:
    """The answer that the last sentence comes to, of those that are asserted."""
    steps = [text[max(start, stop - _LONGEST_SENTENCE) : stop] for start, stop in split_steps(text)]
    if not steps or all(_ROW.fullmatch(line) for step in steps[-2:] for line in step.splitlines()):
        return None
    for kind in list_answer_kinds(question):
        match kind:
            case "name":
                answer = read_concluded_name(steps[-1], question)
            case "moment":
                answer = _match_candidate(read_concluded_moment(steps[-1]), question)
            case "number":
                answer = _conclude_number(steps, question)
        if answer is not None:
            return answer
    return None


def _conclude_number(steps: list[str], question: Question) -> str | None:
    """The number that the last step with digits comes to, or a step after it in words."""
    bullets = [_BULLET.match(step) is not None for step in steps[-2:]]
    if bullets == [True, True]:  # of a list; the dash is no minus
        return None
    for step in reversed(steps):
        if (number := _read_asked_number(step, question)) is not None:
            return _match_candidate(number, question)
        if re.search("[0-9]", step):
            return None
    return None


def _read_asked_number(sentence: str, question: Question) -> Value | None:
    """The number a sentence comes to; of several names with a number each, that of the one asked for."""
    if assigned := read_assignments(sentence, question.decimal_mark):
        return select_asked(assigned, question.text)
    return read_concluded_number(sentence, question)


def _match_candidate(value: Value | None, question: Question) -> str | None:
    """The candidate of this value in its own notation, else the value in its normal form."""
    if value is None:
        return None
    return next((c for c in question.candidates if read_value(c, question.decimal_mark) == value), str(value))
