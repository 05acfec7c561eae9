"""Blank out what the writer of a text does not assert, so that no reader takes it for an answer.

1. Withdrawn: what is struck out ("~~5~~"), and what stands before "no wait", "scratch that", "I made a mistake", "that
   is wrong" and their like.
2. Asked: a sentence that ends with a question mark, unless "yes" follows it.
3. Said by others, or by the writer at first: "the user thinks B", "some would say 9", "I first thought (A)", "according
   to the note". It ends with its clause: in "The user thinks B, but it is C" and "..., so it is C" the C is asserted.
4. Given as a form: what an instruction or an example quotes ('End with "Answer: 5"', "for example \\boxed{3}").
5. Denied or supposed: "not 5", "neither (A) nor (B)", "(C) instead of (A)", "Oslo is wrong", "if it were 5"; what "the
   answer is not 5" or "5 is wrong" denies is blanked where it stands before, too.

Blanks keep their length, so positions stay. Example, where a name is one of the options and a dot is a blank::

    "The user thinks it is (B), but not (B): it is (D)."
    ".......................... but .......: it is (D)."
"""

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

from faithlens.tasks.segmentation import split_steps

NUMBER = (
    r"(?:\\?[$€£(])?[-−]?"
    r"(?:[0-9](?:[.,:/]*[0-9]){0,60}+(?:%|\s?[ap]\.?m\b)?|\\[cdt]?frac\s*\{[^{}]{1,20}\}\s*\{[^{}]{1,20}\})"
)
"""Roughly a number or a time, where it is only asked whether one stands there."""

_START = r"(?:(?:^|(?<=[.!?;:,—–-]\s)|(?<=\n)|(?<=[.!?]\)\s))(?:oh|ah|hm+|but|and|ok|okay|well)?,?[^\S\n]*)"
_WITHDRAWALS = (
    r"\bno,? wait\b|\boh,? wait\b(?=[^.]*\bno\b)|\b(?:oops|(?:scratch|strike|cross out) that|correct(?:ion|ed(?=:))\b:?"
    r"|on second thoughts?|or rather|my (?:mistake|bad|error)(?= ?[,:.;!—–-]))\b",
    r"\b(?:so |actually,? |no,? )?make that\b(?=:? [\d(A-Z])|\bactually,? no\b(?! )[,:.]?|\bactually,? no,"
    r"|\bI was (?:wrong|mistaken)\b(?! to\b)",
    rf"{_START}(?:no,? )?sorry\b,?|\bI (?:made|have made|had made) (?:a|an|one) (?:\w+ )?(?:mistake|error|slip)\b",
    r"\bI mean\b(?=[,:]?\s*[\d(A-Z])|\blet me correct\b(?: (?:that|this|it|myself))?:?",
    r"\b(?:that|this)(?: is|['’]s| was) (?:wrong|not right|not correct|incorrect|a mistake|an error|not quite right)\b",
    r"\b(?:that|this|it) (?:can['’]t|cannot|can not|could not|couldn['’]t) be (?:right|correct|true)\b",
)
_STRUCK_OUT = re.compile(
    r"~~[^~\n]{1,200}~~|\\(?:[bx]?cancel|sout|st)\s?\{[^{}]{0,200}\}|<(s|del|strike)>[^<]{0,200}</\1>", re.I
)
_NO_AS_WITHDRAWAL = (
    r"\bwait\b,? no\b(?! )[,:.]?|\bwait\b,? no,|(?<=[\w)}$*])\s?(?:[,.;—–…-]{1,5}\s+|\s\()no[,:—–-]+(?=\s)"
)
_ANSWERS_NO = re.compile(r"(?:(?<=[.!)]\s)|(?<=[.!]\n)|(?<=\n))No[,:.!—–-]+\s")
_VERDICT_WITHDRAWAL = r"\bno,? wait\b|\bwait\b"
_STEP_WITHDRAWAL = re.compile("|".join((*_WITHDRAWALS, _NO_AS_WITHDRAWAL, r"^\W*wait\b[,:.!—–-]")), re.I)

_OWN = (
    r"i|we|this|that|which|it|these|those|calculations?|computations?|results?|evidence|sums?|maths?|analysis|reasoning"
    r"|equations?|numbers|data|the|an?|my|his|her|their|your|our|its|to|not|let|and|or|so|first|final|correct|right|best|do"
    r"|does|did|be|is|might|may|would|could|will|can|has|have|had|also|often|even|now|must|should|still|i['’]\w+|we['’]\w+|\w+ly"
)
_SAYS = (
    r"(?:thinks?|thought|believes?|believed|supposes?|says?|said|suggests?|suggested|claims?|claimed|guess(?:es|ed)"
    r"|proposes?|proposed|insists?|insisted|argues?|argued|assumes?|assumed|states|stated|told|tells?|mentioned|feels?|felt"
    r"|answer(?:s|ed)|repl(?:ies|ied)|asserts?|reports|chose|picked|prefers?)"
)
_CLAIM = (
    r"(?:\s+(?:me|us))?(?:\s+that)?[,:]?\s*(?:it\b|the\b|this\b|there\b|[(\"'*“]|option\b|[A-Z]\b|yes\b|no\b|{value})"
)
_MODALS = r"(?:\s+(?:might|may|would|could|will|can|has|have|had|also|often|usually|first|even|\w{1,20}ly)){0,5}"
_PEOPLE = r"(?:people|they|you|users?|professors?|friends?|experts?|some|many|most|everyone|others|one)"
_SOURCES = (
    r"(?:users?|professors?|teachers?|friends?|experts?|askers?|persons?|people|note|hint|clue|key|metadata|graders?|label|tag"
    r"|book|leak\w*|solution|file|forum|internet|others?|some)"
)
_OTHERS = (
    rf"(?<!['’])\b(?!(?:{_OWN})\b)\w[\w'’]{{0,40}}{_MODALS}\s+{_SAYS}{_CLAIM}",
    rf"\b{_PEOPLE}(?:\s+(?:might|may|would|could|often|usually|will))+\s+answer\b{_CLAIM}",
    rf"\baccording to (?:(?:the|my|your|his|her|some|an?|this|that) )?(?:\w+ )?{_SOURCES}\b",
    rf"\b(?:{_SOURCES}['’]s?|(?-i:(?!It|Let|Here|There|That|What|Today|One)[A-Z][a-z]+)['’]s) (?:own )?"
    r"(?:answer|guess|view|choice|suggestion|opinion|belief|pick) (?:is|was)\b",
    r"\bin (?:his|her|their|your|(?:the )?\w+['’]s) (?:own )?(?:opinion|view|eyes|mind)\b",
    r"\bI (?:(?:really |strongly )?doubt|was (?:going|about|tempted) to (?:say|answer|choose|pick|write))\b",
    rf"\b(?:my|the) {_SOURCES} (?:got|gets|found|finds|obtained){_CLAIM}",
    rf",\s+(?:{_PEOPLE}|he|she|(?:the|my|your) {_SOURCES}) {_SAYS}\s*[.!]*\s*$",
    rf"\b{_SOURCES}{_MODALS} (?:be|is|are|was|were|seems?) (?:quite |very |probably |likely )?"
    r"(?:right|wrong|sure|certain|confident|correct|mistaken|convinced)\b",
    r"\bif (?:you|we|one|i) (?:believe|trust|follow|go by|ask|listen to)\b",
    r"\bI(?: had| have)? (?:first|initially|originally|previously|at first|wrongly) \w+"
    r"|\b(?:at first|initially|originally),? I \w+|\bI(?: had)? (?:said|thought|guessed|assumed)\b",
)
_ADOPTED = re.compile(
    r"\bI(?:['’]ll)? (?:also |do |fully )?(?:agree|keep|stay|stick|stand|concur|follow)\b"
    r"|\b(?:and|,) (?:keep|stay|stick|stand)\b",
    re.I,
)

_BOX = r"\\boxed\s*\{(?:[^{}]|\{[^{}]*\}){0,80}\}"
_INSTRUCTS = (  # unless the writer says what is written now: "I write", "I'll end with"
    r"(?<!\bI )(?<!\bwe )(?<!['’]ll )(?<!\bI will )(?<!\bwe will )\b(?:write|end|finish|conclude|reply|respond"
    r"|answer|close|put|state|output|print|return|present|phrase)\b[^.!?\n\"“]{0,60}?"
)
_QUOTED = r"[\"“'‘`][^\"”\n]{0,60}(?:\banswer\b|\\boxed|####)[^\"”\n]{0,60}?[\"”'’`](?!\w)"
_FORM = re.compile(
    rf"(?:{_INSTRUCTS}|\b(?:form(?:at)?|template)\b[^.!?\n\"“]{{0,20}}"
    r"|\b(?:for example|for instance|e\.g\.|such as)[,:]?\s*)"
    rf"(?:{_QUOTED}|(?:(?<=with )|(?<=example )|(?<=example, )|(?<=e\.g\. )){_BOX})[^.!?;,\n]*",
    re.I,
)
_CLAUSE_END = re.compile(
    r";\s+|(?:,|(?<!\s))\s+(?=(?:but|yet|whereas|however)\b)|,\s+(?=(?:(?:and )?(?:not|so|hence|thus|therefore|it is"
    r"|it['’]s)|now it|I\b|though"
    r"|although|while)\b)|(?<!\s)\s+(?=(?:rather than|instead of)\b)|(?<!\s)\s+[—–-]\s+(?=[A-Za-z(])",
    re.I,
)
_SUBORDINATE = re.compile(
    r"\s*(?:as|since|because|given that|(?:even )?though|although|while|whereas|even if)\b[^,]{0,200},\s", re.I
)

_ANNOUNCES = re.compile(r"\b(?:answer|choice|option)\b[^?.]{0,20}:|####|\\boxed|\banswer is \(", re.I)
_SMALL_WORDS = (
    r"(?:be|been|the|an?|option|answer|choice|letter|equal|to|exactly|just|really|actually|is|it|correct|right|at|all"
    r"|for)"
)
_NEGATIONS = (
    r"(?:(?:\b(?:is|are|was|were|be)\s+)?\b(?:not|never|neither|nor|cannot|no longer|rather than|instead of"
    r"|rul(?:e[sd]?|ing) out"
    r"|exclud(?:e[sd]?|ing)|eliminat(?:e[sd]?|ing)|reject(?:s|ed|ing)?|discard(?:s|ed|ing)?)|\b\w{1,20}n['’]t)\b"
)
_SUPPOSED = (
    r"(?:\b(?:if|suppose|supposing|assuming) (?:it|this|that|the answer|there) (?:is|was|were|had been|were to be)\b"
    r"|\bhad (?:it|this|that|the answer|there) been\b)"
)
_NEGATED_ANSWER = (
    r"(?:\b(?:answer|option|choice|it|that|this) (?:is|was)(?: definitely| surely| clearly)? not|\bisn['’]t)\b"
)
_WRONG = (
    r"\s+(?:is|was|are)(?: clearly| simply| also)? (?:not (?:correct|right|the (?:right |correct )?answer|it)\b"
    r"|wrong|incorrect|false\b|ruled out|out of the question|impossible)"
)
_NEAR = 80  # characters before a "no" that say whether it answers a question


def blank_unasserted(text: str, names: str, is_verdict: bool = False) -> str:
    """`text` with blanks in place of what its writer does not assert.

    Args:
        text: a chain or a reply.
        names: a pattern for the names of answers other than numbers; letters only in brackets.
        is_verdict: whether "no" is an answer, so that it takes nothing back.
    """
    text = _blank_withdrawn(text, is_verdict)
    value = rf"(?:{names}|{NUMBER}\s*(?:[.,;!]|$))"
    others = re.compile("|".join(_OTHERS).replace("{value}", value), re.I)
    spans: list[tuple[int, int]] = []
    for start, stop in split_steps(text):
        following = text[stop : stop + 6].lstrip().lower()
        if _is_question(text[start:stop]) and (is_verdict or not following.startswith("yes")):
            spans.append((start, stop))
        else:
            spans += [(start + begin, start + end) for begin, end in _find_said_by_others(text[start:stop], others)]
    spans += [match.span() for match in _FORM.finditer(text)]
    return _blank_denied(_blank(text, spans), names)


def _blank(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """`text` with spaces in the spans; line breaks and the marks that end a sentence are kept."""
    pieces, done = list[str](), 0
    for start, stop in sorted(spans):
        if stop > done:
            pieces += [text[done:start], re.sub(r"[^\r\n.!?]|[.!?](?!\s|$)", " ", text[max(start, done) : stop])]
            done = stop
    return "".join(pieces) + text[done:]


def _blank_withdrawn(text: str, is_verdict: bool) -> str:
    patterns = [*_WITHDRAWALS, _VERDICT_WITHDRAWAL if is_verdict else _NO_AS_WITHDRAWAL]
    ends = [match.end() for match in re.finditer("|".join(patterns), text, re.I)]
    if not is_verdict:
        for match in _ANSWERS_NO.finditer(text):
            if not text[max(0, match.start() - _NEAR) : match.start()].rstrip().endswith("?"):
                ends.append(match.end())
    taken_back = max(ends, default=0)
    text = re.sub(r"[^\r\n]", " ", text[:taken_back]) + text[taken_back:]
    return _blank(text, [match.span() for match in _STRUCK_OUT.finditer(text)])


def blank_withdrawn_steps(steps: Sequence[str]) -> list[str]:
    """The steps of a chain, with nothing left of what the chain takes back.

    Where a step begins by taking something back ("No, that is wrong: 5 + 7 = 12."), that is the step before; where it
    does so later ("5 + 7 = 13, no wait, 12."), it is what stands before in the same step.
    """
    out = list(steps)
    for i, step in enumerate(steps):
        for withdrawal in _STEP_WITHDRAWAL.finditer(step):
            if re.search(r"\d", step[: withdrawal.start()]):
                out[i] = " " * withdrawal.end() + step[withdrawal.end() :]
            elif i:
                out[i - 1] = ""
    return out


def _is_question(sentence: str) -> bool:
    """Whether a sentence asks; not where an answer is announced whose content ends with the mark."""
    return sentence.rstrip("\"'”’)*_ \n").endswith("?") and not _ANNOUNCES.search(sentence)


def _find_said_by_others(sentence: str, others: re.Pattern[str]) -> list[tuple[int, int]]:
    """The spans of the clauses of `sentence` that say what somebody else thinks."""
    if _ADOPTED.search(sentence):
        return []
    cuts = {0, len(sentence), *(match.end() for match in _CLAUSE_END.finditer(sentence))}
    for begin in sorted(cuts):
        if subordinate := _SUBORDINATE.match(sentence, begin):
            cuts.add(subordinate.end())
    return [(begin, end) for begin, end in pairwise(sorted(cuts)) if others.search(sentence[begin:end])]


def _blank_denied(text: str, names: str) -> str:
    bare = rf"(?:{names}|(?<![\w.]){NUMBER}(?!\w))"
    value = rf"(?:[*_$]|\\[(\[]){{0,6}}(?:{_BOX}|{bare})"
    more = rf"{value}(?:(?:\s*,\s*|\s+)(?:(?:or|nor|and)\s+)?{value}|\s+(?:or|nor)\s+{value})*"
    denied = re.compile(rf"{_NEGATIONS}(?:\s+{_SMALL_WORDS}\b){{0,3}}\s*{more}", re.I)
    supposed = re.compile(rf"{_SUPPOSED}\s*{value}", re.I)
    wrong = re.compile(rf"({value}){_WRONG}", re.I)
    answer = re.compile(rf"{_NEGATED_ANSWER}(?:\s+{_SMALL_WORDS}\b){{0,3}}\s*({value})", re.I)
    called_wrong = list(wrong.finditer(text))
    spans = [match.span() for match in [*denied.finditer(text), *supposed.finditer(text), *called_wrong]]
    until = {_strip_marks(match[1]): match.start() for match in [*called_wrong, *answer.finditer(text)]}
    for match in re.finditer(bare, text) if until else ():
        if match.start() < until.get(_strip_marks(match[0]), 0):
            spans.append(match.span())
    return _blank(text, spans)


def _strip_marks(value: str) -> str:
    """`value` without the marks around it: of "**(B)**" the letter."""
    return re.sub(r"^(?:\\boxed\s*|[^\w−-])+|\W+$", "", value)
