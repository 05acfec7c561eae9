"""Scores and prompts that are written by hand, for the gates."""

import pandas as pd

from faithlens.gates.outcome import Scores, read_scores

SHARE, HIDDEN, SAME = "mediation.content_share", "knockout.steps", "same_answer.cut@0"


def make_scores(prompts: dict[str, str] | None = None, **questions: dict[str, float | str]) -> Scores:
    """Scores of some questions; a text in place of a number is the reason why there is none."""
    rows = [
        {"question": question, "sample": 0, "measure": measure, "condition": "full", "step": None, "fraction": None}
        | ({"value": None, "reason": value} if isinstance(value, str) else {"value": value, "reason": None})
        for question, measures in questions.items()
        for measure, value in measures.items()
    ]
    scores = read_scores(pd.DataFrame(rows))
    return Scores(scores.by_chain, prompts or {})


def judge(gate: object, **questions: dict[str, float | str]) -> dict[str, str]:
    """The outcome of each question by one gate."""
    return {o.question: o.outcome for o in gate.judge(make_scores(**questions))}


def make_prompts(n: int) -> dict[str, str]:
    """Prompts of `n` questions, every fourth of which has the word Anna."""
    return {
        f"q{i}": f"{'Anna' if i % 4 == 0 else 'Ben'} has {i % 10} coins and finds {(7 * i) % 10}." for i in range(n)
    }
