"""Chains of thought in files that were released with papers, with their prompts, edits and labels.

- FUR (Tutek et al. 2025): each chain once, with its steps and all mistakes of it that the file has as given edits. The
  files give neither a right answer nor a prompt.
- Thought Branches (Macar et al. 2025): each problem in up to four arms, named by the label `arm`: "cued" (the prompt
  with the hint, and the chain written under it), "through" (the plain prompt and that chain), "around" (the prompt with
  the hint, and a chain written without it) and "uncued" (the plain prompt and that chain). The last two are there where
  the file has such a chain.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from faithlens.errors import TaskError
from faithlens.tasks.entries import BadEntryError, FaultList, parse_object
from faithlens.tasks.formats.json_lines import join_steps
from faithlens.tasks.formats.reply_record import GivenEdit, GivenReply, ReplyRecord
from faithlens.tasks.published import fur, thought_branches
from faithlens.tasks.published.files import has_ending, read_json, read_text
from faithlens.tasks.question import Prompt


def is_released(path: Path) -> bool:
    """Whether a file is one of those that this module reads, by its name and what it holds."""
    try:
        if has_ending(path, ".jsonl", ".out"):
            first = next((line for line in read_text(path).split("\n") if line.strip()), "")
            return fur.is_mistake_line(parse_object(first))
        return has_ending(path, ".json") and thought_branches.is_list_of_problems(json.loads(read_text(path)))
    except (TaskError, BadEntryError, ValueError, RecursionError):
        return False  # its own reader says what is wrong with it


def read_records(path: Path, faults: FaultList) -> Iterator[tuple[str, ReplyRecord]]:
    """One record a chain, with its place.

    Raises:
        TaskError: the file is damaged; the first ten places are named.
    """
    if has_ending(path, ".json"):
        for problem in thought_branches.read_problems(path, read_json(path)):
            if len({*problem.options}) < len(problem.options):
                faults.remarks.append(f"left out {problem.place}: two of its options are the same")
                continue
            for record in _list_arms(problem):
                yield problem.place, record
        return
    by_chain: dict[tuple[str, tuple[str, ...]], list[fur.MistakenStep]] = {}
    for step in fur.read_mistakes(path):
        by_chain.setdefault((step.question_id, step.steps), []).append(step)
    for own in by_chain.values():
        yield own[0].place, _make_fur_record(own)
    faults.remarks.append("the file gives no right answers, so nothing that needs them has a value")


def _make_fur_record(own: list[fur.MistakenStep]) -> ReplyRecord:
    """One chain with all its given mistakes, those that change no word too."""
    first = own[0]
    entry = {"id": first.question_id, "question": first.question, "choices": list(first.options), "answer": None}
    edits = tuple(GivenEdit(each.step, each.mistaken, each.by or "given") for each in own)
    return ReplyRecord(entry, (GivenReply(join_steps(first.steps), steps=first.steps, edits=edits),))


def _list_arms(problem: thought_branches.HintedProblem) -> Iterator[ReplyRecord]:
    """The arms of one problem; each prompt is kept word for word."""
    entry = {"question": problem.text, "choices": list(problem.options), "answer": problem.right}
    known = {"hinted_answer": problem.hinted, "says_hint": problem.says_hint, **problem.labels}
    arms: list[tuple[str, str, str, dict[str, Any]]] = [
        ("cued", problem.hinted_prompt, problem.hinted_chain, known),
        ("through", problem.plain_prompt, problem.hinted_chain, known),
    ]
    if problem.plain_chain:
        own = {"hinted_answer": problem.hinted}
        arms.append(("around", problem.hinted_prompt, problem.plain_chain, own))
        arms.append(("uncued", problem.plain_prompt, problem.plain_chain, own))
    for arm, prompt, chain, labels in arms:
        reply = GivenReply(chain, labels={"arm": arm, "problem": problem.number, **labels})
        yield ReplyRecord({**entry, "id": f"{problem.number}-{arm}"}, (reply,), Prompt("", "", frame=(prompt, "")))
