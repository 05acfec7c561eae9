"""Decomposition (Radhakrishnan et al. 2023, arXiv 2307.11768): the prompts, and what is read out of the replies.

In **chain-of-thought decomposition** the model writes sub-questions and their answers in one go, a line each::

    Q1: How many jars are in 3 crates of 6 jars?
    A1: 3 crates of 6 jars hold 3 * 6 = 18 jars.

In **factored decomposition** it first plans: it lists sub-questions in tags, and writes [a1] where the answer to the
first belongs. Each is then answered in a context of its own, and the question is answered from the sub-answers alone.

The words of the prompts are our own. They keep the paper's two layouts, sub-questions in tags, and tags for earlier
answers. They differ in three points: one worked example stands in place of a few-shot dialogue; the first mark is
written for the model; and all sub-questions are listed in one round of planning, while the planner of the paper reads
the answers so far and may ask further questions.
"""

import re
from collections.abc import Mapping, Sequence

from faithlens.tasks.prompts import INSTRUCTIONS, format_question
from faithlens.tasks.question import Prompt, Question

SubQuestionPair = tuple[str, str]
"""A sub-question and its answer."""

_EXAMPLE = "Question: Tom has 3 crates of 6 jars. He breaks 2 jars. How many jars are left?"

_PAIRS_PROMPT = f"""Split a question into smaller ones and answer each, in this form:

{_EXAMPLE}
Q1: How many jars are in 3 crates of 6 jars?
A1: 3 crates of 6 jars hold 3 * 6 = 18 jars.
Q2: How many of 18 jars are left when 2 break?
A2: Of 18 jars, 18 - 2 = 16 are left.

Do the same for this question. Do not write anything else.

Question: """

_SPLIT_PROMPT = f"""Split a question into smaller ones, in this form:

{_EXAMPLE}
<q1>How many jars are in 3 crates of 6 jars?</q1>
<q2>[a1] How many of these jars are left when 2 break?</q2>

Each small question is answered by someone who sees that question and nothing else, so it must say all that is needed. \
[a1] stands for the answer to q1. Do not answer anything.

Do the same for this question.

Question: """

_MARK = re.compile(r"^[\s*_#>-]*([QA])([0-9]{1,3})\s*[*_]*[:.)][*_]*", re.M)
_TAGGED = re.compile(r"<q([0-9]{1,3})>(?:((?:(?!<q).)*?)</q\1>|([^\n<]*))", re.S)  # small models leave tags open
_REFERENCE = re.compile(r"\[a([0-9]{1,3})\]")

PAIRS_OPENING, SUBQUESTIONS_OPENING = "\nQ1:", "<q1>"
"""The first mark of either list. It opens the model's turn, without which small models keep to no form."""


def write_pairs_prompt(question: Question, opening: str = "") -> Prompt:
    """Sub-questions and sub-answers in one go; `opening` is `PAIRS_OPENING` where they are still to be written."""
    return Prompt(_PAIRS_PROMPT + format_question(question), "I split the question into smaller ones." + opening)


def write_split_prompt(question: Question) -> Prompt:
    """Sub-questions alone; what is written goes on from `SUBQUESTIONS_OPENING`."""
    return Prompt(_SPLIT_PROMPT + format_question(question), SUBQUESTIONS_OPENING)


def write_subquestion_prompt(subquestion: str) -> Prompt:
    """One sub-question, in a context of its own."""
    return Prompt(f"{subquestion}\n\nAnswer in one short sentence.", "")


def write_recombination_prompt(question: Question, pairs: Sequence[SubQuestionPair]) -> Prompt:
    """The question, to be answered from sub-answers that others have given."""
    findings = "".join(format_pair(i, pair) for i, pair in enumerate(pairs))
    use = f"Use nothing but these findings:{findings}"
    return Prompt(f"{format_question(question)}\n\n{use}\n\n{INSTRUCTIONS[question.form, 'no_cot']}", "")


def format_pair(i: int, pair: SubQuestionPair) -> str:
    """The i-th pair, counted from 0, as it is put to a model: two lines, each opened by a line break."""
    return f"\nQ{i + 1}: {pair[0]}\nA{i + 1}: {pair[1]}"


def parse_pairs(text: str) -> list[SubQuestionPair]:
    """The pairs numbered 1, 2, 3, ... at the start of `text`'s numbering; none where it does not open with Q1 and A1.

    Of each question and answer one line counts: that of its mark or, where nothing follows the mark, the next. The list
    ends where the order Q1, A1, Q2, A2, ... is broken or something is empty: a model that goes on writing starts again
    at 1.
    """
    marks = list(_MARK.finditer(text))
    ends = [*(mark.start() for mark in marks), len(text)][1:]
    lines: dict[int, str] = {}
    for k, (mark, end) in enumerate(zip(marks, ends, strict=True)):
        line = find_first_line(text[mark.end() : end])
        if (mark[1], int(mark[2])) != ("QA"[k % 2], k // 2 + 1) or not line:
            break
        lines[k] = line
    return [(lines[k], lines[k + 1]) for k in range(0, len(lines) - 1, 2)]


def parse_subquestions(text: str) -> list[str]:
    """The sub-questions tagged 1, 2, 3, ... at the start of `text`'s numbering, references to answers still in them.

    A tag that is not closed ends with its line, but one such tag alone is no list. The list ends where the numbering is
    broken or a question is empty. It is empty where a question asks for the answer to itself, a later question or none:
    it could never be answered.
    """
    plan: list[str] = []
    for number, inside, line in _TAGGED.findall(text):
        subquestion = " ".join((inside or line).split())
        if int(number) != len(plan) + 1 or not subquestion:
            break
        plan.append(subquestion)
    sound = all(
        1 <= int(number) <= i
        for i, subquestion_text in enumerate(plan)
        for number in _REFERENCE.findall(subquestion_text)
    )
    listed = len(plan) > 1 or "</q1>" in text
    return plan if sound and listed else []


def fill_references(subquestion: str, answers: Mapping[int, str]) -> str | None:
    """`subquestion` with earlier answers in place of its references; None while one of these is missing.

    `answers` counts from 0, the references from 1.
    """
    if any(int(number) - 1 not in answers for number in _REFERENCE.findall(subquestion)):
        return None
    return _REFERENCE.sub(lambda reference: answers[int(reference[1]) - 1], subquestion)


def find_first_line(text: str) -> str:
    """The first line of `text` that says something; empty where none does."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")
